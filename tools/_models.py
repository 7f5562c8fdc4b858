"""The model that `--model` names: a built-in one, or a saved one."""

import os
from pathlib import Path

import keras
from _program import UsageError

from flags import builtin
from flags import model as model_flags
from tf_splitting import models
from tf_splitting.errors import ModelError
from tf_splitting.exporting import Served
from tf_splitting.models import read_model, unknown_name
from tf_splitting.tracing import check_model


def is_builtin() -> bool:
    """Whether `--model` names a built-in model."""
    return model_flags.MODEL.value in models.names()


def check_name() -> None:
    """Raises unless `--model` names something that exists, and its flags go with it.

    Raises:
        UnknownNameError: neither a built-in model nor a file.
        UsageError: a flag for built-in models was given with a saved one.
    """
    name = model_flags.MODEL.value
    if is_builtin():
        return
    if not os.path.exists(name):
        if Path(name).suffix or "/" in name:
            raise UsageError(f"there is no model file {name!r}: correct --model.")
        raise unknown_name("model", name, models.names())
    given = [f"--{holder.name}" for holder in builtin.ALL if holder.present]
    if given:
        raise UsageError(
            f"{', '.join(given)}: for built-in models only, but --model is {name!r}."
        )


def build(classes: int) -> keras.Model:
    """The built-in model that the flags describe."""
    size = model_flags.IMAGE_SIZE.value or model_flags.BUILTIN_IMAGE_SIZE
    options = {
        "widths": builtin.WIDTHS.value,
        "width_multiplier": builtin.WIDTH_MULTIPLIER.value,
        "activation": builtin.ACTIVATION.value,
        "bn_momentum": builtin.BN_MOMENTUM.value,
        "synchronized_bn": builtin.SYNCHRONIZED_BN.value,
    }
    name = model_flags.MODEL.value
    if name == "mobilenet_v2":
        options["shortcut"] = builtin.SHORTCUT.value
    elif builtin.SHORTCUT.present:
        raise UsageError(f"--shortcut is for mobilenet_v2 only, not {name!r}.")
    return models.build(name, input_shape=(size, size, 3), classes=classes, **options)


def load(path: str | Path) -> keras.Model:
    """A model from a `.keras` file.

    Raises:
        ModelError: Keras cannot read it, or it hides its graph.
    """
    model = read_model(path)
    check_model(model)
    return model


def outputs(model: keras.Model | Served) -> int:
    """How many classes a model tells apart.

    Raises:
        ModelError: it is no classifier.
    """
    shape = model.output_shape
    if isinstance(shape, list | dict) or len(shape) != 2:
        raise ModelError(
            f"Model {model.name!r} yields outputs of shape {shape}; expected one score "
            "per class, [batch, classes]. Use a classifier."
        )
    return shape[-1]


def image_shape(model: keras.Model | Served) -> tuple[int, int, int]:
    """`(height, width, channels)` of a model's images, free sides from the flag.

    Raises:
        UsageError: the flag is needed, or says otherwise than the model.
        ModelError: the model does not take images.
    """
    shape = model.input_shape
    if isinstance(shape, list | dict) or len(shape) != 4 or shape[3] not in (1, 3):
        raise ModelError(
            f"Model {model.name!r} takes inputs of shape {shape}; expected images "
            "[batch, height, width, 1 or 3]."
        )
    size = model_flags.IMAGE_SIZE.value
    if None in shape[1:3]:
        if size is None:
            raise UsageError(
                f"model {model.name!r} takes images of any size: give --image_size."
            )
        return size, size, shape[3]
    if size is not None and (size, size) != tuple(shape[1:3]):
        raise UsageError(
            f"--image_size is {size}, but the saved model takes images of "
            f"{shape[1]} x {shape[2]} pixels: leave the flag out."
        )
    return tuple(shape[1:])


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether a model's last layer makes probabilities of its outputs."""
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return True
    return getattr(last, "activation", None) is keras.activations.softmax
