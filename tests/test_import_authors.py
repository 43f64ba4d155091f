"""`import-authors` and `export-authors`: files of the authors' program, there and back.

PyTorch is optional, and what needs it is skipped where it is not installed. What the commands do
around the file is tested without it, too.
"""

import ast
import io
import os
import pickle
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from reference_arrays import compiled, load, nhwc, under

import jdnet_jax
from jdnet_jax.cli import main
from jdnet_jax.interop import torch_files
from jdnet_jax.interop.authors import from_authors, to_authors
from jdnet_jax.interop.torch_files import Checkpoint, CheckpointError, read_checkpoint
from jdnet_jax.models import Compute, Description, abstract_model, initial_values
from jdnet_jax.pretrained import load_model, load_variables
from jdnet_jax.weights import write_safetensors

NETWORKS = {
    "r1": Description(units=2, attention=False, calibration=False),
    "r2": Description(units=2, attention=False),
    "r3": Description(units=2),
}
SMALL = Description(channels=16, units=1, scales=1)
SIZE = "1x33x70"
STEP = 1234
# For outputs up to 1.3 in float32; measured, 1.1e-7 here and 1.2e-7 in PyTorch.
TOLERANCE = 1e-5


def theirs(network):
    """The authors' tensors of a network of 2 units."""
    return under(load(f"authors_{network}_2units.npz"), "w:")


def assert_equal_arrays(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].dtype == value.dtype, name
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def command(*arguments):
    return main([str(argument) for argument in arguments])


def refusal(capsys, *arguments):
    """The one line that a command refuses with."""
    assert command(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jdnet_jax: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err


def write_small(file, **fields):
    """Weights of a small network; its variables."""
    description = Description(**(SMALL.to_dict() | fields))
    variables = initial_values(abstract_model(description, Compute()), seed=0)
    write_safetensors(file, description, variables)
    return variables


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
        (["import-authors", "latest_net", "-o", "w.npz"], "w.npz: import to a folder"),
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


def test_read_checkpoint_has_pytorch_read_weights_only(tmp_path, monkeypatch):
    """Whatever PyTorch then does with it; its default has not always been that."""
    asked = []
    stand_in = types.ModuleType("torch")
    stand_in.__version__ = torch_files.MINIMUM
    stand_in.load = lambda file, **options: asked.append(options) or (file.read() and {})
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    (tmp_path / "latest_net").write_bytes(b"\x80\x02")
    assert read_checkpoint(tmp_path / "latest_net") == Checkpoint({}, None)
    assert asked == [{"weights_only": True, "map_location": "cpu"}]


def test_pytorch_is_imported_in_one_place_only():
    importing = set()
    for path in Path(jdnet_jax.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            importing |= {path.name for name in names if name.split(".")[0] == "torch"}
    assert importing == {"torch_files.py"}


# With PyTorch.


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def peer(torch, network):
    """The PyTorch JDNet of `benchmarks` with the authors' weights, in inference mode."""
    from benchmarks.torch_jdnet import JDNet

    description = NETWORKS[network]
    net = JDNet(2, attention=description.attention, calibrated=description.calibration)
    state = {name: torch.from_numpy(np.array(value)) for name, value in theirs(network).items()}
    net.load_state_dict(state)
    return net.eval()


def checkpoint(torch, network="r3", *, gpus=1, new=False, bare=False):
    """The bytes of a checkpoint as the authors' program writes them."""
    net = peer(torch, network)
    net = torch.nn.DataParallel(net) if gpus > 1 else net
    # A step of no length fills Adam's state and changes no weight.
    adam = torch.optim.Adam(net.parameters(), lr=0.0)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    adam.step()
    whole = {"net": net.state_dict(), "clock_net": STEP, "opt_net": adam.state_dict()}
    return saved(torch, net.state_dict() if bare else whole, new=new)


def saved(torch, contents, *, new=False, protocol=2):
    buffer = io.BytesIO()
    torch.save(contents, buffer, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


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


def test_read_checkpoint_takes_tensors_of_a_gpu(tmp_path, torch):
    """Which this machine need not have."""
    cpu, gpu = b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"  # texts with their lengths
    data = saved(torch, {"net": {"a": torch.arange(3.0)}})
    assert data.count(cpu) == 1
    (tmp_path / "latest_net").write_bytes(data.replace(cpu, gpu))
    state = read_checkpoint(tmp_path / "latest_net").state
    assert_equal_arrays(state, {"a": np.arange(3, dtype=np.float32)})


def test_read_checkpoint_passes_no_warning_on(tmp_path, torch):
    """PyTorch warns of every pickle protocol but 2, and reads 3 nevertheless."""
    (tmp_path / "net").write_bytes(saved(torch, {"a": torch.arange(3.0)}, protocol=3))
    state = read_checkpoint(tmp_path / "net").state
    assert_equal_arrays(state, {"a": np.arange(3, dtype=np.float32)})


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_read_checkpoint_gives_float32(tmp_path, torch, kind):
    values = torch.tensor([0.1, -2.0, 3e-5], dtype=getattr(torch, kind))
    count = torch.tensor(7)
    (tmp_path / "net").write_bytes(saved(torch, {"a": values, "b": count}))
    state = read_checkpoint(tmp_path / "net").state
    expected = np.array(values.tolist(), np.float32)
    assert_equal_arrays(state, {"a": expected, "b": np.array(7)})


def test_import_refuses_what_overflows_float32(tmp_path, capsys, torch):
    state = {n: torch.from_numpy(np.array(v)) for n, v in theirs("r1").items()}
    state["exitBlock.0.bias"] = torch.full((3,), 1e300, dtype=torch.float64)
    (tmp_path / "net").write_bytes(saved(torch, state))
    error = refusal(capsys, "import-authors", tmp_path / "net", "-o", tmp_path / "w")
    assert "net: exitBlock.0.bias holds values that are not finite" in error


@pytest.mark.parametrize("kind", ["index", "tensor"])
def test_read_checkpoint_gives_the_step(tmp_path, torch, kind):
    step = STEP if kind == "index" else torch.tensor(STEP)
    (tmp_path / "net").write_bytes(saved(torch, {"net": {}, "clock_net": step}))
    assert read_checkpoint(tmp_path / "net") == Checkpoint({}, STEP)


def test_read_checkpoint_refuses_other_contents(tmp_path, torch):
    sparse = torch.eye(3).to_sparse()
    for contents, word in (
        (torch.zeros(3), "dictionary of tensors, by itself or as 'net', got a Tensor"),
        ([torch.zeros(3)], "got a list"),
        ({"net": torch.zeros(3)}, "as 'net', got a Tensor"),
        ({"state_dict": {}, "epoch": 3}, "got a dict for 'state_dict'"),
        ({"net": {"a": torch.zeros(3), "b": "rain"}}, "got a str for 'b'"),
        ({"net": {3: torch.zeros(3)}}, "got a Tensor for 3"),
        ({"net": {}, "clock_net": "soon"}, "number of training steps, got 'soon'"),
        ({"net": {}, "clock_net": 1.5}, "number of training steps, got 1.5"),
        ({"a": sparse}, "a must be a plain dense tensor, got torch.float32 with layout"),
    ):
        (tmp_path / "net").write_bytes(saved(torch, contents, new=True))
        with pytest.raises(CheckpointError, match=r"net: ") as refused:
            read_checkpoint(tmp_path / "net")
        assert word in str(refused.value)


def foreign_files():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("latest_net", b"rain")
    yield "PNG", b"\x89PNG\r\n\x1a\n" + bytes(100)
    yield "page", b"<!DOCTYPE html><html><body>Quota exceeded</body></html>"
    yield "archive", archive.getvalue()
    yield "noise", np.random.default_rng(0).bytes(5000)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield f"pickle {protocol}", pickle.dumps({"net": [1.0]}, protocol)


def test_import_refuses_foreign_files(tmp_path, capsys, torch):
    file = tmp_path / "latest_net"
    for kind, data in foreign_files():
        file.write_bytes(data)
        error = refusal(capsys, "import-authors", file, "-o", tmp_path / "w")
        assert f"{file}: this is no checkpoint that torch.save wrote" in error, kind
        # PyTorch's own advice.
        assert "weights_only" not in error, kind


@pytest.mark.parametrize("new", [False, True])
def test_read_checkpoint_refuses_files_that_are_cut_short(tmp_path, torch, new):
    data = saved(torch, {"net": {"a": torch.rand(40, 50), "b": torch.rand(7)}}, new=new)
    file = tmp_path / "latest_net"
    for length in [*range(1, len(data), len(data) // 60), len(data) - 1]:
        file.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"latest_net: this is no .* cut short"):
            read_checkpoint(file)
    file.write_bytes(data)
    assert read_checkpoint(file).state.keys() == {"a", "b"}


class Program:
    """What a pickle of this runs."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("form", ["old", "new", "pickle"])
@pytest.mark.parametrize("blocked", [False, True])
def test_import_runs_nothing_that_a_file_holds(tmp_path, capsys, torch, form, blocked):
    trace, file = tmp_path / "trace", tmp_path / "latest_net"
    # PyTorch knows that os is dangerous; of shutil, only that it was not asked for.
    program = (os.mkdir, str(trace)) if blocked else (shutil.copyfile, __file__, str(trace))
    contents = {"net": {"a": torch.zeros(3)}, "opt_net": Program(*program)}
    if form == "pickle":
        file.write_bytes(pickle.dumps(contents["opt_net"], 2))
        pickle.loads(file.read_bytes())
    else:
        file.write_bytes(saved(torch, contents, new=form == "new"))
        torch.load(file, weights_only=False)
    assert trace.exists()  # so it is a program, if one lets it
    trace.rmdir() if blocked else trace.unlink()
    error = refusal(capsys, "import-authors", file, "-o", tmp_path / "w")
    assert "the file holds the Python object " in error
    assert program[0].__name__ in error
    assert not trace.exists()
    assert not (tmp_path / "w").exists()


def test_read_checkpoint_refuses_a_pytorch_that_is_not_safe(tmp_path, monkeypatch, torch):
    (tmp_path / "net").write_bytes(saved(torch, {"a": torch.zeros(3)}))
    for version in ("1.13.1", "2.5.1", "2.9.1+cu128"):
        monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion(version))
        with pytest.raises(CheckpointError, match=r"must be 2.10 or newer.* got .*pip install"):
            read_checkpoint(tmp_path / "net")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.10.0"))
    assert read_checkpoint(tmp_path / "net").step is None
