"""Where a model is: on one device, or copied to several that share its batches.

TensorFlow: a model made in the scope of a `tf.distribute.MirroredStrategy` belongs to
it. Whatever is made of that model has to be made in the same scope: elsewhere it would
train on one device, and Keras would not say a word.
JAX: `keras.distribution.set_distribution(DataParallel(...))` holds for the process, and
for variables that are made after it.

Both divide a batch evenly, so the examples that do not divide are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import BackendError, DataError, ModelError

tree = keras.tree


@dataclass(frozen=True)
class Placement:
    """How batches are divided.

    Attributes:
        devices: that share a batch, over all processes.
        processes: that share it; each has the same number of devices.
        process: the number of this one.
    """

    devices: int = 1
    processes: int = 1
    process: int = 0

    @property
    def divides(self) -> bool:
        """Whether batches are divided at all."""
        return self.devices > 1

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.process == 0

    def in_any_process(self, found: bool) -> bool:
        """Whether something was found in any process. Each has to call this."""
        if self.processes == 1:
            return found
        from jax.experimental import multihost_utils

        return bool(multihost_utils.process_allgather(np.array(found)).any())

    def whole(self, size: int) -> int:
        """How many examples of a batch are used."""
        return size // self.devices * self.devices

    def rows(self, size: int) -> slice:
        """The examples of a batch that this process trains on.

        Raises:
            DataError: there are fewer than devices.
        """
        used = self.whole(size)
        if not used:
            raise DataError(
                f"A batch holds {size} examples, fewer than the {self.devices} devices "
                "that share it. Choose a batch size that leaves more in the last one, "
                "or leave that out (drop_remainder=True)."
            )
        share = used // self.processes
        return slice(self.process * share, (self.process + 1) * share)


def placement_of(model: keras.Model) -> Placement:
    """How the batches of a model are divided.

    Raises:
        BackendError: a strategy or distribution that is not supported.
        ModelError: the model is not where the process says that models are.
    """
    if keras.backend.backend() == "tensorflow":
        return _of_strategy(model)
    return _of_distribution(model)


def scope_of(model: keras.Model) -> AbstractContextManager[Any]:
    """Within it, models are made where this one is."""
    if keras.backend.backend() == "tensorflow":
        return model.distribute_strategy.scope()
    return nullcontext()


@contextmanager
def alone() -> Iterator[None]:
    """Within it, variables on JAX belong to this process, not to all of a job.

    Keras makes variables even where it saves a model, and with `DataParallel` over
    several processes each of them would have to do the same at the same time.
    """
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def _of_strategy(model: keras.Model) -> Placement:
    import tensorflow as tf

    if keras.distribution.distribution() is not None:
        raise BackendError(
            "keras.distribution is set, which Keras ignores on the TensorFlow backend. "
            "Make the model in the scope of a tf.distribute.MirroredStrategy, or run "
            "with KERAS_BACKEND=jax."
        )
    strategy = model.distribute_strategy
    around = tf.distribute.get_strategy()
    made = around.extended.variable_created_in_scope
    if tf.distribute.has_strategy() and not all(made(v.value) for v in model.variables):
        raise ModelError(
            f"Model {model.name!r} was made outside the scope of the "
            f"{type(around).__name__} in use, and would train on one device. Make and "
            "compile it inside."
        )
    replicas = strategy.num_replicas_in_sync
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        raise BackendError(
            "MultiWorkerMirroredStrategy: `fit` does not work under it in Keras 3.15 "
            "(it reduces scalars along an axis they do not have). For several hosts "
            "run with KERAS_BACKEND=jax; for several GPUs of one host use a "
            "MirroredStrategy."
        )
    if replicas > 1 and not isinstance(strategy, tf.distribute.MirroredStrategy):
        raise BackendError(
            f"{type(strategy).__name__} is not supported; expected a "
            "tf.distribute.MirroredStrategy, or none."
        )
    if replicas > 1 and model.compiled and model.jit_compile is True:
        raise ModelError(
            f"Model {model.name!r} is compiled with jit_compile=True, which does not "
            "work under a MirroredStrategy. Compile it without."
        )
    return Placement(replicas)


def _of_distribution(model: keras.Model) -> Placement:
    import jax

    distribution = keras.distribution.distribution()
    if distribution is None:
        return Placement()
    if not isinstance(distribution, keras.distribution.DataParallel):
        raise BackendError(
            f"keras.distribution is set to {type(distribution).__name__}; expected "
            "DataParallel, or none: weights must be whole on every device to be split."
        )
    devices = distribution.device_mesh.devices.size
    for variable in model.variables:
        placed = len(variable.value.sharding.device_set)
        if placed != devices:
            raise ModelError(
                f"Variable {variable.path!r} of model {model.name!r} is on {placed} of "
                f"{devices} devices: the model was made before "
                "keras.distribution.set_distribution(...). Make it afterwards."
            )
    return Placement(devices, jax.process_count(), jax.process_index())


def rows_of(arrays: Any, placement: Placement) -> Any:
    """The rows of a nest of arrays that this process trains on."""
    flat = [a for a in tree.flatten(arrays) if a is not None]
    rows = placement.rows(int(np.shape(flat[0])[0]))
    return tree.map_structure(lambda a: None if a is None else a[rows], arrays)
