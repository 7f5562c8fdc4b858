"""Signed splits gain what they say, measured on really split models."""

import nets
import numpy as np
import pytest
import tiers

from tf_splitting import (
    Exact,
    SplitPlan,
    count_macs,
    grow,
    split,
    trace,
)
from tf_splitting.data import draw_sample
from tf_splitting.errors import PlanError
from tf_splitting.methods import Round, Signed
from tf_splitting.methods.signed import ways
from tf_splitting.selecting import Moves

NETS = ["dense", "depthwise", "residual", "flatten"]
STEP = 1e-3


def context(net):
    model = nets.compiled(nets.randomized(nets.SMOOTH[net]()), "sgd")
    sample = draw_sample(nets.data(model, count=32), size=32, batch_size=32)
    selection = {"target_macs": 1.9 * count_macs(model)}
    return Round(model, trace(model), sample, selection, 3, 0)


def loss(model, round_):
    batch = round_.sample.batches[0]
    return nets.loss_of(model, batch.x, batch.y)


@pytest.mark.parametrize("net", tiers.few(NETS, ["dense"]))
@pytest.mark.parametrize("offsprings", tiers.some([2, 3, 4], [3]))
def test_each_neuron_gains_what_it_is_said_to(net, offsprings, float64):
    round_ = context(net)
    proposal = Signed(0.7, STEP, offsprings).propose(round_)
    start = loss(round_.model, round_)
    for space in round_.graph.growable:
        scores = proposal.scores[space.name]
        gains = scores.gain.reshape(offsprings - 1, space.width)
        for count in range(1, offsprings):
            falls = []
            for way in ways(0.7)[count]:
                moves = Moves(way.shares, [STEP * s for s in way.steps], way.along)
                each = [
                    start
                    - loss(one_split(round_, proposal, space.name, i, moves), round_)
                    for i in range(space.width)
                ]
                falls.append(each)
            best = np.max(falls, axis=0)
            said = gains[:count].sum(0)
            if count == 1:
                np.testing.assert_allclose(best, said, rtol=0.03, atol=2e-11)
            # What a further child adds is said to be no more than what the one before.
            assert (best >= said - 0.03 * abs(said) - 2e-11).all()


def one_split(round_, proposal, space, neuron, moves):
    plan = SplitPlan({space: [neuron] * len(moves.shares)}, moves={space: moves})
    return split(round_.model, plan, scores=proposal.scores, epsilon=1.0)


@pytest.mark.parametrize("net", ["dense", "residual"])
def test_each_way_changes_the_loss_by_its_formula(net, float64):
    """Per way and neuron, also where it loses: ½ d² times the weighted indices."""
    round_ = context(net)
    proposal = Signed(0.7, STEP).propose(round_)
    start = loss(round_.model, round_)
    name = round_.graph.growable[0].name
    single = {
        along: 2 * (loss(moved_pair(round_, proposal, name, along), round_) - start)
        for along in (0, 1)
    }
    for count, those in ways(0.7).items():
        for way in those:
            moves = Moves(way.shares, [STEP * s for s in way.steps], way.along)
            grown = one_split(round_, proposal, name, 0, moves)
            fall = start - loss(grown, round_)
            # A pair of equal copies measures the index along either direction.
            expected = 0.5 * (way.lowest * single[0] + way.highest * single[1])
            assert fall == pytest.approx(expected, rel=0.03, abs=1e-11), (count, way)


def moved_pair(round_, proposal, space, along):
    return one_split(round_, proposal, space, 0, Moves([0.5], [STEP], [along]))


def test_plans_take_the_best_way_of_as_many_children_as_they_add():
    round_ = context("dense")
    proposal = Signed(2.0, 0.1).propose(round_)
    several = set()
    for space, indices in proposal.plan.splits.items():
        moves = proposal.plan.moves[space]
        for neuron in {*indices}:
            mine = [k for k, i in enumerate(indices) if i == neuron]
            shares = tuple(moves.shares[k] for k in mine)
            assert shares in {way.shares for way in ways(2.0)[len(mine)]}
            several.add(len(mine))
    assert several - {1}


@pytest.mark.parametrize("net", ["dense", "residual"])
@pytest.mark.parametrize("share", [-0.5, 0.25, 0.0, 1.5])
def test_at_step_zero_the_function_stays(net, share, float64):
    round_ = context(net)
    names = [space.name for space in round_.graph.growable]
    moves = {name: Moves([share, 0.5, -0.7], [0.3, 0.2, 0.1]) for name in names}
    plan = SplitPlan({name: [0, 1, 1] for name in names}, moves=moves)
    grown = split(round_.model, plan, epsilon=0.0)
    x = round_.sample.batches[0].x
    np.testing.assert_allclose(grown(x), round_.model(x), rtol=1e-9, atol=1e-12)
    moved = split(round_.model, plan, epsilon=1.0)
    assert not np.allclose(moved(x), round_.model(x))


def test_a_stable_neuron_gains_along_its_largest_eigenvalue(float64):
    """Where all eigenvalues are above zero, only signed splits gain."""
    round_ = context("dense")
    scores = Signed(0.5, STEP, estimator=Exact()).propose(round_).scores
    assert all((space.gain > 0).any() for space in scores.values())


def test_moves_along_a_second_direction_need_one():
    round_ = context("dense")
    name = round_.graph.growable[0].name
    plan = SplitPlan({name: [0]}, moves={name: Moves([0.5], [0.1], [1])})
    with pytest.raises(PlanError, match="second direction"):
        split(round_.model, plan, epsilon=1.0)
    scores = Signed().propose(round_).scores
    whole = plan.with_directions(scores)
    again = SplitPlan.from_json(whole.to_json())
    x = round_.sample.batches[0].x
    np.testing.assert_allclose(
        split(round_.model, again, epsilon=1.0)(x),
        split(round_.model, plan, scores=scores, epsilon=1.0)(x),
        rtol=1e-6,
    )


def test_plans_with_moves_are_plain_data():
    plan = SplitPlan({"a": [0, 2]}, moves={"a": Moves([0.5, -0.5], [0.1, 0.2])})
    again = SplitPlan.from_json(plan.to_json())
    assert again == plan
    assert again.moves["a"].shares == (0.5, -0.5)
    assert again != SplitPlan({"a": [0, 2]})


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        (lambda: SplitPlan({"a": [0]}, moves={"a": Moves([1.0], [0.1])}), "share of 1"),
        (lambda: Moves([0.5], [0.1], [2]), "2"),
        (lambda: Moves(["half"], [0.1]), "'half'"),
        (lambda: SplitPlan({"a": [0]}, moves={"a": Moves([], [])}), "0 shares"),
        (
            lambda: SplitPlan({"a": [0, 0]}, moves={"a": Moves([0.5, 0.5], [1, 1])}),
            "share of 1 of neuron 0",
        ),
        (lambda: SplitPlan({"a": [0]}, moves={"a": [0.5]}), "Moves"),
    ],
)
def test_moves_that_cannot_be(moves, message):
    with pytest.raises(PlanError, match=message):
        moves()


@pytest.mark.slow
def test_a_job_grows_by_signed_splits():
    model = nets.ready("dense")
    target = 2 * count_macs(model)
    grown = grow(
        model,
        nets.data(model, count=64),
        target_macs=target,
        method="signed",
        rounds=1,
        final_epochs=1,
        verbose=0,
    )
    assert count_macs(model) < count_macs(grown) <= target
