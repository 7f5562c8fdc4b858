"""The splitting problem: its cache, its samples, and what a split is really worth."""

import brute
import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers

from tf_splitting import SplitPlan, split, trace
from tf_splitting.data.sampling import draw_sample
from tf_splitting.estimating.problem import SplittingProblem

pytestmark = pytest.mark.usefixtures("float64")


def problem(model, cache_limit, size=24, outgoing=True):
    sample = draw_sample(nets.data(model, count=24), size=size, batch_size=5)
    return SplittingProblem(
        model,
        trace(model),
        sample,
        epsilon=brute.STEP,
        outgoing=outgoing,
        cache_limit=cache_limit,
    )


@pytest.mark.parametrize(
    "name", tiers.some(["squeeze_excite", "residual", "unet"], ["residual"])
)
def test_cached_batches_yield_the_same_products(name):
    model = nets.ready(name)
    p, q = problem(model, 0), problem(model, 2**30)
    for seed in (0, 1):
        field = p.neurons.random(np.random.default_rng(seed))
        for a, b in zip(p.product(field), q.product(field), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)
    assert p.loss == pytest.approx(q.loss)


@pytest.mark.slow
def test_batches_are_linearized_once_if_they_fit():
    calls = []
    for limit in (0, 100, 2**30):
        p = problem(nets.ready("conv_bn"), limit)
        product = p._product
        counts = {"linearize": 0, "whole": 0}

        def counted(name, function, counts=counts):
            def run(*arguments):
                counts[name] += 1
                return function(*arguments)

            return run

        p._product = type(product)(
            counted("linearize", product.linearize),
            product.at,
            counted("whole", product.whole),
            product.curvatures,
        )
        for _ in range(3):
            p.product(p.neurons.random(np.random.default_rng(0)))
        calls.append((counts["linearize"], counts["whole"]))
    # The second learns from its first batch that the sample does not fit.
    assert calls == [(0, 15), (1, 14), (5, 0)]


def test_another_sample_is_another_problem():
    model = nets.ready("dense")
    p = problem(model, 2**30)
    field = p.neurons.random(np.random.default_rng(0))
    whole = p.product(field)
    first, rest = p.sample.part(0, 10), p.sample.part(10, 24)
    parts = [p.on(sample).product(field) for sample in (first, rest)]
    for whole_part, a, b in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(whole_part, (10 * a + 14 * b) / 24, rtol=1e-9)
    assert p.on(first).loss != p.loss


@pytest.mark.parametrize(
    "name",
    tiers.some(["conv_bn", "residual", "squeeze_excite", "flatten"], ["residual"]),
)
@pytest.mark.parametrize("outgoing", [True, False])
def test_curvatures_tend_to_the_quadratic_form(name, outgoing):
    p = problem(nets.ready(name), 0, outgoing=outgoing)
    field = p.neurons.random(np.random.default_rng(0))
    found = p.fold_shares @ p.curvatures(field)
    form = p.neurons.inner(field, p.product(field))
    np.testing.assert_allclose(found, form, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("trainable", [True, False])
def test_curvatures_are_those_of_real_splits_at_any_step(trainable):
    """Kinks, max pooling, far steps: exact where the loss is linear in the consumer."""

    def linear(y_true, y_pred):
        return keras.ops.mean(y_true * y_pred, axis=-1)

    x = inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, activation="relu6", name="first")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(nets.CLASSES, name="logits", trainable=trainable)(x)
    model = nets.randomized(keras.Model(inputs, x))
    model.compile("sgd", linear)
    x, y = nets.data(model, count=16)
    graph = trace(model)
    sample = draw_sample((x, y), size=16, batch_size=4)
    step = 0.3
    p = SplittingProblem(model, graph, sample, epsilon=step, outgoing=True)
    field = p.neurons.random(np.random.default_rng(0))
    scores = brute.as_scores(p.neurons, np.zeros(p.neurons.count), field)
    found = p.fold_shares @ p.curvatures(field)
    before = np.mean(y * nets.outputs(model, x))
    for neuron in range(4):
        plan = SplitPlan({"first": [neuron]})
        grown = split(model, plan, scores=scores, epsilon=step)
        change = np.mean(y * nets.outputs(grown, x)) - before
        assert found[neuron] == pytest.approx(2 * change / step**2, rel=1e-8)
