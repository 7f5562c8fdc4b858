"""The ways people really build models: all are traced, split, scored and grown."""

import warnings

import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers, ops

from tf_splitting import SplitPlan, count_macs, estimate, grow, split, trace
from tf_splitting.errors import ModelError, PlanError, SplittingWarning
from tf_splitting.requirements import KERAS


def backbone():
    x = inputs = keras.Input((8, 8, 3), name="pixels")
    x = layers.Conv2D(4, 3, strides=2, name="conv_1")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Activation("silu")(x)
    x = layers.Conv2D(5, 3, activation="tanh", name="conv_2")(x)
    return keras.Model(inputs, x, name="backbone")


def stack():
    """Augmentation, a backbone and a head, each a model of its own."""
    augmentation = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.Rescaling(1 / 2, offset=-0.1),
        ],
        name="augmentation",
    )
    head = keras.Sequential(
        [
            keras.Input((1, 1, 5)),
            layers.Flatten(),
            layers.Dense(6, activation="relu", name="hidden"),
            layers.Dense(nets.CLASSES, name="logits"),
        ],
        name="head",
    )
    return keras.Sequential([keras.Input((8, 8, 3)), augmentation, backbone(), head])


def transfer():
    """A frozen backbone called in inference mode, as in transfer learning."""
    inputs = keras.Input((8, 8, 3))
    base = backbone()
    base.trainable = False
    x = base(inputs, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(4, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def siamese():
    """A whole model called twice, inside another."""
    tower_in = keras.Input((5,))
    tower_out = layers.Dense(4, activation="tanh", name="deep")(tower_in)
    tower = keras.Model(tower_in, layers.Dense(3, name="top")(tower_out), name="tower")
    left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    x = ops.abs(tower(left) - tower(right))
    return keras.Model([left, right], layers.Dense(nets.CLASSES, name="logits")(x))


def raw_operations():
    x = inputs = keras.Input((5,))
    a = layers.Dense(4, name="a")(x)
    b = layers.Dense(4, name="b")(x)
    x = ops.relu(a + b) * 0.5
    x = ops.concatenate([x, ops.tanh(layers.Dense(3, name="c")(inputs))], axis=-1)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def tied_to_an_output():
    """Features that are an output too: their space keeps its width."""
    inputs = keras.Input((5,))
    features = layers.Dense(4, activation="tanh", name="features")(inputs)
    x = layers.Dense(6, activation="silu", name="hidden")(features)
    logits = layers.Dense(nets.CLASSES, name="logits")(x)
    return keras.Model(inputs, [logits, features])


def transformer():
    """A block with attention: its stream is frozen, its hidden layer is not."""
    x = inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(5, 4, name="words")(x)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 2, name="attention")(y, y)])
    y = layers.LayerNormalization()(x)
    y = layers.Dense(8, activation="gelu", name="mlp_1")(y)
    x = layers.Add()([x, layers.Dense(4, name="mlp_2")(y)])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


def text():
    x = inputs = keras.Input((6,), dtype="int32")
    x = layers.Embedding(5, 4, mask_zero=True, name="words")(x)
    x = layers.Bidirectional(layers.GRU(3), name="reader")(x)
    x = layers.Dense(5, activation="tanh", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))


GROWABLE = {
    stack: {"backbone/conv_1", "backbone/conv_2", "head/hidden"},
    transfer: {"hidden"},
    siamese: {"tower/deep", "tower/top"},
    raw_operations: {"a", "c"},
    tied_to_an_output: {"hidden"},
    transformer: {"attention/query", "mlp_1"},
    text: {"words", "hidden"},
}
EVERY_WAY = pytest.mark.parametrize(
    "build",
    tiers.some(GROWABLE, [stack, siamese, transformer, text]),
    ids=lambda f: f.__name__,
)


def ready(build):
    model = nets.randomized(build())
    losses = [keras.losses.CategoricalCrossentropy(from_logits=True)]
    losses += [None] * (len(model.outputs) - 1)
    model.compile("sgd", losses if len(losses) > 1 else losses[0])
    return model


@EVERY_WAY
def test_what_may_grow(build):
    graph = trace(build())
    assert {space.name for space in graph.growable} == GROWABLE[build]


@EVERY_WAY
def test_function_nesting_and_names_are_kept(build, tmp_path):
    model = nets.randomized(build())
    graph = trace(model)
    plan = nets.random_plan(graph, share=0.5)
    x = nets.images(model, 4)
    grown = split(model, plan, epsilon=0.0, verify=x)

    def tree(model):
        return [
            (type(layer), layer.name, tree(layer) if hasattr(layer, "layers") else [])
            for layer in model.layers
        ]

    assert tree(grown) == tree(model)
    assert trace(grown).widths == plan.widths(graph)
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    for a, b in zip(outputs(grown, x), outputs(loaded, x), strict=True):
        np.testing.assert_array_equal(a, b)


def outputs(model, x):
    return [np.asarray(y) for y in keras.tree.flatten(model(x, training=False))]


@EVERY_WAY
def test_splitting_an_operation_leaves_the_users_graph_alone(build):
    model = build()
    parts = model.layers if isinstance(model, keras.Sequential) else model.operations
    nodes = [len(part._inbound_nodes) for part in parts]
    split(model, nets.random_plan(trace(model)))
    assert [len(part._inbound_nodes) for part in parts] == nodes


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    tiers.few(GROWABLE, [siamese, raw_operations, transformer]),
    ids=lambda f: f.__name__,
)
def test_growing(build):
    model = ready(build)
    x, y = nets.data(model, 32)
    if len(model.outputs) > 1:
        y = [y[0], np.zeros((32, 4))]
    data = (tuple(x) if isinstance(x, list) else x, y)
    target = int(1.5 * count_macs(model)) if build is not transformer else None
    target = target or count_macs(model) + 800
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Only", SplittingWarning)
        grown = grow(
            model, data, target_macs=target, rounds=1, final_epochs=1, verbose=0
        )
    assert 0.9 * target < count_macs(grown) <= target


# Layers that are not trainable ----------------------------------------------------


def test_neurons_of_untrainable_layers_are_split_on_request_only():
    model = ready(transfer)
    graph = trace(model)
    space = graph.space("backbone/conv_1")
    assert space.frozen == "its producer 'backbone/conv_1' is not trainable (frozen)"
    plan = SplitPlan({"backbone/conv_1": [0], "backbone/conv_2": [1]})
    with pytest.raises(PlanError, match="not trainable"):
        split(model, plan)
    x = nets.images(model, 4)
    grown = split(model, plan, epsilon=0.0, split_untrainable=True, verify=x)
    base = grown.get_layer("backbone")
    assert base.get_layer("conv_1").filters == 5
    assert not base.trainable_weights
    assert {s.name for s in trace(model, split_untrainable=True).growable} == {
        "backbone/conv_1",
        "backbone/conv_2",
        "hidden",
    }
    data = nets.data(model)
    assert list(estimate(model, data, verbose=0)) == ["hidden"]
    every = estimate(model, data, split_untrainable=True, verbose=0)
    assert len(every) == 3
    # Weights that are not trained are not moved as outgoing weights either.
    assert not every["backbone/conv_1"].outgoing


def test_growing_leaves_untrainable_layers_as_they_are():
    model = ready(transfer)
    before = model.get_layer("backbone").get_weights()
    with pytest.warns(SplittingWarning, match="Only .* not trainable"):
        grown = grow(
            model,
            nets.data(model),
            target_macs=count_macs(model) + 60,
            rounds=1,
            final_epochs=0,
            verbose=0,
        )
    for a, b in zip(before, grown.get_layer("backbone").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert grown.get_layer("hidden").units > 4


# Precision ------------------------------------------------------------------------


def small(policy=None):
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="conv", dtype=policy)(x)
    x = layers.BatchNormalization(name="bn", dtype=policy)(x)
    x = layers.Activation("silu", dtype=policy)(x)
    x = layers.GlobalAveragePooling2D(dtype=policy)(x)
    x = layers.Dense(nets.CLASSES, name="logits", dtype="float32")(x)
    return nets.compiled(keras.Model(inputs, x))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    low, full = small(policy), nets.randomized(small())
    low.set_weights(full.get_weights())
    data = nets.data(full, 64)
    # Estimates of λ are those of the same weights in float32, to the last bit.
    scores = [estimate(model, data, verbose=0) for model in (low, full)]
    for a, b in zip(*(s.values() for s in scores), strict=True):
        np.testing.assert_array_equal(a.splitting_index, b.splitting_index)
    grown = split(low, SplitPlan({"conv": [0, 1]}), scores=scores[0], verify=data[0])
    conv = grown.get_layer("conv")
    assert conv.dtype_policy.name == policy
    assert conv.kernel.dtype == "float32"
    assert {v.dtype for v in grown.weights} == {"float32"}
    twin = split(full, SplitPlan({"conv": [0, 1]}), scores=scores[1])
    for a, b in zip(grown.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_policy_of_one_layer_is_kept():
    x = inputs = keras.Input((5,))
    x = layers.Dense(4, name="wide", dtype="float64")(x)
    x = layers.Dense(4, name="narrow", dtype="mixed_bfloat16")(x)
    model = keras.Model(inputs, layers.Dense(2, name="logits")(x))
    grown = split(model, SplitPlan({"wide": [0], "narrow": [1]}))
    for name in ("wide", "narrow", "logits"):
        assert grown.get_layer(name).dtype_policy.name == (
            model.get_layer(name).dtype_policy.name
        )


# Subclasses -----------------------------------------------------------------------


class Counting(keras.Model):
    """Functional, with a training step of its own."""

    def train_step(self, data):
        self.steps = getattr(self, "steps", 0) + 1
        return super().train_step(data)


class Configured(keras.Model):
    """Functional, with a constructor that builds the graph."""

    def __init__(self, width):
        inputs = keras.Input((5,))
        x = layers.Dense(width, activation="tanh", name="first")(inputs)
        super().__init__(inputs, layers.Dense(nets.CLASSES, name="logits")(x))
        self.width = width


class Stack(keras.Sequential):
    pass


def test_a_functional_subclass_keeps_its_class():
    plain = nets.dense()
    model = nets.compiled(Counting(plain.input, plain.output), run_eagerly=True)
    grown = split(model, SplitPlan({"first": [0]}), epsilon=0.0)
    assert type(grown) is Counting
    grown.fit(*nets.data(model), verbose=0)
    assert grown.steps == 1
    stacked = Stack([keras.Input((5,)), layers.Dense(4, name="first"), layers.Dense(2)])
    assert type(split(stacked, SplitPlan({"first": [0]}))) is Stack


def test_a_subclass_that_builds_its_own_graph_becomes_plain_and_says_so():
    model = Configured(4)
    with pytest.warns(SplittingWarning, match=r"Configured.*train_step are lost"):
        grown = split(model, SplitPlan({"first": [0]}), epsilon=0.0)
    x = nets.images(model)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-6


class Hidden(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("function", [trace, count_macs])
def test_a_model_without_a_graph_is_refused_with_what_to_do(function):
    model = Hidden()
    model(np.zeros((1, 4)))
    with pytest.raises(ModelError, match=r"hides its graph.*keras.Model\(inputs, out"):
        function(model)


def turned(x):
    return ops.square(ops.flip(x, -1))


@pytest.mark.parametrize("function", [turned, lambda x: turned(x)])
def test_functions_that_nobody_registered_go_along(function):
    """As activations and regularizers; those that mix channels freeze what they see."""
    regularizer = function if KERAS >= (3, 15) else None  # older ones take no functions
    x = inputs = keras.Input((5,))
    x = layers.Dense(4, activation=function, name="odd")(x)
    x = layers.Dense(4, kernel_regularizer=regularizer, name="first")(x)
    x = layers.Activation("tanh")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert [space.name for space in trace(model).growable] == ["first"]
    x = nets.images(model)
    grown = split(model, SplitPlan({"first": [0, 0]}), epsilon=0.0, verify=x)
    assert grown.get_layer("odd").activation is function
    assert grown.get_layer("first").kernel_regularizer is regularizer
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-6


# Settings of layers ---------------------------------------------------------------


def test_an_initializer_that_holds_an_array_does_not_break_saving(tmp_path):
    x = inputs = keras.Input((5,))
    kernel = np.random.default_rng(0).standard_normal((5, 4))
    x = layers.Dense(
        4, kernel_initializer=keras.initializers.Constant(kernel), name="first"
    )(x)
    model = keras.Model(inputs, layers.Dense(2, kernel_initializer="he_normal")(x))
    grown = split(model, SplitPlan({"first": [1]}), epsilon=0.0)
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    x = nets.images(model)
    np.testing.assert_allclose(nets.outputs(loaded, x), nets.outputs(model, x), 1e-5)
    assert isinstance(grown.layers[-1].kernel_initializer, keras.initializers.HeNormal)


def test_a_lambda_freezes_by_what_is_in_it_and_keeps_its_function():
    x = inputs = keras.Input((5,))
    x = layers.Dense(4, name="first")(x)
    x = layers.Lambda(lambda x: ops.flip(x, -1), name="turned")(x)
    x = layers.Dense(4, name="second")(x)
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert "'turned/flip' acts along" in trace(model).space("first").frozen
    x = nets.images(model)
    grown = split(model, SplitPlan({"second": [0, 0]}), epsilon=0.0, verify=x)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-6


def test_two_batches_of_numbers_joined_for_a_nested_model():
    """As diffusion models do with time steps, for guidance without a classifier."""
    # Keras adds the axis that is missing.
    inner = keras.Input((1,))
    x = layers.Dense(4, "tanh", name="hidden")(inner)
    nested = keras.Model(inner, layers.Dense(2, name="read")(x), name="nested")
    time = keras.Input(())
    both = nested(ops.concatenate([time, time], axis=0))
    first, second = ops.split(both, 2, axis=0)
    model = nets.randomized(keras.Model(time, first + 2 * second))
    assert [space.name for space in trace(model).growable] == ["nested/hidden"]
    grown = split(model, SplitPlan({"nested/hidden": [1]}), epsilon=0.0)
    x = np.arange(3.0)
    np.testing.assert_allclose(grown(x), model(x), rtol=1e-5)


@pytest.mark.slow
def test_growing_warns_when_most_of_the_model_is_frozen():
    x = inputs = keras.Input((6, 8))
    for _ in range(2):
        x = layers.LayerNormalization()(layers.Dense(32, activation="tanh")(x))
    x = layers.Dense(3, activation="tanh", name="free")(x)
    x = layers.Dense(nets.CLASSES)(layers.GlobalAveragePooling1D()(x))
    model = nets.compiled(nets.randomized(keras.Model(inputs, x)))
    data = nets.data(model)
    with pytest.warns(
        SplittingWarning, match=r"Only \d+% of the MACs.*normalizes over"
    ):
        grow(
            model,
            data,
            target_macs=count_macs(model) + 800,
            rounds=1,
            final_epochs=0,
            verbose=0,
        )
