"""The authors' names and layouts for JDNet's weights, and ours.

One table says which of their layers is which of ours; everything else follows from it. Their
convolution kernels are [out, in, h, w], ours [h, w, in, out], and [in, out] where they are 1x1.
Their program reads pictures as BGR, so their weights expect it: `bgr=True` turns the first
kernel's inputs and the last layer's outputs round, and the result speaks RGB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from jdnet_jax.models import Compute, Description, abstract_model, initial_values
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


def authors_name(name: str) -> str:
    """The authors' name of a variable of ours, of a single unit where it belongs to one."""
    layer, variable = name.rsplit("/", 1)
    parts = layer.split("/")
    numbers = [part for part in parts if part.isdigit()]
    pattern = "/".join("{}" if part.isdigit() else part for part in parts)
    return f"{LAYERS[pattern].format(*numbers)}.{VARIABLES[variable]}"


def infer_description(state: Mapping[str, np.ndarray]) -> Description:
    """The architecture that the authors' tensors belong to, from their names and shapes.

    The footprint and the pooling leave no trace in the weights and are taken to be the paper's.

    Raises:
        ValueError: There is no first convolution: not a JDNet.
    """
    if "enterBlock.0.weight" not in state:
        raise ValueError(
            "These are not JDNet's weights: enterBlock.0.weight is missing; found "
            f"{sorted(state)[:3]} and others."
        )

    def count(pattern: str) -> int:
        numbers = [int(m[1]) for name in state if (m := re.match(pattern, name))]
        return 1 + max(numbers, default=-1)

    return Description(
        channels=state["enterBlock.0.weight"].shape[0],
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
        state: Arrays by the authors' names, with or without the `module.` of several GPUs.
        bgr: Whether the weights expect blue first, as all that the authors' program trained do.

    Returns:
        The architecture, and values by name for `jdnet_jax.models.fill`.

    Raises:
        ValueError: Names are left over on either side, or a shape does not fit.
    """
    state = {name.removeprefix("module."): np.asarray(value) for name, value in state.items()}
    description = infer_description(state)
    reference = split_units(initial_values(abstract_model(description, Compute()), seed=0))
    names = {ours: authors_name(ours) for ours in reference}
    # PyTorch counts batches for a mode of BatchNorm that is not used here.
    given = {name for name in state if not name.endswith(".num_batches_tracked")}
    missing, left_over = set(names.values()) - given, given - set(names.values())
    if missing or left_over:
        raise ValueError(
            f"These weights are no JDNet of {description.units} units: missing "
            f"{sorted(missing)}, left over {sorted(left_over)}."
        )
    values = {}
    for ours, name in names.items():
        value = _to_ours(state[name])
        if value.shape != reference[ours].shape:
            raise ValueError(
                f"{name} must have shape {reference[ours].shape} in [h, w, in, out] order, "
                f"got {value.shape}."
            )
        values[ours] = value
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
            state[name.replace("running_mean", "num_batches_tracked")] = np.zeros((), np.int64)
    return state


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
