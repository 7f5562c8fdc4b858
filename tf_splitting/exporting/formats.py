"""Writes models for serving, and checks that they compute what the Keras model does.

A file or folder appears only after its outputs have been compared.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import keras
import numpy as np

from tf_splitting.errors import ModelError, SplittingError
from tf_splitting.estimating import flat_inputs
from tf_splitting.models import UNREADABLE
from tf_splitting.requirements import KERAS
from tf_splitting.support import DISK_TROUBLE, appearing, in_a_line, number
from tf_splitting.support import path as as_path
from tf_splitting.tracing import check_model

SAVED_MODEL_TOLERANCE = 1e-5
# LiteRT fuses and reorders float32 arithmetic.
LITERT_TOLERANCE = 1e-3


class ExportError(SplittingError):
    """A model cannot be written, or does not compute what the Keras model does."""


def export_saved_model(
    model: keras.Model,
    path: str | Path,
    *,
    inputs: np.ndarray | None = None,
    tolerance: float = SAVED_MODEL_TOLERANCE,
) -> float:
    """Writes a SavedModel with a `serve` signature and checks its outputs.

    `loaded = tf.saved_model.load(path)` and `loaded.serve(x)` need neither Keras nor
    `tf_splitting`; keep `loaded`, it owns the weights.

    Args:
        model: a model with one input and one output.
        path: folder to write; a former one is replaced.
        inputs: what outputs are compared on, `[n, ...]`; default: 4 random examples,
            uniform in 0..1.
        tolerance: largest difference allowed between outputs, relative to the
            largest output, or absolute where that is below 1.

    Returns:
        The largest absolute difference.

    Raises:
        ExportError: outputs differ by more, or are not finite; nothing is written. Or
            there can be nothing at that path.
        ModelError: the model is none or is subclassed, has several inputs or outputs,
            or a free input size and `inputs` is None.
        DataError: `inputs` do not fit the model.
        SplittingError: another argument is out of range.
        OSError: the disk is full or broken.

    Example:
        >>> export_saved_model(grown, "run/saved_model")
        0.0
    """

    def write(temporary: Path) -> None:
        model.export(temporary, format="tf_saved_model", verbose=False)

    def load(temporary: Path) -> Callable[[np.ndarray], np.ndarray]:
        return load_saved_model(temporary).run

    return _export(model, path, inputs, tolerance, write, load)


def export_litert(
    model: keras.Model,
    path: str | Path,
    *,
    inputs: np.ndarray | None = None,
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

    def write(temporary: Path) -> None:
        model.export(temporary, format="litert", verbose=False)

    return _export(model, path, inputs, tolerance, write, load_litert)


@dataclass(frozen=True)
class Served:
    """A SavedModel's `serve` function, on arrays; shapes have None for the batch."""

    name: str
    run: Callable[[np.ndarray], np.ndarray]
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]


def load_saved_model(path: str | Path) -> Served:
    """Reads a SavedModel of one input and one output.

    Raises:
        ModelError: the folder is no SavedModel, or has no such function of one input
            and one output.
    """
    path = as_path("path", path, error=ModelError)
    tf = _tensorflow()
    try:
        loaded = tf.saved_model.load(str(path))
    except (*UNREADABLE, tf.errors.OpError) as error:
        raise ModelError(
            f"{str(path)!r} is no SavedModel, or not all of one: {in_a_line(error)}. "
            "Copy or export it again."
        ) from error
    signatures = getattr(loaded, "signatures", {})
    if not hasattr(loaded, "serve") or "serve" not in signatures:
        raise ModelError(
            f"SavedModel {str(path)!r} has the signatures {list(signatures)}; expected "
            "a function 'serve'. Write it with export_saved_model."
        )
    sources = list(signatures["serve"].structured_input_signature[1].values())
    results = list(signatures["serve"].structured_outputs.values())
    if len(sources) != 1 or len(results) != 1:
        raise ModelError(
            f"SavedModel {str(path)!r} has {len(sources)} inputs and {len(results)} "
            "outputs; expected one of each. Export a model that has."
        )
    (source,), (result,) = sources, results
    return Served(
        str(path),
        # `loaded` owns the weights: the closure keeps it alive.
        lambda inputs: np.asarray(loaded.serve(tf.constant(inputs))),
        tuple(source.shape),
        tuple(result.shape),
    )


def load_litert(path: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """The function of a LiteRT file, on arrays of any batch size.

    Raises:
        ModelError: it is no such file, or has several inputs or outputs.
    """
    path = as_path("path", path, error=ModelError)
    tf = _tensorflow()
    try:
        with warnings.catch_warnings():
            # It recommends another package, which TensorFlow does not bring along.
            warnings.simplefilter("ignore")
            interpreter = tf.lite.Interpreter(str(path))
        (source,) = interpreter.get_input_details()
        (result,) = interpreter.get_output_details()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{str(path)!r} is no LiteRT file of one input and one output: "
            f"{in_a_line(error)}. Export it again."
        ) from error

    def run(inputs: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(source["index"], inputs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], inputs.astype(source["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def is_available() -> bool:
    """Whether TensorFlow, without which nothing is exported, is installed."""
    try:
        return importlib.util.find_spec("tensorflow") is not None
    except ModuleNotFoundError:
        return False


def _tensorflow() -> ModuleType:
    """Both formats are TensorFlow's, and are written and read by it on any backend."""
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ExportError(
            f"TensorFlow, whose formats these are, cannot be imported: {error}. "
            'Install it with `pip install "tf_splitting[tensorflow]"`.'
        ) from error
    return tf


def _export(
    model: keras.Model,
    path: str | Path,
    inputs: np.ndarray | None,
    tolerance: float,
    write: Callable[[Path], None],
    load: Callable[[Path], Callable[[np.ndarray], np.ndarray]],
) -> float:
    path = as_path("path", path)
    number("tolerance", tolerance, at_least=0)
    check_model(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"Model {model.name!r} has {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs; exporting works for one of each."
        )
    if inputs is None:
        inputs = _random_inputs(model)
    flat_inputs(model, inputs)
    expected = np.asarray(model(inputs, training=False))
    try:
        with appearing(path) as temporary:
            with _disk_trouble_as_os_error():
                write(temporary)
            found = load(temporary)(inputs)
            return _compare(expected, found, tolerance, path)
    except OSError as error:
        if error.errno in DISK_TROUBLE:
            raise
        raise ExportError(
            f"{str(path)!r} cannot be written to: {error}. Choose another path."
        ) from error


@contextmanager
def _disk_trouble_as_os_error() -> Iterator[None]:
    """TensorFlow's errors say in words alone that the disk is full, and which file."""
    tf = _tensorflow()
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


def _random_inputs(model: keras.Model) -> np.ndarray:
    shape = model.input_shape[1:]
    if None in shape:
        raise ModelError(
            f"Model {model.name!r} takes inputs of shape {model.input_shape}: pass "
            "`inputs` to compare outputs on."
        )
    generator = np.random.default_rng(0)
    return generator.random((4, *shape)).astype(model.inputs[0].dtype)


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
