"""Signed splits gain what they say, measured on really split models."""

import nets
import numpy as np
import pytest
import tiers

from tf_splitting import Exact, SplitPlan, count_macs, grow, split, trace
from tf_splitting.data import draw_sample
from tf_splitting.errors import PlanError
from tf_splitting.methods import Round, Signed
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


@pytest.mark.parametrize("net", tiers.some(NETS, {*NETS} - {"residual"}))
def test_each_neuron_gains_what_it_is_said_to(net, float64):
    round_ = context(net)
    proposal = Signed(step=STEP, negative=0.7).propose(round_)
    start, shares = loss(round_.model, round_), set()
    for space, moves in proposal.plan.moves.items():
        for index, share in zip(proposal.plan.splits[space], moves.shares, strict=True):
            shares.add(share)
            plan = SplitPlan(
                {space: [index]}, moves={space: Moves([share], [2 * STEP])}
            )
            grown = split(round_.model, plan, scores=proposal.scores, epsilon=1.0)
            fall = start - loss(grown, round_)
            gain = proposal.scores[space].gain[index]
            assert gain > 0
            assert fall == pytest.approx(gain, rel=0.03, abs=1e-11), (space, share)
    assert shares <= {-0.7, 0.5}
    assert -0.7 in shares


@pytest.mark.parametrize("net", ["dense", "residual"])
@pytest.mark.parametrize("share", [-0.5, 0.25, 0.0, 1.5])
def test_at_step_zero_the_function_stays(net, share, float64):
    round_ = context(net)
    names = [space.name for space in round_.graph.growable]
    moves = {name: Moves([share, 0.5], [0.3, 0.2]) for name in names}
    plan = SplitPlan({name: [0, 1] for name in names}, moves=moves)
    grown = split(round_.model, plan, epsilon=0.0)
    x = round_.sample.batches[0].x
    np.testing.assert_allclose(grown(x), round_.model(x), rtol=1e-9, atol=1e-12)
    moved = split(round_.model, plan, epsilon=1.0)
    assert not np.allclose(moved(x), round_.model(x))


def test_a_stable_neuron_gains_along_its_largest_eigenvalue(float64):
    """Where all eigenvalues are above zero, only signed splits gain."""
    round_ = context("dense")
    scores = Signed(0.5, STEP, Exact()).propose(round_).scores
    assert all((space.gain > 0).any() for space in scores.values())


def test_plans_with_moves_are_plain_data():
    plan = SplitPlan({"a": [0, 2]}, moves={"a": Moves([0.5, -0.5], [0.1, 0.2])})
    again = SplitPlan.from_json(plan.to_json())
    assert again == plan
    assert again.moves["a"].shares == (0.5, -0.5)
    assert again != SplitPlan({"a": [0, 2]})


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        (lambda: Moves([1.0], [0.1]), "a share of 1"),
        (lambda: Moves(["half"], [0.1]), "'half'"),
        (lambda: SplitPlan({"a": [0]}, moves={"a": Moves([], [])}), "0 shares"),
        (
            lambda: SplitPlan({"a": [0, 0]}, moves={"a": Moves([0.5, 0.5], [1, 1])}),
            "two new",
        ),
        (lambda: SplitPlan({"a": [0]}, moves={"a": [0.5]}), "Moves"),
    ],
)
def test_moves_that_cannot_be(moves, message):
    with pytest.raises(PlanError, match=message):
        moves()


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
