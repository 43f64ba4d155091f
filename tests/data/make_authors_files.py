"""Cuts arrays of the authors' program down to what the tests need.

    python -m tests.data.make_authors_files FOLDER

FOLDER holds `authors_r1_2units.npz`, `authors_r2_2units.npz` and `authors_r3_2units.npz`, made with
networks of 2 joint units, `authors_r3_2units_latest_net`, the last one's weights in a checkpoint
file of their program, and `authors_state_dict_32units.json`, the names and shapes of the full ones.
Written beside this script:

- The same `.npz` names. Kept: all weights (`w:`), the four evaluations (`eval_in:`, `eval_out:`),
  one training step under the mean squared error with batch statistics (`train_in`, `train_target`,
  `train_out`, `train_mse`), its gradients (`grad:`) and the running statistics after it
  (`bn_after:`). Of a 3x3 kernel's gradient every fourth output channel is kept, and the norm of
  each whole gradient in `grad_norms`, in the order of the names. Of float64 outputs the last 16
  bits are dropped: what is left is exact to 2e-11.
- `authors_r3_2units_latest_net.npz`, the checkpoint byte by byte (`content`), with zeros where the
  weights are that the `.npz` beside it holds already, and where each goes (`names`, `offsets`).
  `sha256` is that of the whole file.
- `authors_state_dict_32units.json.gz`.
"""

import argparse
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
KEPT_OUTPUTS = slice(None, None, 4)


def drop_bits(values: npt.NDArray[np.float64], bits: int = 16) -> npt.NDArray[np.float64]:
    """Zeros for the last bits, which a compressor then saves."""
    mask = np.uint64(2**64 - 2**bits)
    return (np.ascontiguousarray(values).view(np.uint64) & mask).view(np.float64)


def reduced(arrays: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """What is kept of one network's arrays."""
    kept = {}
    for key, value in arrays.items():
        if value.dtype == np.float64 and value.ndim:
            value = drop_bits(value)
        elif key.startswith("grad:") and value.shape[2:] == (3, 3):
            value = value[KEPT_OUTPUTS]
        kept[key] = value
    gradients = sorted(key for key in arrays if key.startswith("grad:"))
    norms = [np.linalg.norm(arrays[key].astype(np.float64)) for key in gradients]
    return kept | {"grad_norms": np.array(norms)}


def emptied(file: bytes, weights: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """A checkpoint without its weights, and what is needed to put them back."""
    empty = bytearray(file)
    offsets = {}
    for name, value in weights.items():
        if not name.endswith(".num_batches_tracked"):  # a number that is found anywhere
            offsets[name] = file.index(value.tobytes())
            assert file.count(value.tobytes()) == 1, name
            empty[offsets[name] : offsets[name] + value.nbytes] = bytes(value.nbytes)
    return {
        "content": np.frombuffer(empty, np.uint8),
        "names": np.array(list(offsets)),
        "offsets": np.array(list(offsets.values())),
        "sha256": np.array(hashlib.sha256(file).hexdigest()),
    }


def main(folder: Path) -> None:
    """Writes the files."""
    for file in sorted(folder.glob("authors_r[123]_2units.npz")):
        with np.load(file) as arrays:
            np.savez_compressed(HERE / file.name, **reduced(dict(arrays)), allow_pickle=False)
    with np.load(folder / "authors_r3_2units.npz") as arrays:
        weights = {n.removeprefix("w:"): arrays[n] for n in arrays if n.startswith("w:")}
    file = folder / "authors_r3_2units_latest_net"
    np.savez_compressed(HERE / f"{file.name}.npz", **emptied(file.read_bytes(), weights))
    file = folder / "authors_state_dict_32units.json"
    text = json.dumps(json.loads(file.read_text()), separators=(",", ":"))
    # No time stamp, so that the same input gives the same file.
    (HERE / f"{file.name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
