"""Reads what was exported, as functions of arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tf_splitting.errors import ModelError, SplittingError
from tf_splitting.exporting.structures import by_name, fitting
from tf_splitting.models import UNREADABLE
from tf_splitting.support import in_a_line
from tf_splitting.support import path as as_path

Shape = tuple[int | None, ...]


class ExportError(SplittingError):
    """A model cannot be written, or does not compute what the Keras model does."""


@dataclass(frozen=True)
class Served:
    """A SavedModel's `serve` function, on arrays; shapes have None for the batch.

    Attributes:
        name: where it was read.
        run: of an array, to an array; with several inputs of a dict of arrays by name,
            with several outputs to one.
        input_shape, output_shape: a shape, or a dict of shapes by name.
    """

    name: str
    run: Callable[[Any], Any]
    input_shape: Shape | Mapping[str, Shape]
    output_shape: Shape | Mapping[str, Shape]


def load_saved_model(path: str | Path) -> Served:
    """Reads a SavedModel with any number of inputs and outputs.

    Raises:
        ModelError: the folder is no SavedModel, or has no such function.
        DataError: when it is run, inputs are missing, or of another type.

    Example:
        >>> served = load_saved_model("run/saved_model")
        >>> served.run({"tokens": tokens, "mask": mask})["label"]
    """
    path = as_path("path", path, error=ModelError)
    tf = import_tensorflow()
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
    serve = signatures["serve"]
    sources = serve.structured_input_signature[1]
    results = serve.structured_outputs

    # `loaded` owns the weights: the closure keeps it alive.
    def run(inputs: Any, owner: Any = loaded) -> Any:
        given = by_name(f"SavedModel {str(path)!r}", inputs, list(sources))
        found = serve(
            **{
                name: tf.constant(
                    fitting(name, array, sources[name].dtype.as_numpy_dtype)
                )
                for name, array in given.items()
            }
        )
        return _alone({name: np.asarray(value) for name, value in found.items()})

    return Served(
        str(path),
        run,
        _alone({name: tuple(spec.shape) for name, spec in sources.items()}),
        _alone({name: tuple(spec.shape) for name, spec in results.items()}),
    )


def load_litert(path: str | Path) -> Callable[[Any], Any]:
    """The function of a LiteRT file, on arrays of any batch size.

    Inputs and outputs are those of `Served.run`: a single input is an array.

    Raises:
        ModelError: it is no such file, or has several inputs or outputs and no
            signature that names them.
        DataError: when it is run, inputs are missing, or of another type.
    """
    path = as_path("path", path, error=ModelError)
    tf = import_tensorflow()
    try:
        with warnings.catch_warnings():
            # It recommends another package, which TensorFlow does not bring along.
            warnings.simplefilter("ignore")
            interpreter = tf.lite.Interpreter(str(path))
        sources = interpreter.get_input_details()
        results = interpreter.get_output_details()
        signatures = interpreter.get_signature_list()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{str(path)!r} is no LiteRT file: {in_a_line(error)}. Export it again."
        ) from error
    if len(sources) == len(results) == 1:
        return _single(interpreter, sources[0], results[0])
    if len(signatures) != 1:
        raise ModelError(
            f"LiteRT file {str(path)!r} has {len(sources)} inputs, {len(results)} "
            f"outputs and the signatures {list(signatures)}; expected one, that names "
            "them. Write it with export_litert."
        )
    runner = interpreter.get_signature_runner(*signatures)
    details = runner.get_input_details()

    def run(inputs: Any) -> Any:
        given = by_name(f"LiteRT file {str(path)!r}", inputs, list(details))
        fit = {
            name: fitting(name, array, np.dtype(details[name]["dtype"]))
            for name, array in given.items()
        }
        return _alone({name: np.array(value) for name, value in runner(**fit).items()})

    return run


def _single(
    interpreter: Any, source: Mapping[str, Any], result: Mapping[str, Any]
) -> Callable[[Any], np.ndarray]:
    """What needs no names, and so no signature."""

    def run(inputs: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(source["index"], inputs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], inputs.astype(source["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def import_tensorflow() -> ModuleType:
    """Both formats are TensorFlow's, and are written and read by it on any backend.

    Raises:
        ExportError: it cannot be imported.
    """
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ExportError(
            f"TensorFlow, whose formats these are, cannot be imported: {error}. "
            'Install it with `pip install "tf_splitting[tensorflow]"`.'
        ) from error
    return tf


def _alone(named: dict[str, Any]) -> Any:
    """What has the only name, or all by name."""
    return next(iter(named.values())) if len(named) == 1 else named
