"""Reads saved models. Whatever is wrong with the file is one kind of error."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

import keras

from tf_splitting.errors import ModelError
from tf_splitting.support import in_a_line
from tf_splitting.support import path as as_path

# What Keras, zipfile, json and h5py raise for files that were cut off, overwritten,
# edited by hand, or made with classes that are not there.
UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RuntimeError,
    ImportError,
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_model(path: str | Path, *, compile: bool = True) -> keras.Model:
    """A model from a `.keras` file.

    Args:
        path: of the file.
        compile: also restore the compile settings that it was saved with.

    Raises:
        ModelError: there is no such file, or it holds no model that can be loaded.

    Example:
        >>> model = read_model("grown.keras")
    """
    path = as_path("path", path, error=ModelError)
    # Names may be too long for Path.exists.
    if not os.path.exists(path):
        raise ModelError(f"There is no model file {str(path)!r}. Correct the path.")
    if path.is_dir():
        raise ModelError(
            f"{str(path)!r} is a folder; expected a .keras file. Give one that "
            "model.save wrote."
        )
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(
            f"{str(path)!r} is not a .keras file, or not all of one; it has "
            f"{path.stat().st_size} bytes. Copy or save the model again."
        )
    try:
        model = keras.saving.load_model(path, compile=compile)
    except UNREADABLE as error:
        raise ModelError(
            f"No model can be loaded from {str(path)!r}: {_reason(error)}. If the file "
            "is damaged, copy or save it again. If its layers are your own, load it in "
            "Python, where their classes are registered."
        ) from error
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"{str(path)!r} holds a {type(model).__name__}; expected a keras.Model. "
            "Save the whole model."
        )
    return model


def _reason(error: Exception) -> str:
    """What is wrong, on one line. Keras puts it behind the configs around it."""
    innermost = str(error).rpartition("Exception encountered: ")[2]
    return in_a_line(innermost or error)
