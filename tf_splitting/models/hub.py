"""Image classifiers of KerasHub, by the name of a preset or from its folder.

KerasHub is imported when such a name is asked for, and need not be installed otherwise.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from tf_splitting.errors import ModelError
from tf_splitting.support import in_a_line

HUB_INSTALL = "python -m pip install keras-hub"
# Of a backbone that takes images of any size.
_USUAL_SIZE = 224
_CONVERTER = "image_converter.json"
_SCHEMES = ("kaggle://", "hf://", "modelscope://", "gs://")


def hub_is_installed() -> bool:
    """Whether KerasHub can be imported."""
    return importlib.util.find_spec("keras_hub") is not None


def is_preset(name: str) -> bool:
    """Whether a name is a folder with a preset, a preset's address, or a known preset.

    Example:

        >>> is_preset("resnet_18_imagenet")
        True
    """
    return (
        is_preset_folder(name)
        or name.startswith(_SCHEMES)
        or (hub_is_installed() and name in _hub().models.Backbone.presets)
    )


def is_preset_folder(path: str) -> bool:
    """Whether a folder holds what `save_to_preset` writes."""
    try:
        about = json.loads((Path(path) / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and {"class_name", "config"} <= about.keys()


def explain_hub_name(name: str) -> str | None:
    """Why the name of a class of KerasHub is no model yet; None if there is none.

    Example:

        >>> explain_hub_name("ResNetBackbone")
        "'ResNetBackbone' is a class of KerasHub, not a model: give one of its ..."
    """
    if not hub_is_installed():
        return None
    found = getattr(_hub().models, name, None)
    if not isinstance(found, type):
        return None
    known = sorted({*getattr(found, "presets", {})} & {*image_presets()})
    begin = f"{name!r} is a class of KerasHub, not a model"
    if not known:
        return (
            f"{begin}, and it has no preset that classifies images. Build a "
            "classifier of it in Python and give the .keras file, or grow it there."
        )
    shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    return (
        f"{begin}: give one of its presets ({shown}), the folder of one, or a .keras "
        "file of what you have built of it."
    )


def image_presets() -> tuple[str, ...]:
    """The presets that KerasHub makes image classifiers of, sorted; none without it."""
    if not hub_is_installed():
        return ()
    return tuple(sorted(_hub().models.ImageClassifier.presets))


def build_preset(
    preset: str,
    image_size: int | None = None,
    classes: int = 1000,
    *,
    weights: bool = False,
) -> keras.Model:
    """An image classifier made of a preset of KerasHub.

    What the preset's converter does to pixels, but for resizing, becomes part of the
    graph, so that the model takes pixels in 0..255. It yields logits.

    Args:
        preset: name or address of the preset, or a folder of one. Of all but folders
            KerasHub downloads the description, and the weights if they are asked for,
            unless its cache has them.
        image_size: pixels, where the backbone takes images of any size (by default
            those of its converter, or 224); others have a size of their own.
        classes: number of outputs; the classifier's weights are random.
        weights: whether the backbone gets the preset's weights.

    Returns:
        A Functional model, `[batch, size, size, 3]` to `[batch, classes]`.

    Raises:
        ModelError: KerasHub is not installed, the preset is none of an image
            classifier, or can be neither found nor downloaded; or its images are of
            another size.

    Example:

        >>> build_preset("resnet_18_imagenet", 64, classes=10).output_shape
        (None, 10)
    """
    hub = _hub()
    options: dict[str, Any] = {"num_classes": classes, "activation": None}
    if is_preset_folder(preset) and not (Path(preset) / _CONVERTER).exists():
        # A classifier that was saved without one takes pixels as they are.
        options["preprocessor"] = None
    try:
        task = hub.models.ImageClassifier.from_preset(
            preset, load_weights=weights, **options
        )
    # Downloading fails in the ways of several packages, with errors of their own.
    except Exception as error:
        raise ModelError(_why_not(preset, error)) from error
    converter = getattr(task.preprocessor, "image_converter", None)
    inputs = keras.Input(_image_shape(task, converter, image_size), name="image")
    return keras.Model(
        inputs,
        _plain(task)(_converted(converter, inputs)),
        name=Path(preset).name.replace("-", "_").replace(".", "_"),
    )


def _why_not(preset: str, error: Exception) -> str:
    if preset in _hub().models.Backbone.presets and preset not in image_presets():
        return (
            f"The preset {preset!r} is not of an image classifier. Take it in Python: "
            f"keras_hub.models.Backbone.from_preset({preset!r})."
        )
    return (
        f"KerasHub makes no image classifier of the preset {preset!r}: "
        f"{in_a_line(error)}. If it cannot be downloaded here, copy its folder from "
        "where it can, and give the path."
    )


def _plain(model: keras.Model) -> keras.Model:
    """The same layers without KerasHub's classes, which know their own widths only."""

    def plain_or_same(layer: keras.layers.Layer) -> keras.layers.Layer:
        return _plain(layer) if isinstance(layer, keras.Model) else layer

    copy = keras.models.clone_model(model, clone_function=plain_or_same)
    (inputs,), (outputs,) = copy.inputs, copy.outputs
    return keras.Model(inputs, outputs, name=model.name)


def _image_shape(
    task: keras.Model, converter: Any, size: int | None
) -> tuple[int, int, int]:
    height, width, channels = task.input_shape[1:]
    if None not in (height, width):
        if size is not None and (size, size) != (height, width):
            raise ModelError(
                f"The preset takes images of {height} x {width} pixels, not of "
                f"{size} x {size}. Leave the size out."
            )
        return height, width, channels
    given = getattr(converter, "image_size", None) or (_USUAL_SIZE, _USUAL_SIZE)
    height, width = given if size is None else (size, size)
    return height, width, channels


def _converted(converter: Any, inputs: Any) -> Any:
    """The pixels as the backbone wants them."""
    scale = getattr(converter, "scale", None)
    offset = getattr(converter, "offset", None)
    if scale is None and offset is None:
        return inputs
    return keras.layers.Rescaling(
        1.0 if scale is None else scale, 0.0 if offset is None else offset
    )(inputs)


def _hub() -> ModuleType:
    try:
        import keras_hub
    except ImportError as error:
        raise ModelError(
            f"KerasHub, whose preset this is, cannot be imported: {in_a_line(error)}. "
            f"Install it with `{HUB_INSTALL}`."
        ) from error
    return keras_hub
