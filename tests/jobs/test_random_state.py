"""Global generators go on from where they were, Keras' private one included."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_splitting.jobs.random_state import random_state, set_random_state

pytestmark = pytest.mark.core


def draws():
    return (
        random.random(),
        np.random.random(),
        float(keras.random.uniform(())),
        float(tf.random.get_global_generator().uniform(())),
    )


def test_all_generators_come_back():
    tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    draws()
    state = random_state()
    first, second = draws(), draws()
    assert first != second
    set_random_state(state)
    assert (draws(), draws()) == (first, second)


def test_keras_generator_is_found_where_keras_keeps_it():
    keras.utils.clear_session()
    assert "keras" not in random_state()
    keras.random.uniform(())
    state = random_state()
    assert len(state["keras"]) == 2
    keras.utils.clear_session()
    set_random_state(state)
    assert random_state()["keras"] == state["keras"]
