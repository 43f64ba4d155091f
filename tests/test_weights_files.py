"""Weights as an export and as a safetensors file: written, read, and refused when damaged."""

import numpy as np
import pytest
from authors_files import write_small
from training_runs import TINY

from jdnet_jax import create_model
from jdnet_jax.cli import main
from jdnet_jax.models import Description
from jdnet_jax.training.optimizer import make_optimizer
from jdnet_jax.training.state import create_state
from jdnet_jax.weights import WeightsError, export_weights, read_weights, write_safetensors


def test_read_weights_round_trips_both_forms(tmp_path):
    model = create_model(seed=3, **TINY)
    state = create_state(model, make_optimizer(lambda _: 1.0), averaged=False)
    variables = state["params"] | state["statistics"]
    export_weights(tmp_path / "export", model.description, variables)
    write_safetensors(tmp_path / "w.safetensors", model.description, variables)
    for path in (tmp_path / "export", tmp_path / "w.safetensors"):
        description, values = read_weights(path)
        assert description == model.description
        assert values.keys() == variables.keys()
        assert all(np.array_equal(values[name], variables[name]) for name in values)


def test_export_command_takes_a_number_for_a_part_of_a_folders_name(tmp_path, capsys):
    write_small(tmp_path / "w.safetensors")
    export = ["export", str(tmp_path / "w.safetensors"), "-o"]
    assert main([*export, str(tmp_path / "weights" / "v1.2")]) == 0
    description, values = read_weights(tmp_path / "weights" / "v1.2")
    expected = read_weights(tmp_path / "w.safetensors")
    assert (description, values.keys()) == (expected[0], expected[1].keys())
    for name in ("w.npz", "w.h5", "w.safetensor"):
        assert main([*export, str(tmp_path / name)]) == 2
        assert f"{name}: weights are written to a file" in capsys.readouterr().err


def test_export_weights_refuses_a_folder_that_holds_something(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="exists; give a new name"):
        export_weights(tmp_path, Description(), {})


def test_read_weights_refuses_damage(tmp_path):
    model = create_model(**TINY)
    state = create_state(model, make_optimizer(lambda _: 1.0), averaged=False)
    variables = state["params"] | state["statistics"]
    file = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="no weights here"):
        read_weights(file)
    write_safetensors(file, model.description, variables)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        read_weights(file)
    write_safetensors(file, Description(**TINY | {"units": 2}), variables)
    with pytest.raises(WeightsError, match="do not fit"):
        read_weights(file)
    write_safetensors(
        file, model.description, {k: v for k, v in variables.items() if k != "head/bias"}
    )
    with pytest.raises(WeightsError, match="head/bias"):
        read_weights(file)


def test_read_weights_refuses_changed_numbers(tmp_path):
    model = create_model(**TINY)
    state = create_state(model, make_optimizer(lambda _: 1.0), averaged=False)
    variables = {k: np.asarray(v) for k, v in (state["params"] | state["statistics"]).items()}
    file, folder = tmp_path / "w.safetensors", tmp_path / "export"
    write_safetensors(file, model.description, variables)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    export_weights(folder, model.description, variables)
    (folder / "sha256").write_text("0" * 64)
    for path in (file, folder):
        with pytest.raises(WeightsError, match=f"{path.name}: the weights are not those that"):
            read_weights(path)
