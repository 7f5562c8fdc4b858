"""What every described layer must keep: one row per layer type, the same four checks.

Each row is what lies between the layer `before`, whose four channels come in, and the
layer `after`, which reads what comes out. Checked in float64:

    growable    the spaces that the row names may grow, and no others
    function    a random plan at ε = 0 changes no output, in both modes
    cost        MACs of the rebuilt model are those of the plan, and of a profiler
    index       vᵀSv is the second difference of a really split model's loss
"""

from types import SimpleNamespace

import brute
import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers, ops
from keras.src.applications.convnext import StochasticDepth

from tf_splitting import costs, count_macs, split, trace
from tf_splitting.tracing.rules.newer import existing_layers
from tf_splitting.tracing.rules.stock import CustomScaleLayer, LayerScale

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("float64_throughout")]


def chain(inputs, *calls):
    """Calls one after the other, with logits at the end."""
    x = inputs
    for call in calls:
        x = call(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def of_images(*middle):
    return chain(
        keras.Input((4, 4, 2)),
        layers.Conv2D(4, 1, activation="tanh", name="before"),
        *middle,
        layers.Conv2D(3, 1, activation="tanh", name="after"),
        layers.GlobalAveragePooling2D(),
    )


def of_rows(*middle):
    """Sequences of five steps with four channels."""
    return chain(
        keras.Input((5, 2)),
        layers.Conv1D(4, 1, activation="tanh", name="before"),
        *middle,
        layers.Dense(3, activation="tanh", name="after"),
        layers.GlobalAveragePooling1D(),
    )


def of_vectors(*middle):
    return chain(
        keras.Input((5,)),
        layers.Dense(4, activation="tanh", name="before"),
        *middle,
        layers.Flatten(name="flat"),
        layers.Dense(3, activation="silu", name="after"),
    )


def of_volumes(*middle):
    return chain(
        keras.Input((3, 3, 3, 2)),
        layers.Conv3D(4, 1, activation="tanh", name="before"),
        *middle,
        layers.Conv3D(3, 1, activation="tanh", name="after"),
        layers.GlobalAveragePooling3D(),
    )


def of_words(*middle):
    return chain(
        keras.Input((5,), dtype="int32"),
        *middle,
        layers.Dense(3, activation="tanh", name="after"),
        layers.GlobalAveragePooling1D(),
    )


def twice(merge, width=4):
    """Merges the signal with a second convolution of itself."""

    def join(x):
        other = layers.Conv2D(width, 1, activation="silu", name="beside")(x)
        return merge([x, other])

    return join


def gated(x):
    """A map of one channel scales all channels."""
    gate = layers.Conv2D(1, 1, activation="sigmoid", name="gate")(x)
    return layers.Multiply()([x, gate])


def slopes(**options):
    initial = keras.initializers.RandomUniform(0.1, 0.4)
    return layers.PReLU(alpha_initializer=initial, name="prelu", **options)


def heads(size, squash=lambda x: ops.softmax(x / 2, axis=-1)):
    """Heads are made, squashed one by one, and read."""

    def call(x):
        x = layers.EinsumDense(
            "abc,cde->abde", (None, 3, size), bias_axes="de", name="x"
        )(x)
        x = squash(x)
        return layers.EinsumDense("abde,dec->abc", (None, 4), bias_axes="c", name="y")(
            x
        )

    return call


def unfolded(x):
    """Outputs of a dense layer as heads, and back."""
    y = layers.Dense(6, name="x")(x)
    y = ops.reshape(y, (-1, 5, 3, 2))
    y = ops.transpose(ops.softmax(y, axis=-1), (0, 2, 1, 3))
    y = layers.Permute((2, 1, 3))(y)
    return x[..., :1] + layers.Reshape((5, 6))(y)


class LearnableAffine(layers.Layer):
    """A scale and a shift of all channels, as in HGNetV2."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.shift = self.add_weight(shape=(), initializer="zeros")

    def call(self, x):
        return self.scale * ops.tanh(x) + self.shift


class EachStep(layers.TimeDistributed):
    """Adds nothing to what it is."""


class ByPosition(layers.Layer):
    """A scale for every position, and none for channels."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[1], 1), initializer="ones")

    def call(self, x):
        return ops.tanh(x) * self.scale


class ScaledByPlace(layers.Layer):
    """Normalizes what is in each head, one scale for all of them, as Qwen3 does."""

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:], initializer="ones")
        self.built = True

    def call(self, x):
        y = x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 0.1)
        return self.scale * y + (1 + self.scale)


def in_pairs(x):
    """Heads two by two, as in grouped queries, and zeros where a mask says so."""
    y = ops.reshape(layers.Dense(12, name="x")(x), (-1, 5, 6, 2))
    y = ops.tanh(ops.reshape(y, (-1, 5, 3, 2, 2)))
    y = ops.reshape(y, (-1, 5, 6, 2))
    kept = (np.arange(5) % 2 == 0).reshape(1, 5, 1, 1)
    y = ops.where(ops.logical_not(kept), ops.zeros_like(y), y)
    return ops.reshape(y, (-1, 5, 12))


def rotated(x):
    """Heads of which every one is turned by its position, as rotary embeddings do."""
    y = ops.reshape(layers.Dense(12, name="x")(x), (-1, 5, 3, 4))
    first, second = ops.split(y, 2, axis=-1)
    turned = ops.reshape(ops.stack([-second, first], axis=-2), (-1, 5, 3, 4))
    angle = np.arange(20.0).reshape(1, 5, 1, 4)
    y = y * np.cos(angle) + turned * np.sin(angle)
    y = ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, 3, 20))
    y = ops.transpose(ops.reshape(ops.tanh(y), (-1, 3, 5, 4)), (0, 2, 1, 3))
    return ops.reshape(y, (-1, 5, 12))


def folded(x):
    return ops.mean(x, axis=-1)


def attention(**options):
    def call(x):
        return layers.MultiHeadAttention(3, 2, name="x", **options)(x, x)

    return call


def grouped_queries(x):
    return layers.GroupQueryAttention(2, 4, 2, name="x")(x, x)


def products(x):
    """Attention written out, one head for each channel of `x`."""
    q, k = (layers.Dense(3, name=name)(x)[..., None] for name in ("x", "keys"))
    q, k = (ops.transpose(each, (0, 2, 1, 3)) for each in (q, k))
    scores = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))))
    mixed = ops.einsum("abcd,abde->abce", scores, k)
    return ops.transpose(ops.squeeze(mixed, -1), (0, 2, 1))


FOUR = np.arange(2.0, 6.0)
SLOPES = np.array([0.5, -1.0, 2.0]).reshape(1, 3, 1, 1)


def attending(x, treated):
    """Attention written out; `treated` does something to the scores of its heads."""
    q, k, v = (
        layers.EinsumDense("abc,cde->abde", (None, 3, 2), bias_axes="de", name=name)(x)
        for name in ("q", "k", "v")
    )
    scores = treated(ops.einsum("bqnh,bknh->bnqk", q, k))
    mixed = ops.einsum("bnqk,bknh->bqnh", layers.Softmax()(scores), v)
    return ops.reshape(mixed, (-1, 5, 6))


def with_slopes(x):
    """Heads that have a number each, as those of Bloom."""
    distance = np.abs(np.arange(5.0)[:, None] - np.arange(5.0))
    return attending(x, lambda scores: scores + SLOPES * distance)


def with_slopes_of_data(x):
    """The same where distances come with the data, as Falcon's do."""
    places = ops.transpose(x[..., :1], (0, 2, 1))
    bias = ops.expand_dims(places * SLOPES.reshape(3, 1), 0)
    bias = ops.transpose(bias, (1, 2, 0, 3))
    return attending(x, lambda scores: scores + bias)


class RelativePositions(layers.Layer):
    """Attention with a number for each head and distance, as in T5 and Swin.

    Queries, keys and values are made by one layer, as they often are by hand.
    """

    def __init__(self, unstacked=True, **kwargs):
        super().__init__(**kwargs)
        self.unstacked = unstacked
        self.qkv = layers.Dense(18, name="qkv")

    def build(self, shape):
        self.qkv.build(shape)
        self.table = self.add_weight(shape=(9, 3), initializer="normal")
        self.built = True

    def call(self, x):
        batch, length, _ = ops.shape(x)
        y = ops.reshape(self.qkv(x), (batch, length, 3, 3, 2))
        y = ops.transpose(y, (2, 0, 3, 1, 4))
        q, k, v = ops.unstack(y, axis=0) if self.unstacked else (y[0], y[1], y[2])
        distance = np.arange(5)[:, None] - np.arange(5) + 4
        bias = ops.transpose(ops.take(self.table, distance, axis=0), (2, 0, 1))
        scores = q @ ops.transpose(k, (0, 1, 3, 2)) / 2 + ops.expand_dims(bias, 0)
        mixed = ops.transpose(ops.softmax(scores) @ v, (0, 2, 1, 3))
        return ops.reshape(mixed, (batch, length, 6))


def in_windows(x, mixed):
    """What `mixed` does in windows of 2 x 2 positions, folded into the batch."""
    y = ops.reshape(x, (-1, 2, 2, 2, 2, 4))
    y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 4, 4))
    y = ops.reshape(mixed(y), (-1, 2, 2, 2, 2, 4))
    return ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 4, 4, 4))


def conv_in_windows(x):
    conv = layers.Conv1D(6, 2, padding="same", activation="tanh", name="x")
    back = layers.Dense(4, name="y")
    return in_windows(x, lambda y: back(ops.tanh(conv(y)))) + x


class ShiftedWindows(layers.Layer):
    """Attention in windows, some of whose positions do not see others, as in Swin."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = MaskedWindow(name="attention")
        self.back = layers.Dense(4, name="back")

    def call(self, x):
        batch = ops.shape(x)[0]
        y = ops.reshape(ops.roll(x, 1, axis=1), (batch, 2, 2, 2, 2, 4))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, 4, 4))
        y = self.back(self.attention(y))
        count = ops.shape(y)[0] // 4
        y = ops.reshape(y, (count, 2, 2, 2, 2, 4))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (batch, 4, 4, 4))
        return x + ops.roll(y, -1, axis=1)


class MaskedWindow(RelativePositions):
    """The same with a mask for each of four windows."""

    def call(self, x):
        batch = ops.shape(x)[0]
        y = ops.reshape(self.qkv(x), (batch, 4, 3, 3, 2))
        q, k, v = ops.unstack(ops.transpose(y, (2, 0, 3, 1, 4)), axis=0)
        distance = np.arange(4)[:, None] - np.arange(4) + 4
        bias = ops.transpose(ops.take(self.table, distance, axis=0), (2, 0, 1))
        scores = q @ ops.transpose(k, (0, 1, 3, 2)) / 2 + ops.expand_dims(bias, 0)
        seen = np.random.default_rng(0).standard_normal((1, 4, 1, 4, 4))
        scores = ops.reshape(scores, (batch // 4, 4, 3, 4, 4)) + seen
        scores = ops.softmax(ops.reshape(scores, (batch, 3, 4, 4)))
        return ops.reshape(ops.transpose(scores @ v, (0, 2, 1, 3)), (batch, 4, 6))


def with_sinks(x):
    """Each head's scores sum to less than one, and are kept small, as in gpt-oss."""

    def treated(scores):
        sinks = ops.zeros_like(scores[..., :1]) + SLOPES
        scores = ops.concatenate([scores, sinks], axis=-1)
        most = ops.max(scores, axis=-1, keepdims=True)
        return ops.softmax(scores - ops.stop_gradient(most))[..., :-1]

    return attending(x, treated)


def with_mixed_heads(x):
    """Heads do not grow where their scores are mixed: the width of values does."""
    return attending(x, lambda scores: ops.cumsum(scores, axis=1))


def with_mixed_heads_unfolded(x):
    """The same with heads that are cut out of the outputs of dense layers."""
    q, k, v = (
        ops.transpose(
            ops.reshape(layers.Dense(6, name=name)(x), (-1, 5, 3, 2)), (0, 2, 1, 3)
        )
        for name in ("q", "k", "v")
    )
    scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2)))
    scores = ops.softmax(ops.cumsum(scores, axis=1))
    return ops.reshape(ops.transpose(scores @ v, (0, 2, 1, 3)), (-1, 5, 6))


class ChannelShuffle(layers.Layer):
    """ShuffleNet's: two groups of channels, interleaved; they grow alike."""

    def call(self, x):
        *positions, channels = ops.shape(x)
        x = ops.reshape(x, (*positions, 2, channels // 2))
        return ops.reshape(ops.swapaxes(x, -1, -2), (*positions, channels))


class AnotherName(layers.Conv2D):
    """Adds nothing to what it is."""


def to_words_and_back(x):
    embedding = layers.ReversibleEmbedding(
        7, 4, tie_weights=False, logit_soft_cap=2.0, name="x"
    )
    y = layers.Dense(4, activation="tanh", name="y")(embedding(x))
    return embedding(y, reverse=True)


def regular(x):
    """A block of a RegNet, its groups of two channels squeezed and excited."""
    y = x
    for name, layer in {
        "a": layers.Conv2D(6, 1, use_bias=False),
        "b": layers.Conv2D(6, 3, groups=3, padding="same", use_bias=False),
    }.items():
        layer.name = name
        y = layers.BatchNormalization(name=f"{name}_bn")(layer(y))
        y = layers.Activation("silu")(y)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(3, 1, activation="silu", name="reduce")(gate)
    y = y * layers.Conv2D(6, 1, activation="sigmoid", name="excite")(gate)
    return x + layers.Conv2D(4, 1, name="c")(y)


def beside_its_groups(x):
    """What a convolution in groups reads, another layer reads too."""
    y = layers.Conv2D(6, 1, groups=2, activation="tanh", name="x")(x)
    return layers.Concatenate()([y, x])


def groups_of_two(x):
    return layers.Conv2D(8, 1, groups=4, activation="tanh", name="x")(x)


def pieces(x):
    first, second = ops.split(x, [2], axis=1)
    second = ops.repeat(second[:, ::2], 2, axis=1)[:, :2]
    late = np.array([[[False], [True]]])
    return ops.where(True, ops.where(late, first, -0.5), 0.0) * second


def along_positions(x):
    x = ops.cumsum(ops.flip(ops.roll(x, 1, axis=1), axis=2), axis=1)
    x = ops.moveaxis(ops.diff(ops.rot90(x, axes=(1, 2)), axis=2), -1, 1)
    return ops.swapaxes(ops.triu(ops.tril(x, 2)), 1, -1)


def orders(x):
    x = ops.cumprod(ops.sort(x, axis=1) + 0.1, axis=2)
    return ops.normalize(ops.log_softmax(x, axis=1), axis=(1, 2))


def padded(x):
    x = ops.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]])
    x = ops.pad(x, [[0, 0], [0, 0], [1, 0], [0, 0]], constant_values=0.5)
    return ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="reflect")


def padded_channels(x):
    """A shortcut of a ResNet: channels that are zero are added to those there are."""
    wide = ops.pad(x, [[0, 0], [0, 0], [0, 0], [1, 2]])
    return ops.tanh(wide + layers.Conv2D(7, 1, name="mix")(x))


def rearranged(x):
    x = ops.stack([ops.take(x, [0, 2, 1], axis=1), x[:, 1:]], axis=3)
    x = ops.unstack(x, axis=3)
    x = ops.append(
        ops.take(x[0], 1, axis=1)[:, None],
        ops.tile(x[1], (1, 1, 2, 1))[:, :, :4],
        axis=1,
    )
    return ops.split(x, 2, axis=2)[1]


def reduced(x):
    mean, variance = ops.moments(x, axes=[1, 2], keepdims=True)
    y = ops.norm(x, axis=1, keepdims=True) + ops.median(x, axis=2, keepdims=True)
    return (x - mean) * variance + y * ops.amax(x, axis=1, keepdims=True)


def windows(x):
    x = ops.image.pad_images(x, 1, 1, target_height=6, target_width=6)
    x = ops.max_pool(ops.average_pool(x, 2, strides=1), 2, strides=1)
    return ops.image.crop_images(
        ops.image.resize(x, (5, 3), interpolation="nearest"),
        1,
        0,
        target_height=3,
        target_width=3,
    )


def more_elementwise(x):
    x = ops.arcsin(x / 2) + ops.arccosh(x + 3) + ops.arctanh(x / 3)
    return ops.divide_no_nan(ops.copy(ops.nan_to_num(x)), 2 + ops.erfinv(x / 9))


def fused_gate(x):
    """Gate and value from one layer, as in many language models."""
    gate, value = ops.split(layers.Dense(6, name="x")(x), 2, axis=-1)
    return ops.silu(gate) * value


@keras.saving.register_keras_serializable("contract")
class DropBranch(layers.Layer):
    """As people write stochastic depth: noise for each example, in training."""

    def __init__(self, rate=0.3, **options):
        super().__init__(**options)
        self.rate = rate
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, x, training=None):
        if not training:
            return x
        shape = (ops.shape(x)[0], *[1] * (len(x.shape) - 1))
        kept = 1 - self.rate + keras.random.uniform(shape, seed=self.seeds)
        return x / (1 - self.rate) * ops.floor(ops.cast(kept, x.dtype))


def masked_softmax(x):
    x = ops.transpose(x, (0, 2, 1))
    mask = np.tri(x.shape[-1], dtype=bool)[-2:-1]
    return ops.transpose(layers.Softmax()(x, mask=mask), (0, 2, 1))


def cut(x):
    """Parts of one layer's outputs, each of a width of its own."""
    a, b, c = ops.split(layers.Dense(9, name="x")(x), [2, 5], axis=-1)
    return ops.concatenate([c, ops.tanh(a), b * b[:, ::-1]], axis=-1)


def softmax_over_positions(x):
    x = ops.transpose(x, (0, 2, 1))
    return ops.transpose(layers.Activation("softmax")(x), (0, 2, 1))


def gated_linear(x):
    return ops.glu(ops.glu(layers.Dense(6, name="x")(x), axis=-1)[:, :4], axis=1)


L = layers
# Name: (model, names of the spaces between input and output that may grow).
ROWS = {
    # Producers.
    "dense": (lambda: of_vectors(L.Dense(5, "tanh", name="x")), "before x after"),
    "called_by_name": (
        lambda: of_vectors(lambda x: L.Dense(5, "tanh", name="x")(inputs=x)),
        "before x after",
    ),
    "conv1d": (
        lambda: of_rows(L.Conv1D(5, 3, padding="causal", name="x", activation="silu")),
        "before x after",
    ),
    "conv2d": (
        lambda: of_images(L.Conv2D(5, 3, dilation_rate=2, padding="same", name="x")),
        "before x after",
    ),
    "conv3d": (lambda: of_volumes(L.Conv3D(3, 2, name="x")), "before x after"),
    "conv1d_transpose": (
        lambda: of_rows(L.Conv1DTranspose(5, 3, strides=2, name="x")),
        "before x after",
    ),
    "conv2d_transpose": (
        lambda: of_images(
            L.Conv2DTranspose(3, 3, 2, "same", activation="tanh", name="x")
        ),
        "before x after",
    ),
    "conv3d_transpose": (
        lambda: of_volumes(L.Conv3DTranspose(3, 2, name="x")),
        "before x after",
    ),
    "separable1d": (
        lambda: of_rows(L.SeparableConv1D(3, 3, strides=2, padding="same", name="x")),
        "before x after",
    ),
    "separable2d": (
        lambda: of_images(
            L.SeparableConv2D(3, 3, depth_multiplier=2, activation="silu", name="x")
        ),
        "before x after",
    ),
    "embedding": (lambda: of_words(L.Embedding(5, 4, name="x")), "x after"),
    # Channel by channel.
    "depthwise1d": (
        lambda: of_rows(L.DepthwiseConv1D(3, depth_multiplier=2, activation="tanh")),
        "before after",
    ),
    "depthwise2d": (
        lambda: of_images(L.DepthwiseConv2D(3, depth_multiplier=3)),
        "before after",
    ),
    "one_group_per_channel": (
        lambda: of_images(L.Conv2D(8, 3, groups=4, activation="tanh", name="x")),
        "before after",
    ),
    "batch_normalization": (
        lambda: of_images(L.BatchNormalization(name="x")),
        "before after",
    ),
    "instance_normalization": (
        lambda: of_images(L.GroupNormalization(-1, name="x")),
        "before after",
    ),
    "prelu": (lambda: of_images(slopes()), "before after"),
    "prelu_shared_positions": (
        lambda: of_images(slopes(shared_axes=[1, 2])),
        "before after",
    ),
    "prelu_shared_channels": (
        lambda: of_images(slopes(shared_axes=[3])),
        "before after",
    ),
    "softmax_over_positions": (
        lambda: of_rows(L.Softmax(axis=1)),
        "before after",
    ),
    "layer_scale": (lambda: of_images(LayerScale(0.7, 4)), "before after"),
    "learnable_affine": (
        lambda: of_images(LearnableAffine(name="learnable_affine")),
        "before after",
    ),
    "stochastic_depth": (lambda: of_images(StochasticDepth(0.0)), "before after"),
    "resizing": (
        lambda: of_images(L.Resizing(3, 5, interpolation="nearest")),
        "before after",
    ),
    "up_sampling": (
        lambda: of_images(L.UpSampling2D()),
        "before after",
    ),
    "adaptive_pooling": (
        lambda: of_images(L.AdaptiveAveragePooling2D(2)),
        "before after",
    ),
    "reshape": (lambda: of_images(L.Reshape((2, 8, 4))), "before after"),
    "reshape_vector": (lambda: of_vectors(L.Reshape((1, 1, 4))), "before after"),
    "repeat_vector": (lambda: of_vectors(L.RepeatVector(3)), "before after"),
    "permute_positions": (lambda: of_images(L.Permute((2, 1, 3))), "before after"),
    "permute_channels": (
        lambda: of_rows(L.Permute((2, 1)), L.Permute((2, 1))),
        "before after",
    ),
    "flatten": (lambda: of_vectors(L.RepeatVector(2), L.Flatten()), "before after"),
    # Merging.
    "add": (lambda: of_images(twice(L.Add())), "before after"),
    "subtract": (lambda: of_images(twice(L.Subtract())), "before after"),
    "multiply": (lambda: of_images(twice(L.Multiply())), "before after"),
    "average": (lambda: of_images(twice(L.Average())), "before after"),
    "scaled_sum": (lambda: of_images(twice(CustomScaleLayer(0.3))), "before after"),
    "concatenate": (
        lambda: of_images(twice(L.Concatenate(), 3)),
        "before beside after",
    ),
    "broadcast_gate": (lambda: of_images(gated), "before after"),
    "sum_with_concatenation": (
        lambda: of_images(
            twice(L.Concatenate(), 2),
            lambda x: L.Add()([x, L.Conv2D(6, 1, name="across")(x)]),
        ),
        "before beside after",
    ),
    # Raw operations.
    "ops_arithmetic": (
        lambda: of_images(lambda x: ops.tanh(x) * 0.5 - 1 / (2 + x * x) + x),
        "before after",
    ),
    "ops_constant": (
        lambda: of_images(
            lambda x: x * np.ones((4, 4, 1)), lambda x: -ops.clip(x, -1, 1)
        ),
        "before after",
    ),
    "ops_sum": (
        lambda: of_images(twice(lambda xs: xs[0] + xs[1])),
        "before after",
    ),
    "ops_concatenate": (
        lambda: of_images(twice(lambda xs: ops.concatenate(xs, -1), 3)),
        "before beside after",
    ),
    "ops_mean": (
        lambda: of_images(lambda x: ops.mean(x, axis=(1, 2), keepdims=True)),
        "before after",
    ),
    "ops_mean_and_back": (
        lambda: of_images(lambda x: x * ops.expand_dims(ops.mean(x, axis=1), 1)),
        "before after",
    ),
    "ops_transpose": (
        lambda: of_images(
            lambda x: ops.transpose(x, (0, 3, 1, 2)),
            lambda x: ops.square(x),
            lambda x: ops.transpose(x, (0, 2, 3, 1)),
        ),
        "before after",
    ),
    "ops_along_positions": (lambda: of_images(along_positions), "before after"),
    "ops_orders": (lambda: of_images(orders), "before after"),
    "ops_pad": (lambda: of_images(padded), "before after"),
    "ops_pad_channels": (lambda: of_images(padded_channels), "before after"),
    "ops_rearranged": (lambda: of_images(rearranged), "before after"),
    "ops_tile": (lambda: of_images(lambda x: ops.tile(x, 2)), "before after"),
    "ops_reduced": (lambda: of_images(reduced), "before after"),
    "ops_windows": (lambda: of_images(windows), "before after"),
    "ops_more": (lambda: of_images(more_elementwise), "before after"),
    "ops_fused_gate": (lambda: of_rows(fused_gate), "before x after"),
    "ops_cut": (lambda: of_rows(cut), "before x x:2 x:3 after"),
    "activation_along_positions": (
        lambda: of_rows(softmax_over_positions),
        "before after",
    ),
    "softmax_with_an_array": (lambda: of_rows(masked_softmax), "before after"),
    "drop_branch": (lambda: of_images(DropBranch()), "before after"),
    "ops_glu": (lambda: of_rows(gated_linear), "before x after"),
    "ops_normalization": (
        lambda: of_rows(lambda x: ops.rms_normalization(x, axis=1)),
        "before after",
    ),
    # What is frozen behind, and no further.
    "lstm": (lambda: of_rows(L.LSTM(4, return_sequences=True)), "before after"),
    "gru": (lambda: of_rows(L.GRU(4, return_sequences=True)), "before after"),
    "bidirectional": (
        lambda: of_rows(L.Bidirectional(L.LSTM(2, return_sequences=True))),
        "before after",
    ),
    # What freezes its surroundings, and leaves the rest alone.
    "rms_normalization": (lambda: of_rows(L.RMSNormalization()), "after"),
    "ops_rms_normalization": (
        lambda: of_rows(lambda x: ops.rms_normalization(x, np.ones(4), axis=-1)),
        "after",
    ),
    "ops_along_channels": (
        lambda: of_rows(lambda x: ops.flip(ops.cumsum(x, axis=-1))),
        "after",
    ),
    "layer_normalization": (lambda: of_images(L.LayerNormalization()), "after"),
    "group_normalization": (lambda: of_images(L.GroupNormalization(2)), "after"),
    "masked_words": (
        lambda: of_words(
            L.Embedding(5, 4, mask_zero=True, name="e"), L.Dense(3, "tanh", name="x")
        ),
        "e x after",
    ),
    "masked_lstm": (
        lambda: of_words(
            L.Embedding(5, 4, mask_zero=True, name="e"),
            L.LSTM(3, return_sequences=True),
        ),
        "e after",
    ),
    # Heads.
    "einsum_dense": (
        lambda: of_rows(L.EinsumDense("...x,xy->...y", 4, bias_axes="y", name="x")),
        "before x after",
    ),
    "einsum_heads": (lambda: of_rows(heads(4)), "before x y after"),
    "einsum_kept": (
        lambda: of_rows(
            L.EinsumDense("abc,bd->adc", (6, 4), "tanh", bias_axes="dc", name="x")
        ),
        "before after",
    ),
    "einsum_each": (
        lambda: of_rows(L.EinsumDense("abc,cd->abcd", (5, 4, 3), name="x"), folded),
        "before after",
    ),
    "unfolded": (lambda: of_rows(unfolded), "x after"),
    "normalized_heads": (
        lambda: of_rows(heads(2, ScaledByPlace(name="scaled"))),
        "before x y after",
    ),
    "scaled_positions": (lambda: of_rows(ByPosition(name="scaled")), "before after"),
    "in_pairs": (lambda: of_rows(in_pairs), "before x after"),
    "rotated": (lambda: of_rows(rotated), "before x after"),
    "attention": (
        lambda: of_rows(attention()),
        "before x/query x/attention_output after",
    ),
    # So little that nothing is dropped; it goes another way than without.
    "attention_dropout": (
        lambda: of_rows(attention(dropout=1e-13)),
        "before x/query x/attention_output after",
    ),
    "attention_width": (
        lambda: of_rows(attention(value_dim=3, output_shape=5)),
        "before x/query x/attention_output after",
    ),
    "causal_attention": (
        lambda: of_rows(
            lambda x: L.MultiHeadAttention(2, 3, name="x")(x, x, use_causal_mask=True)
        ),
        "before x/query x/attention_output after",
    ),
    "grouped_queries": (
        lambda: of_rows(grouped_queries),
        "before x/value x/attention_output after",
    ),
    "channel_shuffle": (lambda: of_images(ChannelShuffle()), "before after"),
    "another_name": (
        lambda: of_images(AnotherName(3, 1, activation="tanh", name="x")),
        "before x after",
    ),
    "reversible": (lambda: of_words(to_words_and_back), "x after"),
    "another_name_of_steps": (
        lambda: of_rows(EachStep(L.Dense(5, "tanh", name="x"), name="each")),
        "before each/x after",
    ),
    "step_by_step": (
        lambda: of_volumes(
            L.TimeDistributed(L.Conv2D(5, 2, activation="tanh", name="x"), name="each"),
            L.TimeDistributed(L.BatchNormalization(name="bn"), name="all"),
        ),
        "before each/x after",
    ),
    "relative": (
        lambda: of_rows(RelativePositions(name="x")),
        "before x/qkv after",
    ),
    "relative_items": (
        lambda: of_rows(RelativePositions(unstacked=False, name="x")),
        "before x/qkv after",
    ),
    "conv_in_windows": (lambda: of_images(conv_in_windows), "before x after"),
    "shifted_windows": (
        lambda: of_images(ShiftedWindows(name="x")),
        "before x/attention/qkv after",
    ),
    "slopes": (lambda: of_rows(with_slopes), "before q after"),
    "slopes_of_data": (lambda: of_rows(with_slopes_of_data), "q after"),
    "sinks": (lambda: of_rows(with_sinks), "before q after"),
    "stop_gradient": (
        lambda: of_images(lambda x: x * ops.stop_gradient(ops.sigmoid(x))),
        "before after",
    ),
    "constants": (
        lambda: of_images(lambda x: ops.tanh(x * ops.arange(1.0, 5.0)) ** FOUR - FOUR),
        "before after",
    ),
    "value_width": (lambda: of_rows(with_mixed_heads), "before v after"),
    "value_width_unfolded": (
        lambda: of_rows(with_mixed_heads_unfolded),
        "before v after",
    ),
    "matmul": (lambda: of_rows(products), "before keys after"),
    "ops_pieces": (lambda: of_rows(pieces), "before after"),
    # Groups of several channels.
    "groups": (
        lambda: of_images(L.Conv2D(6, 3, groups=2, activation="tanh", name="x")),
        "before after",
    ),
    "causal_groups": (
        lambda: of_rows(
            L.Conv1D(2, 3, padding="causal", groups=2, use_bias=False, name="x")
        ),
        "before after",
    ),
    "volumes_in_groups": (
        lambda: of_volumes(L.Conv3D(4, 2, groups=2, name="x")),
        "before after",
    ),
    "groups_of_a_regnet": (lambda: of_images(regular), "before a reduce after"),
    "groups_read_elsewhere": (lambda: of_images(beside_its_groups), "before after"),
    "groups_of_a_concatenation": (
        lambda: of_images(twice(L.Concatenate(), 4), groups_of_two),
        "before beside after",
    ),
    # Two of the second are one of the first, and the other way round.
    "finer_groups": (
        lambda: of_images(L.Conv2D(8, 1, groups=2, name="y"), groups_of_two),
        "before after",
    ),
    "coarser_groups": (
        lambda: of_images(L.Conv2D(8, 1, groups=4, name="y"), beside_its_groups),
        "before after",
    ),
    "ops_reshape": (
        lambda: of_images(lambda x: ops.reshape(x, (-1, 2, 8, 4))),
        "before after",
    ),
    "lambda": (
        lambda: of_vectors(L.Lambda(lambda x: x[:, ::-1], output_shape=(4,))),
        "after",
    ),
}
if not existing_layers(["AdaptiveAveragePooling2D"]):
    del ROWS["adaptive_pooling"]
if not existing_layers(["ReversibleEmbedding"]):
    del ROWS["reversible"]
if ops.glu(keras.KerasTensor((None, 4))).shape != (None, 2):
    # Keras did not know then that its result is half as wide.
    del ROWS["ops_glu"]


# What takes a second and more, and does as others do.
SIBLINGS = {
    *("adaptive_pooling", "attention_dropout", "attention_width", "causal_attention"),
    *("causal_groups", "coarser_groups", "finer_groups", "groups_of_a_concatenation"),
    *("groups_of_a_regnet", "groups_read_elsewhere", "matmul", "one_group_per_channel"),
    *("ops_fused_gate", "ops_more", "ops_orders", "ops_rearranged", "ops_reduced"),
    *("sum_with_concatenation", "value_width_unfolded", "volumes_in_groups"),
}


@pytest.fixture(scope="module", params=ROWS)
def built(request, float64_throughout):
    """A row's model, traced, for all checks of the row."""
    build, growable = ROWS[request.param]
    keras.utils.set_random_seed(0)
    model = nets.compiled(nets.randomized(build()))
    return SimpleNamespace(
        name=request.param, model=model, graph=trace(model), growable=growable.split()
    )


@pytest.fixture
def row(built):
    """The same with its own weights, which training mode moves."""
    weights = built.model.get_weights()
    yield built
    built.model.set_weights(weights)


def test_weights_that_are_numbers_make_an_activation():
    """Whose derivatives estimates know."""
    model = ROWS["learnable_affine"][0]()
    (step,) = (s for s in trace(model).steps if s.layer == "learnable_affine")
    assert step.activation is not None


def test_growable_spaces(row):
    assert [space.name for space in row.graph.growable] == row.growable
    for space in row.graph.spaces:
        assert space.frozen is None or len(space.frozen) > 10


@pytest.mark.parametrize(
    "built", tiers.some(ROWS, ROWS.keys() - SIBLINGS), indirect=True
)
def test_function_and_cost(row):
    plan = nets.random_plan(row.graph, share=0.5)
    grown = split(row.model, plan, epsilon=0.0, verify=nets.images(row.model, 3))
    x = nets.images(row.model, 5)
    for training in (False, True):
        before = nets.outputs(row.model, x, training)
        after = nets.outputs(grown, x, training)
        assert nets.difference(before, after) < 1e-9
    planned = costs.COSTS["macs"](row.graph, plan.widths(row.graph))
    assert count_macs(grown) == planned
    assert trace(grown).widths == plan.widths(row.graph)


# Some of every kind.
INDEXED = {
    *("add", "attention", "batch_normalization", "concatenate", "conv1d", "conv2d"),
    *("conv2d_transpose", "dense", "depthwise2d", "einsum_dense", "embedding"),
    *("flatten", "groups", "grouped_queries", "in_pairs", "layer_scale", "lstm"),
    *("multiply", "ops_arithmetic", "ops_mean", "permute_channels", "prelu"),
    *("reshape", "rotated", "separable2d", "up_sampling", "value_width"),
    *(
        "relative",
        "stop_gradient",
        "shifted_windows",
        "slopes",
        "step_by_step",
        "conv_in_windows",
    ),
    "value_width_unfolded",
}


# With weights that a new neuron carries along.
CARRYING = {
    *("attention", "batch_normalization", "depthwise1d", "depthwise2d", "einsum_each"),
    *("einsum_heads", "einsum_kept", "grouped_queries", "groups", "layer_scale"),
    *("prelu", "prelu_shared_channels", "prelu_shared_positions", "separable1d"),
    *("relative", "separable2d", "slopes", "value_width"),
}


@pytest.mark.parametrize("built", tiers.few(ROWS, CARRYING), indirect=True)
@pytest.mark.parametrize("carried", tiers.some(["copy", "draw"], ["draw"]))
def test_fresh_neurons_keep_the_function(row, carried):
    plan = nets.random_plan(row.graph, share=0.5)
    grown = split(
        row.model,
        plan,
        epsilon="fresh",
        carried_kernels=carried,
        carried_scales=carried,
        verify=nets.images(row.model, 3),
    )
    x = nets.images(row.model, 5)
    for training in (False, True):
        before = nets.outputs(row.model, x, training)
        after = nets.outputs(grown, x, training)
        assert nets.difference(before, after) < 1e-9


@pytest.mark.parametrize("built", tiers.few(ROWS, INDEXED), indirect=True)
def test_splitting_index(row):
    if not row.growable:
        pytest.skip("nothing to split")
    data = nets.data(row.model)
    scores = brute.random_scores(row.model, data, kinks="prelu" in row.name)
    for space, score in scores.items():
        found = brute.curvature(row.model, data, {space: [1]}, scores)
        expected = pytest.approx(score.splitting_index[1], rel=1e-3, abs=1e-6)
        assert found == expected, space


@pytest.mark.parametrize("built", tiers.few(ROWS, INDEXED), indirect=True)
def test_what_steps_say_of_themselves(row):
    """`linear_part`, `activation`, `factor`, `shift`, `scaled` against `run`."""
    generator = np.random.default_rng(0)
    kernels = {weight.name: weight.variable for weight in row.graph.weights}
    x = keras.tree.flatten(nets.images(row.model, 3))
    values = dict(zip(row.graph.inputs, map(ops.convert_to_tensor, x), strict=True))
    for step in row.graph.steps:
        given = [values[i] for i in step.inputs]
        more = [kernels[step.kernel]] if step.kind == "linear" else []
        results = keras.tree.flatten(step.run(*given, *more))
        values.update(zip(step.outputs, results, strict=True))
        plain = len(given) - step.sides
        moved, sides = given[:plain], given[plain:]
        if step.linear_part is not None:
            changes = [ops.array(generator.standard_normal(m.shape)) for m in moved]
            shifted = [m + c for m, c in zip(moved, changes, strict=True)]
            expected = step.run(*shifted, *sides) - results[0]
            found = step.linear_part(*changes, *sides)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        if step.activation is not None:
            np.testing.assert_array_equal(step.activation(given[0]), results[0])
        if step.shift is not None:
            factor = 1 if step.factor is None else step.factor()
            found = given[0] * factor + step.shift()
            np.testing.assert_allclose(found, results[0], 1e-9)
        if step.scaled is not None:
            shape = [1] * len(results[0].shape)
            shape[step.axis] = results[0].shape[step.axis]
            factor = ops.array(generator.standard_normal(shape))
            found = step.scaled(factor)(*given, *more)
            np.testing.assert_allclose(found, factor * results[0], 1e-9)
