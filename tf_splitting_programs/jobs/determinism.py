"""Deterministic operations, without which a resumed job is not the same bit by bit."""

import os

import keras

_OF_XLA = "--xla_gpu_deterministic_ops=true"


def enable() -> None:
    """Asks the backend for them. To be called before anything is computed."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    else:
        # XLA reads it when the first device is asked for. CPUs are deterministic.
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_OF_XLA}".strip()
