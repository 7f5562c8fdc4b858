"""Copies and new neurons in one plan: each gains what it is said to, alone."""

import nets
import numpy as np
import pytest
import tiers
from test_candidates import DRAWN, Outgoing

from tf_splitting import SplitPlan, count_macs, grow, split, trace
from tf_splitting.data import draw_sample
from tf_splitting.methods import Firefly, Round
from tf_splitting.selecting import Moves
from tf_splitting.training import reestimate_batch_statistics

NETS = ["dense", "depthwise", "residual", "flatten"]
STEP = 1e-3


def context(net, target=1.9):
    model = nets.compiled(nets.randomized(nets.SMOOTH[net]()), "sgd")
    sample = draw_sample(nets.data(model, count=32), size=32, batch_size=32)
    reestimate_batch_statistics(model, sample)
    selection = {"target_macs": target * count_macs(model)}
    return Round(model, trace(model), sample, selection, 3, 0, fresh=True, start=DRAWN)


def grown_by(round_, proposal, space, number):
    """The model with one of the neurons that were scored."""
    scores = proposal.scores[space]
    new = len(scores.gain) - len(scores.splitting_index)
    plan = SplitPlan(
        {space: [int(scores.parents[number])]},
        candidates={space: [number]},
        moves={space: Moves([0.0 if number < new else 0.5], [STEP])},
    )
    return split(
        round_.model,
        plan,
        scores=proposal.scores,
        epsilon=1.0,
        seed=round_.seed,
    )


@pytest.mark.parametrize("net", tiers.some(NETS, ["dense"]))
def test_each_gains_what_it_is_said_to(net, float64):
    round_ = context(net)
    # With nothing carried along drawn, which a plan of copies cannot have.
    round_ = Round(**{**vars(round_), "start": type(DRAWN)()})
    proposal = Firefly(step=STEP, examples=32).propose(round_)
    batch = round_.sample.batches[0]
    start = nets.loss_of(round_.model, batch.x, batch.y)
    for space in round_.graph.growable:
        gain = proposal.scores[space.name].gain
        copy = len(gain) - space.width + int(np.argmax(gain[-space.width :]))
        grown = grown_by(round_, proposal, space.name, copy)
        fall = start - nets.loss_of(grown, batch.x, batch.y)
        assert fall == pytest.approx(gain[copy], rel=0.03, abs=1e-11)

        new = 0
        grown = grown_by(round_, proposal, space.name, new)
        # It is normalized by statistics of its own, as when it was scored.
        reestimate_batch_statistics(grown, round_.sample)
        assert nets.loss_of(grown, batch.x, batch.y) == pytest.approx(start)
        outgoing = Outgoing(grown, space.name, round_.sample)
        gradient = outgoing.gradient()
        length = np.sqrt(sum(np.sum(g**2) for g in gradient))
        parent = int(proposal.scores[space.name].parents[new])
        size = STEP * outgoing_norm(round_.graph, space.name, parent)
        if size * length < 1e-12:
            continue
        fall = start - outgoing.loss([-size * g / length for g in gradient])
        assert fall == pytest.approx(gain[new], rel=0.05)


def outgoing_norm(graph, space, neuron):
    """Norm of all weights that read a neuron."""
    total = 0.0
    for weight in graph.weights:
        for use in weight.axes:
            if use.role != "consumed":
                continue
            start = 0
            for block in use.layout:
                width = graph.widths[block.space] * block.repeat
                if block.space == space:
                    first = start + neuron * block.repeat
                    own = np.arange(first, first + block.repeat)
                    total += np.sum(
                        np.take(weight.variable.numpy(), own, use.axis) ** 2
                    )
                start += width
    return np.sqrt(total)


def test_one_plan_holds_both_kinds():
    """Copies gain by the square of the step, new neurons by the step itself."""
    round_ = context("dense", target=1.6)
    kinds = {
        step: [
            share
            for moves in Firefly(step=step, examples=32)
            .propose(round_)
            .plan.moves.values()
            for share in moves.shares
        ]
        for step in (1e-4, 30.0)
    }
    assert set(kinds[1e-4]) == {0.0}
    assert 0.5 in kinds[30.0]


@pytest.mark.slow
def test_a_job_grows_by_both():
    model = nets.ready("dense")
    target = 2 * count_macs(model)
    grown = grow(
        model,
        nets.data(model, count=64),
        target_macs=target,
        method=Firefly(step=3.0),
        rounds=1,
        final_epochs=1,
        verbose=0,
    )
    assert count_macs(model) < count_macs(grown) <= target
