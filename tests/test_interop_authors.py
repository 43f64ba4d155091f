"""The authors' names and layouts: the table, there and back, and what is refused."""

import gzip
import json

import numpy as np
import pytest
from reference_arrays import DATA, compiled, full_network, load, under

from jdnet_jax.interop.authors import (
    authors_name,
    from_authors,
    infer_description,
    to_authors,
)
from jdnet_jax.models import (
    Compute,
    Description,
    abstract_model,
    count_parameters,
    fill,
    initial_values,
    split_variables,
)
from jdnet_jax.models.variables import split_units

NETWORKS = ("r1", "r2", "r3")
SMALL = Description(channels=16, units=2, scales=2)
COUNTER = "num_batches_tracked"


def theirs(network: str) -> dict[str, np.ndarray]:
    """The authors' tensors of a network of 2 units."""
    return under(load(f"authors_{network}_2units.npz"), "w:")


def small_values() -> dict[str, np.ndarray]:
    return initial_values(abstract_model(SMALL, Compute()), seed=0)


@pytest.mark.parametrize("network", NETWORKS)
def test_names_and_shapes_are_those_of_the_authors_full_network(network):
    """One to one with the state dict of 32 units."""
    with gzip.open(DATA / "authors_state_dict_32units.json.gz") as file:
        expected = json.load(file)[network]["state_dict"]
    _, params, statistics = split_variables(full_network(network))
    # Kernels of zeros that take no memory.
    zeros = {n: np.broadcast_to(0.0, v.shape) for n, v in (params | statistics).items()}
    names = {ours: authors_name(ours) for ours in split_units(zeros)}
    assert len(set(names.values())) >= 900
    expected = {name: shape for name, shape in expected.items() if not name.endswith(COUNTER)}
    shapes = to_authors(zeros, bgr=True)
    actual = {name: list(v.shape) for name, v in shapes.items() if not name.endswith(COUNTER)}
    assert actual == expected


@pytest.mark.parametrize(
    ("network", "count"), [("r1", 4_292_323), ("r2", 4_656_867), ("r3", 4_681_859)]
)
def test_count_parameters_is_that_of_the_authors_full_network(network, count):
    """What PyTorch counts in the authors' network of 32 units."""
    _, params, statistics = split_variables(full_network(network))
    assert count_parameters(params | statistics) == count


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_from_authors_and_back_changes_nothing(network, bgr):
    state = theirs(network)
    description, values = from_authors(state, bgr=bgr)
    assert description == Description(
        units=2, attention=network == "r3", calibration=network != "r1"
    )
    back = to_authors(values, bgr=bgr)
    assert back.keys() == state.keys()
    for name, value in state.items():
        if name.endswith(COUNTER):
            assert back[name] == 0
            assert back[name].dtype == np.int64
        else:
            np.testing.assert_array_equal(back[name], value, err_msg=name)


@pytest.mark.parametrize("bgr", [False, True])
def test_to_authors_and_back_changes_nothing(bgr):
    values = small_values()
    description, back = from_authors(to_authors(values, bgr=bgr), bgr=bgr)
    assert description == SMALL
    assert back.keys() == values.keys()
    for name, value in values.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


def test_from_authors_removes_the_prefix_of_several_gpus():
    state = theirs("r1")
    prefixed = {f"module.{name}": value for name, value in state.items()}
    description, values = from_authors(prefixed, bgr=False)
    plain_description, plain = from_authors(state, bgr=False)
    assert description == plain_description
    for name, value in plain.items():
        np.testing.assert_array_equal(values[name], value)


def test_bgr_is_swapping_the_channels_around_the_network():
    values = small_values()
    state = to_authors(values, bgr=False)
    _, turned = from_authors(state, bgr=True)
    model = abstract_model(SMALL, Compute())
    picture = np.random.default_rng(1).random((1, 5, 7, 3), np.float32)
    bgr = compiled(fill(model, values))(picture[..., ::-1])[..., ::-1]
    rgb = compiled(fill(model, turned))(picture)
    # The first convolution adds its three channels in another order.
    np.testing.assert_allclose(rgb, bgr, rtol=0, atol=1e-6)
    assert np.abs(rgb - compiled(fill(model, values))(picture)).max() > 1e-3
    # It turns no other variable, and back again if done twice.
    differing = [n for n, v in values.items() if not np.array_equal(turned[n], v)]
    assert sorted(differing) == ["head/kernel", "tail/bias", "tail/kernel"]


def test_infer_description_reads_names_and_shapes():
    assert infer_description(to_authors(small_values(), bgr=False)) == SMALL


def test_from_authors_lists_missing_and_left_over_names():
    state = to_authors(small_values(), bgr=False)
    del state["enterBlock.0.bias"]
    del state["derain_net.units.1.scn.k1.0.weight"]
    state["derain_net.units.0.san.extra"] = np.zeros(3)
    with pytest.raises(ValueError, match="no JDNet of 2 units") as refused:
        from_authors(state, bgr=True)
    message = str(refused.value)
    missing = ["derain_net.units.1.scn.k1.0.weight", "enterBlock.0.bias"]
    assert f"missing {missing}" in message
    assert "left over ['derain_net.units.0.san.extra']" in message


def test_from_authors_refuses_names_left_over_or_missing_alone():
    state = to_authors(small_values(), bgr=False)
    with pytest.raises(ValueError, match=r"missing \[\], left over \['head.weight'\]"):
        from_authors(state | {"head.weight": np.zeros(3)}, bgr=True)
    del state["exitBlock.0.bias"]
    with pytest.raises(ValueError, match=r"missing \['exitBlock.0.bias'\], left over \[\]"):
        from_authors(state, bgr=True)


def test_from_authors_names_a_tensor_of_another_shape():
    state = to_authors(small_values(), bgr=False)
    state["exitBlock.0.weight"] = np.zeros((3, 16, 5, 5), np.float32)
    wrong = r"exitBlock.0.weight must have shape \(3, 16, 3, 3\).*got \(3, 16, 5, 5\)"
    with pytest.raises(ValueError, match=wrong):
        from_authors(state, bgr=True)


def test_from_authors_refuses_a_matrix_for_a_1x1_kernel():
    """PyTorch's matrices are [out, in], ours [in, out]: of a square one, the shape says nothing."""
    state = to_authors(small_values(), bgr=False)
    name = "derain_net.units.0.scn.conv3.weight"
    state[name] = state[name][:, :, 0, 0]
    with pytest.raises(ValueError, match=r"conv3.weight must have shape \(16, 16, 1, 1\)"):
        from_authors(state, bgr=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_from_authors_refuses_values_that_are_not_finite(value):
    state = to_authors(small_values(), bgr=False)
    name = "derain_net.units.1.san.bn2.running_var"
    state[name] = np.array(state[name])
    state[name][-1] = value
    with pytest.raises(ValueError, match=r"units.1.san.bn2.running_var holds .* not finite"):
        from_authors(state, bgr=True)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.complex64, np.bool_])
def test_from_authors_refuses_what_is_no_floating_point_number(kind):
    state = to_authors(small_values(), bgr=False)
    state["exitBlock.0.bias"] = np.zeros(3, kind)
    wrong = f"exitBlock.0.bias must hold floating-point numbers, got {np.dtype(kind)}"
    with pytest.raises(ValueError, match=wrong):
        from_authors(state, bgr=True)


def test_from_authors_lists_hundreds_of_names_one_by_one():
    state = to_authors(small_values(), bgr=False)
    kept = [name for name in state if ".san." not in name or name.endswith("conv.bias")]
    left_over = {f"ema.{name}": value for name, value in state.items()}
    with pytest.raises(ValueError, match="missing") as refused:
        from_authors({name: state[name] for name in kept} | left_over, bgr=True)
    message = str(refused.value)
    missing = sorted(state.keys() - kept)
    missing = [name for name in missing if not name.endswith(COUNTER)]
    assert f"missing {missing}, left over {sorted(left_over)}." in message


def test_from_authors_does_without_the_counters_of_batches():
    """PyTorch has them since 0.4.1; one that belongs to no layer is left over all the same."""
    state = to_authors(small_values(), bgr=False)
    without = {name: value for name, value in state.items() if not name.endswith(COUNTER)}
    assert len(without) < len(state)
    assert from_authors(without, bgr=True)[0] == SMALL
    with pytest.raises(ValueError, match=rf"left over \['bn9.{COUNTER}'\]"):
        from_authors(state | {f"bn9.{COUNTER}": np.zeros((), np.int64)}, bgr=True)


def test_from_authors_refuses_two_sets_of_weights_in_one():
    """Where some names begin with `module.` and some do not, neither may go unused."""
    state = to_authors(small_values(), bgr=False)
    both = state | {f"module.{name}": value for name, value in state.items()}
    with pytest.raises(ValueError, match=r"missing \[\], left over \['module.derain_net"):
        from_authors(both, bgr=True)


def test_from_authors_is_not_made_to_build_a_huge_network():
    """Neither by a unit's number nor by a width, which take no room in a file."""
    state = to_authors(small_values(), bgr=False)
    name = "derain_net.units.999999999.scn.k1.0.bias"
    with pytest.raises(ValueError, match="no JDNet of 3 units: missing"):
        from_authors(state | {name: np.zeros(8, np.float32)}, bgr=True)
    state["enterBlock.0.weight"] = np.broadcast_to(np.float32(0), (2**16, 3, 3, 3))
    with pytest.raises(ValueError, match=r"must have shape \(65536,"):
        from_authors(state, bgr=True)


def test_from_authors_refuses_another_network():
    with pytest.raises(
        ValueError, match=r"enterBlock.0.weight is missing; found \['conv.weight'\]"
    ):
        from_authors({"conv.weight": np.zeros((3, 3, 3, 3))}, bgr=True)
    first = {"enterBlock.0.weight": np.zeros((16, 3, 3, 3))}
    with pytest.raises(ValueError, match=r"units.0.res_list.0.convert.0.weight is missing; found"):
        from_authors(first, bgr=True)
    with pytest.raises(ValueError, match=r"enterBlock.0.weight is missing; found \[\]"):
        from_authors({}, bgr=True)
    state = to_authors(small_values(), bgr=False)
    state["enterBlock.0.weight"] = np.zeros(())
    with pytest.raises(ValueError, match=r"must have shape \(channels, 3, 3, 3\), got \(\)"):
        from_authors(state, bgr=True)


def test_from_authors_keeps_the_type_of_the_tensors():
    state = {n: v.astype(np.float64) for n, v in to_authors(small_values(), bgr=False).items()}
    _, values = from_authors(state, bgr=True)
    assert {value.dtype for value in values.values()} == {np.dtype(np.float64)}
