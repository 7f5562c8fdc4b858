"""Solvers against each other, and symmetries of the splitting matrices."""

import itertools

import brute
import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers

from tf_splitting import Exact, Rayleigh, estimate, trace
from tf_splitting.data.sampling import Batch, Sample
from tf_splitting.errors import SplittingError, UnknownNameError
from tf_splitting.estimating.estimators.base import measured
from tf_splitting.estimating.problem import SplittingProblem

pytestmark = pytest.mark.usefixtures("float64")


def solved(model, data, estimator):
    p = brute.problem(model, data, outgoing=estimator.outgoing)
    return p.neurons, estimator.solve(p, seed=0)


def cosines(neurons, a, b):
    return np.abs(neurons.inner(a, b))


@pytest.mark.parametrize(
    "name",
    tiers.some(["dense", "conv_bn", "residual", "bottleneck"], ["dense"]),
)
@pytest.mark.parametrize("outgoing", [True, False])
def test_the_converged_iteration_finds_what_eigh_finds(name, outgoing):
    model = nets.ready(name)
    data = nets.data(model, count=32)
    neurons, exact = solved(model, data, Exact(outgoing=outgoing))
    _, found = solved(model, data, Rayleigh(passes=40, tolerance=0, outgoing=outgoing))
    scale = np.abs(exact.values).max()
    np.testing.assert_allclose(found.values, exact.values, rtol=1e-3, atol=1e-6 * scale)
    # An eigenvalue of zero has no direction of its own: linear neurons alone.
    unique = np.abs(exact.values) > 1e-6 * scale
    assert unique.any()
    assert cosines(neurons, found.vectors, exact.vectors)[unique].min() > 0.99


@pytest.mark.slow
def test_more_passes_never_find_less():
    model = nets.ready("residual")
    data = nets.data(model)
    values = [
        solved(model, data, Rayleigh(passes=n, tolerance=0))[1].values
        for n in (1, 2, 4, 8)
    ]
    for worse, better in itertools.pairwise(values):
        assert (better <= worse + 1e-9).all()
    assert (values[-1] < values[0] - 1e-6).all()


@pytest.mark.slow
def test_stochastic_descent_comes_near():
    """The paper's solver, 300 steps of one batch each."""
    model = nets.ready("dense")
    data = nets.data(model, count=32)
    neurons, exact = solved(model, data, Exact())
    settings = Rayleigh(solver="rmsprop", passes=300, learning_rate=0.01)
    _, found = solved(model, data, settings)
    np.testing.assert_allclose(found.values, exact.values, rtol=0.05)
    assert np.median(cosines(neurons, found.vectors, exact.vectors)) > 0.95


@pytest.mark.parametrize("name", ["dense", "residual", "flatten"])
def test_products_are_symmetric(name):
    """aᵀSb = bᵀSa, without the symmetrization of `Exact`."""
    model = nets.ready(name)
    p = brute.problem(model, nets.data(model))
    generator = np.random.default_rng(0)
    a, b = p.neurons.random(generator), p.neurons.random(generator)
    left = p.neurons.inner(a, p.product(b))
    right = p.neurons.inner(b, p.product(a))
    np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-6)


def test_matrices_reproduce_the_product():
    model = nets.ready("conv_bn")
    p = brute.problem(model, nets.data(model))
    matrices = Exact().matrices(p)
    assert matrices["conv_1"].shape == (4, 18 + 12, 18 + 12)
    for space, matrix in matrices.items():
        np.testing.assert_array_equal(matrix, matrix.transpose(0, 2, 1))
        assert np.abs(matrix).max() > 1e-4, space


def test_a_dense_neuron_by_hand():
    """One tanh neuron, squared error: S = E[δ·b·tanh''(θx)·x xᵀ], δ = 2 (f - y)."""
    inputs = keras.Input((2,))
    x = layers.Dense(1, use_bias=False, activation="tanh", name="neuron")(inputs)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="out")(x))
    theta, b = np.array([[0.6], [0.8]]), np.array([[1.5]])  # ‖θ‖ = 1
    model.set_weights([theta, b])
    model.compile("sgd", "mse")
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((10, 2)), generator.standard_normal((10, 1))
    t = np.tanh(x @ theta)
    bend = 2 * (b[0, 0] * t - y) * b[0, 0] * (-2 * t * (1 - t**2))
    incoming = np.einsum("n,ni,nj->ij", bend[:, 0], x, x) / 10
    slope = 2 * (b[0, 0] * t - y) * b[0, 0] * (1 - t**2)  # γ in units of |b|
    mixed = (slope * x).mean(0)
    expected = np.block([[incoming, mixed[:, None]], [mixed[None], np.zeros((1, 1))]])
    matrix = Exact().matrices(brute.problem(model, (x, y)))["neuron"][0]
    np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_moving_scale_between_relu_layers_changes_nothing():
    """Relative units: (c θ, c bias, b / c) is the same network and the same λ."""
    x = inputs = keras.Input((5,))
    x = layers.Dense(4, activation="relu", name="first")(x)
    x = layers.Dense(3, activation="relu", name="second")(x)
    model = keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))
    model = nets.compiled(nets.randomized(model))
    data = nets.data(model, count=200)

    def indices():
        scores = estimate(model, data, estimator=Exact(), epsilon=0.03, verbose=0)
        return np.concatenate([s.splitting_index for s in scores.values()])

    before = indices()
    first, second = model.get_layer("first"), model.get_layer("second")
    c = np.array([0.1, 3.0, 10.0, 0.5])
    first.kernel.assign(first.kernel * c)
    first.bias.assign(first.bias * c)
    second.kernel.assign(second.kernel / c[:, None])
    after = indices()
    # The incoming slices of "second" change their relative parts, not so "first".
    np.testing.assert_allclose(after[:4], before[:4], rtol=1e-6, atol=1e-9)


def test_large_neurons_are_refused_by_exact():
    model = nets.ready("dense")
    with pytest.raises(SplittingError, match=r"has 11 weights.*max_dimension=10"):
        Exact(max_dimension=10).matrices(brute.problem(model, nets.data(model)))


def test_settings_out_of_range():
    with pytest.raises(UnknownNameError, match=r"'lobpg'.*nearest name is 'lobpcg'"):
        Rayleigh(solver="lobpg")
    with pytest.raises(SplittingError, match="passes=0"):
        Rayleigh(passes=0)


def test_exact_scores_carry_the_matrices_they_come_from():
    model = nets.ready("dense")
    data = nets.data(model)
    scores = estimate(model, data, estimator=Exact(), epsilon=1e-3, verbose=0)
    for space in scores.values():
        lowest = np.linalg.eigvalsh(space.matrices)[:, 0]
        np.testing.assert_allclose(lowest, space.splitting_index, rtol=1e-5)
    fast = estimate(model, data, verbose=0)
    assert all(space.matrices is None for space in fast.values())


def errors(name, **settings):
    """Relative errors of λ against the exact ones, and what the solver says of them."""
    model = nets.ready(name)
    data = nets.data(model, count=32)
    _, exact = solved(model, data, Exact())
    _, found = solved(model, data, Rayleigh(**settings))
    return exact.values, found


@pytest.mark.parametrize("name", ["dense", "conv_bn", "separable", "residual"])
def test_an_eigenvalue_lies_within_the_residual(name):
    model = nets.ready(name)
    data = nets.data(model, count=32)
    p = brute.problem(model, data)
    matrices = Exact().matrices(p)
    for passes in (2, 4):
        found = Rayleigh(passes=passes, tolerance=0).solve(p, seed=0)
        for space, stack in matrices.items():
            spectrum = np.linalg.eigvalsh(stack)
            value = p.neurons.of(space, found.values)
            nearest = np.abs(spectrum - value[:, None]).min(axis=1)
            bound = p.neurons.of(space, found.residuals)
            assert (nearest <= 1.001 * bound + 1e-7).all()
    assert (found.residuals < 0.5 * np.abs(found.values)).mean() > 0.5


@pytest.mark.parametrize("tolerance", tiers.some([0.1, 0.01, 0.001], [0.01]))
def test_passes_end_once_the_gain_is_known_to_the_tolerance(tolerance):
    exact, found = errors("residual", passes=40, tolerance=tolerance)
    gaining = exact < 0
    missing = (found.values - exact)[gaining].sum()
    assert 0 <= missing <= 2 * tolerance * -exact[gaining].sum()


@pytest.mark.slow
def test_a_tighter_tolerance_takes_more_products():
    model = nets.ready("residual")
    data = nets.data(model, count=32)
    taken = []
    for tolerance in (0.3, 0.03, 0.003):
        p = brute.problem(model, data)
        calls = []
        p.on_product = lambda calls=calls: calls.append(1)
        Rayleigh(passes=40, tolerance=tolerance).solve(p, seed=0)
        taken.append(len(calls))
    assert taken[0] < taken[1] < taken[2] < 40


@pytest.mark.slow
def test_standard_errors_are_those_of_repeated_samples():
    """λ of a fixed direction, over samples drawn anew, spreads as the error says."""
    model = nets.ready("dense")
    x, y = nets.data(model, count=64 * 40)
    graph = trace(model)
    direction, values, said = None, [], []
    for k in range(40):
        rows = slice(64 * k, 64 * (k + 1))
        batches = [
            Batch(a, b)
            for a, b in zip(np.split(x[rows], 16), np.split(y[rows], 16), strict=True)
        ]
        p = SplittingProblem(
            model, graph, Sample(tuple(batches)), epsilon=brute.STEP, outgoing=True
        )
        if direction is None:
            direction = p.neurons.random(np.random.default_rng(0))
        found = measured(p, direction)
        values.append(found.values)
        said.append(found.standard_errors)
    ratio = np.mean(said, axis=0) / np.std(values, axis=0, ddof=1)
    assert 0.8 < np.median(ratio) < 1.25


def test_one_batch_has_no_standard_error():
    _, found = errors("dense", passes=3)
    assert np.isnan(found.standard_errors).all()
