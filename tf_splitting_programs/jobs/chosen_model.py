"""The model that `--model` names: one by name, made anew, or a saved one."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

import keras

from tf_splitting import count_macs, models, to_functional
from tf_splitting.errors import ModelError, UnknownNameError
from tf_splitting.exporting import Served
from tf_splitting.models import read_model
from tf_splitting.tracing import check_model, structures_of
from tf_splitting_programs.flags import builtin
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.running import UsageError


def is_builtin() -> bool:
    """Whether `--model` names a built-in model."""
    return model_flags.MODEL.value in models.names()


def application() -> str | None:
    """The network of `keras.applications` that `--model` names, None if it does not.

    Case and underscores may differ, unless that is a built-in model's name then.
    """
    name = model_flags.MODEL.value
    if name in models.application_names():
        return name
    plain = {known.replace("_", "") for known in models.names()}
    if name.replace("_", "").lower() in plain:
        return None
    return models.application_name(name)


def is_named() -> bool:
    """Whether `--model` names what is made anew, and is no saved model."""
    name = model_flags.MODEL.value
    if is_builtin() or application():
        return True
    return models.is_preset_folder(name) or (
        not _is_path(name) and models.is_preset(name)
    )


def check_name() -> None:
    """Raises unless `--model` names something that exists, and its flags go with it.

    Raises:
        UnknownNameError: neither a model by name nor a file.
        UsageError: a flag for built-in models was given with another one.
    """
    name = model_flags.MODEL.value
    if is_builtin():
        return
    if not is_named() and not os.path.exists(name):
        if _is_path(name):
            raise UsageError(f"there is no model file {name!r}: correct --model.")
        if (why := models.explain_hub_name(name)) is not None:
            raise UsageError(f"--model: {why}")
        raise _unknown(name)
    given = [f"--{holder.name}" for holder in builtin.ALL if holder.present]
    if given:
        raise UsageError(
            f"{', '.join(given)}: for built-in models only, but --model is {name!r}."
        )


def _is_path(name: str) -> bool:
    """Whether a name is the path of a file, there or not."""
    if "://" in name:
        return False
    return os.path.exists(name) or bool(Path(name).suffix) or "/" in name


def _unknown(name: str) -> UnknownNameError:
    valid = [*models.names(), *models.application_names()]
    near = difflib.get_close_matches(name, [*valid, *models.image_presets()], 3)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    hub = "a preset of an image classifier of KerasHub, or its folder"
    if not models.hub_is_installed():
        hub += f" (KerasHub is not installed: `{models.HUB_INSTALL}`)"
    return UnknownNameError(
        f"unknown model {name!r}:{hint} Valid: {', '.join(valid)}; {hub}; or the path "
        "of a .keras file"
    )


def build(classes: int, *, preset_weights: bool = False) -> keras.Model:
    """The model by name that the flags describe, with random weights.

    Args:
        classes: number of outputs.
        preset_weights: whether a preset's backbone gets the preset's weights.

    Raises:
        ModelError, UsageError: it cannot be built like that.
    """
    name, size = model_flags.MODEL.value, model_flags.IMAGE_SIZE.value
    if is_builtin():
        return _build_builtin(name, _square(size), classes)
    if (network := application()) is not None:
        return models.build_application(network, _square(size), classes)
    return models.build_preset(name, size, classes, weights=preset_weights)


def _square(size: int | None) -> tuple[int, int, int]:
    size = size or model_flags.BUILTIN_IMAGE_SIZE
    return size, size, 3


def _build_builtin(name: str, shape: tuple[int, int, int], classes: int) -> keras.Model:
    options = {
        "widths": builtin.WIDTHS.value,
        "width_multiplier": builtin.WIDTH_MULTIPLIER.value,
        "activation": builtin.ACTIVATION.value,
        "bn_momentum": builtin.BN_MOMENTUM.value,
        "synchronized_bn": builtin.SYNCHRONIZED_BN.value,
    }
    if name == "mobilenet_v2":
        options["shortcut"] = builtin.SHORTCUT.value
    elif builtin.SHORTCUT.present:
        raise UsageError(f"--shortcut is for mobilenet_v2 only, not {name!r}.")
    return models.build(name, input_shape=shape, classes=classes, **options)


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
    if isinstance(shape, list | Mapping) or len(shape) != 2 or shape[1] is None:
        raise ModelError(
            f"Model {model.name!r} yields outputs of shape {shape}; expected one score "
            "per class, [batch, classes]. Use a classifier."
        )
    return shape[1]


def takes_images(model: keras.Model | Served) -> bool:
    """Whether a model has one input, of images that are grey or have three channels."""
    return _sides(model) is not None


def _sides(model: keras.Model | Served) -> tuple[int | None, int | None, int] | None:
    """`(height, width, channels)` of a model's images, if it takes any."""
    if isinstance(model, keras.Model) and len(model.inputs) != 1:
        return None
    shape = model.input_shape
    if isinstance(shape, list | Mapping) or len(shape) != 4:
        return None
    _, height, width, channels = shape
    return None if channels not in (1, 3) else (height, width, channels)


def image_shape(model: keras.Model | Served) -> tuple[int, int, int]:
    """`(height, width, channels)` of a model's images, free sides from the flag.

    Raises:
        UsageError: the flag is needed, or says otherwise than the model.
        ModelError: the model does not take images.
    """
    sides = _sides(model)
    if sides is None:
        raise ModelError(
            f"Model {model.name!r} takes inputs of shape {model.input_shape}; expected "
            "images [batch, height, width, 1 or 3]."
        )
    size = model_flags.IMAGE_SIZE.value
    height, width, channels = sides
    if height is None or width is None:
        if size is None:
            raise UsageError(
                f"model {model.name!r} takes images of any size: give --image_size."
            )
        return size, size, channels
    if size is not None and (size, size) != (height, width):
        raise UsageError(
            f"--image_size is {size}, but the saved model takes images of "
            f"{height} x {width} pixels: leave the flag out."
        )
    return height, width, channels


def sized(model: keras.Model) -> keras.Model:
    """The model itself, or one in its place that takes images of one size only.

    Raises:
        UsageError, ModelError: see `image_shape`.
    """
    images = keras.KerasTensor((None, *image_shape(model)), model.inputs[0].dtype)
    inputs, _ = structures_of(model)
    return to_functional(model, keras.tree.pack_sequence_as(inputs, [images]))


def macs(model: keras.Model) -> int:
    """Multiply-accumulates of a model for one of its images.

    Raises:
        UsageError, ModelError: see `image_shape`.
    """
    return count_macs(model, image_shape(model))


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether a model's last layer makes probabilities of its outputs."""
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax):
        return True
    return getattr(last, "activation", None) is keras.activations.softmax
