"""Imports the backend without its greetings, so that users see the tool's output."""

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


def import_backend() -> None:
    """Imports Keras and its backend, silently unless that fails.

    What TensorFlow's C++ code prints meanwhile (CPU features, missing GPU drivers)
    no Python setting reaches. Of what Python says later only errors are shown, and our
    own warnings; of what C++ code says nothing, for its errors come as exceptions, and
    it calls some of its own rewrites of input pipelines errors.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr_held_back():
        import keras

        if keras.backend.backend() == "tensorflow":
            _find_devices_of_tensorflow()
    warnings.simplefilter("ignore")
    warnings.showwarning = _show_warning
    from tf_splitting.errors import SplittingWarning

    warnings.simplefilter("once", SplittingWarning)


def _find_devices_of_tensorflow() -> None:
    import tensorflow as tf

    # Looking for GPUs prints too, whenever it happens first.
    tf.config.list_physical_devices()
    tf.get_logger().setLevel("ERROR")


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


@contextmanager
def stderr_held_back() -> Iterator[None]:
    """Holds back what anything writes to file descriptor 2; shows it on an error."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            with os.fdopen(os.dup(original), "wb") as stream:
                shutil.copyfileobj(held, stream)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
