"""The job of `export.py`."""

import os
from pathlib import Path

import _models
import _quiet
import keras
import numpy as np
from _program import UsageError

from flags import exporting as export_flags
from flags import model as model_flags
from flags import program
from tf_splitting.exporting import export_litert, export_saved_model
from tf_splitting.models import unknown_name

# Name of the format: what it is called on disk, and what writes it.
FORMATS = {
    "saved_model": ("saved_model", export_saved_model),
    "tflite": ("model.tflite", export_litert),
}
IMAGES = 8


def run() -> None:
    """Exports the model that the flags name."""
    formats = export_flags.FORMAT.value
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
    path = Path(model_flags.MODEL.value)
    if not os.path.isfile(path):
        raise UsageError(f"there is no model file {str(path)!r}: correct --model.")
    model = _models.load(path)
    inputs = _inputs(model)
    for name in formats:
        file, export = FORMATS[name]
        target = Path(export_flags.OUTPUT.value) / file
        # Converters report their progress there.
        with _quiet.stderr_held_back():
            difference = export(model, target, inputs=inputs)
        print(f"{target}: outputs differ by {difference:.2g} at most")


def _inputs(model: keras.Model) -> np.ndarray | None:
    """Images to compare on; None, the library's choice, for what takes others."""
    if not _models.takes_images(model):
        return None
    generator = np.random.default_rng(program.SEED.value)
    images = generator.uniform(0, 255, (IMAGES, *_models.image_shape(model)))
    return images.astype("float32")
