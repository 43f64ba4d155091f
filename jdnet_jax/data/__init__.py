"""Pairs of rainy and clean pictures, photographs to draw rain on, and batches of crops of them.

NumPy and Grain only: nothing here imports JAX or TensorFlow.
"""
