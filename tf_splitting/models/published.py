"""Weights of a network of `keras.applications`, for one with another classifier."""

from __future__ import annotations

import itertools
import os
import warnings
from pathlib import Path

import keras

from tf_splitting.errors import ModelError
from tf_splitting.models.application_weights import WeightReport, copy_pairs
from tf_splitting.models.applications import published_application
from tf_splitting.models.saved_models import UNREADABLE, read_model
from tf_splitting.support import in_a_line

IMAGENET = "imagenet"
# The most layers with weights that a classifier of keras.applications has: VGG's.
_HEAD = 3


def load_published(model: keras.Model, name: str, source: str | Path) -> WeightReport:
    """Copies weights into a model that `build_application` made.

    Layers are paired in order, and those whose shapes differ are left as they are: the
    classifier's, for another number of classes.

    Args:
        model: changed in place.
        name: the network, as `keras.applications` spells it.
        source: "imagenet", the weights that Keras publishes, which are downloaded if
            they are not in its cache (`~/.keras/models`); or the path of a `.keras`
            file or of weights (`.weights.h5`, `.h5`) of this network: with `model`'s
            classes, the 1000 of ImageNet, or no classifier.

    Returns:
        The names loaded, and the names skipped with the reason.

    Raises:
        ModelError: there is no such file, it is of another network, or the weights can
            be neither found nor downloaded.

    Example:

        >>> model = build_application("ResNet50", classes=10)
        >>> load_published(model, "ResNet50", "imagenet").skipped
        {'predictions': 'source (2048, 1000) (1000,), model (2048, 10) (10,)'}
    """
    if str(source) == IMAGENET:
        return _copied(model, _downloaded(name), IMAGENET)
    if not os.path.isfile(source):
        raise ModelError(
            f"There is no weights file {str(source)!r}. Correct the path, or give "
            f"{IMAGENET!r} for the published weights."
        )
    if Path(source).suffix == ".keras":
        return _copied(model, read_model(source, compile=False), str(source))
    return _copied(model, _read(model, name, str(source)), str(source))


def _downloaded(name: str) -> keras.Model:
    try:
        return published_application(name, IMAGENET)
    # Keras raises a bare Exception where it cannot download.
    except Exception as error:
        raise ModelError(
            f"The published weights of {name} are not in Keras' cache "
            f"(~/.keras/models) and cannot be downloaded: {in_a_line(error)}. "
            "Copy them there, give the path of a file, or start from random weights."
        ) from error


def _read(model: keras.Model, name: str, path: str) -> keras.Model:
    """The network with the classifier that the file has."""
    (inputs,) = model.inputs
    shape = tuple(inputs.shape[1:])
    found = []
    for head in ({"classes": model.output_shape[-1]}, {}, {"include_top": False}):
        twin = published_application(
            name, None, input_shape=shape, classifier_activation=None, **head
        )
        try:
            with warnings.catch_warnings():
                # Of what is missing for the wrong classifier, before that is an error.
                warnings.simplefilter("ignore")
                twin.load_weights(path)
        except UNREADABLE as error:
            found.append(in_a_line(error))
        else:
            return twin
    raise ModelError(
        f"{path!r} holds no weights of {name} for images of {shape[0]} x {shape[1]} "
        f"pixels: {found[0]}. Give weights of that network, saved at that size."
    )


def _copied(model: keras.Model, source: keras.Model, where: str) -> WeightReport:
    """Copies layer by layer; both were made by one function, or nothing is copied."""
    layers, sources = (
        [layer for layer in each.layers if layer.weights] for each in (model, source)
    )
    kinds, given = ([type(layer) for layer in each] for each in (layers, sources))
    # Without a classifier the source ends before the model does.
    if not given or len(given) < len(kinds) - _HEAD or kinds[: len(given)] != given:
        raise ModelError(
            f"{where!r} holds another network than {model.name!r}: {len(sources)} "
            f"layers with weights, the model has {len(layers)}. Give weights of the "
            "same network."
        )
    report = copy_pairs(itertools.zip_longest(layers, sources))
    if not report.loaded:
        raise ModelError(
            f"No weights of {where!r} fit {model.name!r}: all shapes differ. Give "
            "weights of the same network."
        )
    return report
