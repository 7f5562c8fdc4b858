"""Candidates gain what their scores say, once their outgoing weights move.

A candidate is really added, alone, to the model it was scored on; its outgoing weights
take a small step as the optimizer would, and the loss is measured around it.
"""

from dataclasses import replace

import blocks
import keras
import nets
import numpy as np
import pytest
import tiers

import tf_splitting.growing.grower as grower
from tf_splitting import SplitPlan, count_macs, grow, split, trace
from tf_splitting.data import draw_sample
from tf_splitting.errors import SplittingError
from tf_splitting.methods import Candidates, Round
from tf_splitting.rebuilding import FreshStart
from tf_splitting.tracing import layout
from tf_splitting.training import reestimate_batch_statistics

STEP = 1e-5
BUILDS = {**nets.ALL, **{name: build for name, (build, _) in blocks.ALL.items()}}
NETS = ["dense", "depthwise", "residual", "flatten", "squeeze_excite", *blocks.ALL]
QUICK = ["dense", "flatten", "fused_gate"]
DRAWN = FreshStart("draw", "draw")


def context(net, optimizer="sgd", start=DRAWN):
    model = nets.compiled(nets.randomized(BUILDS[net]()), optimizer)
    sample = draw_sample(nets.data(model, count=32), size=32, batch_size=16)
    reestimate_batch_statistics(model, sample)
    selection = {"target_macs": 1.6 * count_macs(model)}
    return Round(model, trace(model), sample, selection, 3, 0, fresh=True, start=start)


def grown_by(round_, parents, numbers, scores=None):
    grown = split(
        round_.model,
        SplitPlan(parents, candidates=numbers),
        scores=scores,
        epsilon="fresh",
        seed=round_.seed,
        carried_kernels=round_.start.kernels,
        carried_scales=round_.start.scales,
    )
    reestimate_batch_statistics(grown, round_.sample)
    return grown


class Outgoing:
    """The weights that read the neuron of a space that was added last."""

    def __init__(self, model, space, sample):
        self._model, self._sample = model, sample
        graph = trace(model)
        self.parts = []
        for weight in graph.weights:
            for use in weight.axes:
                numbers = {s: np.full(n, -1) for s, n in graph.widths.items()}
                numbers[space] = np.arange(graph.widths[space])
                own = layout.spread(use.layout, numbers)
                if use.role == "consumed" and space in {b.space for b in use.layout}:
                    where = np.flatnonzero(own == graph.widths[space] - 1)
                    index = layout.at(len(weight.variable.shape), use.axis, where)
                    value = weight.variable.numpy()
                    assert not value[index].any()
                    self.parts.append((weight.variable, index, value))

    def loss(self, steps):
        """Of the sample, with steps added to these weights."""
        for (variable, index, value), step in zip(self.parts, steps, strict=True):
            moved = value.copy()
            moved[index] += step
            variable.assign(moved)
        losses = [
            float(nets.loss_of(self._model, b.x, b.y)) * b.size
            for b in self._sample.batches
        ]
        return sum(losses) / self._sample.size

    def gradient(self):
        """By each of these weights, by central differences."""
        zeros = [np.zeros(value[index].shape) for _, index, value in self.parts]
        slopes = [z.copy() for z in zeros]
        for part, slope in enumerate(slopes):
            for place in np.ndindex(slope.shape):
                losses = []
                for sign in (1, -1):
                    steps = [z.copy() for z in zeros]
                    steps[part][place] = sign * STEP
                    losses.append(self.loss(steps))
                slope[place] = (losses[0] - losses[1]) / (2 * STEP)
        return slopes


@pytest.mark.parametrize("net", tiers.sorted_out(NETS, QUICK, ["residual"]))
def test_the_gain_is_that_of_a_step_of_the_outgoing_weights(net, float64):
    round_ = context(net)
    scored = {
        norm: Candidates(norm=norm, examples=32).propose(round_).scores
        for norm in ("squares", "absolute")
    }
    for space in round_.graph.growable:
        scores = scored["squares"][space.name]
        for number in (0, len(scores.gain) - 1):
            parent = int(scores.parents[number])
            grown = grown_by(round_, {space.name: [parent]}, {space.name: [number]})
            outgoing = Outgoing(grown, space.name, round_.sample)
            gradient = outgoing.gradient()
            # A step against the gradient, and one of equal size for every weight.
            for norm, step in (
                ("squares", gradient),
                ("absolute", [np.sign(g) for g in gradient]),
            ):
                up, down = (
                    outgoing.loss([sign * STEP * s for s in step]) for sign in (1, -1)
                )
                realised = (up - down) / (2 * STEP)
                predicted = scored[norm][space.name].gain[number]
                assert realised == pytest.approx(predicted, rel=1e-4, abs=1e-9), (
                    space.name,
                    number,
                    norm,
                )


@pytest.mark.parametrize("net", ["depthwise", "flatten", "dense_block"])
def test_a_candidate_is_the_same_whichever_others_are_added(net, float64):
    round_ = context(net)
    names = [space.name for space in round_.graph.growable]
    numbers = {name: [7, 5, 2] for name in names}
    together = grown_by(round_, {name: [0, 1, 1] for name in names}, numbers)
    for name in names:
        alone = grown_by(round_, {name: [1]}, {name: [5]})
        one, other = (
            np.moveaxis(m.get_layer(name).kernel.numpy(), -1, 0)[place]
            for m, place in ((alone, -1), (together, -2))
        )
        # It reads the neurons that were there, and those added beside it at first not.
        np.testing.assert_allclose(other[other != 0], one.reshape(-1), rtol=1e-12)
        assert one.all()


def test_the_norm_follows_the_optimizer():
    def gain(optimizer="sgd", **settings):
        keras.utils.set_random_seed(0)
        proposal = Candidates(**settings).propose(context("dense", optimizer))
        return proposal.scores["first"].gain

    np.testing.assert_allclose(gain("sgd"), gain(norm="squares"), rtol=1e-6)
    np.testing.assert_allclose(gain("adam"), gain(norm="absolute"), rtol=1e-6)
    assert not np.allclose(gain("sgd"), gain("adam"))


def test_more_candidates_than_room():
    plan, scores, _ = Candidates(share=2.5).propose(context("dense"))
    assert {n: len(s.gain) for n, s in scores.items()} == {"first": 10, "second": 15}
    assert plan.candidates.keys() == plan.splits.keys() != set()
    for space, numbers in plan.candidates.items():
        gain, parents = scores[space].gain, scores[space].parents
        assert [parents[n] for n in numbers] == plan.splits[space]
        assert gain[numbers].min() >= np.delete(gain, numbers).max()
    assert SplitPlan.from_json(plan.to_json()).candidates == plan.candidates


def test_copies_are_refused_before_any_work():
    model = nets.ready("dense")
    options = {"target_macs": 90, "method": "candidates", "epsilon": 0.1}
    with pytest.raises(SplittingError, match=r"'candidates'.*expected epsilon='fresh'"):
        grow(model, nets.data(model), epochs=10**9, **options)


class StopError(Exception):
    pass


@pytest.mark.slow
def test_a_job_that_resumes_adds_what_was_scored(tmp_path, monkeypatch):
    def run(**more):
        keras.utils.clear_session()
        keras.utils.set_random_seed(1)
        model = nets.ready("dense")
        return grow(
            model,
            nets.data(model, count=32),
            target_macs=90,
            rounds=1,
            epochs=1,
            final_epochs=1,
            method="candidates",
            verbose=0,
            **more,
        )

    def stop(*_, **__):
        raise StopError

    whole = run()
    with monkeypatch.context() as patch:
        patch.setattr(grower, "build_at", stop)
        with pytest.raises(StopError):
            run(checkpoint_dir=tmp_path)
    resumed = run(checkpoint_dir=tmp_path)
    assert count_macs(whole) > 60
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("norm", ["squares", "absolute"])
def test_held_out_gains_are_those_of_the_other_half(norm, float64):
    """A step is fitted to one half of the sample, the loss measured on the other."""
    round_ = context("dense")
    method = Candidates(norm=norm, examples=32, held_out=True)
    scores = method.propose(round_).scores
    batches = round_.sample.batches
    assert len(batches) == 2
    halves = [replace(round_.sample, batches=[batch]) for batch in batches]
    for space in round_.graph.growable:
        gain, parents = scores[space.name].gain, scores[space.name].parents
        grown = grown_by(round_, {space.name: [parents[0]]}, {space.name: [0]})
        realised = []
        for fitted, seen in (halves, halves[::-1]):
            outgoing = Outgoing(grown, space.name, fitted)
            step = outgoing.gradient()
            outgoing.loss([np.zeros(g.shape) for g in step])
            if norm == "absolute":
                step = [np.sign(g) for g in step]
            other = Outgoing(grown, space.name, seen)
            up, down = (other.loss([s * STEP * g for g in step]) for s in (1, -1))
            other.loss([np.zeros(g.shape) for g in step])
            realised.append((up - down) / (2 * STEP))
        assert gain[0] == pytest.approx(np.mean(realised), rel=1e-4)
