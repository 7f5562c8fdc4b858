"""The splitting method: its sample grows until the plan is settled."""

import nets
import numpy as np
import pytest

from tf_splitting import Rayleigh, SplitPlan, count_macs, split, trace
from tf_splitting.data.sampling import Sample, draw_sample
from tf_splitting.estimating.estimation import Estimation
from tf_splitting.methods.base import Round
from tf_splitting.methods.splitting import Splitting, agreement


def context(count=128, batch_size=8, verbose=0):
    model = nets.ready("dense")
    sample = draw_sample(
        nets.data(model, count=count), size=count, batch_size=batch_size
    )
    selection = {"target_macs": 1.5 * count_macs(model)}
    return Round(model, trace(model), sample, selection, 0, verbose)


def test_agreement_counts_neurons():
    one = SplitPlan({"a": [0, 1], "b": [3, 3]})
    assert agreement(one, one) == 1
    assert agreement(one, SplitPlan({"a": [1], "b": [3]})) == 0.5
    assert agreement(SplitPlan({"c": [0]}), one) == 0
    assert agreement(SplitPlan(), SplitPlan()) == 1


@pytest.mark.parametrize(
    ("needed", "examples"),
    [(0.0, 64), (1.1, 128)],
    ids=["content with anything", "never content"],
)
def test_the_sample_doubles_until_the_plan_stays(needed, examples, capsys):
    method = Splitting(first_sample=32, agreement=needed)
    proposal = method.propose(context(verbose=1))
    assert proposal.scores.examples == examples
    lines = capsys.readouterr().out.splitlines()
    sizes = [int(line.split()[1]) for line in lines if "passes" in line]
    assert sizes == [32, 64, 128][: len(sizes)]
    assert len(sizes) == (2 if needed == 0 else 3)
    assert sum("of the plan stays" in line for line in lines) == len(sizes) - 1


def test_a_grown_sample_is_as_good_as_one_drawn_at_once():
    round_ = context(count=256, batch_size=16)
    alone = Splitting(first_sample=256).propose(round_)
    grown = Splitting(first_sample=64, agreement=1.1).propose(round_)
    assert grown.scores.examples == alone.scores.examples == 256
    assert grown.plan == alone.plan
    for space, score in alone.scores.items():
        np.testing.assert_array_equal(grown.scores[space].gain, score.gain)


def test_a_sample_smaller_than_the_first_is_taken_whole():
    proposal = Splitting().propose(context(count=16, batch_size=16))
    assert len(proposal.plan) > 0
    assert proposal.scores.examples == 16


def test_held_out_gains_are_those_of_really_split_models(float64):
    """Directions of one half of the sample, the loss on the other half; and back."""
    model = nets.compiled(nets.randomized(nets.ALL["dense"]()), "sgd")
    sample = draw_sample(nets.data(model, count=32), size=32, batch_size=16)
    graph = trace(model)
    rayleigh = Rayleigh(passes=4)
    estimation = Estimation(model, graph, sample, estimator=rayleigh, epsilon=1e-2)
    honest = estimation.scores(sample, 0, held_out=True)
    assert honest.examples == 32
    halves = [Sample((batch,)) for batch in sample.batches]
    fitted = [estimation.scores(half, 0) for half in halves]

    def loss(net, half):
        return nets.loss_of(net, half.batches[0].x, half.batches[0].y)

    for space in graph.growable:
        for neuron in range(space.width):
            falls = []
            for scores, seen in zip(fitted, reversed(halves), strict=True):
                plan = SplitPlan({space.name: [neuron]})
                grown = split(model, plan, scores=scores, epsilon=1e-2)
                falls.append(loss(model, seen) - loss(grown, seen))
            gain = honest[space.name].gain[neuron]
            assert np.mean(falls) == pytest.approx(gain, rel=1e-2, abs=1e-9)
    total = sum(space.gain.sum() for space in honest.values())
    assert total < sum(space.gain.sum() for space in fitted[0].values())


def test_a_plan_by_held_out_gains():
    round_ = context()
    plan = Splitting(first_sample=64, held_out=True).propose(round_).plan
    assert len(plan)
