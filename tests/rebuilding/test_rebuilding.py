"""`split`: the same function at ε = 0, and the right one at ε > 0."""

from types import SimpleNamespace

import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers

from tf_splitting import (
    RemovalPlan,
    SplitPlan,
    count_macs,
    estimate,
    remove,
    split,
    trace,
)
from tf_splitting.errors import PlanError
from tf_splitting.estimating.scores import SpaceScores
from tf_splitting.rebuilding.splitting import Splitting

pytestmark = pytest.mark.core

OPTIONS = {"weights": None, "classes": 3, "classifier_activation": None}
APPLICATIONS = {
    "mobilenet": lambda: keras.applications.MobileNet(
        (64, 64, 3), alpha=0.25, dropout=0.0, **OPTIONS
    ),
    "mobilenet_v2": lambda: keras.applications.MobileNetV2(
        (64, 64, 3), alpha=0.35, **OPTIONS
    ),
    "resnet50": lambda: keras.applications.ResNet50(input_shape=(64, 64, 3), **OPTIONS),
    "vgg16": lambda: keras.applications.VGG16(input_shape=(32, 32, 3), **OPTIONS),
}


def alive(name):
    """A network of keras.applications through which signals pass.

    Fresh kernels shrink signals until after thirty layers only biases are left. BN
    statistics are those of a batch, but for a factor.
    """
    model = nets.randomized(APPLICATIONS[name]())
    norms = [n for n in model.layers if isinstance(n, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        model(nets.images(model, 8), training=True)
    generator = np.random.default_rng(1)
    for norm in norms:
        norm.momentum = 0.9
        for variable in (norm.moving_mean, norm.moving_variance):
            variable.assign(variable * generator.uniform(0.8, 1.25, variable.shape))
    if not norms:
        for layer in model.layers:
            if layer.weights:
                layer.kernel.assign(1.4 * layer.kernel)
    return model


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(a)


def assert_preserved(model, plan, tolerance):
    """Same outputs, in inference and in training mode.

    Fifty random layers in float32 may turn a change of the input by one rounding into
    more than the tolerance; twice that is allowed then.
    """
    grown = split(model, plan, epsilon=0.0)
    x = nets.images(model, 8)
    signs = np.random.default_rng(0).choice([-1, 1], np.shape(x))
    rounded = x * (1 + np.finfo(np.asarray(x).dtype).eps / 2 * signs)
    for training in (False, True):
        before = nets.outputs(model, x, training)
        assert distance(before, np.roll(before, 1, 0)) > 0.01, "a dead network"
        after = nets.outputs(grown, x, training)
        if len(model.inputs) == 1:
            noise = distance(before, nets.outputs(model, rounded, training))
            assert noise < 5 * tolerance
        else:
            noise = 0.0
        assert distance(before, after) < max(tolerance, 2 * noise)
    return grown


@pytest.mark.slow
@pytest.mark.parametrize("name", tiers.few(APPLICATIONS, ["mobilenet_v2"]))
def test_applications_float32(name):
    model = alive(name)
    plan = nets.random_plan(trace(model), share=0.02)
    grown = assert_preserved(model, plan, 1e-5)
    assert trace(grown).widths == plan.widths(trace(model))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mobilenet_v2", marks=pytest.mark.slow),
        pytest.param("mobilenet", marks=pytest.mark.slow),
        pytest.param("resnet50", marks=pytest.mark.exhaustive),
        pytest.param("vgg16", marks=pytest.mark.exhaustive),
    ],
)
def test_applications_float64(name, float64):
    model = alive(name)
    assert_preserved(model, nets.random_plan(trace(model), 1, share=0.02), 1e-10)


@pytest.mark.parametrize("name", [n for n in nets.ALL if n != "flatten"])
def test_small_nets(name, float64):
    model = nets.randomized(nets.ALL[name]())
    grown = assert_preserved(model, nets.random_plan(trace(model), share=0.5), 1e-10)
    assert type(grown) is type(model)
    assert grown.name == model.name
    names = [layer.name for layer in model.layers]
    assert [layer.name for layer in grown.layers] == names


def test_flattened_channels_with_dropout_off(float64):
    model = nets.randomized(nets.flatten(dropout=0.0))
    assert_preserved(model, nets.random_plan(trace(model), share=0.5), 1e-10)


def test_the_original_is_left_as_it_was():
    model = nets.ready("residual")
    model.train_on_batch(*nets.data(model))
    weights = [w.numpy() for w in model.weights]
    state = [v.numpy() for v in model.optimizer.variables]
    split(model, nets.random_plan(trace(model)))
    for before, now in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(before, now)
    for before, now in zip(state, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, now)


@pytest.mark.parametrize("name", ["sequential", "nested"])
def test_no_nodes_are_left_on_the_users_layers(name):
    model = nets.ALL[name]()
    counts = [len(layer._inbound_nodes) for layer in model.layers]
    grown = split(model, nets.random_plan(trace(model)))
    assert [len(layer._inbound_nodes) for layer in model.layers] == counts
    assert {id(v) for v in grown.variables}.isdisjoint(id(v) for v in model.variables)


def test_copies_are_appended_in_the_order_of_the_plan():
    model = nets.randomized(nets.dense())
    grown = split(model, SplitPlan({"first": [2, 0, 2]}), epsilon=0.0)
    old, new = model.get_layer("first"), grown.get_layer("first")
    gather = [0, 1, 2, 3, 2, 0, 2]
    np.testing.assert_array_equal(new.kernel, old.kernel.numpy()[:, gather])
    np.testing.assert_array_equal(new.bias, old.bias.numpy()[gather])
    old = model.get_layer("second").kernel.numpy()
    rows = old[gather] / np.array([2, 1, 3, 1, 3, 2, 3])[:, None]
    np.testing.assert_allclose(grown.get_layer("second").kernel, rows, rtol=1e-6)


def test_trainable_flags_and_settings_of_layers_are_kept():
    model = nets.conv_bn()
    model.get_layer("conv_1").trainable = False
    model.get_layer("bn_1").trainable = False
    plan = SplitPlan({"conv_1": [0], "conv_2": [1]})
    grown = split(model, plan, split_untrainable=True)
    flags = {layer.name: layer.trainable for layer in model.layers}
    assert {layer.name: layer.trainable for layer in grown.layers} == flags
    assert grown.count_params() > model.count_params()
    assert not grown.get_layer("bn_2").scale


def test_regularizers_and_constraints_are_kept():
    inputs = keras.Input((4,))
    x = layers.Dense(
        3, kernel_regularizer="l2", bias_constraint="non_neg", name="hidden"
    )(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x))
    hidden = split(model, SplitPlan({"hidden": [0]})).get_layer("hidden")
    assert isinstance(hidden.kernel_regularizer, keras.regularizers.L2)
    assert isinstance(hidden.bias_constraint, keras.constraints.NonNeg)


def test_what_a_layer_was_adapted_to_stays(tmp_path):
    """`Normalization` computes with tensors that it has made of its variables."""
    x = np.random.default_rng(0).normal(3, 2, (50, 6)).astype("float32")
    adapted = layers.Normalization()
    adapted.adapt(x)
    inputs = keras.Input((6,))
    y = layers.Dense(8, name="hidden", activation="tanh")(adapted(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="logits")(y))
    grown = split(model, SplitPlan({"hidden": [1, 2]}), epsilon=0.0, verify=x)
    np.testing.assert_allclose(grown(x), model(x), atol=1e-5)
    smaller = remove(grown, RemovalPlan({"hidden": [8, 9]}), verify=x)
    np.testing.assert_allclose(smaller(x), model(x), atol=1e-5)
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.models.load_model(tmp_path / "smaller.keras")
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-5)


@pytest.mark.parametrize("name", ["residual", "sequential", "nested"])
def test_keras_file_round_trip(name, tmp_path):
    model = nets.ready(name)
    grown = split(model, nets.random_plan(trace(model), share=0.5))
    grown.train_on_batch(*nets.data(model))
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    x = nets.images(model)
    np.testing.assert_allclose(nets.outputs(loaded, x), nets.outputs(grown, x), 1e-5)
    assert trace(loaded).widths == trace(grown).widths
    again = split(loaded, nets.random_plan(trace(loaded)), epsilon=0.0)
    assert nets.difference(nets.outputs(loaded, x), nets.outputs(again, x)) < 1e-5


def test_random_directions_follow_the_seed():
    model = nets.randomized(nets.residual())
    plan = nets.random_plan(trace(model))

    def kernels(seed):
        grown = split(model, plan, epsilon=0.2, seed=seed)
        return np.concatenate([w.numpy().ravel() for w in grown.weights])

    np.testing.assert_array_equal(kernels(3), kernels(3))
    assert np.abs(kernels(3) - kernels(4)).max() > 1e-3


def test_a_step_moves_copies_apart_symmetrically():
    """θ ± ε‖θ‖v: the mean of the copies is the parent, their distance 2ε‖θ‖‖v‖."""
    model = nets.randomized(nets.dense())
    grown = split(model, SplitPlan({"first": [1]}), epsilon=0.1)
    theta = model.get_layer("first").kernel.numpy()[:, 1]
    new = grown.get_layer("first").kernel.numpy()
    np.testing.assert_allclose((new[:, 1] + new[:, 4]) / 2, theta, rtol=1e-5)
    b = model.get_layer("second").kernel.numpy()[1]
    rows = grown.get_layer("second").kernel.numpy()
    np.testing.assert_allclose(rows[1] + rows[4], b, rtol=1e-5, atol=1e-6)
    v = (new[:, 1] - new[:, 4]) / (2 * 0.1 * np.linalg.norm(theta))
    g = (rows[1] - rows[4]) / (0.1 * np.linalg.norm(b))
    assert v @ v + g @ g == pytest.approx(1, rel=1e-4)


def test_directions_on_doubled_inputs_are_halved():
    """A hand-computed example: y = Σ_j w_j h_j, h = W x, x_1 and h_1 both split.

    The kernel row of x_1 is halved on both copies of x_1, and so must be the direction
    of h_1 there: the step of h_1 keeps its length in function space.
    """
    inputs = keras.Input((2,))
    x = layers.Dense(2, use_bias=False, name="x")(inputs)
    h = layers.Dense(2, use_bias=False, name="h")(x)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="y")(h))
    model.set_weights([np.eye(2), np.array([[3.0, 0.0], [4.0, 2.0]]), np.ones((2, 1))])
    zeros = np.zeros(2)
    scores = {
        "x": SpaceScores(zeros, zeros, {}, {}),  # stays where it is
        "h": SpaceScores(
            zeros, zeros, {"h/kernel": np.array([[0.6, 0.0], [0.8, 1.0]])}, {}
        ),
    }
    plan = SplitPlan({"x": [1], "h": [0]})
    grown = split(model, plan, scores=scores, epsilon=0.1)
    # ‖θ‖ = 5 and v = (0.6, 0.8): the step is (0.3, 0.4), halved on both copies of x_1.
    expected = [
        [3.3, 0.0, 2.7],
        [2.2, 1.0, 1.8],
        [2.2, 1.0, 1.8],
    ]
    np.testing.assert_allclose(grown.get_layer("h").kernel, expected, rtol=1e-6)
    np.testing.assert_allclose(grown.get_layer("x").kernel, [[1, 0, 0], [0, 1, 1]])
    np.testing.assert_allclose(grown.get_layer("y").kernel, [[0.5], [1], [0.5]])


def test_directions_may_come_with_the_plan(tmp_path):
    model = nets.ready("residual")
    scores = estimate(model, nets.data(model), verbose=0)
    plan = SplitPlan({"stem": [1, 3], "after": [0]})
    expected = split(model, plan, scores=scores, epsilon=0.1)
    plan.with_directions(scores).save(tmp_path / "plan.json")
    found = split(model, SplitPlan.load(tmp_path / "plan.json"), epsilon=0.1)
    for a, b in zip(expected.weights, found.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_scores_of_another_width_are_refused():
    model = nets.ready("dense")
    scores = estimate(model, nets.data(model), verbose=0)
    grown = split(model, SplitPlan({"first": [0]}), scores=scores)
    with pytest.raises(PlanError, match=r"'first' have shape \(5, 4\).*needs \(5, 5\)"):
        split(grown, SplitPlan({"first": [0]}), scores=scores)


def test_steps_can_be_set_one_after_the_other():
    model = nets.randomized(nets.depthwise())
    plan = nets.random_plan(trace(model))
    splitting = Splitting(model, plan, seed=5)
    grown = splitting.build(0.7)
    splitting.set_weights(0.1)
    expected = split(model, plan, epsilon=0.1, seed=5)
    for a, b in zip(expected.weights, grown.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_subclassed_part_is_carried_whole():
    """A nested model that nobody can look into freezes its surroundings and stays."""

    @keras.saving.register_keras_serializable("tests")
    class Hidden(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.inner = layers.Dense(4)

        def build(self, shape):
            self.inner.build(shape)
            scale = self.add_weight(shape=(4,), initializer="ones")
            self.scales = SimpleNamespace(weight=scale)

        def call(self, x):
            return keras.ops.tanh(self.inner(x)) * self.scales.weight

    inputs = keras.Input((3,))
    x = layers.Dense(5, activation="tanh", name="free")(inputs)
    x = layers.Dense(4, name="bound")(x)
    model = keras.Model(inputs, layers.Dense(2)(Hidden(name="hidden")(x)))
    assert "hidden" in trace(model).space("bound").frozen
    grown = split(model, SplitPlan({"free": [0]}), epsilon=0.0)
    x = nets.images(model)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-5


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["conv_bn", "residual", "bottleneck", "concatenate"])
def test_fresh_neurons_do_not_change_the_function(float64, name, training):
    model = nets.ready(name)
    x, _ = nets.data(model)
    plan = nets.random_plan(trace(model), share=0.6)
    grown = split(model, plan, epsilon="fresh")
    assert count_macs(grown) > count_macs(model)
    before = nets.outputs(model, x, training=training)
    after = nets.outputs(grown, x, training=training)
    assert nets.difference(before, after) < 1e-10


def test_a_fresh_neuron_is_random_of_its_parents_norm_and_silent():
    model = nets.ready("dense")
    space = trace(model).growable[0]
    (producer,), (consumer,) = space.producers, space.consumers
    plan = SplitPlan({space.name: [1, 1]})
    first, other = (split(model, plan, epsilon="fresh", seed=seed) for seed in (0, 1))
    old = model.get_layer(producer).kernel.numpy()
    new = first.get_layer(producer).kernel.numpy()
    np.testing.assert_array_equal(new[:, : space.width], old)
    norms = np.linalg.norm(new[:, space.width :], axis=0)
    np.testing.assert_allclose(norms, np.linalg.norm(old[:, 1]), rtol=1e-5)
    added = new[:, space.width :].T
    assert not np.allclose(added[0], added[1])
    assert not np.allclose(new, other.get_layer(producer).kernel.numpy())
    outgoing = first.get_layer(consumer).kernel.numpy()
    np.testing.assert_array_equal(outgoing[space.width :], 0)
    np.testing.assert_array_equal(
        outgoing[: space.width], model.get_layer(consumer).kernel.numpy()
    )


def test_fresh_neurons_learn():
    """Their outgoing weights see a gradient at once, then so do they."""
    model = nets.ready("dense")
    model.compile(keras.optimizers.SGD(0.5), "mse")
    x, _ = nets.data(model)
    space = trace(model).growable[0]
    plan = SplitPlan({space.name: [0, 1]})
    grown = split(model, plan, epsilon="fresh")
    (producer,) = space.producers
    start = grown.get_layer(producer).kernel.numpy()
    y = np.ones(grown.output_shape[1:]) * np.ones((len(x), 1))
    for _ in range(3):
        grown.train_on_batch(x, y)
    moved = grown.get_layer(producer).kernel.numpy() - start
    assert np.abs(moved[:, space.width :]).max(axis=0).min() > 1e-6


def test_another_plan_of_the_same_widths_needs_no_other_model():
    model = nets.ready("conv_bn")
    splitting = Splitting(model, SplitPlan({"conv_1": [0], "conv_2": [1]}), seed=3)
    new = splitting.build(0.0)
    plan = SplitPlan({"conv_1": [2], "conv_2": [0]})
    splitting.replan(plan)
    splitting.set_weights(0.3)
    expected = split(model, plan, epsilon=0.3, seed=3)
    for a, b in zip(new.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(PlanError, match="makes widths"):
        splitting.replan(SplitPlan({"conv_1": [2, 3]}))
