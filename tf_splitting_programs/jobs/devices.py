"""The devices that a job runs on, as the flags ask for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from tf_splitting_programs.flags import devices as device_flags
from tf_splitting_programs.running import UsageError

_OF_BACKEND = {"tensorflow": "mirrored", "jax": "data_parallel"}


@contextmanager
def chosen() -> Iterator[None]:
    """Models made within belong to the devices that the flags ask for.

    To be entered before anything is computed: a process joins the others first.

    Raises:
        UsageError: the backend does not do that, or there is one device only.
    """
    backend = keras.backend.backend()
    _check(backend)
    if backend == "jax":
        _join()
        with _data_parallel():
            yield
    else:
        with _mirrored():
            yield


def is_chief() -> bool:
    """Whether this process is the one that writes and prints."""
    return device_flags.PROCESS_ID.value == 0


def _check(backend: str) -> None:
    choice = device_flags.DISTRIBUTE.value
    if choice not in ("auto", "none", _OF_BACKEND[backend]):
        raise UsageError(
            f"--distribute={choice} does not go with the {backend} backend: give "
            f"--distribute={_OF_BACKEND[backend]}, or set KERAS_BACKEND to the other."
        )
    if device_flags.PROCESSES.value == 1:
        return
    if backend != "jax":
        raise UsageError(
            "--processes: several hosts need the JAX backend (KERAS_BACKEND=jax); "
            "TensorFlow's MultiWorkerMirroredStrategy does not work with `fit` in "
            "Keras 3.15."
        )
    if device_flags.COORDINATOR.value is None:
        raise UsageError("--processes: give --coordinator=HOST:PORT of the first one.")
    if device_flags.PROCESS_ID.value >= device_flags.PROCESSES.value:
        raise UsageError(
            f"--process_id={device_flags.PROCESS_ID.value}: expected less than "
            f"--processes={device_flags.PROCESSES.value}."
        )
    if choice == "none":
        raise UsageError("--distribute=none does not go with --processes.")


def _join() -> None:
    if device_flags.PROCESSES.value > 1:
        import jax

        jax.distributed.initialize(
            device_flags.COORDINATOR.value,
            num_processes=device_flags.PROCESSES.value,
            process_id=device_flags.PROCESS_ID.value,
        )


@contextmanager
def _data_parallel() -> Iterator[None]:
    import jax

    found = jax.devices()
    choice = device_flags.DISTRIBUTE.value
    several = len(found) > 1
    # Several processes are there to share the job, whatever their devices are.
    shared = device_flags.PROCESSES.value > 1
    wanted = several and (found[0].platform != "cpu" or shared)
    if choice == "none" or (choice == "auto" and not wanted):
        yield
        return
    _check_several(len(found), f"{found[0].platform} device")
    # Every process has all data, and gives its own rows of each batch.
    distribution = keras.distribution.DataParallel(
        devices=keras.distribution.list_devices(), auto_shard_dataset=False
    )
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(None)


@contextmanager
def _mirrored() -> Iterator[None]:
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    found = gpus or tf.config.list_logical_devices("CPU")
    choice = device_flags.DISTRIBUTE.value
    if choice == "none" or (choice == "auto" and len(gpus) < 2):
        yield
        return
    _check_several(len(found), "GPU" if gpus else "CPU")
    strategy = tf.distribute.MirroredStrategy([device.name for device in found])
    with strategy.scope():
        yield


def _check_several(count: int, kind: str) -> None:
    if count < 2:
        raise UsageError(
            f"--distribute={device_flags.DISTRIBUTE.value}: found 1 {kind}; expected "
            "several. Leave the flag out, or make more devices visible."
        )
