"""MobileNet V1 with a free width for every layer.

Source: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for
Mobile Vision Applications" (arXiv 1704.04861). Layers, names, shapes and padding
are those of `keras.applications.MobileNet`.
"""

from collections.abc import Sequence

import keras
from keras import layers

from tf_splitting.models.parts import (
    Activation,
    Parts,
    check_head,
    check_input_shape,
    fit_strides,
    image_input,
)
from tf_splitting.models.widths import check_scaling, make_divisible, resolve

STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)

# The order of `widths`: the stem, then the pointwise convolution of each block.
WIDTH_LAYERS = ("conv1", *(f"conv_pw_{block}" for block in range(1, 14)))

WIDTHS = {
    "full": (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024),
    # Chosen here: the released code (dilinwang820/fast-energy-aware-splitting) ships
    # no ImageNet seed for V1, only its cost, 0.059 GMACs. About 0.31 of the full
    # widths, in multiples of 8: 0.0594 G.
    "seed": (8, 16, 40, 40, 80, 80, *[160] * 6, 320, 320),
    # `splitcfg` in mbv1_cifar100/config.py of the released code.
    "cifar_seed": (8, 8, 8, 8, 16, 16, *[24] * 6, 32, 32),
}


def scale_widths(
    widths: Sequence[int], multiplier: float, divisor: int | None = None
) -> list[int]:
    """Multiplies all widths; by default to the nearest whole number.

    Example:

        >>> scale_widths((32, 64), 0.75)
        [24, 48]
    """
    check_scaling(multiplier, divisor)
    return [make_divisible(width * multiplier, divisor or 1) for width in widths]


def mobilenet_v1(
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    *,
    widths: str | Sequence[int] = "seed",
    width_multiplier: float = 1.0,
    divisor: int | None = None,
    activation: Activation = "swish",
    dropout: float = 1e-3,
    rescale: bool = True,
    classifier_activation: Activation | None = None,
    weight_decay: float = 0.0,
    bn_momentum: float = 0.99,
    synchronized_bn: bool = False,
    output_stride: int | None = None,
    name: str = "mobilenet_v1",
) -> keras.Model:
    """Builds MobileNet V1 as a Functional model of plain Keras layers.

    Args:
        input_shape: `(height, width, channels)`, pixels.
        classes: number of outputs.
        widths: output channels of 14 layers, in the order conv1, conv_pw_1, ...,
            conv_pw_13 (a depthwise layer has its input's width), or a name: "seed"
            (0.059 GMACs at 224 pixels, chosen to meet the published cost), "full"
            (Howard et al., 0.569 G) or "cifar_seed" (the seed of the paper's
            CIFAR-100 runs, 0.00055 G at 32 pixels).
        width_multiplier: scales every width, to the nearest multiple of `divisor`.
        divisor: 8 for widths that hardware likes; None stands for 1, which is what
            `keras.applications` computes for its published multipliers.
        activation: "swish" is the paper's choice, because splitting lives on the
            second derivative, which ReLU lacks. "relu6" is the original network's;
            take it to load published weights. Any Keras activation will do.
        dropout: rate in front of the classifier; 0 leaves the layer out.
        rescale: the model takes raw pixels, 0..255, and maps them to -1..1 itself.
        classifier_activation: None returns logits; "softmax" probabilities.
        weight_decay: factor in `gradient += weight_decay * kernel`, for all kernels
            but the depthwise ones.
        bn_momentum: of the moving statistics.
        synchronized_bn: batch statistics of all replicas of a MirroredStrategy
            together, as those of one device would be. Nothing changes elsewhere.
        output_stride: input pixels per position of the last feature map; the first
            strides are 1 until it is met. None: 32, and 16 below 96 pixels, which at
            32 pixels gives the paper's CIFAR-100 network (stem of stride 1).
        name: of the model.

    Returns:
        A model `[batch, height, width, channels] -> [batch, classes]`.

    Raises:
        UnknownNameError: `widths` is a string that names no preset, or an activation
            one that names none.
        ModelError: another argument is outside what is described above.

    Example:

        >>> model = mobilenet_v1((32, 32, 3), classes=100, widths="cifar_seed")
        >>> model.output_shape
        (None, 100)
    """
    shape = check_input_shape(input_shape)
    check_head(classes, dropout, rescale, classifier_activation, name)
    channels = resolve(widths, WIDTHS, WIDTH_LAYERS)
    check_scaling(width_multiplier, divisor)
    if width_multiplier != 1 or divisor is not None:
        channels = scale_widths(channels, width_multiplier, divisor)
    strides = fit_strides(STRIDES, output_stride, shape, small_output_stride=16)
    parts = Parts(activation, weight_decay, bn_momentum, synchronized_bn)

    image, x = image_input(shape, rescale=rescale)
    x = parts.conv(channels[0], 3, "conv1", strides=strides[0])(x)
    x = parts.norm("conv1_bn")(x)
    x = parts.act("conv1_relu")(x)
    for block in range(1, len(channels)):
        x = _block(x, parts, channels[block], strides[block], block)

    x = layers.GlobalAveragePooling2D(keepdims=True, name="global_average_pooling2d")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(
        classes, 1, kernel_regularizer=parts.regularizer(), name="conv_preds"
    )(x)
    x = layers.Reshape((classes,), name="reshape_2")(x)
    x = layers.Activation(classifier_activation, name="predictions")(x)
    return keras.Model(image, x, name=name)


def _block(
    x: keras.KerasTensor, parts: Parts, filters: int, stride: int, block: int
) -> keras.KerasTensor:
    """Depthwise 3x3, then pointwise to `filters` channels."""
    if stride == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{block}")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="valid" if stride == 2 else "same",
        use_bias=False,
        name=f"conv_dw_{block}",
    )(x)
    x = parts.norm(f"conv_dw_{block}_bn")(x)
    x = parts.act(f"conv_dw_{block}_relu")(x)
    x = parts.conv(filters, 1, f"conv_pw_{block}")(x)
    x = parts.norm(f"conv_pw_{block}_bn")(x)
    return parts.act(f"conv_pw_{block}_relu")(x)
