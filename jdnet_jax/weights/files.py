"""Weights with the description of their network, apart from any training.

Two forms hold the same: a folder written by orbax, which JAX programs read, and one safetensors
file, which nearly every framework reads and which is what comes with the package. To import orbax
takes a quarter of a second, so it is left to those who need it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from jdnet_jax.messages import one_line, reason
from jdnet_jax.models import Description, differing_names, variable_shapes
from jdnet_jax.orbax_tools import alone, quiet_reading
from jdnet_jax.whole_files import check_free, unfinished, write_whole

SUFFIX = ".safetensors"
DESCRIPTION_FILE = "description.json"
SHA256_FILE = "sha256"
DESCRIPTION_SHA256_FILE = "description_sha256"
VARIABLES_FOLDER = "variables"
BUNDLED = Path(__file__).parent

_AGAIN = "Get a whole copy, or export it again."


class WeightsError(ValueError):
    """Weights that are not there, are damaged or belong to another network."""


def bundled_names() -> list[str]:
    """Names of the weights that come with the package."""
    return sorted(file.stem for file in BUNDLED.glob(f"*{SUFFIX}"))


def check_new(output: Path) -> None:
    """Refuses a name for new weights that is taken, or that is one of another kind of file.

    Raises:
        FileExistsError: There is something of this name.
        ValueError: It ends like a file of another kind. A number at the end, as in `v1.2`, is part
            of a folder's name.
    """
    check_free(output)
    kind = output.suffix
    if kind not in ("", SUFFIX) and not kind[1:].isdigit():
        raise ValueError(
            f"{output}: weights are written to a file that ends in {SUFFIX} or to a folder; leave "
            f"{kind} out for a folder"
        )


def write_weights(
    output: Path, description: Description, variables: Mapping[str, np.ndarray]
) -> None:
    """Writes weights in the form that their name tells: one safetensors file, or an orbax export.

    Args:
        output: A name that `check_new` lets pass; folders above it are made if need be.
        description: The network's description.
        variables: All its variables by name.

    Raises:
        FileExistsError: As `export_weights`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix == SUFFIX:
        write_safetensors(output, description, variables)
    else:
        export_weights(output, description, variables)


def export_weights(
    folder: Path,
    description: Description,
    variables: Mapping[str, np.ndarray],
    *,
    replace: bool = False,
) -> None:
    """Writes an orbax export: `variables/` and `description.json`, each with a file of its hash.

    Args:
        folder: A folder that does not exist yet, or is empty.
        description: The network's description.
        variables: All its variables by name.
        replace: Put it in the place of an export, which stays until the new one is whole.

    Raises:
        FileExistsError: The folder holds something, and `replace` is not set.
    """
    import orbax.checkpoint as ocp

    if not replace and not (folder.is_dir() and not any(folder.iterdir())):
        check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(description.to_dict(), indent=2) + "\n"
    with unfinished(folder) as new:
        new.mkdir()
        with ocp.StandardCheckpointer(multiprocessing_options=alone()) as checkpointer:
            checkpointer.save((new / VARIABLES_FOLDER).absolute(), dict(variables))
        (new / SHA256_FILE).write_text(weights_sha256(variables) + "\n", encoding="utf-8")
        (new / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
        described = _description_sha256(description.to_dict())
        (new / DESCRIPTION_SHA256_FILE).write_text(described + "\n", encoding="utf-8")


def write_safetensors(
    file: Path, description: Description, variables: Mapping[str, np.ndarray]
) -> None:
    """Writes one safetensors file, the description and the hashes in its metadata.

    Args:
        file: Where to; an existing file is replaced.
        description: The network's description.
        variables: All its variables by name.
    """
    arrays = {name: np.ascontiguousarray(value) for name, value in variables.items()}
    metadata = {
        "description": json.dumps(description.to_dict()),
        "description_sha256": _description_sha256(description.to_dict()),
        "sha256": weights_sha256(variables),
    }
    write_whole(file, safetensors.numpy.save(arrays, metadata=metadata))


def read_weights(path: str | Path) -> tuple[Description, dict[str, np.ndarray]]:
    """Reads bundled weights, a safetensors file or an orbax export.

    Args:
        path: A name of `bundled_names()`, a file, or a folder; a `Path` is never a name.

    Returns:
        The description, and all variables by name, as float32.

    Raises:
        WeightsError: There are no such weights, or they are damaged; the message names the file.
    """
    if isinstance(path, str) and path in bundled_names():
        path = BUNDLED / f"{path}{SUFFIX}"
    path = Path(path)
    if path.is_file():
        fields, variables, sha256, described = _read_safetensors(path)
    elif (path / DESCRIPTION_FILE).is_file():
        fields, variables, sha256, described = _read_export(path)
    else:
        raise WeightsError(
            f"{path}: there are no weights here. Give a .safetensors file, a folder that was "
            "exported, a run directory or one of its checkpoints, or a name of bundled weights: "
            f"{', '.join(bundled_names()) or 'none'}."
        )
    try:
        description = Description.from_dict(fields)
    except (TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{path}: the description of the network is damaged ({reason(error)}). {_AGAIN}"
        ) from error
    check_variables(description, variables, origin=str(path))
    # Older weights have no hash of their description, the oldest none at all.
    if described is not None and _description_sha256(fields) != described:
        raise WeightsError(
            f"{path}: the description of the network is not the one that was written: its SHA-256 "
            f"is {_description_sha256(fields)}, and should be {one_line(described)[:64]}. {_AGAIN}"
        )
    if sha256 is not None and weights_sha256(variables) != sha256:
        raise WeightsError(
            f"{path}: the weights are not those that were written: their SHA-256 is "
            f"{weights_sha256(variables)}, and should be {one_line(sha256)[:64]}. {_AGAIN}"
        )
    return description, variables


def weights_sha256(variables: Mapping[str, npt.ArrayLike]) -> str:
    """SHA-256 of a network's variables, by name: name, shape and bytes as little-endian float32.

    It is the same for one set of weights in whatever form and order they are stored.

    Args:
        variables: All variables by name.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(variables):
        value = np.ascontiguousarray(variables[name], dtype="<f4")
        digest.update(f"{name} {list(value.shape)} ".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def check_variables(
    description: Description, variables: Mapping[str, np.ndarray], *, origin: str
) -> None:
    """Checks that variables are those of the described network, and numbers.

    Raises:
        WeightsError: A name is missing or unknown, a shape is another, or a value is not finite;
            names a few.
    """
    # Each unit and each scale has several variables, and all channels are an axis of some. The
    # network of a million units would never be built.
    longest = max((size for v in variables.values() for size in v.shape), default=0)
    if (
        max(description.units, description.scales) > len(variables)
        or description.channels > longest
    ):
        raise WeightsError(
            f"{origin}: the weights do not fit their description; {description} has more variables "
            f"than {len(variables)}, or larger ones. {_AGAIN}"
        )
    given = {name: v.shape for name, v in variables.items()}
    if differing := differing_names(variable_shapes(description), given):
        raise WeightsError(
            f"{origin}: the weights do not fit their description; {len(differing)} variables are "
            f"missing, unknown or of another shape, such as {one_line(', '.join(differing[:3]))}. "
            "The file is damaged or was put together from two."
        )
    infinite = sorted(n for n, v in variables.items() if not np.isfinite(v).all())
    if infinite:
        raise WeightsError(
            f"{origin}: weights are finite numbers, those of {', '.join(infinite[:3])} are not. "
            "The file is damaged, or the training diverged."
        )


def _description_sha256(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


_Read = tuple[dict[str, Any], dict[str, np.ndarray], str | None, str | None]


def _read_safetensors(file: Path) -> _Read:
    try:
        with safetensors.safe_open(file, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            variables = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        fields = json.loads(metadata["description"])
        values = {name: np.asarray(v, np.float32) for name, v in variables.items()}
    except Exception as error:  # damage shows as errors of the library, of JSON and of NumPy
        raise WeightsError(
            f"{file}: this is no safetensors file with a JDNet's description ({reason(error)}); "
            "export it again; `python -m jdnet_jax import-authors` converts those of the authors' "
            "program."
        ) from error
    return fields, values, metadata.get("sha256"), metadata.get("description_sha256")


def _read_export(folder: Path) -> _Read:
    import orbax.checkpoint as ocp

    try:
        fields = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        with (
            quiet_reading(),
            ocp.StandardCheckpointer(multiprocessing_options=alone()) as checkpointer,
        ):
            variables = checkpointer.restore((folder / VARIABLES_FOLDER).absolute())
        sha256, described = (
            file.read_text(encoding="utf-8").strip() if file.is_file() else None
            for file in (folder / SHA256_FILE, folder / DESCRIPTION_SHA256_FILE)
        )
        values = {name: np.asarray(v, np.float32) for name, v in variables.items()}
    except Exception as error:  # what orbax and tensorstore raise is of many types
        raise WeightsError(
            f"{folder}: the export is damaged ({reason(error)}). {_AGAIN}"
        ) from error
    return fields, values, sha256, described
