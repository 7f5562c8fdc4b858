"""Small models with layers that are made of layers."""

import keras
import nets
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("composites")
class Residual(layers.Layer):
    """Two convolutions of one name, batch normalization, dropout, and a sum."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.width = width
        self.first = layers.Conv2D(width, 3, padding="same", name="conv")
        self.norm = layers.BatchNormalization(name="norm")
        self.dropout = layers.Dropout(0.3, seed=1, name="dropout")

    def build(self, shape):
        self.second = layers.Conv2D(shape[-1], 1, name="conv")
        self.first.build(shape)
        inner = (*shape[:-1], self.width)
        self.norm.build(inner)
        self.second.build(inner)
        self.built = True

    def call(self, x, training=None):
        y = ops.relu(self.norm(self.first(x), training=training))
        return x + self.second(self.dropout(y, training=training))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@keras.saving.register_keras_serializable("composites")
class Backwards(layers.Layer):
    """Its layers were made in another order than they are called in, and are alike."""

    def build(self, shape):
        self.second = layers.Dense(4, name="second")
        self.first = layers.Dense(4, "relu", name="first")
        self.second.build(shape)
        self.first.build(shape)
        self.built = True

    def call(self, x):
        return self.second(self.first(x))


@keras.saving.register_keras_serializable("composites")
class Stack(layers.Layer):
    """Composites in a composite."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = Residual(5, name="first"), Residual(6, name="second")

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)
        self.built = True

    def call(self, x):
        return self.second(self.first(x))


@keras.saving.register_keras_serializable("composites")
class Own(layers.Layer):
    """One with a weight that no layer in it has."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dense(4, name="inner")

    def build(self, shape):
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")

    def call(self, x):
        return self.inner(x) * self.scale


@keras.saving.register_keras_serializable("composites")
class Tokens(layers.Layer):
    """What a vision transformer reads itself: a class token, positions, scales."""

    def __init__(self, **options):
        super().__init__(**options)
        self.up = layers.Dense(5, "tanh", name="up")
        self.down = layers.Dense(4, name="down")

    def build(self, shape):
        self.up.build(shape)
        self.down.build((*shape[:-1], 5))
        options = {"initializer": "random_normal"}
        self.token = self.add_weight(shape=(1, 1, 4), name="token", **options)
        self.places = self.add_weight(shape=(7, 4), name="places", **options)
        self.scale = self.add_weight(shape=(4,), name="scale", **options)
        self.factor = self.add_weight(shape=(), name="factor", **options)
        self.limit = self.add_weight(
            shape=(), name="limit", initializer="ones", trainable=False
        )
        self.built = True

    def call(self, x):
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, 4))
        x = ops.concatenate([token, x], axis=1) + self.places
        hidden = ops.clip(self.factor * self.up(x), -self.limit, 0.5)
        return x + self.scale * self.down(hidden)


@keras.saving.register_keras_serializable("composites")
class Listed(layers.Layer):
    """Weights in a list and in a dictionary."""

    def __init__(self, **options):
        super().__init__(**options)
        self.up = layers.Dense(5, name="up")
        self.down = layers.Dense(4, name="down")

    def build(self, shape):
        self.up.build(shape)
        self.down.build((*shape[:-1], 5))
        options = {"initializer": "random_normal"}
        self.scales = [
            self.add_weight(shape=(5,), name=f"scale_{n}", **options) for n in (0, 1)
        ]
        self.shifts = {"out": self.add_weight(shape=(4,), name="shift", **options)}
        self.built = True

    def call(self, x):
        y = self.scales[0] * ops.tanh(self.up(x) + self.scales[1])
        return x * self.down(y) + self.shifts["out"]


@keras.saving.register_keras_serializable("composites")
class Linear(layers.Layer):
    """What Keras' guide to layers of one's own begins with."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units

    def build(self, shape):
        options = {"initializer": "random_normal"}
        self.w = self.add_weight(shape=(shape[-1], self.units), name="w", **options)
        self.b = self.add_weight(shape=(self.units,), name="b", **options)

    def call(self, x):
        return ops.matmul(x, self.w) + self.b


@keras.saving.register_keras_serializable("composites")
class Scale(layers.Layer):
    """A number for each channel."""

    def build(self, shape):
        self.scale = self.add_weight(
            shape=(shape[-1],), initializer="random_normal", name="scale"
        )

    def call(self, x):
        return x * ops.exp(ops.cast(self.scale, x.dtype))


@keras.saving.register_keras_serializable("composites")
class Summed(layers.Layer):
    """Attention's products, written out."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 2, 3), name="w")

    def call(self, x):
        return ops.tanh(ops.einsum("bsd,dhk->bshk", x, self.w))


@keras.saving.register_keras_serializable("composites")
class Scaled(layers.Layer):
    """A layer inside, and a number among the arguments."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(3, name="dense")

    def build(self, shape):
        self.dense.build(shape)
        self.built = True

    def call(self, x, factor=1.0):
        return factor * ops.tanh(self.dense(x))


@keras.saving.register_keras_serializable("composites")
class Gated(layers.Layer):
    """Two tensors come in, a list and a keyword; two go out, in a dictionary."""

    def __init__(self, **options):
        super().__init__(**options)
        self.up = layers.Dense(5, name="up")
        self.gate = layers.Dense(5, name="gate")
        self.down = layers.Dense(3, name="down")

    def build(self, pair, *args, **kwargs):
        for layer in (self.up, self.gate):
            layer.build((None, 4))
        self.down.build((None, 5))
        self.built = True

    def call(self, pair, bias=None):
        x, y = pair
        hidden = self.up(x) * ops.silu(self.gate(y))
        return {"out": self.down(hidden) + bias, "hidden": hidden}


@keras.saving.register_keras_serializable("composites")
class Hidden(layers.Layer):
    """Layers that hand on masks."""

    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True
        self.first = layers.Dense(5, "tanh", name="first")
        self.second = layers.Dense(4, name="second")

    def build(self, shape):
        self.first.build(shape)
        self.second.build((*shape[:-1], 5))
        self.built = True

    def call(self, x):
        return self.second(self.first(x))


@keras.saving.register_keras_serializable("composites")
class Written(Hidden):
    """It calls one layer, and writes out what the other would do."""

    def call(self, x):
        kernel = ops.transpose(ops.transpose(self.second.kernel))
        return ops.matmul(self.first(x), kernel) + self.second.bias


@keras.saving.register_keras_serializable("composites")
class Tied(layers.Layer):
    """One that is given a layer which others have too."""

    def __init__(self, layer, **options):
        super().__init__(**options)
        self.layer = layer

    def call(self, x):
        return ops.tanh(self.layer(x))

    def get_config(self):
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer}

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config.pop("layer"))
        return cls(layer, **config)


@keras.saving.register_keras_serializable("composites")
class Cached(layers.MultiHeadAttention):
    """Its shape inference is that of a class whose call takes less."""

    def build(self, x):
        super().build(x, x)

    def call(self, x, cache=None, attention_mask=None):
        return super().call(x, x, attention_mask=attention_mask)


@keras.saving.register_keras_serializable("composites")
class Swish(layers.Layer):
    """Without weights, so that it can be called on whatever there is."""

    def call(self, x):
        return x * ops.sigmoid(x)


@keras.saving.register_keras_serializable("composites")
class Causal(layers.Layer):
    """A decoder as in language models: it reads the sizes of what comes in."""

    def __init__(self, **options):
        super().__init__(**options)
        self.attention = Cached(2, 3, name="attention")
        self.swish = Swish(name="swish")
        self.up = layers.Dense(5, name="up")
        self.down = layers.Dense(4, name="down")

    def build(self, shape):
        self.attention.build(shape)
        self.up.build(shape)
        self.down.build((*shape[:-1], 5))
        self.built = True

    def call(self, x):
        batch, length, width = ops.shape(x)
        past = ops.tril(ops.ones((length, length), "bool"))
        mask = ops.broadcast_to(past, (batch, length, length))
        x = x + self.attention(self.swish(x), cache=None, attention_mask=mask)
        flat = ops.reshape(x, (batch * length, width))
        flat = self.down(self.swish(self.up(flat)))
        return x + ops.reshape(flat, (batch, length, width))

    def compute_output_shape(self, shape):
        return shape


class Remembering(layers.Layer):
    """It returns None beside a tensor, and leaves the length of that open."""

    def __init__(self, **options):
        super().__init__(**options)
        self.mix = layers.EinsumDense("abc,cd->abd", (None, 5), name="mix")
        self.dropout = layers.Dropout(0.3, seed=1, name="dropout")

    def build(self, shape):
        self.mix.build(shape)
        self.built = True

    def call(self, x, cache=None, training=None):
        batch = ops.shape(x)[0]
        x = self.dropout(ops.tanh(self.mix(x)), training=training)
        return ops.reshape(x, (batch, ops.shape(x)[1], 5)), cache


@keras.saving.register_keras_serializable("composites")
class Uncached(layers.Layer):
    """One with such a layer, which it does not tell whether it is trained."""

    def __init__(self, **options):
        super().__init__(**options)
        self.remembering = Remembering(name="remembering")
        self.down = layers.Dense(4, name="down")

    def build(self, shape):
        self.remembering.build(shape)
        self.down.build((*shape[:-1], 5))
        self.built = True

    def call(self, x):
        y, cache = self.remembering(x, cache=None)
        assert cache is None
        return x + self.down(y)


@keras.saving.register_keras_serializable("composites")
class Lettered(layers.Layer):
    """Attention written out, its axes named by capital letters."""

    def __init__(self, **options):
        super().__init__(**options)
        self.q, self.k, self.v = (
            layers.EinsumDense("BTD,DNH->BTNH", (None, 3, 2), name=name)
            for name in ("queries", "keys", "values")
        )
        self.out = layers.EinsumDense("BTNH,NHD->BTD", (None, 4), name="out")

    def build(self, shape):
        for each in (self.q, self.k, self.v):
            each.build(shape)
        self.out.build((*shape[:-1], 3, 2))
        self.built = True

    def call(self, x):
        scores = ops.softmax(ops.einsum("BTNH,BSNH->BNTS", self.q(x), self.k(x)))
        return x + self.out(ops.einsum("BNTS,BSNH->BTNH", scores, self.v(x)))


@keras.saving.register_keras_serializable("composites")
class Placed(layers.Layer):
    """Biases of heads by distance, whose places are a weight of whole numbers."""

    def build(self, shape):
        length = shape[1]
        self.both = layers.Dense(4, name="both")
        self.out = layers.Dense(shape[-1], name="out")
        self.both.build(shape)
        self.out.build((*shape[:-1], 4))
        self.table = self.add_weight((2 * length - 1, 2), name="table")
        places = np.arange(length)[:, None] - np.arange(length) + length - 1
        self.places = keras.Variable(places, trainable=False, dtype="int32")

    def call(self, x):
        length = x.shape[1]
        heads = ops.reshape(self.both(x), (-1, length, 2, 2))
        heads = ops.transpose(heads, (0, 2, 1, 3))
        biases = ops.take(self.table, ops.reshape(self.places, (-1,)), axis=0)
        biases = ops.transpose(ops.reshape(biases, (length, length, -1)), (2, 0, 1))
        scores = ops.matmul(heads, ops.transpose(heads, (0, 1, 3, 2))) + biases
        heads = ops.transpose(ops.matmul(ops.softmax(scores), heads), (0, 2, 1, 3))
        return x + self.out(ops.reshape(heads, (-1, length, 4)))


@keras.saving.register_keras_serializable("composites")
class Tiled(layers.Layer):
    """Positions looked up in a layer of its own, tiled for all of a batch."""

    def __init__(self, **options):
        super().__init__(**options)
        self.up = layers.Dense(5, name="up")
        self.places = layers.Embedding(5, 5, name="places")

    def build(self, shape):
        self.up.build(shape)
        self.places.build((None,))

    def call(self, x):
        places = self.places(ops.arange(5)[None])
        return ops.tanh(self.up(x) + ops.tile(places, [ops.shape(x)[0], 1, 1]))


@keras.saving.register_keras_serializable("composites")
class Named(layers.Layer):
    """It looks up what a number for each example stands for."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table = layers.Embedding(6, 3, name="table")
        self.up = layers.Dense(4, name="up")

    def build(self, shape):
        self.table.build(shape)
        self.up.build((*shape, 3))

    def call(self, x):
        return self.up(self.table(x))


@keras.saving.register_keras_serializable("composites")
class Dotted(layers.Layer):
    """Sums over axes, by a weight that is read twice in one way."""

    def build(self, shape):
        self.up = self.add_weight((shape[-1], 5), name="up")
        self.down = self.add_weight((5, 2, 2), name="down")

    def call(self, x):
        one, other = (
            ops.tanh(ops.tensordot(each, self.up, axes=1)) for each in (x, x[:, ::-1])
        )
        y = ops.tensordot(one * other, self.down, axes=[[2], [0]])
        return x + ops.reshape(y, ops.shape(x))


@keras.saving.register_keras_serializable("composites")
class Queried(layers.Layer):
    """Windows that attend with a query of their image: it reads how many there are."""

    def build(self, shapes):
        (*_, width), _ = shapes
        self.keys = layers.Dense(4, name="keys")
        self.values = layers.Dense(4, name="values")
        self.out = layers.Dense(width, name="out")
        self.keys.build((None, width))
        self.values.build((None, width))
        self.out.build((None, 4))

    def call(self, inputs):
        x, query = inputs
        windows = ops.shape(x)[0] // ops.shape(query)[0]
        scores = ops.matmul(
            ops.repeat(query, windows, axis=0),
            ops.transpose(self.keys(x), (0, 2, 1)),
        )
        return self.out(ops.tanh(ops.matmul(ops.softmax(scores), self.values(x))))


@keras.saving.register_keras_serializable("composites")
class Windows(layers.Layer):
    """Windows of a sequence, folded into the batch, beside what is not."""

    def build(self, shape):
        self.query = layers.Dense(4, name="query")
        self.query.build(shape)
        self.inner = Queried(name="inner")
        self.inner.build([(None, 2, shape[-1]), (None, 2, 4)])

    def call(self, x):
        batch, length, width = ops.shape(x)
        query = self.query(x[:, :2])
        y = self.inner([ops.reshape(x, (-1, 2, width)), query])
        return x + ops.reshape(y, (batch, length, width))


def residual():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", name="stem")(x)
    x = Residual(5, name="block")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def stack():
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", name="stem")(x)
    x = Stack(name="stack")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def sequential():
    """As an item of a Sequential model."""
    return keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2D(4, 3, activation="tanh", name="stem"),
            Residual(3, name="block"),
            layers.Flatten(),
            layers.Dense(nets.CLASSES, name="logits"),
        ]
    )


def weightless():
    """Layers without weights: a function, and a number that depends on a width."""
    x = inputs = keras.Input((6,))
    x = layers.Dense(5, name="first")(x)
    x = layers.Lambda(lambda x: x * ops.sigmoid(x), name="swish")(x)
    x = layers.Dense(4, name="second")(x)
    x = layers.Lambda(lambda x: ops.tanh(x) / x.shape[-1], name="scaled")(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def gated():
    inputs = [keras.Input((4,), name=name) for name in ("left", "right")]
    a, b = (layers.Dense(4, "tanh", name=f"of_{i.name}")(i) for i in inputs)
    bias = layers.Dense(3, name="bias")(b)
    outs = Gated(name="gated")([a, b], bias=bias)
    x = layers.Concatenate()([outs["out"], outs["hidden"]])
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def shared():
    x = inputs = keras.Input((3,))
    x = layers.Dense(3, "tanh", name="before")(x)
    layer = Scaled(name="shared")
    x = layer(layer(x))
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def tied():
    x = inputs = keras.Input((4,))
    layer = layers.Dense(4, name="both")
    x = layers.Dense(4, "tanh", name="free")(Tied(layer, name="tied")(layer(x)))
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def masked():
    words = keras.Input((5,), dtype="int32")
    x = layers.Embedding(5, 4, mask_zero=True, name="embedding")(words)
    x = Hidden(name="hidden")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(words, layers.Dense(nets.CLASSES, name="logits")(x))


def of_rows(layer, length=6):
    """A layer between two others, called with rows."""
    x = inputs = keras.Input((length, 3))
    x = layers.Dense(4, "tanh", name="before")(x)
    x = layer(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def causal():
    return of_rows(Causal(name="causal"))


def uncached():
    return of_rows(Uncached(name="uncached"))


def tokens():
    return of_rows(Tokens(name="tokens"))


def written():
    x = inputs = keras.Input((3,))
    x = layers.Dense(4, "tanh", name="before")(x)
    x = Written(name="written")(x)
    x = layers.Dense(5, "tanh", name="behind")(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def listed():
    x = inputs = keras.Input((3,))
    x = layers.Dense(4, "tanh", name="before")(x)
    x = Listed(name="listed")(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def linear():
    x = inputs = keras.Input((3,))
    x = Linear(5, name="first")(x)
    x = Scale(name="scale")(layers.Activation("tanh")(x))
    x = Linear(4, name="second")(x)
    x = layers.Activation("tanh")(x)
    return keras.Model(inputs, Linear(nets.CLASSES, name="logits")(x))


def summed():
    x = inputs = keras.Input((5, 3))
    x = Summed(name="heads")(x)
    x = layers.EinsumDense("bshk,hkd->bsd", (None, 4), name="out")(x)
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def lettered():
    return of_rows(Lettered(name="attention"), length=5)


def placed():
    return of_rows(Placed(name="placed"), length=5)


def dotted():
    return of_rows(Dotted(name="dotted"), length=5)


def tiled():
    return of_rows(Tiled(name="tiled"), length=5)


def rated():
    """As who meets what is recommended."""
    one, other = (keras.Input((), dtype="int32", name=n) for n in ("one", "other"))
    x, y = Named(name="first")(one), Named(name="second")(other)
    x = layers.Concatenate()([layers.Dot(1)([x, y]), x])
    return keras.Model([one, other], layers.Dense(nets.CLASSES, name="logits")(x))


def windowed():
    return of_rows(Windows(name="windows"), length=6)


ALL = {
    "residual": residual,
    "stack": stack,
    "sequential": sequential,
    "weightless": weightless,
    "gated": gated,
    "shared": shared,
    "masked": masked,
    "tied": tied,
    "causal": causal,
    "uncached": uncached,
    "tokens": tokens,
    "written": written,
    "listed": listed,
    "linear": linear,
    "summed": summed,
    "lettered": lettered,
    "placed": placed,
    "dotted": dotted,
    "rated": rated,
    "tiled": tiled,
    "windowed": windowed,
}
