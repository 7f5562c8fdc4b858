"""The job of `export`."""

import os
from pathlib import Path

import keras
import numpy as np

from tf_splitting.exporting import export_litert, export_saved_model
from tf_splitting.models import unknown_name
from tf_splitting_programs.flags import exporting as export_flags
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.flags import program
from tf_splitting_programs.jobs import chosen_model
from tf_splitting_programs.running import Call, UsageError, stderr_held_back

# Name of the format: what it is called on disk, and what writes it.
FORMATS = {
    "saved_model": ("saved_model", export_saved_model),
    "tflite": ("model.tflite", export_litert),
}
IMAGES = 8


def run(_: Call) -> None:
    """Exports the model that the flags name."""
    formats = export_flags.FORMAT.value
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
    path = Path(model_flags.MODEL.value)
    if not os.path.isfile(path):
        raise UsageError(f"there is no model file {str(path)!r}: correct --model.")
    model = chosen_model.load(path)
    inputs = _inputs(model)
    for name in formats:
        file, export = FORMATS[name]
        target = Path(export_flags.OUTPUT.value) / file
        # Converters report their progress there.
        with stderr_held_back():
            difference = export(model, target, inputs=inputs)
        print(f"{target}: outputs differ by {difference:.2g} at most")


def _inputs(model: keras.Model) -> np.ndarray | None:
    """Images to compare on; None, the library's choice, for what takes others."""
    if not chosen_model.takes_images(model):
        return None
    generator = np.random.default_rng(program.SEED.value)
    images = generator.uniform(0, 255, (IMAGES, *chosen_model.image_shape(model)))
    return images.astype("float32")
