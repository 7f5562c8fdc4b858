"""Drop-in replacements for the Keras layers that split and remove their own neurons.

They compute what their Keras base classes compute. A model built with them prints and
saves as such; `convert` turns a plain model into one, `to_plain` turns it back, and
`tf_splitting.grow` returns plain Keras layers either way.
"""

from __future__ import annotations

from collections.abc import Iterable

import keras

from tf_splitting.layers.alone import remove_from_layer, split_layer
from tf_splitting.rebuilding import reclassed
from tf_splitting.tracing import Signal, Tracer, rule_for

PACKAGE = "tf_splitting"


class Splittable:
    """Mixin for a registered Keras layer type: it describes and splits itself."""

    def trace_channels(
        self, tracer: Tracer, *inputs: Signal
    ) -> Signal | tuple[Signal, ...]:
        """Describes the layer to the tracer, as its Keras base class is described."""
        rule = rule_for(plain_class(type(self)))
        assert rule is not None, type(self)
        return rule(tracer, self, *inputs)

    def split_outputs(
        self, neurons: Iterable[int], *, epsilon: float = 0.0, seed: int = 0
    ) -> keras.layers.Layer:
        """A built copy of the layer in which some neurons are split in two.

        Args:
            neurons: output channels to split; the copies are appended. A layer that
                only keeps channels (BatchNormalization, ...) copies theirs.
            epsilon: relative step along random unit vectors; 0 for exact copies.
            seed: seed of the directions.

        Raises:
            ModelError: the layer has not been built.
            PlanError: there is no such neuron.
            SplittingError: another argument is out of range.

        Example:
            >>> layer = tf_splitting.layers.Dense(4)
            >>> layer.build((None, 3))
            >>> layer.split_outputs([1]).kernel.shape
            (3, 5)
        """
        return split_layer(self, neurons, "produced", epsilon=epsilon, seed=seed)

    def split_inputs(self, channels: Iterable[int]) -> keras.layers.Layer:
        """A built copy of the layer that reads some input channels twice, at half.

        Args:
            channels: input channels that were split; their copies come last.

        Raises:
            ModelError: the layer has not been built.
            PlanError: there is no such channel.
        """
        return split_layer(self, channels, "consumed")

    def remove_outputs(self, neurons: Iterable[int]) -> keras.layers.Layer:
        """A built copy of the layer without some neurons.

        Args:
            neurons: output channels to remove; two at least have to stay. A layer that
                only keeps channels (BatchNormalization, ...) drops theirs.

        Raises:
            ModelError: the layer has not been built.
            PlanError: there is no such neuron, or too few would stay.

        Example:
            >>> layer = tf_splitting.layers.Dense(4)
            >>> layer.build((None, 3))
            >>> layer.remove_outputs([1]).kernel.shape
            (3, 3)
        """
        return remove_from_layer(self, neurons, "produced")

    def remove_inputs(self, channels: Iterable[int]) -> keras.layers.Layer:
        """A built copy of the layer that reads some input channels no more.

        It computes what the layer computes where these channels are zero.

        Args:
            channels: input channels that were removed; two at least have to stay.

        Raises:
            ModelError: the layer has not been built.
            PlanError: there is no such channel, or too few would stay.
        """
        return remove_from_layer(self, channels, "consumed")


def _subclass(base: type) -> type:
    """The splittable version of a Keras layer class, registered for saving."""
    kind = type(
        base.__name__,
        (Splittable, base),
        {
            "__module__": __name__,
            "__doc__": f"`keras.layers.{base.__name__}` that can split its neurons.",
        },
    )
    return keras.saving.register_keras_serializable(PACKAGE)(kind)


Dense = _subclass(keras.layers.Dense)
Conv1D = _subclass(keras.layers.Conv1D)
Conv2D = _subclass(keras.layers.Conv2D)
Conv3D = _subclass(keras.layers.Conv3D)
Conv1DTranspose = _subclass(keras.layers.Conv1DTranspose)
Conv2DTranspose = _subclass(keras.layers.Conv2DTranspose)
Conv3DTranspose = _subclass(keras.layers.Conv3DTranspose)
SeparableConv1D = _subclass(keras.layers.SeparableConv1D)
SeparableConv2D = _subclass(keras.layers.SeparableConv2D)
DepthwiseConv1D = _subclass(keras.layers.DepthwiseConv1D)
DepthwiseConv2D = _subclass(keras.layers.DepthwiseConv2D)
BatchNormalization = _subclass(keras.layers.BatchNormalization)
PReLU = _subclass(keras.layers.PReLU)

SPLITTABLE = {
    kind.__mro__[2]: kind
    for kind in (
        Dense,
        Conv1D,
        Conv2D,
        Conv3D,
        Conv1DTranspose,
        Conv2DTranspose,
        Conv3DTranspose,
        SeparableConv1D,
        SeparableConv2D,
        DepthwiseConv1D,
        DepthwiseConv2D,
        BatchNormalization,
        PReLU,
    )
}


def plain_class(kind: type) -> type:
    """The Keras class behind a splittable one; any other class itself."""
    if not issubclass(kind, Splittable):
        return kind
    return next(
        base
        for base in kind.__mro__
        if issubclass(base, keras.layers.Layer) and not issubclass(base, Splittable)
    )


def splittable_class(kind: type) -> type:
    """The splittable version of a Keras class; any other class itself."""
    return SPLITTABLE.get(kind, kind)


def convert(model: keras.Model) -> keras.Model:
    """The same model built of splittable layers, weights and optimizer carried over.

    Raises:
        ModelError: the model is subclassed, or has not been built.

    Example:
        >>> model = tf_splitting.layers.convert(keras.applications.MobileNet())
    """
    return reclassed(model, splittable_class)


def to_plain(model: keras.Model) -> keras.Model:
    """The same model built of plain Keras layers, the inverse of `convert`.

    Raises:
        ModelError: the model is subclassed, or has not been built.
    """
    return reclassed(model, plain_class)


def is_splittable(model: keras.Model) -> bool:
    """Whether a model holds splittable layers, at any depth of nesting."""
    return any(
        isinstance(layer, Splittable)
        or (isinstance(layer, keras.Model) and is_splittable(layer))
        for layer in model.layers
    )
