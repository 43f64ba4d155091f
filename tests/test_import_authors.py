"""`import-authors` and `export-authors`: files of the authors' program, there and back.

PyTorch is optional, and what needs it is skipped where it is not installed. What the commands do
around the file is tested without it, too.
"""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from authors_files import (
    NETWORKS,
    SMALL,
    STEP,
    assert_equal_arrays,
    checkpoint,
    command,
    peer,
    refusal,
    stored_file,
    theirs,
    write_small,
)
from reference_arrays import compiled, load, nhwc

from jdnet_jax.interop import torch_files
from jdnet_jax.interop.authors import from_authors, to_authors
from jdnet_jax.interop.torch_files import Checkpoint
from jdnet_jax.models import Description
from jdnet_jax.pretrained import load_model, load_variables
from jdnet_jax.weights import write_safetensors

SIZE = "1x33x70"
# For outputs up to 1.3 in float32; measured, 1.1e-7 here and 1.2e-7 in PyTorch.
TOLERANCE = 1e-5


# Without PyTorch.


@pytest.fixture
def files(monkeypatch):
    """Checkpoints by path, in place of what PyTorch reads and writes."""
    held = {}
    monkeypatch.setattr(torch_files, "read_checkpoint", held.__getitem__)
    monkeypatch.setattr(torch_files, "write_checkpoint", held.__setitem__)
    return held


@pytest.mark.parametrize("rgb", [False, True])
@pytest.mark.parametrize("output", ["weights/", "new/weights.safetensors"])
def test_import_writes_weights_and_says_what_they_are(tmp_path, capsys, files, output, rgb):
    state = theirs("r3")
    files[Path("latest_net")] = Checkpoint(state, 150_000)
    flags = ["--rgb"] if rgb else []
    assert command("import-authors", "latest_net", "-o", f"{tmp_path}/{output}", *flags) == 0
    weights = tmp_path / output
    # Counted from the shapes of the paper's R3 with 2 units.
    line = f"{weights}: {NETWORKS['r3']}, step 150,000, 263,549 parameters\n"
    assert capsys.readouterr().out == line
    description, variables = load_variables(weights)
    assert description == NETWORKS["r3"]
    assert_equal_arrays(variables, from_authors(state, bgr=not rgb)[1])


def test_import_says_when_there_is_no_step(tmp_path, capsys, files):
    files[Path("net.pth")] = Checkpoint(theirs("r1"), None)
    assert command("import-authors", "net.pth", "-o", tmp_path / "w.safetensors") == 0
    assert ", no step recorded, " in capsys.readouterr().out


def test_import_names_the_file_that_does_not_fit(tmp_path, capsys, files):
    state = theirs("r2")
    del state["exitBlock.0.bias"]
    files[Path("latest_net")] = Checkpoint(state, STEP)
    error = refusal(capsys, "import-authors", "latest_net", "-o", tmp_path / "weights")
    assert "latest_net: These weights are no JDNet of 2 units: missing ['exitBlock" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", [False, True])
@pytest.mark.parametrize("rgb", [False, True])
def test_export_gives_the_authors_names_and_colours(tmp_path, capsys, files, rgb, module):
    variables = write_small(tmp_path / "w.safetensors")
    file = tmp_path / "new" / "latest_net"
    flags = ["--rgb"] * rgb + ["--module"] * module
    assert command("export-authors", tmp_path / "w.safetensors", "-o", file, *flags) == 0
    state = to_authors(variables, bgr=not rgb)
    prefix = "module." if module else ""
    assert_equal_arrays(files[file], {prefix + name: value for name, value in state.items()})
    learnt = sum(v.size for n, v in variables.items() if n.rsplit("/")[-1] not in ("mean", "var"))
    assert capsys.readouterr().out == f"{file}: {SMALL}, {learnt:,} parameters\n"


@pytest.mark.parametrize(
    ("field", "value"), [("footprint", 5), ("pooling", 2), ("position_size", 64)]
)
def test_export_refuses_what_the_authors_program_would_compute_otherwise(
    tmp_path, capsys, files, field, value
):
    weights, output = tmp_path / "w.safetensors", tmp_path / "latest_net"
    write_small(weights, **{field: value})
    error = refusal(capsys, "export-authors", weights, "-o", output)
    theirs = getattr(Description(), field)
    assert f"the authors' program has {field} = {theirs} built in" in error
    assert f"these weights were trained with {value}" in error
    assert not files
    # R1 has no use for any of them.
    write_small(weights, **{field: value}, attention=False, calibration=False)
    assert command("export-authors", weights, "-o", output) == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["import-authors", "latest_net", "-o", "there"], "there exists"),
        (["import-authors", "latest_net", "-o", "w.npz"], "w.npz: weights are written to a file"),
        (["import-authors", "no_such_net", "-o", "w"], "no_such_net"),
        (["import-authors", "folder", "-o", "w"], "folder"),
        (["import-authors", "there", "-o", "w"], "there: the file is empty"),
        (["export-authors", "small", "-o", "there"], "there exists"),
        (["export-authors", "no_such_weights", "-o", "w"], "no_such_weights"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(tmp_path, monkeypatch, capsys, arguments, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    assert word in refusal(capsys, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "there"]
    assert (tmp_path / "there").read_bytes() == b""


def test_both_commands_say_how_to_install_pytorch(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)  # what is None cannot be imported
    (tmp_path / "latest_net").write_bytes(b"\x80\x02")
    write_small(tmp_path / "w.safetensors")
    for name, source in (("import-authors", "latest_net"), ("export-authors", "w.safetensors")):
        error = refusal(capsys, name, tmp_path / source, "-o", tmp_path / "new")
        assert "PyTorch is needed" in error
        assert "pip install 'torch>=" in error
    assert not (tmp_path / "new").exists()


# With PyTorch.


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize(
    ("network", "gpus", "bare"), [("r1", 1, False), ("r2", 2, True), ("r3", 2, False)]
)
def test_import_reads_every_form_of_checkpoint(tmp_path, capsys, torch, network, gpus, bare, new):
    file, output = tmp_path / "latest_net", tmp_path / "w.safetensors"
    file.write_bytes(checkpoint(torch, network, gpus=gpus, new=new, bare=bare))
    assert zipfile.is_zipfile(file) == new
    assert command("import-authors", file, "-o", output) == 0
    step = "no step recorded" if bare else "step 1,234"
    assert f"{NETWORKS[network]}, {step}, " in capsys.readouterr().out
    assert_equal_arrays(load_variables(output)[1], from_authors(theirs(network), bgr=True)[1])


def test_import_reads_a_file_that_was_written_elsewhere(tmp_path, capsys, torch):
    """Byte by byte, whatever the PyTorch that is installed would write."""
    file, output = tmp_path / "latest_net", tmp_path / "w.safetensors"
    file.write_bytes(stored_file())
    assert command("import-authors", file, "-o", output) == 0
    assert f"{NETWORKS['r3']}, step 1,234, 263,549 parameters\n" in capsys.readouterr().out
    expected = from_authors(theirs("r3"), bgr=True)[1]
    assert_equal_arrays(load_variables(output)[1], expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_imported_network_gives_the_authors_outputs_in_rgb(tmp_path, torch, network):
    (tmp_path / "latest_net").write_bytes(checkpoint(torch, network, gpus=2))
    assert command("import-authors", tmp_path / "latest_net", "-o", tmp_path / "w") == 0
    arrays = load(f"authors_{network}_2units.npz")
    picture, expected = (nhwc(arrays[f"eval_{key}:{SIZE}"]) for key in ("in", "out"))
    rgb = picture[..., ::-1].astype(np.float32)
    derained = compiled(load_model(tmp_path / "w"))(rgb)
    np.testing.assert_allclose(derained[..., ::-1], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("network", NETWORKS)
def test_pytorch_program_loads_what_is_exported(tmp_path, torch, network):
    """Its own names, nothing missing, and the outputs; then it can go on training."""
    description, variables = from_authors(theirs(network), bgr=True)
    write_safetensors(tmp_path / "w.safetensors", description, variables)
    file = tmp_path / "latest_net"
    assert command("export-authors", tmp_path / "w.safetensors", "-o", file) == 0
    assert not zipfile.is_zipfile(file)  # the format that every PyTorch reads
    contents = torch.load(file, weights_only=True)
    assert contents.keys() == {"net", "clock_net", "opt_net"}
    assert contents["clock_net"] == 0
    net = peer(torch, network)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.zero_()
    net.load_state_dict(contents["net"])
    arrays = load(f"authors_{network}_2units.npz")
    with torch.no_grad():
        derained = net(torch.tensor(arrays[f"eval_in:{SIZE}"]).float()).numpy()
    np.testing.assert_allclose(derained, arrays[f"eval_out:{SIZE}"], rtol=0, atol=TOLERANCE)
    adam = torch.optim.Adam(net.parameters(), lr=1.0)
    adam.load_state_dict(contents["opt_net"])
    assert adam.param_groups[0]["lr"] == 5e-4
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()


@pytest.mark.parametrize("flags", [[], ["--rgb"]])
def test_export_and_import_change_nothing(tmp_path, torch, flags):
    weights, file, back = (tmp_path / name for name in ("w.safetensors", "latest_net", "back"))
    variables = write_small(weights)
    assert command("export-authors", weights, "-o", file, "--module", *flags) == 0
    assert command("import-authors", file, "-o", back, *flags) == 0
    description, imported = load_variables(back)
    assert description == SMALL
    assert_equal_arrays(imported, variables)
