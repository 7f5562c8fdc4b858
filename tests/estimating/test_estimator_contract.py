"""What every estimator must do. A new one is one row in ESTIMATORS."""

import brute
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
import tiers

from tf_splitting import Exact, Rayleigh, SplitPlan, estimate, split, trace
from tf_splitting.errors import DataError, ModelError, NonFiniteLossError
from tf_splitting.estimating.scores import assemble
from tf_splitting.tracing.neurons import Neurons

pytestmark = pytest.mark.core

ESTIMATORS = {
    "exact": Exact(),
    "exact_incoming": Exact(outgoing=False),
    "lobpcg": Rayleigh(passes=3),
    "lobpcg_incoming": Rayleigh(passes=3, outgoing=False),
    "rmsprop": Rayleigh(solver="rmsprop", passes=2),
}
each = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
# Where it makes no difference which weights are in a direction.
QUICK = {"exact", "lobpcg"}
each_kind = pytest.mark.parametrize(
    "estimator",
    [
        pytest.param(estimator, id=name, marks=tiers.marks(name, QUICK, ESTIMATORS))
        for name, estimator in ESTIMATORS.items()
    ],
)


def scored(model, data, estimator, **options):
    options = {"epsilon": brute.STEP, "verbose": 0, **options}
    return estimate(model, data, estimator=estimator, **options)


@each_kind
def test_shapes_and_unit_vectors(estimator, float64):
    model = nets.ready("residual")
    graph = trace(model)
    scores = scored(model, nets.data(model), estimator)
    assert list(scores) == [space.name for space in graph.growable]
    neurons = Neurons(graph, outgoing=estimator.outgoing)
    field = assemble(neurons, scores, list(scores))
    np.testing.assert_allclose(neurons.inner(field, field), 1, rtol=1e-6)
    for space in graph.growable:
        score = scores[space.name]
        assert score.splitting_index.shape == score.gain.shape == (space.width,)
        gain = -0.5 * scores.epsilon**2 * score.splitting_index
        np.testing.assert_allclose(score.gain, gain)
        assert {k.split("/")[0] for k in score.incoming} == set(space.producers)
        outgoing = set(space.consumers) if estimator.outgoing else set()
        assert {k.split("/")[0] for k in score.outgoing} == outgoing
        for name, direction in score.incoming.items():
            assert direction.shape == graph.weight(name).variable.shape


@each
def test_the_index_is_the_quotient_of_its_direction(estimator, float64):
    """Whatever an estimator finds, λ = vᵀSv of the v that it returns."""
    model = nets.ready("conv_bn")
    data = nets.data(model)
    scores = scored(model, data, estimator)
    p = brute.problem(model, data, outgoing=estimator.outgoing)
    field = assemble(p.neurons, scores, list(scores))
    quotients = p.neurons.inner(field, p.product(field))
    found = np.concatenate([s.splitting_index for s in scores.values()])
    np.testing.assert_allclose(found, quotients, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
@each_kind
def test_the_seed_decides(estimator):
    model = nets.ready("dense")
    data = nets.data(model, count=40)

    def indices(seed):
        scores = scored(model, data, estimator, seed=seed, epsilon=0.03, sample_size=20)
        return np.concatenate([s.splitting_index for s in scores.values()])

    np.testing.assert_array_equal(indices(1), indices(1))
    assert not np.array_equal(indices(1), indices(2))


@each_kind
def test_sample_weights_count(estimator, float64):
    """Examples of weight zero might as well have other labels."""
    model = nets.ready("dense")
    x, y = nets.data(model)
    weight = np.where(np.arange(16) < 8, 1.0, 0.0)
    other = np.where(weight[:, None] > 0, y, np.roll(y, 1, axis=1))
    # One batch in a fixed order: arrays are drawn at random, alike for one seed.
    same = [scored(model, (x, labels, weight), estimator) for labels in (y, other)]
    plain = scored(model, (x, y), estimator)
    for space in plain:
        a, b = (s[space].splitting_index for s in same)
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)
        assert np.abs(a - plain[space].splitting_index).max() > 1e-6


@each_kind
def test_a_given_loss_replaces_the_compiled_one(estimator):
    model = nets.ready("dense")
    data = nets.data(model)
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    other.compile("sgd", "mse")
    given = scored(model, data, estimator, loss="mse", epsilon=0.03)
    expected = scored(other, data, estimator, epsilon=0.03)
    assert given.loss == pytest.approx(expected.loss)
    for space in given:
        np.testing.assert_allclose(
            given[space].splitting_index, expected[space].splitting_index, rtol=1e-4
        )


@each_kind
def test_batches_make_no_difference(estimator, float64):
    if getattr(estimator, "solver", "") == "rmsprop":
        pytest.skip("it takes a step per batch")
    model = nets.ready("dense")
    data = nets.data(model, count=20)
    whole = scored(model, data, estimator, batch_size=20)
    parts = scored(model, data, estimator, batch_size=6)
    assert whole.examples == parts.examples == 20
    for space in whole:
        np.testing.assert_allclose(
            whole[space].splitting_index, parts[space].splitting_index, rtol=1e-5
        )


@each
def test_the_progress_it_promises(estimator):
    model = nets.ready("dense")
    p = brute.problem(model, nets.data(model), outgoing=estimator.outgoing, step=0.03)
    taken = []
    p.on_product = lambda: taken.append(1)
    estimator.solve(p, 0)
    assert len(taken) == estimator.products(p)


def test_loss_and_size_of_the_sample():
    model = nets.ready("dense")
    x, y = nets.data(model)
    scores = estimate(model, (x, y), verbose=0)
    assert scores.examples == 16
    assert scores.loss == pytest.approx(nets.loss_of(model, x, y), rel=1e-5)
    assert "first" in str(scores)


def test_data_that_does_not_fit_is_refused():
    model = nets.ready("dense")
    x, y = nets.data(model)
    with pytest.raises(DataError, match=r"\(16, 4\).*takes \(None, 5\)"):
        estimate(model, (x[:, :4], y), verbose=0)
    with pytest.raises(DataError, match="2 inputs, the model 1"):
        estimate(model, ((x, x), y), verbose=0)
    with pytest.raises(NonFiniteLossError, match="batch 0"):
        estimate(model, (np.nan * x, y), verbose=0)


def test_inputs_by_name():
    model = nets.ready("shared")
    (left, right), y = nets.data(model)
    by_name = ({"right": right, "left": left}, y)
    a = estimate(model, by_name, verbose=0)
    b = estimate(model, ((left, right), y), verbose=0)
    np.testing.assert_array_equal(a["twice"].gain, b["twice"].gain)
    with pytest.raises(DataError, match="right"):
        estimate(model, ({"left": left}, y), verbose=0)


def test_a_model_without_a_loss_is_refused():
    model = nets.dense()
    with pytest.raises(ModelError, match="not compiled with a loss"):
        estimate(model, nets.data(model), verbose=0)


# Losses and data as users have them -------------------------------------------------


def with_loss(loss, **options):
    model = nets.randomized(nets.dense())
    model.compile(keras.optimizers.SGD(0.05), loss, **options)
    return model


def indices(scores):
    return np.concatenate([s.splitting_index for s in scores.values()])


LOSSES = {
    "from_logits": lambda z, y: keras.losses.categorical_crossentropy(
        y, z, from_logits=True
    ),
    "smoothing": lambda z, y: keras.losses.categorical_crossentropy(
        y, z, from_logits=True, label_smoothing=0.2
    ),
    "squares": lambda z, y: keras.losses.mean_squared_error(y, z),
}
KERAS_LOSSES = {
    "from_logits": keras.losses.CategoricalCrossentropy(from_logits=True),
    "smoothing": keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.2
    ),
    "squares": "mse",
}


@pytest.mark.parametrize("name", LOSSES)
def test_indices_are_those_of_the_compiled_loss(name, float64):
    """Against the second difference of the loss, written out."""
    model = with_loss(KERAS_LOSSES[name])
    x, y = nets.data(model)
    scores = scored(model, (x, y), Exact())
    before, after = (
        float(keras.ops.mean(LOSSES[name](m(x), y)))
        for m in (
            model,
            split(model, SplitPlan({"first": [1]}), scores=scores, epsilon=brute.STEP),
        )
    )
    found = 2 * (after - before) / brute.STEP**2
    index = scores["first"].splitting_index[1]
    assert found == pytest.approx(index, rel=1e-4, abs=1e-7)
    assert scores.loss == pytest.approx(before)


def test_sparse_targets_and_streams_and_arrays_agree(float64):
    x, y = nets.data(nets.dense(), 32)
    model = with_loss(keras.losses.CategoricalCrossentropy(from_logits=True))
    sparse = with_loss(keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    sparse.set_weights(model.get_weights())
    labels = y.argmax(1)
    stream = tf.data.Dataset.from_tensor_slices((x, labels)).batch(8)
    # All of the data, in whatever order.
    expected = indices(scored(model, (x, y), Exact()))
    for dataset in ((x, labels), stream):
        found = scored(sparse, dataset, Exact())
        np.testing.assert_allclose(indices(found), expected, rtol=1e-6, atol=1e-12)


def test_class_weights_are_sample_weights(float64):
    x, y = nets.data(nets.dense(), 32)
    model = with_loss(keras.losses.CategoricalCrossentropy(from_logits=True))
    weights = {0: 3.0, 2: 0.25}
    per_example = np.array([weights.get(int(c), 1.0) for c in y.argmax(1)])
    by_class = scored(model, (x, y), Exact(), class_weight=weights)
    by_example = scored(model, (x, y, per_example), Exact())
    np.testing.assert_allclose(indices(by_class), indices(by_example), rtol=1e-6)
    assert by_class.loss == pytest.approx(by_example.loss)


def test_regularizers_are_left_out():
    """They do not compare across a split; those of activities are of the last call.

    In float32, as those of old Keras know no other.
    """
    plain = nets.compiled(nets.randomized(nets.dense()))
    x = inputs = keras.Input((5,))
    options = {"kernel_regularizer": "l2", "activity_regularizer": "l1"}
    x = keras.layers.Dense(4, activation="tanh", name="first", **options)(x)
    x = keras.layers.ActivityRegularization(0.1)(x)
    x = keras.layers.Dense(6, activation="softplus", name="second", **options)(x)
    x = keras.layers.Dense(nets.CLASSES, name="logits")(x)
    model = nets.compiled(keras.Model(inputs, x))
    data = nets.data(model)
    model.fit(*data, verbose=0)
    plain.set_weights(model.get_weights())
    found, expected = (scored(m, data, Exact()) for m in (model, plain))
    np.testing.assert_allclose(indices(found), indices(expected), rtol=1e-5)
    assert found.loss == pytest.approx(expected.loss)


class OwnLoss(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **rest):
        return keras.ops.mean(keras.ops.square(y_pred - y))


def test_a_models_own_loss_is_used(float64):
    base = nets.randomized(nets.dense())
    own = OwnLoss(base.input, base.output)
    own.compile("sgd", "mae")
    squares = with_loss("mse")
    squares.set_weights(base.get_weights())
    data = nets.data(base)
    found, expected = (indices(scored(m, data, Exact())) for m in (own, squares))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.slow
def test_xla():
    """What TPUs need: the product compiles, with static shapes throughout."""
    model = nets.ready("depthwise")
    data = nets.data(model, 8)
    estimator = Rayleigh(passes=1)
    # A step at which the round-off of so few examples does not show.
    options = {"estimator": estimator, "epsilon": 0.05, "verbose": 0}
    found, expected = (
        indices(estimate(model, data, jit_compile=j, **options)) for j in (True, False)
    )
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-3 * scale)
