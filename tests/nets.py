"""Small models that the tests share, and what is done to all of them.

All end in logits for three classes. Activations are smooth where second derivatives
are compared: a ReLU has none, only kinks.
"""

import contextlib

import keras
import numpy as np
from keras import layers

CLASSES = 3


def dense():
    x = inputs = keras.Input((5,))
    x = layers.Dense(4, activation="tanh", name="first")(x)
    x = layers.Dense(6, activation="softplus", name="second")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="dense")


def conv_bn():
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, use_bias=False, name="conv_1")(x)
    x = layers.BatchNormalization(name="bn_1")(x)
    x = layers.Activation("silu")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(3, 2, name="conv_2")(x)
    x = layers.BatchNormalization(name="bn_2", scale=False)(x)
    x = layers.Activation("tanh")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="conv_bn")


def depthwise():
    """A block of MobileNet: convolution, depthwise, pointwise."""
    x = inputs = keras.Input((6, 6, 2))
    for name, layer in {
        "conv": layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
        "depthwise": layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        "pointwise": layers.Conv2D(5, 1, use_bias=False),
    }.items():
        layer.name = name
        x = layers.BatchNormalization(name=f"{name}_bn")(layer(x))
        x = layers.Activation("silu", name=f"{name}_act")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Conv2D(CLASSES, 1, name="logits")(x)
    return keras.Model(inputs, layers.Reshape((CLASSES,))(x), name="depthwise")


def residual():
    """A tied space: `mix` reads it and writes it, Add carries it past `mix`."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(5, 3, padding="same", name="stem")(inputs)
    x = layers.BatchNormalization(name="stem_bn")(x)
    y = layers.Conv2D(5, 3, padding="same", name="mix")(x)
    y = layers.Activation("tanh", name="activation")(y)
    x = layers.Add(name="add")([x, y])
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Activation("tanh", name="act_1")(x)
    x = layers.Activation("softplus", name="act_2")(x)
    x = layers.Conv2D(3, 1, activation="tanh", name="after")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="residual")


def bottleneck():
    """A linear bottleneck, `project`, as in MobileNetV2."""
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 1, activation="silu", name="expand_1")(x)
    x = layers.Conv2D(3, 1, use_bias=False, name="project")(x)
    x = layers.BatchNormalization(name="project_bn")(x)
    x = layers.Conv2D(5, 3, name="expand_2")(x)
    x = layers.Activation("silu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="linear")


def flatten(dropout=0.3):
    x = inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(4, 3, activation="tanh", name="conv")(x)
    x = layers.AveragePooling2D(2, strides=1)(x)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dense(3, activation="tanh", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="flatten")


def concatenate():
    inputs = keras.Input((4, 4, 2))
    a = layers.Conv2D(3, 1, activation="tanh", name="left")(inputs)
    b = layers.Conv2D(2, 3, padding="same", name="right")(inputs)
    x = layers.Concatenate()([a, layers.Activation("silu")(b)])
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Conv2D(4, 2, activation="softplus", name="after")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="concat")


def sequential():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4, activation="tanh", name="first"),
            layers.Dense(6, activation="softplus", name="second"),
            layers.Dense(CLASSES, name="logits"),
        ],
        name="sequential",
    )


def nested():
    """Models inside models, two levels deep."""
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, activation="tanh", name="deep")],
        name="inner",
    )
    x = middle_in = keras.Input((5,))
    x = inner(layers.Dense(4, activation="silu", name="before")(x))
    middle = keras.Model(middle_in, layers.Dense(3, name="behind")(x), name="middle")
    inputs = keras.Input((5,))
    x = layers.Activation("tanh", name="act")(middle(inputs))
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="nested")


def shared():
    """One layer called on two tensors, and one called on its own output."""
    left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    twice = layers.Dense(4, activation="tanh", name="twice")
    again = layers.Dense(4, activation="softplus", name="again")
    x = layers.Subtract()([twice(left), twice(right)])
    x = again(again(x))
    x = layers.Dense(CLASSES, name="logits")(x)
    return keras.Model([left, right], x, name="shared")


def squeeze_excite():
    """A gate made from a space scales that space: its producer is tied to it."""
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(4, 3, activation="silu", name="conv")(x)
    gate = layers.GlobalAveragePooling2D()(x)
    gate = layers.Reshape((1, 1, 4))(gate)
    gate = layers.Conv2D(2, 1, activation="tanh", name="squeeze")(gate)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="excite")(gate)
    x = layers.Multiply()([x, gate])
    x = layers.Conv2D(3, 1, activation="softplus", name="after")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="gated")


def dense_block():
    """Everything before is read again by everything behind, through one BN each."""
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, padding="same", name="stem")(x)
    for i in (1, 2):
        y = layers.BatchNormalization(name=f"bn_{i}")(x)
        y = layers.Activation("silu", name=f"act_{i}")(y)
        y = layers.Conv2D(2, 3, padding="same", name=f"grow_{i}")(y)
        x = layers.Concatenate(name=f"join_{i}")([x, y])
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Activation("tanh", name="act")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="block")


def separable():
    x = inputs = keras.Input((6, 6, 2))
    x = layers.SeparableConv2D(
        4, 3, depth_multiplier=2, activation="tanh", name="sep_1"
    )(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.SeparableConv2D(3, 3, use_bias=False, name="sep_2")(x)
    x = layers.Activation("silu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="sep")


def unet():
    """Down, up by a transposed convolution, and the skip concatenated."""
    x = inputs = keras.Input((4, 4, 2))
    down = layers.Conv2D(3, 3, padding="same", activation="tanh", name="down")(x)
    x = layers.Conv2D(4, 2, strides=2, activation="silu", name="deep")(down)
    x = layers.Conv2DTranspose(
        3, 3, strides=2, padding="same", activation="softplus", name="up"
    )(x)
    x = layers.Concatenate()([down, x])
    x = layers.Conv2D(3, 3, activation="tanh", name="after")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="unet")


def two_outputs():
    """A trunk with two heads, each with a loss of its own."""
    inputs = keras.Input((5,))
    trunk = layers.Dense(4, activation="tanh", name="trunk")(inputs)
    left = layers.Dense(3, activation="silu", name="left")(trunk)
    right = layers.Dense(2, activation="softplus", name="right")(trunk)
    heads = [
        layers.Dense(CLASSES, name=f"{name}_logits")(x)
        for name, x in (("left", left), ("right", right))
    ]
    return keras.Model(inputs, heads, name="two_outputs")


SMOOTH = {
    f.__name__: f
    for f in (dense, conv_bn, depthwise, residual, bottleneck, flatten, concatenate)
}
BLOCKS = {
    f.__name__: f
    for f in (squeeze_excite, dense_block, separable, unet, nested, shared)
}
ALL = {**SMOOTH, **BLOCKS, "sequential": sequential}


def randomized(model, seed=0):
    """Gives biases and BN weights values that are not trivially zero or one."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        shape = variable.shape
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(generator.uniform(0.5, 1.5, shape))
        elif variable.name in ("bias", "beta", "moving_mean", "depthwise_bias"):
            variable.assign(0.2 * generator.standard_normal(shape))
    return model


def compiled(model, optimizer=None, **settings):
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    losses = [loss] * len(model.outputs) if len(model.outputs) > 1 else loss
    model.compile(optimizer or keras.optimizers.SGD(0.05), losses, **settings)
    return model


def ready(name):
    """The model of this name, randomized and compiled."""
    return compiled(randomized(ALL[name]()))


def images(model, count=16, seed=0):
    """Noise for every input of the model (one array if it has one)."""
    generator = np.random.default_rng(seed)
    arrays = [
        generator.integers(0, 5, (count, *tensor.shape[1:]))
        if "int" in tensor.dtype
        else generator.standard_normal((count, *tensor.shape[1:])).astype(
            keras.config.floatx()
        )
        for tensor in model.inputs
    ]
    return arrays[0] if len(arrays) == 1 else arrays


def data(model, count=16, seed=0):
    """Noise and random one-hot labels, for every output."""
    generator = np.random.default_rng(seed + 1)
    labels = [
        np.eye(CLASSES)[generator.integers(0, CLASSES, count)] for _ in model.outputs
    ]
    return images(model, count, seed), labels[0] if len(labels) == 1 else labels


def outputs(model, x, training=False):
    return keras.ops.convert_to_numpy(model(x, training=training))


def assert_computed_by_its_calls(model):
    """Calls, run one after the other, yield what the model does."""
    from tf_splitting.tracing import flatten

    flat = flatten(model)
    x = images(model)
    values = dict(zip(flat.inputs, x if isinstance(x, list) else [x], strict=True))
    for call in flat.calls:
        result = call.run(*[values[i] for i in call.inputs])
        values.update(zip(call.outputs, keras.tree.flatten(result), strict=True))
    found = values[flat.outputs[0]]
    np.testing.assert_allclose(found, outputs(model, x), rtol=1e-5, atol=1e-6)


def loss_of(model, x, y, weight=None):
    """Cross-entropy of the logits, written out; summed over several outputs."""
    if len(model.outputs) > 1:
        heads = zip(model(x), y, strict=True)
        return sum(cross_entropy(keras.ops.convert_to_numpy(z), t) for z, t in heads)
    return cross_entropy(outputs(model, x), y, weight)


def cross_entropy(logits, y, weight=None):
    logits = logits.astype(np.float64)
    log_sum = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1))
    losses = log_sum - ((logits - logits.max(1, keepdims=True)) * y).sum(1)
    return float(np.mean(losses if weight is None else losses * weight))


def difference(a, b):
    """Largest difference, relative to the largest value."""
    return np.abs(a - b).max() / np.abs(a).max()


def random_plan(graph, seed=0, share=0.1):
    """Splits at least one neuron of every growable space, one of them in three."""
    from tf_splitting import SplitPlan

    generator = np.random.default_rng(seed)
    splits = {}
    for space in graph.growable:
        count = max(1, int(share * space.width))
        chosen = generator.choice(space.width, count, replace=False).tolist()
        splits[space.name] = [*chosen, chosen[0]]
    return SplitPlan(splits)


def random_removal(graph, seed=0, share=1 / 3):
    """Removes some neurons of every growable space that has more than one."""
    from tf_splitting import RemovalPlan

    generator = np.random.default_rng(seed)
    removals = {}
    for space in graph.growable:
        left = max(space.width - graph.floors[space.name], 0)
        count = min(max(1, int(share * space.width)), left)
        chosen = generator.choice(space.width, count, replace=False).tolist()
        removals[space.name] = chosen
    return RemovalPlan(removals)


@contextlib.contextmanager
def silenced(model, graph, plan):
    """Within, the outgoing weights of what a plan removes are zero."""
    before = [np.array(v) for v in model.variables]
    for weight in graph.weights:
        for use in weight.axes:
            if use.role != "consumed":
                continue
            values = np.array(weight.variable)
            start = 0
            for space, repeat in use.layout:
                for neuron in plan.removals.get(space, ()):
                    first = start + neuron * repeat
                    where = [slice(None)] * values.ndim
                    where[use.axis] = slice(first, first + repeat)
                    values[tuple(where)] = 0.0
                start += graph.widths[space] * repeat
            weight.variable.assign(values)
    yield model
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
