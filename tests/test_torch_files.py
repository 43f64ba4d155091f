"""Reading files of PyTorch: every form, what is refused, and that nothing in them is executed."""

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
from authors_files import (
    STEP,
    assert_equal_arrays,
    refusal,
    saved,
    theirs,
)

import jdnet_jax
from jdnet_jax.interop import torch_files
from jdnet_jax.interop.torch_files import AuthorsFileError, Checkpoint, read_checkpoint


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


def test_read_checkpoint_does_not_wait_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AuthorsFileError, match="pipe: no regular file"):
        read_checkpoint(tmp_path / "pipe")


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


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


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
        with pytest.raises(AuthorsFileError, match=r"net: ") as refused:
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
        with pytest.raises(AuthorsFileError, match=r"latest_net: this is no .* cut short"):
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
        with pytest.raises(AuthorsFileError, match=r"must be 2.10 or newer.* got .*pip install"):
            read_checkpoint(tmp_path / "net")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.10.0"))
    assert read_checkpoint(tmp_path / "net").step is None
