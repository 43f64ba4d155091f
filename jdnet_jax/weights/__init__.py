"""Weights as files: exports of a training, and those that come with the package."""

from jdnet_jax.weights.files import (
    WeightsError,
    bundled_names,
    check_new,
    export_weights,
    read_weights,
    weights_sha256,
    write_safetensors,
    write_weights,
)

__all__ = [
    "WeightsError",
    "bundled_names",
    "check_new",
    "export_weights",
    "read_weights",
    "weights_sha256",
    "write_safetensors",
    "write_weights",
]
