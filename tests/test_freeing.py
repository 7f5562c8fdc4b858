"""Graphs that nobody can run any more go, and those that somebody can stay."""

import gc

import tensorflow as tf
from tensorflow.python.framework import ops

from tf_splitting.freeing import free_dead_graphs


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
