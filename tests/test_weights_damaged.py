"""Damaged and hostile weights: the weights that were written or one line, and nothing is run."""

import json
import pickle
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import optax
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from refusals import as_nobody

from jdnet_jax.cli import main
from jdnet_jax.models import Compute, Description, abstract_model, fill, initial_values
from jdnet_jax.pretrained import load_variables
from jdnet_jax.training.checkpoints import Checkpoints
from jdnet_jax.training.state import create_state
from jdnet_jax.weights import WeightsError, export_weights, read_weights, write_safetensors

TINY = Description(
    channels=16, units=1, footprint=3, scales=1, pooling=2, attention=False, calibration=False
)
VARIABLES = initial_values(abstract_model(TINY, Compute()), seed=0)
QUICKLY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


def written(*, sha256=True, **fields):
    """The bytes of a safetensors file of the tiny network, with other fields in its description."""
    metadata = {"description": json.dumps(TINY.to_dict() | fields)}
    if sha256:
        with tempfile.TemporaryDirectory() as folder:
            write_safetensors(Path(folder) / "w", TINY, VARIABLES)
            return (Path(folder) / "w").read_bytes()
    return safetensors.numpy.save(VARIABLES, metadata=metadata)


WHOLE, WITHOUT_SHA = written(), written(sha256=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run directory with a checkpoint of step 0."""
    folder = tmp_path_factory.mktemp("run")
    model = fill(abstract_model(TINY, Compute()), VARIABLES)
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(
        create_state(model, optax.sgd(0.1), averaged=False),
        data={},
        config={"model": TINY.to_dict()},
        scores={"psnr": 20.0, "ssim": 0.5},
    )
    checkpoints.close()
    return folder


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "weights"
    export_weights(folder, TINY, VARIABLES)
    return folder


def refusal(path):
    """The line that weights are refused with; None if they are those that were written."""
    told = None
    try:
        description, variables = load_variables(path)
    except WeightsError as error:
        told = str(error)
    if told is not None:
        assert str(path) in told
        assert told.isprintable()
        assert len(told) < 1000
        return told
    assert variables.keys() == VARIABLES.keys()
    if path.suffix != ".unsigned":
        assert description == TINY
        for name, value in VARIABLES.items():
            np.testing.assert_array_equal(variables[name], value)
    return None


@settings(max_examples=300, **QUICKLY)
@given(
    whole=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 2999), st.binary(max_size=8)), max_size=3),
    length=st.integers(0, len(WHOLE)) | st.none(),
)
def test_a_damaged_safetensors_file_is_refused_or_harmless(whole, changes, length):
    data = bytearray(WHOLE if whole else WITHOUT_SHA)
    for at, new in changes:
        data[at : at + len(new)] = new
    # Without a hash nothing tells that a number is another.
    name = "w.safetensors" if whole else "w.unsigned"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data[:length])
        told = refusal(Path(folder) / name)
    assert told or not (length is not None and length < len(data))


DESCRIPTIONS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from([0, 1, -1, 2, 3, 10**6, 2**63, 10**400, 1.5, True, "1", None, [], {}])
        for name in (*TINY.to_dict(), "unknown")
    },
)


@settings(max_examples=150, **QUICKLY)
@given(fields=DESCRIPTIONS)
def test_any_description_is_refused_or_fits_and_is_told_at_once(fields):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "w.unsigned").write_bytes(written(sha256=False, **fields))
        refusal(Path(folder) / "w.unsigned")


@pytest.mark.parametrize("description", ["[]", "3", "null", '"units"', "{}", "[" * 100_000, ""])
def test_a_description_that_is_none_is_refused(tmp_path, export, description):
    data = safetensors.numpy.save(VARIABLES, metadata={"description": description})
    (tmp_path / "w.safetensors").write_bytes(data)
    shutil.copytree(export, tmp_path / "export")
    (tmp_path / "export" / "description.json").write_text(description)
    for path in (tmp_path / "w.safetensors", tmp_path / "export"):
        assert refusal(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    name = sorted(VARIABLES)[0]
    changed = VARIABLES | {name: np.full_like(VARIABLES[name], value)}
    write_safetensors(tmp_path / "w.safetensors", TINY, changed)
    assert f"those of {name} are not" in refusal(tmp_path / "w.safetensors")


@pytest.mark.parametrize("kind", ["bfloat16", "F8_E4M3", "F32 "])
def test_numbers_of_another_type_are_refused(tmp_path, kind):
    assert WITHOUT_SHA.count(b'"F32"') > 1
    changed = WITHOUT_SHA.replace(b'"F32"', f'"{kind}"'.encode()[:5].ljust(5))
    (tmp_path / "w.safetensors").write_bytes(changed)
    assert refusal(tmp_path / "w.safetensors")


def damages(data):
    yield b""
    yield data[: len(data) // 2]
    if data:
        at = len(data) // 2
        yield data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
    yield None


@pytest.mark.parametrize("kind", ["export", "run"])
def test_any_damaged_file_of_a_folder_is_refused_or_harmless(tmp_path, request, kind):
    source = request.getfixturevalue(kind)
    refused = 0
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        for data in damages(file.read_bytes()):
            folder = tmp_path / "damaged"
            shutil.copytree(source, folder)
            hurt = folder / file.relative_to(source)
            if data is None:
                hurt.unlink()
            else:
                hurt.write_bytes(data)
            refused += refusal(folder) is not None
            shutil.rmtree(folder)
    assert refused > 10


def test_another_description_that_the_weights_fit_is_refused(tmp_path, export, run):
    (tmp_path / "w.safetensors").write_bytes(WHOLE)
    shutil.copytree(export, tmp_path / "export")
    shutil.copytree(run, tmp_path / "run")
    for path, file, text in (
        (tmp_path / "w.safetensors", tmp_path / "w.safetensors", b'\\"footprint\\": 3'),
        (tmp_path / "export", tmp_path / "export" / "description.json", b'"footprint": 3'),
        (tmp_path / "run", tmp_path / "run/checkpoints/0/config/metadata", b'"footprint": 3'),
    ):
        data = file.read_bytes()
        assert data.count(text) == 1
        file.write_bytes(data.replace(text, text[:-1] + b"7"))
        assert "not the one" in refusal(path) or "not those saved" in refusal(path)


@pytest.mark.parametrize("kind", ["export", "run"])
def test_other_bits_in_stored_arrays_are_refused_or_harmless(tmp_path, request, kind):
    """Orbax reads many of them as other numbers, and says nothing."""
    rng, refused = random.Random(0), 0
    folder = shutil.copytree(request.getfixturevalue(kind), tmp_path / kind)
    files = [p for p in sorted(folder.rglob("d/*")) if not {"training"} & set(p.parts)]
    for file in files:
        data = file.read_bytes()
        for _ in range(12):
            changed = bytearray(data)
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            file.write_bytes(changed)
            refused += refusal(folder) is not None
        file.write_bytes(data)
    assert refused > 10


class Program:
    """What a pickle of this runs."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.mkdir, (self.path,)


def test_loading_weights_runs_nothing_that_they_hold(tmp_path, export, run, capsys):
    trace = tmp_path / "trace"
    program = pickle.dumps(Program(trace))
    pickle.loads(program)
    assert trace.is_dir()  # so it is a program, if one lets it
    trace.rmdir()

    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    places = [tmp_path / "latest_net", tmp_path / "w.safetensors"]
    for source in (export, run):
        for number, file in enumerate(path for path in source.rglob("*") if path.is_file()):
            folder = tmp_path / f"{source.name}{number}"
            shutil.copytree(source, folder)
            places.append(folder / file.relative_to(source))
    refused = 0
    for place in places:
        place.write_bytes(program)
        weights = tmp_path / place.relative_to(tmp_path).parts[0]
        output = tmp_path / "out.png"
        arguments = ["derain", str(tmp_path / "a.png"), "-o", str(output), "--overwrite"]
        status = main([*arguments, "--weights", str(weights)])
        err = capsys.readouterr().err
        if status:
            refused += 1
            assert status == 2
            assert err.startswith("jdnet_jax: error: ")
            assert str(weights) in err
            assert err.count("\n") == 1
        assert not trace.exists()
    assert refused >= 10  # the others are copies and indices that nothing reads


def test_read_weights_says_what_a_link_or_a_folder_lacks(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    for name in ("loop", "folder", "nothing"):
        with pytest.raises(WeightsError, match=f"{name}: there are no weights here. Give"):
            read_weights(tmp_path / name)


def test_checkpoints_that_may_not_be_listed_are_not_called_damaged():
    folder = Path(tempfile.mkdtemp())  # not pytest's, which only its owner may enter
    folder.chmod(0o755)
    (folder / "checkpoints").mkdir(mode=0)
    try:
        with as_nobody():
            told = refusal(folder)
    finally:
        (folder / "checkpoints").chmod(0o700)
        shutil.rmtree(folder)
    assert "checkpoints: the folder cannot be read ([Errno 13] Permission denied" in told
    assert told.endswith("mend that, then give the same command again.")
