"""What the MobileNets share: input, activations, regularisation, strides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from tf_splitting.errors import ModelError
from tf_splitting.models.lookup import unknown_name
from tf_splitting.support import number, refused, truth, whole

Activation = str | Callable[..., Any]

# keras.applications' epsilon, kept so that loaded weights compute the same function.
BN_EPSILON = 1e-3

# ImageNet networks halve the resolution five times. Below this many pixels that
# leaves less than 3 x 3 positions for the last blocks.
SMALL_SIDE = 96


def check_input_shape(input_shape: Sequence[int]) -> tuple[int, int, int]:
    """`input_shape` as a tuple `(height, width, channels)`.

    Raises:
        ModelError: it is not three whole numbers of at least 1.
    """
    hint = "MACs depend on the size, so it must be fixed."
    expected = "(height, width, channels), three whole numbers"
    try:
        height, width, channels = input_shape
    except (TypeError, ValueError) as error:
        raise refused("input_shape", input_shape, expected, hint, ModelError) from error
    height, width, channels = (
        whole(f"input_shape[{k}]", n, at_least=1, hint=hint, error=ModelError)
        for k, n in enumerate((height, width, channels))
    )
    return height, width, channels


def fit_strides(
    strides: Sequence[int],
    output_stride: int | None,
    input_shape: tuple[int, int, int],
    *,
    small_output_stride: int,
) -> list[int]:
    """Sets the first strides to 1 until their product is `output_stride`.

    Args:
        strides: each 1 or 2, in the order of the layers.
        output_stride: input pixels per position of the last feature map, or None
            to choose by the input's shorter side: `small_output_stride` below 96
            pixels, else the product of `strides`.
        input_shape: `(height, width, channels)`.
        small_output_stride: the choice for small images.

    Raises:
        ModelError: `output_stride` is not a power of 2 that `strides` can reach.

    Example:

        >>> fit_strides([2, 1, 2, 2], 4, (32, 32, 3), small_output_stride=2)
        [1, 1, 2, 2]
    """
    halvings = sum(stride == 2 for stride in strides)
    whole("output_stride", output_stride, or_none=True, error=ModelError)
    if output_stride is None:
        small = min(input_shape[:2]) < SMALL_SIDE
        output_stride = small_output_stride if small else 2**halvings
    reachable = [2**n for n in range(halvings + 1)]
    if output_stride not in reachable:
        expected = f"None or one of {reachable}"
        raise refused("output_stride", output_stride, expected, error=ModelError)
    surplus = halvings - reachable.index(output_stride)
    fitted = []
    for stride in strides:
        drop = stride == 2 and surplus > 0
        surplus -= drop
        fitted.append(1 if drop else stride)
    return fitted


@dataclass(frozen=True)
class Parts:
    """Makes layers with one activation, weight decay, and kind of BN.

    `weight_decay` is the factor in `gradient += weight_decay * kernel`, as SGD's
    option of that name has it, so the penalty is half of it times the squared norm.
    Depthwise kernels are left out: they hold nine weights per channel, and
    Howard et al. (arXiv 1704.04861) found that decaying them costs accuracy.
    """

    activation: Activation
    weight_decay: float = 0.0
    bn_momentum: float = 0.99
    synchronized_bn: bool = False

    def __post_init__(self) -> None:
        check_activation("activation", self.activation)
        number("weight_decay", self.weight_decay, at_least=0, error=ModelError)
        momentum = self.bn_momentum
        number("bn_momentum", momentum, at_least=0, at_most=1, error=ModelError)
        truth("synchronized_bn", self.synchronized_bn, error=ModelError)

    def regularizer(self) -> keras.Regularizer | None:
        """The penalty on one kernel, None without weight decay."""
        return (
            keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None
        )

    def conv(
        self, filters: int, kernel_size: int, name: str, **options: Any
    ) -> layers.Layer:
        """A convolution in front of a BN, so without bias."""
        return layers.Conv2D(
            filters,
            kernel_size,
            padding="same",
            use_bias=False,
            kernel_regularizer=self.regularizer(),
            name=name,
            **options,
        )

    def norm(self, name: str) -> layers.Layer:
        """A BatchNormalization over the channels."""
        return layers.BatchNormalization(
            epsilon=BN_EPSILON,
            momentum=self.bn_momentum,
            # On other backends a batch is one whatever devices share it, and the
            # argument is refused.
            synchronized=self.synchronized_bn and _has_replicas(),
            name=name,
        )

    def act(self, name: str) -> layers.Layer:
        """The activation; the names end in `_relu` whichever it is, to load by name."""
        if self.activation == "relu6":
            return layers.ReLU(6.0, name=name)
        return layers.Activation(self.activation, name=name)


def _has_replicas() -> bool:
    return keras.backend.backend() == "tensorflow"


def image_input(
    input_shape: tuple[int, int, int], *, rescale: bool
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input, and the pixels as the first convolution wants them, in -1..1."""
    image = keras.Input(input_shape, name="image")
    if not rescale:
        return image, image
    return image, layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(image)


def check_activation(name: str, value: Any) -> None:
    """Refuses what Keras knows no activation by.

    Raises:
        UnknownNameError: it is a string, and no activation has that name.
        ModelError: it is no function either.
    """
    if callable(value) and not isinstance(value, type):
        return
    if not isinstance(value, str):
        raise refused(
            name, value, "the name of an activation, or a function", error=ModelError
        )
    try:
        keras.activations.get(value)
    except ValueError as error:
        known = [n for n in dir(keras.activations) if not n.startswith("_")]
        valid = set(known) - {"deserialize", "get", "serialize"}
        raise unknown_name(name, value, valid) from error


def check_head(
    classes: int,
    dropout: float,
    rescale: bool,
    classifier_activation: Activation | None,
    name: str,
) -> None:
    """Refuses what no classifier can have.

    Raises:
        UnknownNameError: `classifier_activation` is a string that names none.
        ModelError: `classes < 1`, `dropout` is outside `0 <= dropout < 1`, or another
            argument is something else.
    """
    whole("classes", classes, at_least=1, error=ModelError)
    number("dropout", dropout, at_least=0, below=1, error=ModelError)
    truth("rescale", rescale, error=ModelError)
    if classifier_activation is not None:
        check_activation("classifier_activation", classifier_activation)
    if not isinstance(name, str) or not name or "/" in name:
        raise refused("name", name, "a name without slashes", error=ModelError)
