"""Single-image deraining with JDNet (Wang et al., ACM MM 2020) in JAX and Flax."""

__version__ = "0.1.0"
