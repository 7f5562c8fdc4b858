"""Random small Keras models, for property tests.

A model is drawn as a `Recipe`: plain data, which hypothesis can shrink and print.
`build` turns any recipe into a model. It never refuses one: operands are chosen by
index modulo the tensors there are, sizes that do not fit are mended, and an operation
that fits nothing is left out. Index 0 is the latest tensor, so that the simplest
recipes are chains.

`LAYERS` (one tensor in, one out, also the parts of Sequential models) and
`STRUCTURES` (everything else) list what is drawn: a new kind is one entry there.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers, ops

from tf_splitting.requirements import KERAS


class Recipe(NamedTuple):
    """A model as plain data.

    Attributes:
        inputs: shape of every input, without the batch axis.
        ops: what is done to them, in order: each a dict of "op" and its settings.
        ends: how the tensors that leave become outputs.
        sequential: build a Sequential model of those ops that can be parts of one.
        seed: of the weights.
    """

    inputs: tuple
    ops: list
    ends: list
    sequential: bool
    seed: int


class Built(NamedTuple):
    """A model, and what its recipe came to: the kinds of operations it consists of."""

    model: Any
    features: set


class Kind(NamedTuple):
    """A kind of operation: strategies of its settings, and what it does."""

    settings: dict
    apply: Callable


_WIDTH = st.sampled_from((3, 2, 4, 1))
_OPERAND = st.sampled_from((0, 0, 0, 0, 1, 2, 3))
_ACTIVATION = st.sampled_from(
    (None, "relu", "tanh", None, "silu", "tanh", "gelu", None, "softmax")
)
_PADDING = st.sampled_from(("same", "valid"))
_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
_MERGE = st.sampled_from(_MERGES)
_BIASED = {"activation": _ACTIVATION, "use_bias": st.booleans()}
_KERNEL = {"size": st.integers(1, 3), "padding": _PADDING, **_BIASED}
_LARGEST = 8  # positions along an axis


# Layers -----------------------------------------------------------------------
# `make(shape, **settings)` makes a layer for a tensor of this shape, or None.


def _rank(shape):
    """Number of axes of positions."""
    return len(shape) - 2


def _of_rank(name, shape):
    """The layer class of this name for as many axes of positions, or None."""
    return getattr(layers, f"{name}{_rank(shape)}D", None)


def _dense(shape, units, activation, use_bias):
    return layers.Dense(units, activation=activation, use_bias=use_bias)


def _fitting(shape, size, padding, dilation=1):
    """Settings of a window; "same" where it would be larger than the image."""
    fits = (size - 1) * dilation < min(shape[1:-1])
    return {"kernel_size": size, "padding": padding if fits else "same"}


def _conv(shape, filters, size, strides, dilation, padding, groups, **rest):
    kind = _of_rank("Conv", shape)
    if kind is None:
        return None
    if groups is None:  # one group per channel
        groups = shape[-1]
        filters *= groups
    return kind(
        filters,
        **_fitting(shape, size, padding, dilation),
        strides=1 if dilation > 1 else strides,
        dilation_rate=dilation,
        groups=groups if filters % groups == shape[-1] % groups == 0 else 1,
        **rest,
    )


def _depthwise(shape, size, strides, padding, multiplier, **rest):
    kind = _of_rank("DepthwiseConv", shape)
    if kind is None:
        return None
    window = _fitting(shape, size, padding)
    return kind(strides=strides, depth_multiplier=multiplier, **window, **rest)


def _separable(shape, filters, size, strides, padding, multiplier, **rest):
    kind = _of_rank("SeparableConv", shape)
    if kind is None:
        return None
    window = _fitting(shape, size, padding)
    return kind(filters, strides=strides, depth_multiplier=multiplier, **window, **rest)


def _transposed(shape, filters, size, strides, padding, **rest):
    kind = getattr(layers, f"Conv{_rank(shape)}DTranspose", None)
    if kind is None or max(shape[1:-1]) * strides + size > _LARGEST + 2:
        return None
    return kind(filters, size, strides=strides, padding=padding, **rest)


def _batch_norm(shape, scale, center):
    return layers.BatchNormalization(scale=scale, center=center)


def _activation(shape, activation):
    if activation in ("ReLU", "LeakyReLU", "ELU"):
        return getattr(layers, activation)()
    return layers.Activation(activation)


def _prelu(shape, share_positions):
    axes = list(range(1, len(shape) - 1)) if share_positions else None
    return layers.PReLU(shared_axes=axes)


def _pool(shape, kind, strides, padding):
    pooling = _of_rank(f"{kind}Pooling", shape)
    if pooling is None or min(shape[1:-1]) < 2:
        return None
    return pooling(2, strides=strides, padding=padding)


def _zero_padding(shape):
    kind = _of_rank("ZeroPadding", shape)
    return kind(1) if kind and max(shape[1:-1]) + 2 <= _LARGEST else None


def _cropping(shape):
    kind = _of_rank("Cropping", shape)
    return kind(1) if kind and min(shape[1:-1]) > 2 else None


def _up_sampling(shape):
    # Bilinear resizing computes in float32 whatever it is given.
    kind = _of_rank("UpSampling", shape)
    return kind(2) if kind and 2 * max(shape[1:-1]) <= _LARGEST else None


def _global_pool(shape, kind, keepdims):
    pooling = _of_rank(f"Global{kind}Pooling", shape)
    return pooling and pooling(keepdims=keepdims)


def _reshape(shape, inferred):
    """Positions in one row; a vector becomes an image of one position."""
    target = [math.prod(shape[1:-1]), shape[-1]] if _rank(shape) else [1, 1, shape[-1]]
    # Before 3.12 a layer keeps what -1 was when it was built, whatever it is called on.
    if inferred is not None and KERAS >= (3, 12):
        target[inferred % len(target)] = -1
    return layers.Reshape(target)


def _permute(shape, turns):
    """The axes behind the batch, turned by one or more places."""
    axes = list(range(1, len(shape)))
    turns %= len(axes)
    return layers.Permute(axes[turns:] + axes[:turns])


def _group_norm(shape, per_channel):
    return layers.GroupNormalization(-1 if per_channel else 1)


LAYERS = {
    "dense": Kind({"units": _WIDTH, **_BIASED}, _dense),
    "conv": Kind(
        {
            "filters": _WIDTH,
            "strides": st.sampled_from((1, 1, 2)),
            "dilation": st.sampled_from((1, 1, 2)),
            "groups": st.sampled_from((1, 1, 1, 2, None)),
            **_KERNEL,
        },
        _conv,
    ),
    "depthwise": Kind(
        {"strides": st.integers(1, 2), "multiplier": st.integers(1, 2), **_KERNEL},
        _depthwise,
    ),
    "separable": Kind(
        {
            "filters": _WIDTH,
            "strides": st.integers(1, 2),
            "multiplier": st.integers(1, 2),
            **_KERNEL,
        },
        _separable,
    ),
    "transposed": Kind(
        {"filters": _WIDTH, "strides": st.integers(1, 2), **_KERNEL}, _transposed
    ),
    "batch_norm": Kind({"scale": st.booleans(), "center": st.booleans()}, _batch_norm),
    "activation": Kind(
        {
            "activation": st.sampled_from(
                ("relu", "tanh", "softplus", "ReLU", "LeakyReLU", "ELU", "softmax")
            )
        },
        _activation,
    ),
    "prelu": Kind({"share_positions": st.booleans()}, _prelu),
    "pool": Kind(
        {
            "kind": st.sampled_from(("Average", "Max")),
            "strides": st.integers(1, 2),
            "padding": _PADDING,
        },
        _pool,
    ),
    "zero_padding": Kind({}, _zero_padding),
    "cropping": Kind({}, _cropping),
    "up_sampling": Kind({}, _up_sampling),
    "dropout": Kind(
        {"rate": st.sampled_from((0.0, 0.0, 0.0, 0.3))},
        lambda shape, rate: layers.Dropout(rate),
    ),
    "global_pool": Kind(
        {"kind": st.sampled_from(("Average", "Max")), "keepdims": st.booleans()},
        _global_pool,
    ),
    "reshape": Kind({"inferred": st.sampled_from((None, 0, -1))}, _reshape),
    "permute": Kind({"turns": st.integers(1, 2)}, _permute),
    "repeat_vector": Kind(
        {}, lambda shape: None if _rank(shape) else layers.RepeatVector(3)
    ),
    "rescaling": Kind({}, lambda shape: layers.Rescaling(0.7, offset=0.3)),
    "flatten": Kind({}, lambda shape: layers.Flatten()),
    "layer_norm": Kind({}, lambda shape: layers.LayerNormalization()),
    "group_norm": Kind({"per_channel": st.booleans()}, _group_norm),
    "softmax": Kind(
        {"axis": st.sampled_from((-1, 1))}, lambda shape, axis: layers.Softmax(axis)
    ),
}


# Structures -------------------------------------------------------------------
# `apply(builder, x, **settings)` yields a tensor, or None where nothing fits.


def _mixed(shape, width, **options):
    """A layer that maps to `width` channels and keeps the positions."""
    if not _rank(shape):
        return layers.Dense(width, **options)
    return _of_rank("Conv", shape)(width, 3, padding="same", **options)


def _mean_of_positions(builder, x):
    pooling = _of_rank("GlobalAveragePooling", x.shape)
    return builder.call(pooling(), x) if pooling else x


def _merge(builder, x, kind, others):
    """Merges tensors whose shapes are the same or can be broadcast."""
    tensors = [x]
    for index in others[:1] if kind == "Subtract" else others:

        def fits(shape, other, merged=tuple(tensors)):
            return all(_can_be_broadcast(t.shape, other) for t in merged)

        tensors.append(builder.other(x, index, fits))
    return builder.call(getattr(layers, kind)(), *tensors)


def _can_be_broadcast(shape, other):
    pairs = list(zip(shape[1:], other[1:]))
    return len(shape) == len(other) and all(a == b or 1 in (a, b) for a, b in pairs)


def _residual(builder, x, kind, activation):
    """A branch merged with what it reads: its space is read and written by it."""
    branch = builder.call(_mixed(x.shape, x.shape[-1], activation=activation), x)
    return builder.call(getattr(layers, kind)(), x, branch)


def _concatenate(builder, x, with_, raw):
    other = builder.other(x, with_, lambda shape, o: shape[:-1] == o[:-1])
    builder.features.add("concatenated with itself" if other is x else "concatenated")
    if raw:
        return ops.concatenate([x, other], axis=-1)
    return builder.call(layers.Concatenate(), x, other)


def _stack_positions(builder, x, with_):
    """Concatenates along an axis of positions, which ties the channels."""

    def fits(shape, other):
        return shape[-1] == other[-1] and shape[2:-1] == other[2:-1]

    if not _rank(x.shape) or x.shape[1] > _LARGEST // 2:
        return None
    other = builder.other(x, with_, lambda s, o: len(s) == len(o) and fits(s, o))
    return builder.call(layers.Concatenate(axis=1), x, other)


def _sum_of_concatenations(builder, x, left, right, whole, kind):
    """[A, B] merged with [C, D], or with one tensor that is as wide as both."""
    a, b = (builder.call(_mixed(x.shape, n), x) for n in (left, right))
    first = builder.call(layers.Concatenate(), a, b)
    if whole:
        second = builder.call(_mixed(x.shape, left + right), x)
    else:
        c, d = (builder.call(_mixed(x.shape, n), x) for n in (left, right))
        second = builder.call(layers.Concatenate(), c, d)
    return builder.call(getattr(layers, kind)(), first, second)


def _gate(builder, x, hidden, convolutions):
    """Squeeze and excite."""
    if _rank(x.shape) != 2:
        return None
    width = x.shape[-1]
    y = _mean_of_positions(builder, x)
    y = builder.call(layers.Reshape((1, 1, width)), y)
    for units, activation in ((hidden, "relu"), (width, "sigmoid")):
        layer = (
            layers.Conv2D(units, 1, activation=activation)
            if convolutions
            else layers.Dense(units, activation=activation)
        )
        y = builder.call(layer, y)
    return builder.call(layers.Multiply(), x, y)


def _spatial_gate(builder, x):
    """One map for all channels."""
    gate = builder.call(_mixed(x.shape, 1, activation="sigmoid"), x)
    return builder.call(layers.Multiply(), x, gate)


def _merge_ranks(builder, x, kind):
    """A vector merged with an image: Keras puts axes of length 1 between."""
    if not _rank(x.shape):
        return None
    y = builder.call(layers.Dense(x.shape[-1]), _mean_of_positions(builder, x))
    return builder.call(getattr(layers, kind)(), x, y)


def _channels_first(builder, x, then):
    """Something done to the channels on the first axis; images come back."""
    if _rank(x.shape) != 2:
        return None
    y = builder.call(layers.Permute((3, 1, 2)), x)
    if then == "flatten":
        return builder.call(layers.Flatten(data_format="channels_first"), y)
    if then == "global_pool":
        pooling = layers.GlobalAveragePooling2D(data_format="channels_first")
        return builder.call(pooling, y)
    if then == "raw_mean":
        return ops.mean(y, axis=(2, 3))
    layer = {
        "batch_norm": lambda: layers.BatchNormalization(axis=1),
        "prelu": lambda: layers.PReLU(shared_axes=[2, 3]),
        "softmax": lambda: layers.Softmax(axis=-1),
    }[then]()
    return ops.transpose(builder.call(layer, y), (0, 2, 3, 1))


_BINARY = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "maximum": ops.maximum,
    "minimum": ops.minimum,
}
_SCALAR = {
    "x * 0.5": lambda x: x * 0.5,
    "0.5 * x": lambda x: 0.5 * x,
    "x + 1": lambda x: x + 1.0,
    "1 - x": lambda x: 1.0 - x,
    "x / 2": lambda x: x / 2.0,
    "-x": lambda x: -x,
    "maximum(x, 0)": lambda x: ops.maximum(x, 0.0),
}
_UNARY = {f.__name__: f for f in (ops.relu, ops.tanh, ops.sigmoid, ops.abs, ops.square)}
# What mixes channels or gives one a place of its own must freeze them.
_MIXING = {
    "softmax": lambda x: ops.softmax(x, axis=-1),
    "flip": lambda x: ops.flip(x, axis=-1),
    "slice": lambda x: x[..., :1],
    "mean": lambda x: ops.mean(x, axis=-1, keepdims=True),
    "max": lambda x: ops.max(x, axis=-1, keepdims=True),
    "times mean": lambda x: x * ops.mean(x, axis=-1, keepdims=True),
    "pad": lambda x: ops.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[0, 1]]),
    "cumsum": lambda x: ops.cumsum(x, axis=-1),
    "plus constants": lambda x: x + np.arange(x.shape[-1], dtype="float64"),
    "swap": lambda x: ops.swapaxes(x, -1, -2) if _rank(x.shape) else None,
}


def _raw_binary(builder, x, function, with_):
    return _BINARY[function](x, builder.other(x, with_, _can_be_broadcast))


def _raw_mean(builder, x, keepdims):
    if not _rank(x.shape):
        return None
    return ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)), keepdims=keepdims)


def _again(builder, x, pick, outer):
    """Calls a layer or nested model a second time, if possible on `x`."""
    owner = builder.outer if outer and builder.outer else builder
    pairs = [
        (layer, tensor)
        for tensor in (x, *reversed(builder.tensors))
        for layer, shape in reversed(owner.called)
        if _fits_again(layer, shape, tensor.shape)
        and (id(layer), id(tensor)) not in builder.calls
    ]
    if not pairs:
        return None
    layer, tensor = pairs[pick % len(pairs)]
    builder.features.add(f"again: {type(layer).__name__}")
    if owner is not builder:
        builder.features.add("shared across levels")
    return builder.call(layer, builder.read(tensor))


def _fits_again(layer, shape, other):
    """Whether a layer built for one shape can be called on another."""
    sized = (keras.Model, Composite, layers.Reshape, layers.PReLU, layers.EinsumDense)
    if isinstance(layer, sized):
        return tuple(shape[1:]) == tuple(other[1:])
    if len(shape) != len(other) or shape[-1] != other[-1]:
        return False
    return all(a <= b for a, b in zip(shape[1:], other[1:]))


def _shared(builder, x, width, inside, turned):
    """One layer or Sequential model that reads two spaces, perhaps along other axes."""
    turned = turned and _rank(x.shape) == 1
    width = x.shape[1] if turned else width
    a, b = (builder.call(_mixed(x.shape, width), x) for _ in range(2))
    model = _sequential(a.shape[1:], inside, builder.features)
    if not model.layers:
        return None
    layer = model if len(model.layers) > 1 else model.layers[0]
    builder.features.add(f"shared: {type(layer).__name__}")
    if not turned:
        y = [builder.call(layer, a), builder.call(layer, b)]
        return builder.call(layers.Concatenate(), *y)
    y = builder.call(layer, builder.call(layers.Permute((2, 1)), b))
    if _rank(y.shape) == 1:
        builder.features.add("shared along two axes")
        y = builder.call(layers.Permute((2, 1)), y)
    return [builder.call(layer, a), y]


def _nest(builder, x, inside, second, ends):
    """A Functional model inside the model, of one or two inputs."""
    sources = [x]
    if second is not None:
        sources.append(builder.other(x, second, lambda shape, other: True))
    inner = _Builder([t.shape[1:] for t in sources], builder.features, outer=builder)
    inner.run(inside)
    outputs = inner.outputs(ends)
    model, used = inner.model(outputs)
    if KERAS < (3, 14):
        # Those cannot clone a model with an input that its outputs do not depend on.
        builder.read_only(sources[i] for i in used)
    if len(used) == 2:
        builder.features.add("nest of two inputs")
    if len(outputs) == 2:
        builder.features.add("nest of two outputs")
    if builder.outer:
        builder.features.add("nest in nest")
    return builder.call(model, *(sources[i] for i in used))


def _nest_sequential(builder, x, inside):
    model = _sequential(x.shape[1:], inside, builder.features)
    return builder.call(model, x) if model.layers else None


def _sequential(shape, inside, features):
    """A Sequential model of those of the operations that are single layers."""
    model = keras.Sequential([keras.Input(shape)])
    shape = (None, *shape)
    for op in inside:
        settings = {k: v for k, v in op.items() if k not in ("op", "of")}
        if op["op"] in LAYERS:
            layer = LAYERS[op["op"]].apply(shape, **settings)
            if layer is not None:
                model.add(layer)
                shape = model.output_shape
                features.add(op["op"])
    return model


STRUCTURES = {
    "merge": Kind(
        {"kind": _MERGE, "others": st.lists(_OPERAND, min_size=1, max_size=2)}, _merge
    ),
    "residual": Kind({"kind": _MERGE, "activation": _ACTIVATION}, _residual),
    "concatenate": Kind({"with_": _OPERAND, "raw": st.booleans()}, _concatenate),
    "stack_positions": Kind({"with_": _OPERAND}, _stack_positions),
    "sum_of_concatenations": Kind(
        {
            "left": _WIDTH,
            "right": _WIDTH,
            "whole": st.sampled_from((False, False, True)),
            "kind": _MERGE,
        },
        _sum_of_concatenations,
    ),
    "gate": Kind({"hidden": _WIDTH, "convolutions": st.booleans()}, _gate),
    "spatial_gate": Kind({}, lambda builder, x: _spatial_gate(builder, x)),
    "merge_ranks": Kind({"kind": _MERGE}, _merge_ranks),
    "channels_first": Kind(
        {
            "then": st.sampled_from(
                ("batch_norm", "prelu", "softmax", "global_pool", "flatten", "raw_mean")
            )
        },
        _channels_first,
    ),
    "raw_binary": Kind(
        {"function": st.sampled_from(list(_BINARY)), "with_": _OPERAND}, _raw_binary
    ),
    "raw_scalar": Kind(
        {"function": st.sampled_from(list(_SCALAR))},
        lambda builder, x, function: _SCALAR[function](x),
    ),
    "raw_unary": Kind(
        {"function": st.sampled_from(list(_UNARY))},
        lambda builder, x, function: _UNARY[function](x),
    ),
    "raw_mixing": Kind(
        {"function": st.sampled_from(list(_MIXING))},
        lambda builder, x, function: _MIXING[function](x),
    ),
    "raw_mean": Kind({"keepdims": st.booleans()}, _raw_mean),
    "again": Kind({"pick": st.integers(0, 3), "outer": st.booleans()}, _again),
    "shared": Kind(
        {
            "width": _WIDTH,
            "inside": st.deferred(lambda: _LAYERS_INSIDE),
            "turned": st.sampled_from((False, False, True)),
        },
        _shared,
    ),
    "nest": Kind(
        {
            "inside": st.deferred(lambda: _INSIDE),
            "second": st.sampled_from((None, 0, 1, 2)),
            "ends": st.deferred(lambda: _INNER_ENDS),
        },
        _nest,
    ),
    "nest_sequential": Kind({"inside": st.deferred(lambda: _INSIDE)}, _nest_sequential),
}


# Building ---------------------------------------------------------------------


class _Builder:
    """A graph in the making, of a model or a nested one.

    Attributes:
        tensors: the inputs and every operation's result, in order.
        called: the layers that could be called again, with the shapes they read.
        calls: which layer has read which tensor, by `id`.
        features: what the recipe came to.
        outer: the builder of the model around it, or None.
    """

    def __init__(self, shapes, features, outer=None):
        self.inputs = [keras.Input(shape) for shape in shapes]
        self.tensors = list(self.inputs)
        self.called = []
        self.calls = set()
        self.features = features
        self.outer = outer
        self._ancestors = {id(t): {i} for i, t in enumerate(self.inputs)}
        self._read = set()

    def run(self, recipe_ops):
        """Does every operation that fits."""
        for op in recipe_ops:
            settings = dict(op)
            name = settings.pop("op")
            x = self.read(self._at(settings.pop("of"), self.tensors))
            if name in LAYERS:
                layer = LAYERS[name].apply(x.shape, **settings)
                y = None if layer is None else self.call(layer, x)
            else:
                y = STRUCTURES[name].apply(self, x, **settings)
            for tensor in [] if y is None else keras.tree.flatten(y):
                self.features.add(name)
                self.tensors.append(tensor)
                self._ancestors[id(tensor)] = set(self._read)
            self._read.clear()

    def read(self, tensor):
        """Notes that the result of this operation depends on a tensor."""
        self._read |= self._ancestors[id(tensor)]
        return tensor

    def read_only(self, tensors):
        """Notes that the result of this operation depends on no other tensors."""
        self._read.clear()
        for tensor in tensors:
            self.read(tensor)

    def other(self, x, index, fits):
        """Another tensor that fits `x`; `x` itself if there is none."""
        found = [t for t in self.tensors if t is not x and fits(x.shape, t.shape)]
        return self.read(self._at(index, found)) if found else x

    def call(self, layer, *xs):
        """Calls a layer and remembers it, if calling it again would share something."""
        y = layer(xs[0] if len(xs) == 1 else list(xs))
        if len(xs) == 1:
            self.calls.add((id(layer), id(xs[0])))
            known = any(layer is other for other, _ in self.called)
            shares = layer.weights or isinstance(layer, (layers.Reshape, keras.Model))
            if shares and not known:
                self.called.append((layer, xs[0].shape))
        return y

    def outputs(self, ends):
        """The tensors that leave, each brought into the form its end says."""
        results = []
        for end in ends:
            x = self._at(end["of"], self.tensors)
            # An input cannot leave as it is.
            kind = "dense" if any(x is t for t in self.inputs) else end["end"]
            y = _end(x, kind)
            self.features.add(f"end: {kind}")
            self._ancestors[id(y)] = self._ancestors[id(x)]
            results.append(y)
        return results

    def model(self, outputs):
        """A model of these outputs, and the numbers of the inputs that it needs."""
        used = sorted(set().union(*(self._ancestors[id(y)] for y in outputs)))
        inputs = [self.inputs[i] for i in used]
        structure = inputs[0] if len(inputs) == 1 else inputs
        return keras.Model(structure, outputs if len(outputs) > 1 else outputs[0]), used

    def _at(self, index, tensors):
        return tensors[-1 - index % len(tensors)]


def _end(x, end):
    if end == "as it is":
        return x
    if end == "flatten":
        x = layers.Flatten()(x)
    elif end == "pool" and _rank(x.shape):
        x = _of_rank("GlobalAveragePooling", x.shape)()(x)
    return layers.Dense(2)(x)


def build(recipe):
    """The model of a recipe, its weights drawn from the recipe's seed."""
    features = set()
    if recipe.sequential:
        model = _sequential(recipe.inputs[0], recipe.ops, features)
        model.add(layers.Flatten())
        model.add(layers.Dense(2))
        features.add("sequential")
    else:
        builder = _Builder(recipe.inputs, features)
        builder.run(recipe.ops)
        model, used = builder.model(builder.outputs(recipe.ends))
        features |= {f"inputs: {len(used)}", f"outputs: {len(model.outputs)}"}
    _randomize(model, np.random.default_rng(recipe.seed))
    return Built(model, features)


def _randomize(model, generator):
    """Weights that keep signals alive, and statistics far from those of any batch."""
    for variable in model.weights:
        shape = variable.shape
        if variable.name in ("gamma", "moving_variance", "alpha"):
            value = generator.uniform(0.5, 1.5, shape)
        elif len(shape) > 1:
            value = generator.standard_normal(shape) / np.sqrt(math.prod(shape[:-1]))
        elif variable.name == "seed_generator_state":
            continue
        else:
            value = 0.3 * generator.standard_normal(shape)
        variable.assign(value)


# Neurons of several channels --------------------------------------------------


def _in_groups(builder, x, groups, read, made, normalized):
    """A convolution in groups, with so many channels of each read and made."""
    convolution = _of_rank("Conv", x.shape)
    if convolution is None:
        return None
    x = builder.call(_mixed(x.shape, groups * read), x)
    if normalized:
        x = builder.call(layers.BatchNormalization(), x)
    width = groups * made
    layer = convolution(width, 3, padding="same", groups=groups, activation="tanh")
    return builder.call(layer, x)


def _gated(builder, x, width, fused):
    """One half of a layer's outputs gates the other, or one layer another."""
    if fused:
        gate, value = ops.split(builder.call(layers.Dense(2 * width), x), 2, axis=-1)
    else:
        gate, value = (builder.call(layers.Dense(width), x) for _ in range(2))
    return ops.silu(gate) * value


STRUCTURES |= {
    "in_groups": Kind(
        {
            "groups": st.integers(2, 3),
            "read": st.integers(2, 3),
            "made": st.integers(1, 3),
            "normalized": st.booleans(),
        },
        _in_groups,
    ),
    "gated": Kind({"width": _WIDTH, "fused": st.booleans()}, _gated),
}


# Layers made of layers, and attention ------------------------------------------


@keras.saving.register_keras_serializable("random_models")
class Composite(layers.Layer):
    """A layer made of layers, one after the other, and a product with a number."""

    def __init__(self, parts, factor, **options):
        super().__init__(**options)
        self.parts, self.factor = parts, factor

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return self.factor * ops.tanh(x)

    def get_config(self):
        parts = [keras.saving.serialize_keras_object(part) for part in self.parts]
        return {**super().get_config(), "parts": parts, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        parts = map(keras.saving.deserialize_keras_object, config.pop("parts"))
        return cls(list(parts), **config)

    def build(self, shape):
        for part in self.parts:
            if not part.built:
                part.build(shape)
            shape = part.compute_output_shape(shape)
        self.built = True

    def compute_output_shape(self, shape):
        for part in self.parts:
            shape = part.compute_output_shape(shape)
        return shape


def _composite(builder, x, inside, inner):
    parts = _sequential(x.shape[1:], inside, builder.features).layers
    if not parts:
        return None
    if inner:
        builder.features.add("composite in composite")
        parts = [Composite(parts, 0.7)]
    return builder.call(Composite(parts, 1.3), x)


def _attention(builder, x, heads, size, grouped):
    """Every position looks at every other."""
    if _rank(x.shape) != 1:
        return None
    if grouped:
        builder.features.add("grouped queries")
        layer = layers.GroupQueryAttention(size, 2 * heads, heads)
    else:
        layer = layers.MultiHeadAttention(heads, size)
    return layer(x, x)


def _heads(builder, x, heads, size, dense):
    """Channels as heads, normalized one by one, and read."""
    if _rank(x.shape) != 1:
        return None
    steps = x.shape[1]
    if dense:
        x = builder.call(layers.Dense(heads * size), x)
        x = builder.call(layers.Reshape((steps, heads, size)), x)
        x = ops.softmax(x, axis=-1)
        return ops.reshape(x, (-1, steps, heads * size))
    into = layers.EinsumDense("abc,cde->abde", (steps, heads, size), bias_axes="e")
    x = ops.softmax(builder.call(into, x), axis=-1)
    return builder.call(layers.EinsumDense("abde,dec->abc", (steps, 3)), x)


STRUCTURES |= {
    "composite": Kind(
        {"inside": st.deferred(lambda: _LAYERS_INSIDE), "inner": st.booleans()},
        _composite,
    ),
    # Heads of size 1, as many as positions: Keras 3.15 adds their bias, [heads, 1], as
    # if it were one over NCHW channels.
    "attention": Kind(
        {"heads": _WIDTH, "size": st.integers(2, 3), "grouped": st.booleans()},
        _attention,
    ),
    "heads": Kind({"heads": _WIDTH, "size": _WIDTH, "dense": st.booleans()}, _heads),
}


# Strategies -------------------------------------------------------------------

_NESTS = ("nest", "nest_sequential")
# Most of what they touch is frozen, or they leave few positions to go on with.
_RARE = {"layer_norm", "group_norm", "softmax", "raw_mixing", "permute"}
_RARE |= {"flatten", "global_pool", "raw_mean", "repeat_vector"}
_OFTEN = ("dense", "conv", "conv", "merge", "residual", "again", "shared")
_OFTEN += ("attention", "heads")  # Few tensors have the one axis that they need.
_FLAT = [name for name in (*LAYERS, *STRUCTURES) if name not in _NESTS]
_FLAT += [*(name for name in _FLAT if name not in _RARE), *(8 * _OFTEN)]
_ANY = [*_FLAT, *(10 * _NESTS)]


@st.composite
def _operations(draw, names):
    name = draw(st.sampled_from(names))
    kind = LAYERS.get(name) or STRUCTURES[name]
    return {
        "op": name,
        "of": draw(_OPERAND),
        **draw(st.fixed_dictionaries(kind.settings)),
    }


def _ends(kinds, longest):
    end = st.fixed_dictionaries({"of": _OPERAND, "end": st.sampled_from(kinds)})
    return st.lists(end, min_size=1, max_size=longest)


# Nested models have few others inside them.
# Among what is shared, layers that have to be resized though they mix no channels.
_RESIZED = ("reshape", "prelu", "depthwise", "batch_norm", "conv")
_LAYERS_INSIDE = st.lists(
    _operations([*LAYERS, *(5 * _RESIZED)]), min_size=1, max_size=2
)
_INSIDE = st.lists(_operations([*_FLAT, *(10 * _NESTS)]), min_size=1, max_size=4)
_INNER_ENDS = _ends(("as it is", "as it is", "as it is", "dense"), 2)
_SHAPE = st.sampled_from(((5, 5, 2), (4, 6, 3), (6, 2), (4,)))


def _flattened(parts):
    return [op for part in parts for op in part]


def recipes():
    """Strategy of recipes. They start with a space that may grow."""
    stem = _operations(("conv", "dense"))
    # One list would mostly be short: hypothesis draws about five elements.
    part = st.lists(_operations(_ANY), max_size=4)
    return st.builds(
        Recipe,
        inputs=st.lists(_SHAPE, min_size=1, max_size=2).map(tuple),
        ops=st.tuples(st.tuples(stem), part, part, part).map(_flattened),
        ends=_ends(("dense", "pool", "flatten", "dense", "pool", "as it is"), 2),
        sequential=st.sampled_from((False,) * 7 + (True,)),
        seed=st.integers(0, 99),
    )


def plans():
    """Strategy of splits: neurons of the growable spaces, to be taken modulo widths."""
    neurons = st.lists(st.integers(0, 4), max_size=3)
    return st.lists(neurons, min_size=1, max_size=6)
