"""The authors' names and layouts for JDNet's weights, and ours.

One table says which of their layers is which of ours; everything else follows from it. Their
convolution kernels are [out, in, h, w], ours [h, w, in, out], and [in, out] where they are 1x1.
Their program reads pictures as BGR, so their weights expect it: `bgr=True` turns the first
kernel's inputs and the last layer's outputs round, and the result speaks RGB.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from jdnet_jax.models import Description, variable_shapes
from jdnet_jax.models.variables import join_units, split_units

_UNIT = "derain_net.units.{}."
LAYERS = {
    "head": "enterBlock.0",
    "tail": "exitBlock.0",
    "fusions/{}": "derain_net.conv1x1.{}.0",
    "units/{}/attention/norm_in": _UNIT + "san.bn1",
    "units/{}/attention/phi": _UNIT + "san.sam.conv1",
    "units/{}/attention/psi": _UNIT + "san.sam.conv2",
    "units/{}/attention/beta": _UNIT + "san.sam.conv3",
    "units/{}/attention/position": _UNIT + "san.sam.conv_p",
    "units/{}/attention/gamma_1": _UNIT + "san.sam.conv_w.1",
    "units/{}/attention/gamma_2": _UNIT + "san.sam.conv_w.2",
    "units/{}/attention/norm_out": _UNIT + "san.bn2",
    "units/{}/attention/expand": _UNIT + "san.conv",
    "units/{}/aggregation/branches/{}/down": _UNIT + "res_list.{}.convert.0",
    "units/{}/aggregation/branches/{}/residual_1": _UNIT + "res_list.{}.res.0",
    "units/{}/aggregation/branches/{}/residual_2": _UNIT + "res_list.{}.res.2",
    "units/{}/aggregation/fusion": _UNIT + "conv11.0",
    "units/{}/calibrated/split_plain": _UNIT + "scn.conv1_a",
    "units/{}/calibrated/split_calibrated": _UNIT + "scn.conv1_b",
    "units/{}/calibrated/k1": _UNIT + "scn.k1.0",
    "units/{}/calibrated/k2": _UNIT + "scn.scconv.k2.1",
    "units/{}/calibrated/k3": _UNIT + "scn.scconv.k3.0",
    "units/{}/calibrated/k4": _UNIT + "scn.scconv.k4.0",
    "units/{}/calibrated/merge": _UNIT + "scn.conv3",
}
"""Our layers and theirs; the braces hold the unit's and the scale's numbers."""

VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "scale": "weight",
    "mean": "running_mean",
    "var": "running_var",
}

PREFIX = "module."
"""What PyTorch puts before every name where a network was trained on several GPUs."""

# PyTorch counts batches for a mode of BatchNorm that is not used here.
_COUNTER = ".num_batches_tracked"
_FOUND = 8  # names of a file that is something else


def authors_name(name: str) -> str:
    """The authors' name of a variable of ours, of a single unit where it belongs to one."""
    layer, variable = name.rsplit("/", 1)
    parts = layer.split("/")
    numbers = [part for part in parts if part.isdigit()]
    pattern = "/".join("{}" if part.isdigit() else part for part in parts)
    return f"{LAYERS[pattern].format(*numbers)}.{VARIABLES[variable]}"


def infer_description(state: Mapping[str, np.ndarray]) -> Description:
    """The architecture that the authors' tensors belong to, from their names and shapes.

    The footprint, the pooling and the size that positions refer to leave no trace in the weights
    and are taken to be those of the authors' program.

    Raises:
        ValueError: What every JDNet has is missing, or no network has such sizes.
    """
    first = "enterBlock.0.weight"
    for name in (first, "derain_net.units.0.res_list.0.convert.0.weight"):
        if name not in state:
            raise ValueError(
                f"These are not JDNet's weights: {name} is missing; found {_some(state)}."
            )
    if state[first].ndim != 4:
        raise ValueError(
            f"{first} must have shape (channels, 3, 3, 3), got {state[first].shape}; it is of "
            "another network."
        )

    def count(pattern: str) -> int:
        # How many and not the greatest, which a damaged name could make a billion.
        return len({m[1] for name in state if (m := re.match(pattern, name))})

    return Description(
        channels=state[first].shape[0],
        units=count(r"derain_net\.units\.(\d+)\."),
        scales=count(r"derain_net\.units\.0\.res_list\.(\d+)\."),
        attention=any(".san." in name for name in state),
        calibration=any(".scn." in name for name in state),
    )


def from_authors(
    state: Mapping[str, np.ndarray], *, bgr: bool
) -> tuple[Description, dict[str, np.ndarray]]:
    """Turns the authors' weights into ours.

    Args:
        state: Arrays by the authors' names, all with the `module.` of several GPUs or none.
        bgr: Whether the weights expect blue first, as all that the authors' program trained do.

    Returns:
        The architecture, and values by name for `jdnet_jax.models.fill`, of the type they had.

    Raises:
        ValueError: Names are left over on either side, a shape does not fit, or a tensor holds
            something else than finite floating-point numbers.
    """
    if all(name.startswith(PREFIX) for name in state):
        state = {name.removeprefix(PREFIX): value for name, value in state.items()}
    state = {name: np.asarray(value) for name, value in state.items()}
    description = infer_description(state)
    # Zeros that take no memory, for their names and shapes.
    shapes = variable_shapes(description)
    zeros = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    expected = to_authors(zeros, bgr=False)
    # The counters came with PyTorch 0.4.1, so older files have none.
    missing = {name for name in expected.keys() - state if not name.endswith(_COUNTER)}
    left_over = state.keys() - expected.keys()
    if missing or left_over:
        raise ValueError(
            f"These weights are no JDNet of {description.units} units: missing "
            f"{sorted(missing)}, left over {sorted(left_over)}."
        )
    values = {}
    for ours in split_units(zeros):
        name = authors_name(ours)
        _check_tensor(name, state[name], expected[name].shape)
        values[ours] = _to_ours(state[name])
    values = join_units(values)
    return description, _turn_colours(values) if bgr else values


def to_authors(values: Mapping[str, np.ndarray], *, bgr: bool) -> dict[str, np.ndarray]:
    """The inverse of `from_authors`; PyTorch's batch counters are set to zero."""
    values = {name: np.asarray(value) for name, value in values.items()}
    if bgr:
        values = _turn_colours(values)
    state = {authors_name(n): _to_theirs(n, v) for n, v in split_units(values).items()}
    for name in list(state):
        if name.endswith(".running_mean"):
            state[name.removesuffix(".running_mean") + _COUNTER] = np.zeros((), np.int64)
    return state


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    others = len(listed) - _FOUND
    return f"{listed[:_FOUND]}" + (f" and {others} others" if others > 0 else "")


def _check_tensor(name: str, value: np.ndarray, shape: tuple[int, ...]) -> None:
    if value.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape}, as the shape of enterBlock.0.weight and the names "
            f"tell, got {value.shape}."
        )
    if not np.issubdtype(value.dtype, np.floating):
        raise ValueError(f"{name} must hold floating-point numbers, got {value.dtype}.")
    if not np.isfinite(value).all():
        raise ValueError(
            f"{name} holds values that are not finite: the training diverged, or the file is "
            "damaged."
        )


def _to_ours(value: np.ndarray) -> np.ndarray:
    if value.ndim != 4:
        return value
    kernel = value.transpose(2, 3, 1, 0)
    return kernel[0, 0] if kernel.shape[:2] == (1, 1) else kernel


def _to_theirs(ours: str, value: np.ndarray) -> np.ndarray:
    if not ours.endswith("/kernel"):
        return value
    kernel = value[None, None] if value.ndim == 2 else value
    return kernel.transpose(3, 2, 0, 1)


def _turn_colours(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return values | {
        "head/kernel": values["head/kernel"][:, :, ::-1],
        "tail/kernel": values["tail/kernel"][..., ::-1],
        "tail/bias": values["tail/bias"][::-1],
    }
