"""Graphs that nobody can run any more go, and those that somebody can stay."""

import gc

import jax
import keras
import numpy as np
import tensorflow as tf
from jax.extend.backend import get_backend
from tensorflow.python.framework import ops

from tf_splitting.growing.freeing import free_dead_graphs, free_old_functions


def registered():
    return [n for n in ops.gradient_registry.list() if n.startswith("CustomGradient-")]


def traced():
    """A function with a custom gradient, traced."""

    @tf.function
    def swish(x):
        return tf.nn.silu(x)

    swish(tf.ones(3))
    return swish


def test_only_what_is_gone_is_freed():
    free_dead_graphs()
    before = len(registered())
    kept, dropped = traced(), traced()
    assert len(registered()) == before + 2
    assert free_dead_graphs() == 0
    del dropped
    gc.collect()
    assert free_dead_graphs() == 1
    assert len(registered()) == before + 1
    x = tf.Variable(tf.ones(3))
    with tf.GradientTape() as tape:
        y = kept(x)
    assert float(tape.gradient(y, x)[0]) > 0.9


def test_compiled_functions_of_jax_are_freed(monkeypatch):
    def programs():
        live = get_backend().live_executables()
        return {module.name for each in live for module in each.hlo_modules()}

    @jax.jit
    def of_a_round(x):
        return 3 * x + 1

    of_a_round(np.ones(7))
    assert "jit_of_a_round" in programs()
    free_old_functions()
    assert "jit_of_a_round" in programs()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    free_old_functions()
    assert "jit_of_a_round" not in programs()
    np.testing.assert_array_equal(of_a_round(np.ones(7)), np.full(7, 4))
