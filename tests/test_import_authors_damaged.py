"""Damaged and hostile checkpoints of the authors' program; needs PyTorch."""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jdnet_jax.cli import main
from jdnet_jax.interop.authors import to_authors
from jdnet_jax.interop.torch_files import AuthorsFileError, read_checkpoint
from jdnet_jax.models import Compute, Description, abstract_model, initial_values

torch = pytest.importorskip("torch")

DESCRIPTION = Description(units=1, attention=False, calibration=False)  # the authors' R1


def saved(contents, *, new):
    buffer = io.BytesIO()
    torch.save(contents, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def whole(*, new):
    variables = initial_values(abstract_model(DESCRIPTION, Compute()), seed=0)
    net = {
        name: torch.from_numpy(np.array(v)) for name, v in to_authors(variables, bgr=True).items()
    }
    return saved({"net": net, "clock_net": 3, "opt_net": {"state": {}}}, new=new)


WHOLE = [whole(new=False), whole(new=True)]


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(AuthorsFileError, match=f"{path.name}: this is no checkpoint.*longer than"):
        read_checkpoint(path)


@pytest.mark.parametrize("data", WHOLE, ids=["old", "new"])
@pytest.mark.parametrize("junk", [b"\0", b"junk", bytes(100_000)], ids=["byte", "word", "much"])
def test_a_checkpoint_with_something_behind_it_is_refused(tmp_path, data, junk):
    refused(tmp_path / "latest_net", data + junk)
    refused(tmp_path / "latest_net", junk + data)
    (tmp_path / "latest_net").write_bytes(data)
    assert read_checkpoint(tmp_path / "latest_net").step == 3


def test_a_compressed_archive_is_refused(tmp_path):
    """Which PyTorch reads, whatever its parts become when they are unpacked."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(10_000_000)}, new=True))) as stored,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for part in stored.infolist():
            packed.writestr(part.filename, stored.read(part))
    assert len(buffer.getvalue()) < 100_000
    assert torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)["a"].numel() == 10_000_000
    refused(tmp_path / "latest_net", buffer.getvalue())


@pytest.mark.parametrize("checksums", [True, False])
def test_a_flipped_bit_of_a_tensor_is_refused_where_there_are_checksums(tmp_path, checksums):
    """PyTorch reads such a tensor as if nothing were wrong."""
    tensor = torch.arange(100, 200, dtype=torch.float32)
    torch.serialization.set_crc32_options(checksums)
    try:
        data = bytearray(saved({"a": tensor}, new=True))
    finally:
        torch.serialization.set_crc32_options(True)
    file, at = tmp_path / "latest_net", bytes(data).index(tensor.numpy().tobytes())
    file.write_bytes(data)
    np.testing.assert_array_equal(read_checkpoint(file).state["a"], tensor.numpy())
    data[at + 3] ^= 1
    file.write_bytes(data)
    assert torch.load(file, weights_only=True)["a"][0] != 100
    if checksums:
        damaged = "latest_net: its part .*/data/0 does not have its checksum.*download it again"
        with pytest.raises(AuthorsFileError, match=damaged):
            read_checkpoint(file)
    else:
        assert read_checkpoint(file).state["a"][0] != 100


@pytest.mark.parametrize("new", [False, True])
def test_a_tensor_larger_than_the_file_is_refused(tmp_path, new):
    file = tmp_path / "latest_net"
    file.write_bytes(saved({"a": torch.zeros(1).expand(10**6, 10**6)}, new=new))
    assert file.stat().st_size < 5000
    with pytest.raises(AuthorsFileError, match=r"latest_net: a must be a plain .* larger"):
        read_checkpoint(file)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    new=st.booleans(),
    near=st.booleans(),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=8)), max_size=3),
    length=st.floats(0, 1) | st.none(),
)
def test_damaged_checkpoints_are_imported_or_refused_in_one_line(new, near, changes, length):
    data = bytearray(WHOLE[new])
    for share, change in changes:
        at = int(share * (3000 if near else len(data)))
        data[at : at + len(change)] = change
    if length is not None:
        del data[int(length * len(data)) :]
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder) / "latest_net", Path(folder) / "w.safetensors"
        file.write_bytes(data)
        status = main(["import-authors", str(file), "-o", str(output)])
        assert (status, output.exists()) in ((0, True), (2, False))
        assert sorted(p.name for p in Path(folder).iterdir())[:1] == ["latest_net"]


def test_what_damage_is_told_as(tmp_path, capsys):
    for number, data in enumerate(WHOLE):
        file = tmp_path / f"net {number}"
        for at in range(0, len(data), len(data) // 40):
            file.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
            output = tmp_path / f"{number}-{at}.safetensors"
            status = main(["import-authors", str(file), "-o", str(output)])
            err = capsys.readouterr().err
            assert err.count("\n") == (1 if status else 0)
            assert status == 0 or f"{file}: " in err
