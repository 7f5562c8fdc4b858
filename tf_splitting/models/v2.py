"""MobileNet V2 with a free width for every layer.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
(arXiv 1801.04381). Layers, names, shapes and padding are those of
`keras.applications.MobileNetV2`.
"""

from collections.abc import Sequence

import keras
from keras import layers

from tf_splitting.errors import ModelError
from tf_splitting.models.lookup import unknown_name
from tf_splitting.models.parts import (
    Activation,
    Parts,
    check_head,
    check_input_shape,
    fit_strides,
    image_input,
)
from tf_splitting.models.widths import check_scaling, make_divisible, resolve

# The stem, then one entry per block.
STRIDES = (2, 1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)

# Blocks that repeat the one before: same resolution, same width, so a shortcut.
SHORTCUT_BLOCKS = frozenset({2, 4, 5, 7, 8, 9, 11, 12, 14, 15})

SHORTCUTS = ("identity", "conv")

# The order of `widths`.
WIDTH_LAYERS = (
    "Conv1",
    "expanded_conv_project",
    *(
        f"block_{block}_{part}"
        for block in range(1, 17)
        for part in ("expand", "project")
    ),
    "Conv_1",
)

# One line per stage, an expansion and a projection for each of its blocks.
# fmt: off
WIDTHS = {
    "full": (
        32, 16,
        96, 24, 144, 24,
        144, 32, 192, 32, 192, 32,
        192, 64, 384, 64, 384, 64, 384, 64,
        384, 96, 576, 96, 576, 96,
        576, 160, 960, 160, 960, 160,
        960, 320,
        1280,
    ),
    # `splitcfg` in mbv2_imagenet/config.py of the paper's released code
    # (dilinwang820/fast-energy-aware-splitting), its lone 100 included.
    "seed": (
        11, 6,
        30, 8, 40, 8,
        40, 11, 55, 11, 55, 11,
        55, 22, 110, 22, 110, 22, 100, 22,
        110, 33, 165, 33, 165, 33,
        165, 56, 280, 56, 280, 56,
        280, 112,
        448,
    ),
}
# fmt: on


def scale_widths(
    widths: Sequence[int], multiplier: float, divisor: int | None = None
) -> list[int]:
    """Multiplies the widths as `keras.applications` does.

    Projections go to a multiple of `divisor` (None stands for 8), expansions keep
    their ratio to the block's input, and the last convolution is never narrowed.

    Example:

        >>> scale_widths(WIDTHS["full"], 0.5)[:4]
        [16, 8, 48, 16]
    """
    check_scaling(multiplier, divisor)
    divisor = divisor or 8

    def scaled(width: int) -> int:
        return make_divisible(int(width * multiplier), divisor)

    new = [scaled(width) for width in widths]
    for expand in range(2, len(widths) - 1, 2):
        ratio = widths[expand] / widths[expand - 1]
        new[expand] = max(1, round(new[expand - 1] * ratio))
    if multiplier <= 1:
        new[-1] = make_divisible(widths[-1], divisor)
    return new


def mobilenet_v2(
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    *,
    widths: str | Sequence[int] = "seed",
    width_multiplier: float = 1.0,
    divisor: int | None = None,
    shortcut: str = "identity",
    activation: Activation = "swish",
    dropout: float = 0.0,
    rescale: bool = True,
    classifier_activation: Activation | None = None,
    weight_decay: float = 0.0,
    bn_momentum: float = 0.99,
    synchronized_bn: bool = False,
    output_stride: int | None = None,
    name: str = "mobilenet_v2",
) -> keras.Model:
    """Builds MobileNet V2 as a Functional model of plain Keras layers.

    Args:
        input_shape: `(height, width, channels)`, pixels.
        classes: number of outputs.
        widths: output channels of 35 layers, in the order Conv1,
            expanded_conv_project, then block_1_expand, block_1_project, ...,
            block_16_expand, block_16_project, then Conv_1 (a depthwise layer has its
            input's width), or a name: "seed" (the paper's, 0.0377 GMACs at 224
            pixels, 0.0391 with `shortcut="conv"`) or "full" (Sandler et al.,
            0.301 G).
        width_multiplier: scales the widths by `keras.applications`' rule: multiples
            of `divisor`, expansion ratios kept, Conv_1 never narrowed.
        divisor: None stands for 8, and leaves `widths` alone at multiplier 1.
        shortcut: "identity" adds a block's input to its output, which ties the
            widths of a whole stage; "conv" passes it through a 1x1 convolution
            first, as the paper does, which leaves every block's width free.
        activation: "swish" is the paper's choice, because splitting lives on the
            second derivative, which ReLU lacks. "relu6" is the original network's;
            take it to load published weights. Any Keras activation will do.
        dropout: rate in front of the classifier; 0 leaves the layer out.
        rescale: the model takes raw pixels, 0..255, and maps them to -1..1 itself.
        classifier_activation: None returns logits; "softmax" probabilities.
        weight_decay: factor in `gradient += weight_decay * kernel`, for all kernels
            but the depthwise ones.
        bn_momentum: of the moving statistics. `keras.applications` has 0.999, whose
            statistics need more steps than a short growing round takes.
        synchronized_bn: batch statistics of all replicas of a MirroredStrategy
            together, as those of one device would be. Nothing changes elsewhere.
        output_stride: input pixels per position of the last feature map; the first
            strides are 1 until it is met. None: 32, and 8 below 96 pixels: at 32
            pixels the stem and the first strided block have stride 1.
        name: of the model.

    Returns:
        A model `[batch, height, width, channels] -> [batch, classes]`.

    Raises:
        UnknownNameError: `widths`, `shortcut` or an activation names nothing.
        ModelError: another argument is outside what is described above, or an
            identity shortcut would join two widths.

    Example:

        >>> mobilenet_v2((96, 96, 3), classes=10).output_shape
        (None, 10)
    """
    shape = check_input_shape(input_shape)
    check_head(classes, dropout, rescale, classifier_activation, name)
    if not isinstance(shortcut, str) or shortcut not in SHORTCUTS:
        raise unknown_name("shortcut", shortcut, SHORTCUTS)
    channels = resolve(widths, WIDTHS, WIDTH_LAYERS)
    check_scaling(width_multiplier, divisor)
    if width_multiplier != 1 or divisor is not None:
        channels = scale_widths(channels, width_multiplier, divisor)
    strides = fit_strides(STRIDES, output_stride, shape, small_output_stride=8)
    parts = Parts(activation, weight_decay, bn_momentum, synchronized_bn)

    image, x = image_input(shape, rescale=rescale)
    x = parts.conv(channels[0], 3, "Conv1", strides=strides[0])(x)
    x = parts.norm("bn_Conv1")(x)
    x = parts.act("Conv1_relu")(x)
    x = _bottleneck(x, parts, channels[1], strides[1], "expanded_conv_")
    for block in range(1, 17):
        prefix = f"block_{block}_"
        entry = x
        expand, project = channels[2 * block], channels[2 * block + 1]
        x = parts.conv(expand, 1, f"{prefix}expand")(x)
        x = parts.norm(f"{prefix}expand_BN")(x)
        x = parts.act(f"{prefix}expand_relu")(x)
        x = _bottleneck(x, parts, project, strides[block + 1], prefix)
        if block in SHORTCUT_BLOCKS:
            x = _add_shortcut(entry, x, parts, shortcut, prefix)

    x = parts.conv(channels[-1], 1, "Conv_1")(x)
    x = parts.norm("Conv_1_bn")(x)
    x = parts.act("out_relu")(x)
    x = layers.GlobalAveragePooling2D(name="global_average_pooling2d")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Dense(
        classes,
        activation=classifier_activation,
        kernel_regularizer=parts.regularizer(),
        name="predictions",
    )(x)
    return keras.Model(image, x, name=name)


def _bottleneck(
    x: keras.KerasTensor, parts: Parts, filters: int, stride: int, prefix: str
) -> keras.KerasTensor:
    """Depthwise 3x3, then a linear projection to `filters` channels."""
    if stride == 2:
        # One pixel in all on an even side and two on an odd one, as TF's "same".
        padding = tuple((side % 2, 1) for side in x.shape[1:3])
        x = layers.ZeroPadding2D(padding, name=f"{prefix}pad")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="valid" if stride == 2 else "same",
        use_bias=False,
        name=f"{prefix}depthwise",
    )(x)
    x = parts.norm(f"{prefix}depthwise_BN")(x)
    x = parts.act(f"{prefix}depthwise_relu")(x)
    x = parts.conv(filters, 1, f"{prefix}project")(x)
    return parts.norm(f"{prefix}project_BN")(x)


def _add_shortcut(
    entry: keras.KerasTensor,
    x: keras.KerasTensor,
    parts: Parts,
    shortcut: str,
    prefix: str,
) -> keras.KerasTensor:
    """Adds the block's input, as it is or through a learned 1x1 convolution."""
    if shortcut == "conv":
        entry = parts.conv(x.shape[-1], 1, f"{prefix}shortcut")(entry)
    elif entry.shape[-1] != x.shape[-1]:
        raise ModelError(
            f"{prefix}project has width {x.shape[-1]}, but the block's input, which "
            f"an identity shortcut adds to it, has {entry.shape[-1]}. Make them equal "
            'or pass shortcut="conv".'
        )
    return layers.Add(name=f"{prefix}add")([entry, x])
