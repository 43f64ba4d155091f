"""Pairs of rainy and clean pictures, photographs to draw rain on, and batches of crops of them.

No file here imports JAX or TensorFlow itself; Grain, which `pipeline` and `crops` use, loads JAX.
"""
