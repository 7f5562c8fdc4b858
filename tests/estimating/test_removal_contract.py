"""What every estimator of removals must do. A new one is one row in ESTIMATORS."""

import functools

import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers

from tf_splitting import (
    NormalizationScale,
    RemovalPlan,
    SecondOrder,
    Taylor,
    WeightNorm,
    estimate_removals,
    remove,
    trace,
)
from tf_splitting.data.sampling import Batch, Sample
from tf_splitting.errors import (
    DataError,
    ModelError,
    NonFiniteLossError,
    SplittingError,
)
from tf_splitting.estimating import Silencing
from tf_splitting.rebuilding.folding import folded

# With each, the least rank correlation of its costs with what the loss really rises by;
# None: it does not look at the loss, and is what its definition says.
ESTIMATORS = {
    "second_order": (SecondOrder(), 0.9),
    "second_order_lost": (SecondOrder(fold=False), 0.9),
    "taylor": (Taylor(), 0.8),
    "normalization_scale": (NormalizationScale(), None),
    "weight_norm": (WeightNorm(), None),
}
each = pytest.mark.parametrize("name", ESTIMATORS)


def scored(name, model, data, **options):
    estimator, _ = ESTIMATORS[name]
    return estimate_removals(model, data, estimator=estimator, verbose=0, **options)


@each
def test_shapes(name):
    model = nets.ready("conv_bn")
    scores = scored(name, model, nets.data(model, 40), sample_size=30)
    graph = trace(model)
    assert list(scores) == [space.name for space in graph.growable]
    for space in graph.growable:
        assert scores[space.name].shape == (space.width,)
        assert not np.isnan(scores[space.name]).any()
    assert scores.examples == 30
    assert "lowest cost" in str(scores)


@functools.cache
def trained():
    """A network that has learned something, of which half the neurons matter less."""
    keras.utils.set_random_seed(3)
    generator = np.random.default_rng(0)
    x = generator.standard_normal((512, 8, 8, 2)).astype("float32")
    means = np.abs(x).mean((1, 2))
    y = (x[:, 2:6, 2:6, 0].mean((1, 2)) > 0).astype(int) + (means[:, 1] > 0.8)
    # A third of the labels says nothing, so that nobody can be sure of any.
    noise = generator.uniform(size=len(y)) < 0.35
    y = np.where(noise, generator.integers(0, 3, len(y)), y)
    inputs = keras.Input((8, 8, 2))
    h = inputs
    for width in (12, 16):
        h = layers.Conv2D(width, 3, strides=2, padding="same")(h)
        h = layers.BatchNormalization(momentum=0.8)(h)
        h = layers.Activation("relu")(h)
    h = layers.Flatten()(h)
    model = keras.Model(inputs, layers.Dense(3)(h))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, batch_size=64, epochs=6, verbose=0)
    return model, (x, y)


@functools.cache
def really(fold):
    """What the loss rises by without each neuron of `trained`, by brute force."""
    model, (x, y) = trained()
    before = model.evaluate(x, y, verbose=0)
    rises = {}
    for space in trace(model).growable:
        for neuron in range(space.width):
            plan = RemovalPlan({space.name: [neuron]})
            smaller = remove(model, plan, dataset=(x, y) if fold else None)
            after = smaller.evaluate(x, y, verbose=0)
            rises.setdefault(space.name, []).append(after - before)
    return rises


def ranks(values):
    return np.argsort(np.argsort(values))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    tiers.few([n for n, (_, least) in ESTIMATORS.items() if least], ["second_order"]),
)
def test_costs_are_ordered_as_real_rises_are(name):
    model, data = trained()
    scores = scored(name, model, data, sample_size=512)
    rises = really(fold=name == "second_order")
    costs = np.concatenate([scores[space] for space in rises])
    real = np.concatenate([rises[space] for space in rises])
    correlation = np.corrcoef(ranks(costs), ranks(real))[0, 1]
    assert correlation > ESTIMATORS[name][1]
    if scores.predicted:
        # The rise itself is known but for a factor: the loss is not quadratic.
        assert np.corrcoef(costs, real)[0, 1] > 0.9
        assert 0.4 < costs.sum() / real.sum() < 2.5


def test_norms_are_those_of_all_producers():
    model = nets.ready("residual")
    graph = trace(model)
    scores = scored("weight_norm", model, nets.data(model))
    for space in graph.growable:
        kernels = [model.get_layer(name).kernel for name in space.producers]
        flat = [np.array(k).reshape(-1, space.width) for k in kernels]
        expected = np.linalg.norm(np.concatenate(flat), axis=0)
        np.testing.assert_allclose(scores[space.name], expected, rtol=1e-6)


def test_scales_are_those_of_normalizations_on_the_way():
    model = nets.ready("depthwise")
    scores = scored("normalization_scale", model, nets.data(model))
    gammas = {}
    for norm in model.layers:
        if isinstance(norm, layers.BatchNormalization):
            space = trace(model).weight(f"{norm.name}/gamma").axes[0].layout[0].space
            gammas[space] = gammas.get(space, 0) + np.abs(np.array(norm.gamma))
    assert gammas
    for space, costs in scores.items():
        np.testing.assert_allclose(costs, gammas.get(space, np.inf), rtol=1e-6)


def losses(model, x, y):
    """Of every example, from logits."""
    logits = nets.outputs(model, x).astype(np.float64)
    log_sum = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1))
    return log_sum - ((logits - logits.max(1, keepdims=True)) * y).sum(1)


def slope(model, graph, data, space, neuron, added=None, step=1e-4):
    """Of every example's loss, as a neuron fades and what is `added` comes, by brute
    force."""
    x, y = data
    plan = RemovalPlan({space: [neuron]})
    weights = {weight.name: weight for weight in graph.weights}
    before = {name: np.array(w.variable) for name, w in weights.items()}
    with nets.silenced(model, graph, plan):
        gone = {name: np.array(w.variable) for name, w in weights.items()}
    found = []
    for t in (step, -step):
        for name, weight in weights.items():
            end = gone[name] + (added or {}).get(name, 0.0)
            weight.variable.assign((1 - t) * before[name] + t * end)
        found.append(losses(model, x, y))
    for name, weight in weights.items():
        weight.variable.assign(before[name])
    return (found[0] - found[1]) / (2 * step)


def silenced(model, graph, data, fold, batches=2):
    x, y = data
    size = len(y) // batches

    def part(k):
        return keras.tree.map_structure(lambda a: a[k * size :][:size], (x, y))

    sample = Sample(tuple(Batch(*part(k)) for k in range(batches)))
    silencing = Silencing(model, graph, sample)
    return silencing.neurons, silencing.silenced(fold=fold)


NETS = ["dense", "residual", "depthwise", "flatten", "concatenate", "shared"]


@pytest.mark.parametrize("net", [*NETS, "squeeze_excite", "separable", "unet"])
def test_first_order_changes_are_those_of_every_example(net, float64):
    model = nets.ready(net)
    graph = trace(model)
    data = nets.data(model, 12)
    neurons, found = silenced(model, graph, data, fold=False)
    for space in graph.growable:
        for neuron in (0, space.width - 1):
            slopes = slope(model, graph, data, space.name, neuron)
            number = neurons.offsets[space.name] + neuron
            close = {"rtol": 1e-5, "atol": 1e-8}
            np.testing.assert_allclose(found.first[number], slopes.mean(), **close)
            square = np.square(slopes).mean()
            np.testing.assert_allclose(found.second[number], square, **close)
            parts = slopes.reshape(2, -1).mean(1)
            np.testing.assert_allclose(found.batches[:, number], parts, **close)


@pytest.mark.parametrize("net", ["dense", "concatenate"])
def test_folded_means_are_those_that_are_folded(net, float64):
    """Where no border is padded; elsewhere what is folded differs a little."""
    model = nets.ready(net)
    graph = trace(model)
    x, y = data = nets.data(model, 12)
    neurons, found = silenced(model, graph, data, fold=True)
    sample = Sample((Batch(x, y),))
    for space in graph.growable:
        readers = [graph.weight(f"{name}/kernel") for name in space.consumers]
        if any(max(w.variable.shape[:-2], default=1) > 1 for w in readers):
            continue
        added = folded(model, graph, {space.name: [1]}, sample)
        assert added
        slopes = slope(model, graph, data, space.name, 1, added)
        number = neurons.offsets[space.name] + 1
        np.testing.assert_allclose(found.first[number], slopes.mean(), atol=1e-8)
        square = np.square(slopes).mean()
        np.testing.assert_allclose(found.second[number], square, rtol=1e-5)


def test_weights_of_examples_count(float64):
    """Twice the weight is the example twice."""
    model = nets.ready("dense")
    x, y = nets.data(model, 8)
    weight = np.array([2.0, 0, 1, 1, 1, 1, 1, 1])
    weighted = scored("second_order", model, (x, y, weight), sample_size=8)
    assert not np.allclose(
        weighted["first"], scored("second_order", model, (x, y))["first"]
    )
    none = scored("second_order", model, (x, y, 0 * weight))
    np.testing.assert_allclose(none["first"], 0, atol=1e-12)


def test_a_normalization_is_needed_for_its_scale():
    model = nets.ready("dense")
    with pytest.raises(ModelError, match="passes a normalization with a scale"):
        scored("normalization_scale", model, nets.data(model))


def test_bad_input():
    model = nets.ready("dense")
    x, y = nets.data(model)
    with pytest.raises(SplittingError, match="Pass one, not its class"):
        estimate_removals(model, (x, y), estimator=SecondOrder, verbose=0)
    with pytest.raises(SplittingError, match="fold"):
        SecondOrder(fold="yes")
    with pytest.raises(DataError, match="takes"):
        estimate_removals(model, (np.zeros((4, 77)), y[:4]), verbose=0)
    with pytest.raises(NonFiniteLossError):
        estimate_removals(model, (np.full_like(x, np.nan), y), verbose=0)
