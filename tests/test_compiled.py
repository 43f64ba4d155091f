"""Programs compiled for the shapes they meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdnet_jax.compiled import Compiled


def square(x):
    return x * x


def test_compiled_compiles_once_for_each_shape_and_type():
    run = Compiled(jax.jit(square))
    for x in (np.zeros(3), np.ones(3), np.zeros(4), np.zeros(3, np.int32)):
        np.testing.assert_array_equal(run(x), x * x)
    assert len(run) == 3


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the options are for CPU")
def test_compiled_hands_its_options_to_the_compiler():
    run = Compiled(jax.jit(square), cpu_options={"no_such_option": 1})
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        run(jnp.zeros(3))
