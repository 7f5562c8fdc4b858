"""What every growth method must do. A new one is one row in SETTINGS."""

from dataclasses import replace

import nets
import numpy as np
import pytest
import tiers

from tf_splitting import count_macs, split, trace
from tf_splitting.data import draw_sample
from tf_splitting.errors import SplittingError
from tf_splitting.methods import METHODS, Round

# What to make it with, so that it is quick on the examples of these tests.
SETTINGS = {
    "candidates": {},
    "firefly": {},
    "gradmax": {"passes": 1},
    "signed": {},
    "splitting": {"first_sample": 64},
    "tiny": {},
    "uniform": {},
}
each = pytest.mark.parametrize("name", SETTINGS)
# What all of them leave to others.
any_method = pytest.mark.parametrize(
    "name", tiers.some(SETTINGS, ["splitting", "gradmax", "uniform"])
)


def context(net="dense", target=1.5, seed=0, **limits):
    model = nets.ready(net)
    sample = draw_sample(nets.data(model, count=64), size=64, batch_size=16)
    selection = {"target_macs": target * count_macs(model), **limits}
    return Round(model, trace(model), sample, selection, seed, 0)


# Those that score fresh neurons, and refuse to choose among copies.
FRESH_ONLY = {"candidates", "firefly", "gradmax", "tiny"}
# Those whose plans copy neurons whatever the job adds otherwise, into how many at most.
COPIES_ONLY = {"signed": 4}


def propose(name, round_):
    if name in FRESH_ONLY:
        round_ = replace(round_, fresh=True)
    return METHODS[name](**SETTINGS[name]).propose(round_)


def test_every_method_has_a_row():
    assert SETTINGS.keys() == METHODS.keys()


@each
@pytest.mark.parametrize("net", tiers.some(["dense", "residual"], ["dense"]))
def test_the_budget_is_used_and_never_exceeded(name, net):
    round_ = context(net)
    plan = propose(name, round_).plan
    plan.check(round_.graph)
    macs = count_macs(split(round_.model, plan))
    assert 0.85 * round_.selection["target_macs"] < macs
    assert macs <= round_.selection["target_macs"]


@any_method
@pytest.mark.parametrize(("fresh", "growth", "most"), [(True, 5, 5), (False, 5, 2)])
def test_a_space_of_fresh_neurons_grows_further_than_one_of_copies(
    name, fresh, growth, most
):
    round_ = replace(context(target=8, max_growth=growth), fresh=fresh)
    if name in FRESH_ONLY and not fresh:
        with pytest.raises(SplittingError, match="fresh"):
            METHODS[name](**SETTINGS[name]).propose(round_)
        return
    several = fresh and name not in COPIES_ONLY
    plan, scores, _ = propose(name, round_)
    widths = plan.widths(round_.graph)
    ratios = [widths[s.name] / s.width for s in round_.graph.growable]
    assert max(ratios) <= COPIES_ONLY.get(name, most)
    assert min(ratios) > (2 if several else 1)
    step = "fresh" if fresh else 0.1
    grown = split(round_.model, plan, epsilon=step, scores=scores)
    macs = count_macs(grown)
    assert macs <= round_.selection["target_macs"]
    assert not several or macs > 0.85 * round_.selection["target_macs"]


@any_method
def test_limits_on_widths_are_kept(name):
    round_ = context(target=10, max_widths={"first": 5}, width_multiple=3)
    widths = propose(name, round_).plan.widths(round_.graph)
    # Five is no multiple of three: the next one is beyond the limit.
    assert widths["first"] == 4
    assert widths["second"] % 3 == 0


@any_method
def test_nothing_is_proposed_where_nothing_fits(name):
    assert len(propose(name, context(target=1.01)).plan) == 0


@any_method
def test_the_seed_decides(name):
    round_ = context(seed=4)
    assert propose(name, round_).plan == propose(name, round_).plan


def children(parents, indices):
    """Of scores of new neurons, the first children that parents have."""
    left = {parent: iter(np.flatnonzero(parents == parent)) for parent in {*indices}}
    return [next(left[parent]) for parent in indices]


@each
def test_scores_are_those_the_plan_was_chosen_by(name):
    plan, scores, _ = propose(name, context())
    if scores is None:
        return
    for space, indices in plan.splits.items():
        gain = scores[space].gain
        parents = scores[space].parents
        if parents is None:
            assert gain.shape == (plan.made_for[space],)
        else:
            assert parents.shape == gain.shape
            # A plan that does not say which child it takes takes the first ones.
            taken = plan.candidates.get(space, children(parents, indices))
            assert [parents[n] for n in taken] == indices
            indices = taken
        # No neuron is passed over for one of its space that gains less.
        left = np.setdiff1d(np.arange(len(gain)), indices)
        if len(indices) and len(left):
            assert gain[indices].min() >= gain[left].max()


@any_method
def test_the_model_is_left_as_it_is(name):
    round_ = context()
    before = [np.array(w) for w in round_.model.get_weights()]
    propose(name, round_)
    for old, new in zip(before, round_.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
