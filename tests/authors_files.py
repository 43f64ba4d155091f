"""Weights and checkpoints of the authors' program, made with PyTorch where a test has it."""

import hashlib
import io

import numpy as np
from reference_arrays import load, under

from jdnet_jax.cli import main
from jdnet_jax.models import Compute, Description, abstract_model, initial_values
from jdnet_jax.weights import write_safetensors

NETWORKS = {
    "r1": Description(units=2, attention=False, calibration=False),
    "r2": Description(units=2, attention=False),
    "r3": Description(units=2),
}


SMALL = Description(channels=16, units=1, scales=1)
STEP = 1234


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


def stored_file():
    """The bytes of a checkpoint that was written elsewhere, of `theirs("r3")`.

    The old format, with the names of several GPUs, after `STEP` steps.
    """
    stored = load("authors_r3_2units_latest_net.npz")
    file = bytearray(stored["content"].tobytes())
    weights = theirs("r3")
    for name, at in zip(stored["names"].tolist(), stored["offsets"].tolist(), strict=True):
        value = weights[name].tobytes()
        file[at : at + len(value)] = value
    assert hashlib.sha256(file).hexdigest() == stored["sha256"]
    return bytes(file)


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
