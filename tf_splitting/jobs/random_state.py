"""Global random state: of Python, NumPy, Keras and TensorFlow.

A job's own draws come from seeds. What layers and callbacks draw from the global
generators is carried over a resume here. TensorFlow's legacy ops without a seed of
their own count their calls where nobody can read it, so they are not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

# Keras makes its global generator on first use and has no public way to ask whether
# it has one; `tests/jobs/test_random_state.py` fails when this place changes.
from keras.src.backend.common import global_state

# The name it has there in every version; newer ones have a constant for it.
_GENERATOR = "global_seed_generator"


def random_state() -> dict[str, Any]:
    """The state of all global generators, as JSON data."""
    version, numbers, gauss = random.getstate()
    kind, keys, *rest = np.random.get_state()
    state: dict[str, Any] = {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
    }
    generator = global_state.get_global_attribute(_GENERATOR)
    if generator is not None:
        state["keras"] = np.asarray(generator.state.value).tolist()
    if keras.backend.backend() == "tensorflow":
        state["tensorflow"] = _tensorflow_state()
    return state


def _tensorflow_state() -> list[Any] | None:
    import tensorflow as tf

    try:
        generator = tf.random.get_global_generator()
    except RuntimeError:
        # There is none, and with deterministic operations none is made by itself.
        return None
    return [int(generator.algorithm), generator.state.numpy().tolist()]


def set_random_state(state: dict[str, Any]) -> None:
    """Brings all global generators back to a state that `random_state` returned.

    What another backend's job did not record stays as it is.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
    if "keras" in state:
        generator = global_state.get_global_attribute(_GENERATOR)
        if generator is None:
            generator = keras.random.SeedGenerator(0)
            global_state.set_global_attribute(_GENERATOR, generator)
        generator.state.assign(np.array(state["keras"], "uint32"))
    if state.get("tensorflow") and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        algorithm, numbers = state["tensorflow"]
        generator = tf.random.Generator.from_state(numbers, algorithm)
        tf.random.set_global_generator(generator)


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Behind the block nobody notices what it drew. Making layers draws seeds."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
