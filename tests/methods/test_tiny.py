"""What new neurons add to the existing ones: against least squares on real tensors.

The best step of a consumer's kernel is solved for outright, with and without the new
neurons' rows, from the tensors of a really widened model; and the loss of that model
falls along the step as fast as the gains say.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiers
from test_candidates import context, grown_by

from tf_splitting import trace
from tf_splitting.methods import Candidates, Tiny, tiny

STEP = 1e-5
NETS = ["dense", "depthwise", "residual", "flatten"]


@pytest.fixture(autouse=True)
def _no_ridge(monkeypatch):
    monkeypatch.setattr(tiny, "RIDGE", 1e-12)


def widened(round_):
    """The model with all candidates, and the scores of both methods."""
    scores = Tiny(examples=32).propose(round_).scores
    alone = Candidates(examples=32, norm="squares").propose(round_).scores
    parents = {name: list(space.parents) for name, space in scores.items()}
    numbers = {name: range(len(each)) for name, each in parents.items()}
    return grown_by(round_, parents, numbers), scores, alone


def consumers(model, graph, space):
    """Layers that read a space and nothing else, one position at a time."""
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        for weight in graph.weights:
            if kernel is None or weight.variable is not kernel:
                continue
            names = {
                b.space for u in weight.axes if u.role == "consumed" for b in u.layout
            }
            single = all(size == 1 for size in kernel.shape[:-2])
            if names == {space} and single and kernel.shape[-2] == graph.widths[space]:
                yield layer


def loss_and_gradient(model, sample, kernel):
    x, y = (np.concatenate([getattr(b, part) for b in sample.batches]) for part in "xy")
    with tf.GradientTape() as tape:
        loss = keras.ops.mean(keras.losses.get(model.loss)(y, model(x, training=False)))
    gradient = tape.gradient(loss, kernel.value)
    return float(loss), gradient.numpy().reshape(kernel.shape[-2:])


@pytest.mark.parametrize("net", tiers.some(NETS, {*NETS} - {"depthwise"}))
def test_gains_are_what_least_squares_gain(net, float64):
    round_ = context(net)
    wide, scores, _ = widened(round_)
    graph, seen = trace(wide), 0
    x = np.concatenate([batch.x for batch in round_.sample.batches])
    for space in round_.graph.growable:
        everyone = sum(
            any(
                u.role == "consumed" and space.name in {b.space for b in u.layout}
                for u in w.axes
            )
            for w in graph.weights
        )
        layers = list(consumers(wide, graph, space.name))
        if len(layers) != everyone:
            continue
        explained = 0.0
        for layer in layers:
            read = keras.Model(wide.input, layer.input)(x).numpy()
            z = read.reshape(-1, read.shape[-1])
            moments = z.T @ z / len(x)
            _, gradient = loss_and_gradient(wide, round_.sample, layer.kernel)
            old = slice(space.width)
            full = -np.linalg.lstsq(moments, gradient, rcond=1e-13)[0]
            part = -np.linalg.lstsq(moments[old, old], gradient[old], rcond=1e-13)[0]
            gained = np.sum(gradient * -full) - np.sum(gradient[old] * -part)
            explained += gained
            # The loss of the real model falls along the difference of the two steps.
            step = full.copy()
            step[old] -= part
            start = layer.kernel.numpy()
            losses = []
            for sign in (1, -1):
                layer.kernel.assign(start + sign * STEP * step.reshape(start.shape))
                losses.append(loss_and_gradient(wide, round_.sample, layer.kernel)[0])
            layer.kernel.assign(start)
            falls = (losses[1] - losses[0]) / (2 * STEP)
            assert falls == pytest.approx(gained, rel=1e-4)
        assert scores[space.name].gain.sum() == pytest.approx(explained, rel=1e-4)
        seen += 1
    assert seen


def test_one_alone_gains_what_it_does_beyond_the_old_ones(float64):
    """The best of a space is the best of all, taken alone."""
    round_ = context("dense")
    wide, scores, _ = widened(round_)
    x = np.concatenate([batch.x for batch in round_.sample.batches])
    space = round_.graph.growable[0]
    (layer,) = consumers(wide, trace(wide), space.name)
    z = keras.Model(wide.input, layer.input)(x).numpy()
    moments = z.T @ z / len(x)
    _, gradient = loss_and_gradient(wide, round_.sample, layer.kernel)

    def explained(rows):
        inner = moments[np.ix_(rows, rows)]
        return np.sum(gradient[rows] * np.linalg.solve(inner, gradient[rows]))

    old = list(range(space.width))
    singles = [
        explained([*old, row]) - explained(old)
        for row in range(space.width, len(moments))
    ]
    gains = scores[space.name].gain
    assert np.argmax(gains) == np.argmax(singles)
    assert gains.max() == pytest.approx(max(singles), rel=1e-6)
    # Behind the first, the others gain less than alone, or what they do not share.
    assert gains.sum() < sum(singles)


def test_a_twin_of_an_old_neuron_gains_nothing(float64):
    """Gradient at its outgoing weights there is; the old ones can do all of that."""
    round_ = context("dense")
    _, scores, alone = widened(round_)
    for space in scores:
        assert alone[space].gain.min() > 0
        assert scores[space].gain.min() >= 0
    found = tiny._Projected.of(
        np.array([[1.0, 2.0], [1.0, 2.0]]),
        np.array([[3.0, 3.0], [3.0, 3.0]]),
        np.array([True, False]),
        np.array([False, True]),
        np.array([0]),
    )
    assert tiny._in_order([found], 1) == pytest.approx(0, abs=1e-6)


def test_twins_among_candidates_gain_once():
    moments = np.array(
        [[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 1.0]]
    ) + 1e-9 * np.eye(3)
    found = tiny._Projected(np.array([[2.0], [2.0], [0.5]]), moments, np.arange(3))
    np.testing.assert_allclose(tiny._in_order([found], 3), [2.0, 0.0, 0.25], atol=1e-6)
