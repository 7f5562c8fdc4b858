"""GradMax finds the incoming weights that its mathematics says, and adds those."""

from dataclasses import replace

import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers
from test_candidates import STEP, Outgoing, context, grown_by

from tf_splitting import SplitPlan, count_macs, split, trace
from tf_splitting.data import draw_sample
from tf_splitting.errors import PlanError
from tf_splitting.estimating import outgoing_gradients
from tf_splitting.methods import GradMax, Round, gradmax
from tf_splitting.methods.gradmax import Ascent as GradMaxAscent
from tf_splitting.training import reestimate_batch_statistics

NETS = ["dense", "depthwise", "residual", "flatten", "squeeze_excite"]


def linear_net():
    inputs = keras.Input((7,))
    x = layers.Dense(3, use_bias=False, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(4, name="logits")(x))
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.slow
def test_without_activations_it_finds_singular_vectors(float64):
    """G(w) is wᵀ E[x δᵀ]: the gains are squared singular values, times |w|²."""
    keras.utils.set_random_seed(1)
    model = linear_net()
    generator = np.random.default_rng(0)
    x = generator.standard_normal((64, 7))
    y = np.eye(4)[generator.integers(0, 4, 64)]
    sample = draw_sample((x, y), size=64, batch_size=64)
    selection = {"target_macs": 2 * count_macs(model)}
    round_ = Round(model, trace(model), sample, selection, 3, 0, fresh=True)
    scores = GradMax(passes=60, norm="squares").propose(round_).scores["hidden"]
    batch = sample.batches[0]
    logits = keras.ops.softmax(model(batch.x)).numpy()
    cross = batch.x.T @ (logits - batch.y) / 64
    _, values, _ = np.linalg.svd(cross)
    norms = np.linalg.norm(model.get_layer("hidden").kernel.numpy(), axis=0)
    expected = (values[:3] * norms[scores.parents]) ** 2
    np.testing.assert_allclose(scores.gain, expected, rtol=1e-4)


@pytest.mark.parametrize("net", tiers.some(NETS, ["residual"]))
def test_two_backward_passes_are_the_derivative_of_the_gain(net, float64, monkeypatch):
    """Against differences of the squared gradient, incoming weight by weight."""
    monkeypatch.setattr(gradmax, "NUDGE", 1e-6)
    round_ = context(net)
    widths = {space.name: space.width for space in round_.graph.growable}
    everyone = {space: range(width) for space, width in widths.items()}
    wide = grown_by(round_, everyone, everyone)
    graph = trace(wide)
    slopes, size = GradMaxAscent(wide, graph, round_.sample, widths).slopes()
    generator = np.random.default_rng(0)
    for slot, slope in zip(slopes.slots, slopes.halves[0], strict=True):
        kernel = slot.variable.numpy()
        # Of the first space that the kernel makes: an old neuron has no such slope.
        (space,) = {
            name
            for name in widths
            if (slot.ids == slopes.neurons.offsets[name] + widths[name]).any()
        }
        new = np.flatnonzero(slot.ids == slopes.neurons.offsets[space] + widths[space])
        for _ in range(3):
            place = tuple(generator.integers(0, n) for n in kernel.shape)
            place = (*place[: slot.axis], new[0], *place[slot.axis + 1 :])
            gains = []
            for sign in (1, -1):
                moved = kernel.copy()
                moved[place] += sign * STEP
                slot.variable.assign(moved)
                found = outgoing_gradients(wide, graph, round_.sample)
                gains.append(found.gains("squares")[space][widths[space]])
            slot.variable.assign(kernel)
            slope_there = (gains[0] - gains[1]) / (2 * STEP)
            assert 2 * slope[place] / size == pytest.approx(
                slope_there, rel=1e-3, abs=1e-3 * np.abs(2 * slope / size).max()
            ), (slot.weight, place)


@pytest.mark.parametrize("net", tiers.some(NETS, ["dense", "flatten"]))
def test_what_is_added_gains_what_was_scored(net, float64):
    round_ = context(net)
    proposal = GradMax(norm="squares", examples=32, passes=1).propose(round_)
    for space in round_.graph.growable:
        scores = proposal.scores[space.name]
        for number in (0, len(scores.gain) - 1):
            plan = SplitPlan(
                {space.name: [int(scores.parents[number])]},
                candidates={space.name: [number]},
            )
            grown = grown_by(round_, plan.splits, plan.candidates, proposal.scores)
            outgoing = Outgoing(grown, space.name, round_.sample)
            gradient = outgoing.gradient()
            up, down = (
                outgoing.loss([sign * STEP * g for g in gradient]) for sign in (1, -1)
            )
            realised = (up - down) / (2 * STEP)
            assert realised == pytest.approx(scores.gain[number], rel=1e-4, abs=1e-9)


def test_a_plan_with_its_directions_needs_no_scores():
    round_ = context("dense")
    proposal = GradMax(examples=32).propose(round_)
    plan = SplitPlan.from_json(proposal.plan.with_directions(proposal.scores).to_json())
    options = {"epsilon": "fresh", "seed": round_.seed}
    one = split(round_.model, proposal.plan, scores=proposal.scores, **options)
    other = split(round_.model, plan, **options)
    drawn = split(round_.model, proposal.plan, **options)
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    assert any(
        not np.allclose(a.numpy(), b.numpy())
        for a, b in zip(one.weights, drawn.weights, strict=True)
    )


def test_more_candidates_than_directions():
    """What has no direction left to find stays random, and is scored all the same."""
    model = nets.compiled(nets.randomized(nets.ALL["dense"]()), "sgd")
    sample = draw_sample(nets.data(model, count=32), size=32, batch_size=16)
    reestimate_batch_statistics(model, sample)
    selection = {"target_macs": 3 * count_macs(model), "max_growth": 8}
    round_ = Round(model, trace(model), sample, selection, 3, 0, fresh=True)
    scores = GradMax(examples=32).propose(round_).scores
    first = scores["first"]
    (incoming,) = first.fresh.values()
    assert incoming.shape[-1] == len(first.gain) > incoming.shape[0]
    assert np.isfinite(first.gain).all()
    assert np.linalg.norm(incoming, axis=0).min() > 0


def test_candidates_of_another_model_are_refused():
    round_ = context("dense")
    scores = GradMax(examples=32, passes=1).propose(round_).scores
    for name, wrong, message in (
        ("first", lambda array: array[:-1], "the model needs"),
        ("second", lambda array: array[..., :1], "of which only 1"),
    ):
        spaces = {**scores}
        fresh = {kernel: wrong(array) for kernel, array in spaces[name].fresh.items()}
        spaces[name] = replace(spaces[name], fresh=fresh)
        plan = SplitPlan({name: [0]}, candidates={name: [1]})
        with pytest.raises(PlanError, match=message):
            split(round_.model, plan, scores=spaces, epsilon="fresh")
