"""`python -m jdnet_jax`, with a stand-in for the network, where it counts in its own process."""

import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jdnet_jax
import jdnet_jax.weights
from jdnet_jax.cli import COMMANDS, main
from jdnet_jax.models import split_variables
from jdnet_jax.pictures import read_picture
from jdnet_jax.pretrained import DEFAULT_WEIGHTS
from jdnet_jax.weights import write_safetensors

ROOT = Path(jdnet_jax.__file__).parents[1]


@pytest.fixture
def restorer(monkeypatch):
    """A `jdnet_jax.restore` whose restorer halves every value.

    Its `asked` are the weights, its `at_once` for how many pictures.
    """

    class Restorer:
        asked = []  # noqa: RUF012
        at_once = []  # noqa: RUF012

        @classmethod
        def from_pretrained(cls, path, *, tile, overlap, at_once):
            if path in ("missing", ""):
                raise ValueError(f"{path or 'an empty name'}: no such weights; train some")
            cls.asked.append(path)
            cls.at_once.append(at_once)
            return lambda rgb: rgb // 2

    module = types.ModuleType("jdnet_jax.restore")
    module.Restorer = Restorer
    monkeypatch.setitem(sys.modules, "jdnet_jax.restore", module)
    return Restorer


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(path)
    return path


def derain(*arguments):
    return main(["derain", *map(str, arguments)])


def one_error_line(capsys):
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("jdnet_jax: error: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    return err


def test_derain_writes_a_picture(tmp_path, capsys, restorer):
    source = picture(tmp_path / "a b.png")
    assert derain(source, "-o", tmp_path / "b.png") == 0
    np.testing.assert_array_equal(
        read_picture(tmp_path / "b.png").rgb, read_picture(source).rgb // 2
    )
    assert capsys.readouterr().out == f"1 picture derained into {tmp_path / 'b.png'}\n"
    assert restorer.asked == [DEFAULT_WEIGHTS]


def test_derain_takes_weights(tmp_path, restorer):
    assert derain(picture(tmp_path / "a.png"), "-o", tmp_path / "o", "--weights", "rain100h") == 0
    assert restorer.asked == ["rain100h"]


def test_derain_runs_a_network_from_a_file_of_weights(tmp_path, capsys):
    fields = {"channels": 16, "units": 1, "footprint": 3, "scales": 1, "pooling": 2}
    model = jdnet_jax.create_model(seed=0, **fields)
    _, params, statistics = split_variables(model)
    variables = {name: np.asarray(value) for name, value in (params | statistics).items()}
    weights = tmp_path / "weights.safetensors"
    write_safetensors(weights, jdnet_jax.Description(**fields), variables)
    generator = np.random.default_rng(0)
    made = {
        "rgb.png": generator.integers(0, 256, (8, 9, 3), dtype=np.uint8),
        "grey.png": generator.integers(0, 256, (8, 9), dtype=np.uint8),
        "alpha.png": generator.integers(0, 256, (8, 9, 4), dtype=np.uint8),
        "deep.png": generator.integers(0, 65536, (8, 9), dtype=np.uint16),
    }
    (tmp_path / "in").mkdir()
    for name, samples in made.items():
        Image.fromarray(samples).save(tmp_path / "in" / name)
    assert derain(tmp_path / "in", "-o", tmp_path / "out", "--weights", weights) == 0
    assert "4 pictures derained" in capsys.readouterr().out
    restore = jdnet_jax.Restorer.from_pretrained(weights)
    for name, samples in made.items():
        source = read_picture(tmp_path / "in" / name)
        derained = read_picture(tmp_path / "out" / name)
        expected = restore(source.rgb)
        assert not np.array_equal(expected, source.rgb)  # the network does something
        np.testing.assert_array_equal(derained.samples(), source.samples(expected))
        assert derained.samples().dtype == samples.dtype


def test_derain_counts_what_it_skips_and_what_fails(tmp_path, capsys, monkeypatch, restorer):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "b.png")
    picture(tmp_path / "in" / ".c.png")
    (tmp_path / "in" / "notes.txt").write_text("rain")
    (tmp_path / "in" / "broken.png").write_text("rain")
    assert derain(tmp_path / "in", "-o", tmp_path / "out") == 1
    out, err = capsys.readouterr()
    assert out == (
        f"2 pictures derained into {tmp_path / 'out'}, 2 skipped (1 hidden, 1 not a picture),"
        " 1 failed\n"
    )
    errors = [line for line in err.splitlines() if line.startswith("jdnet_jax: error: ")]
    assert len(errors) == 1
    assert "broken.png" in errors[0]
    assert "3/3" in err  # the progress bar


def test_derain_derains_two_pictures_of_a_batch_at_once(tmp_path, restorer):
    for name in "abc":
        picture(tmp_path / "in" / f"{name}.png")
    assert derain(tmp_path / "in" / "a.png", "-o", tmp_path / "one") == 0
    assert derain(tmp_path / "in", "-o", tmp_path / "all") == 0
    assert restorer.at_once == [1, 2]


def test_a_batch_with_tiles_is_derained_one_by_one(tmp_path, restorer):
    """They are asked for to save memory."""
    for name in "abc":
        picture(tmp_path / "in" / f"{name}.png")
    assert derain(tmp_path / "in", "-o", tmp_path / "all", "--tile", "512") == 0
    assert restorer.at_once == [1]


def test_derain_skips_what_exists_without_loading_weights(tmp_path, capsys, restorer):
    source = picture(tmp_path / "a.png")
    assert derain(source, "-o", tmp_path / "out") == 0
    assert derain(source, "-o", tmp_path / "out", "--skip-existing") == 0
    assert "0 pictures derained" in capsys.readouterr().out
    assert len(restorer.asked) == 1
    assert derain(source, "-o", tmp_path / "out", "--overwrite") == 0


def test_derain_writes_another_format(tmp_path, restorer):
    picture(tmp_path / "in" / "a.jpg")
    assert derain(tmp_path / "in", "-o", tmp_path / "out", "--format", "PNG") == 0
    assert (tmp_path / "out" / "a.png").is_file()


def test_derain_is_quiet_when_told(tmp_path, capsys, restorer):
    for name in "ab":
        picture(tmp_path / "in" / f"{name}.png")
    assert derain(tmp_path / "in", "-o", tmp_path / "out", "--quiet", "--no-recursive") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["no.png", "-o", "out"], "no.png"),
        (["a.png", "-o", "a.png"], "is the input itself"),
        (["a.png", "-o", "a.docx/b.pdf"], ".pdf"),
        (["a.png", "-o", "out", "--format", "psd"], ".psd"),
        (["a.png", "-o", "out", "--weights", "missing"], "no such weights"),
        (["a.png", "-o", "out", "--weights", ""], "empty"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    tmp_path, monkeypatch, capsys, restorer, arguments, word
):
    picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert derain(*arguments) == 2
    assert word in one_error_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "argv",
    [[], ["derian"], ["derain"], ["derain", "a.png"], ["derain", "a.png", "-o", "b", "--fast"],
     ["derain", "a.png", "-o", "b", "--overwrite", "--skip-existing"]],
)  # fmt: skip
def test_wrong_flags_are_one_line_and_status_2(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "--help" in one_error_line(capsys)


def test_traceback_raises_the_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.png"):
        main(["--traceback", "derain", "no.png", "-o", str(tmp_path / "out")])


def test_an_interrupt_is_one_line(tmp_path, capsys, monkeypatch, restorer):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(restorer, "from_pretrained", interrupted)
    assert derain(picture(tmp_path / "a.png"), "-o", tmp_path / "out") == 130
    assert capsys.readouterr().err == "jdnet_jax: interrupted\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_about_every_command_with_examples(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert command in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"python -m jdnet_jax {command} " in capsys.readouterr().out.split("examples")[1]


@pytest.mark.parametrize(
    "argv", [["--version"], ["derain", "--help"], ["derain", "no.png", "-o", "x"]]
)
def test_jax_is_not_imported_until_it_is_needed(argv):
    code = (
        "import sys\nfrom jdnet_jax.cli import main\n"
        f"try:\n    main({argv!r})\nexcept SystemExit:\n    pass\n"
        "assert 'jax' not in sys.modules and 'flax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_module_prints_names_that_the_terminal_cannot(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "雨" / "a.png")
    command = [sys.executable, "-m", "jdnet_jax", "derain", "--skip-existing"]
    environment = {"PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": str(ROOT)}
    for name, status, stream in (("a.png", 0, "stdout"), ("n\udcffn雨.png", 2, "stderr")):
        done = subprocess.run(
            [*command, name, "-o", "雨"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert b"\\u96e8" in getattr(done, stream)
        assert (done.stdout + done.stderr).count(b"\n") == 1


def test_an_interrupt_does_not_wait_for_pictures_that_are_derained(tmp_path):
    for name in "abc":
        picture(tmp_path / "in" / f"{name}.png")
    code = (
        "import runpy, signal, sys, time, types\n"
        # A shell has those that it starts in the background ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def restore(rgb):\n"
        # As one piece: another thread may print at the same time.
        "    sys.stdout.write('deraining\\n')\n"
        "    sys.stdout.flush()\n"
        "    time.sleep(600)\n"
        "module = types.ModuleType('jdnet_jax.restore')\n"
        "module.Restorer = types.SimpleNamespace(from_pretrained=lambda *_, **__: restore)\n"
        "sys.modules['jdnet_jax.restore'] = module\n"
        f"sys.argv[1:] = ['derain', {str(tmp_path / 'in')!r}, '-o', {str(tmp_path / 'out')!r}]\n"
        "runpy.run_module('jdnet_jax', run_name='__main__')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "deraining\n"
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "0 of 3 pictures derained, 0 failed; --skip-existing goes on" in told
    assert told.endswith("jdnet_jax: interrupted\n")
    assert not list((tmp_path / "out").iterdir())


def test_module_tells_its_version():
    command = [sys.executable, "-m", "jdnet_jax", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == f"jdnet_jax {jdnet_jax.__version__}\n"
