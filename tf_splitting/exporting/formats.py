"""Writes models for serving, and checks that they compute what the Keras model does.

A file or folder appears only after its outputs have been compared.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_splitting.exporting.loading import (
    ExportError,
    import_tensorflow,
    load_litert,
    load_saved_model,
)
from tf_splitting.exporting.structures import (
    Arrays,
    called,
    named_inputs,
    random_inputs,
    signature,
    with_flat_outputs,
)
from tf_splitting.requirements import KERAS
from tf_splitting.support import DISK_TROUBLE, appearing, in_a_line, number
from tf_splitting.support import path as as_path
from tf_splitting.tracing import check_model

SAVED_MODEL_TOLERANCE = 1e-5
# LiteRT fuses and reorders float32 arithmetic.
LITERT_TOLERANCE = 1e-3


def export_saved_model(
    model: keras.Model,
    path: str | Path,
    *,
    inputs: Any = None,
    tolerance: float = SAVED_MODEL_TOLERANCE,
) -> float:
    """Writes a SavedModel with a `serve` signature and checks its outputs.

    `loaded = tf.saved_model.load(path)` and `loaded.serve(x)` need neither Keras nor
    `tf_splitting`; keep `loaded`, it owns the weights. Inputs may be lists, tuples and
    dicts, which `serve` takes as the model does. `loaded.signatures["serve"]` takes and
    yields all by name: inputs by those of `keras.Input`, outputs as `output_0`,
    `output_1`, by the keys of a dict, or of a nested structure by their paths:
    `heads_0`.

    Args:
        model: a model with any inputs and outputs.
        path: folder to write; a former one is replaced.
        inputs: what outputs are compared on, `[n, ...]` each, as the model takes them
            or by name; default: 4 random examples, uniform in 0..1, and 0 or 1 where
            numbers are whole.
        tolerance: largest difference allowed between outputs, relative to the
            largest output, or absolute where that is below 1.

    Returns:
        The largest absolute difference.

    Raises:
        ExportError: outputs differ by more, or are not finite; nothing is written. Or
            there can be nothing at that path.
        ModelError: the model is none or is subclassed, or has a free input size and
            `inputs` is None; or two of its nested outputs get one name.
        DataError: `inputs` do not fit the model.
        SplittingError: another argument is out of range.
        OSError: the disk is full or broken.

    Example:
        >>> export_saved_model(grown, "run/saved_model")
        0.0
    """

    def load(temporary: Path) -> Callable[[Any], Any]:
        return load_saved_model(temporary).run

    return _export(model, path, inputs, "tf_saved_model", tolerance, load)


def export_litert(
    model: keras.Model,
    path: str | Path,
    *,
    inputs: Any = None,
    tolerance: float = LITERT_TOLERANCE,
) -> float:
    """Writes a float32 LiteRT (`.tflite`) file and checks its outputs.

    Arguments, result and errors are those of `export_saved_model`; a `path` that does
    not end in `.tflite` is an `ExportError`.

    Example:
        >>> export_litert(grown, "run/model.tflite")
        1.9073486328125e-06
    """

    if as_path("path", path).suffix != ".tflite":
        raise ExportError(
            f"Got path={str(path)!r}; expected one that ends in .tflite. Rename it."
        )

    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"Keras writes LiteRT on its TensorFlow backend, not on "
            f"{keras.backend.backend()!r}. Save the model as .keras, and export it in "
            "a process with KERAS_BACKEND=tensorflow."
        )

    if KERAS < (3, 13):
        raise ExportError(
            f"Keras {keras.__version__} does not write LiteRT; 3.13 and newer do. Run "
            '`python -m pip install --upgrade "keras>=3.13"`, or export a SavedModel.'
        )

    def load(temporary: Path) -> Callable[[Any], Any]:
        run = load_litert(temporary)

        def told(inputs: Any) -> Any:
            try:
                return run(inputs)
            except RuntimeError as error:
                raise ExportError(
                    f"LiteRT's interpreter does not run what {model.name!r} becomes: "
                    f"{in_a_line(error)}. The file was not written. Leave out the "
                    "operation, or export a SavedModel."
                ) from error

        return told

    return _export(model, path, inputs, "litert", tolerance, load)


def is_available() -> bool:
    """Whether TensorFlow, without which nothing is exported, is installed."""
    try:
        return importlib.util.find_spec("tensorflow") is not None
    except ModuleNotFoundError:
        return False


def _export(
    model: keras.Model,
    path: str | Path,
    inputs: Any,
    file_format: str,
    tolerance: float,
    load: Callable[[Path], Callable[[Any], Any]],
) -> float:
    path = as_path("path", path)
    number("tolerance", tolerance, at_least=0)
    check_model(model)
    named = named_inputs(model, random_inputs(model) if inputs is None else inputs)
    expected = called(model, named)
    flat = with_flat_outputs(model)
    arrays = {name: np.asarray(tensor) for name, tensor in named.items()}
    try:
        with appearing(path) as temporary:
            with _disk_trouble_as_os_error():
                flat.export(
                    temporary,
                    format=file_format,
                    input_signature=signature(flat),
                    verbose=False,
                )
            run = load(temporary)
            found = run(arrays if len(arrays) > 1 else next(iter(arrays.values())))
            if len(expected) == 1:
                found = dict.fromkeys(expected, found)
            return _compare_all(expected, found, tolerance, path)
    except OSError as error:
        if error.errno in DISK_TROUBLE:
            raise
        raise ExportError(
            f"{str(path)!r} cannot be written to: {error}. Choose another path."
        ) from error


@contextmanager
def _disk_trouble_as_os_error() -> Iterator[None]:
    """TensorFlow's errors say in words alone that the disk is full, and which file."""
    tf = import_tensorflow()
    try:
        yield
    except tf.errors.OpError as error:
        for code in DISK_TROUBLE:
            reason = os.strerror(code)
            before, found, _ = error.message.partition(f"; {reason}")
            if found:
                # The name of the operation may stand in front: {{node save}} /path.
                raise OSError(code, reason, before.rpartition("}} ")[2]) from error
        raise


def _compare_all(
    expected: Arrays, found: Arrays, tolerance: float, path: str | Path
) -> float:
    """The largest difference of any output."""
    if expected.keys() != found.keys():
        raise ExportError(
            f"{path}: outputs are named {sorted(found)}; expected {sorted(expected)}. "
            "The file was not written. Name the keys of outputs as identifiers."
        )
    return max(
        _compare(expected[name], found[name], tolerance, path) for name in expected
    )


def _compare(
    expected: np.ndarray, found: np.ndarray, tolerance: float, path: str | Path
) -> float:
    if expected.shape != found.shape:
        raise ExportError(
            f"{path}: outputs have shape {found.shape}, the Keras model's "
            f"{expected.shape}."
        )
    difference = float(np.abs(expected - found).max())
    allowed = tolerance * max(1.0, float(np.abs(expected).max()))
    # Written so that NaN fails too.
    if not difference <= allowed:
        raise ExportError(
            f"{path}: outputs differ from the Keras model's by {difference:.3g}; "
            f"allowed is {allowed:.3g}. The file was not written."
        )
    return difference
