"""`select_exchanges`: what pays is exchanged, and nothing else; budgets are kept."""

import dataclasses

import nets
import numpy as np
import pytest
import tiers
from test_removal_selection import wide

from tf_splitting import count_macs, remove, select_exchanges, split, trace
from tf_splitting.costs.base import total
from tf_splitting.costs.macs import macs_terms
from tf_splitting.costs.params import params_terms
from tf_splitting.errors import BudgetError, PlanError, UnknownNameError
from tf_splitting.estimating import SpaceScores

NETS = ("dense", "conv_bn", "depthwise", "residual", "squeeze_excite", "concatenate")


def random_scores(graph, seed):
    """Losses and gains by space, some below zero."""
    generator = np.random.default_rng(seed)
    losses = {s.name: generator.uniform(-0.2, 1, s.width) for s in graph.growable}
    gains = {
        s.name: SpaceScores(
            np.zeros(s.width),
            generator.uniform(0.2, 1) * generator.uniform(-0.2, 1, s.width),
            {},
            {},
        )
        for s in graph.growable
    }
    return losses, gains


def blocks(plan, losses, gains, graph, terms):
    """What further removals of one space and the best splits for them would come to.

    Yields what is gained and lost by taking 1, 2, ... more neurons out of a space and
    filling what that frees by splits of one other.
    """
    budget = total(terms, graph.widths)
    removals, splits = plan.removals.removals, plan.splits.splits
    for shrinks in graph.growable:
        name = shrinks.name
        if splits.get(name):
            continue
        left = np.sort(np.delete(losses[name], removals.get(name, [])))
        for count in range(1, len(left) - graph.floors[name] + 1):
            for grows in graph.growable:
                one = grows.name
                if one == name or removals.get(one):
                    continue
                rest = np.sort(np.delete(gains[one].gain, splits.get(one, [])))[::-1]
                widths = plan.widths(graph)
                widths[name] -= count
                gained = 0.0
                for gain in rest:
                    widths[one] += 1
                    if gain <= 0 or total(terms, widths) > budget:
                        break
                    gained += gain
                yield gained, np.maximum(left[:count], 0).sum()


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seed", tiers.some(range(4), range(2)))
def test_exchanges_pay_and_none_is_left_that_does_by_much(name, seed):
    graph = trace(wide(name))
    losses, gains = random_scores(graph, seed)
    plan = select_exchanges(losses, gains, graph, moved=1.0, max_shrinkage=1e9)
    plan.check(graph)
    terms = macs_terms(graph)
    assert total(terms, plan.widths(graph)) <= total(terms, graph.widths)
    predicted = plan.predicted_gain(losses, gains)
    assert predicted >= 0
    # It is greedy, as all selection is: what it misses is little.
    others = blocks(plan, losses, gains, graph, terms)
    missed = max((gained - lost for gained, lost in others), default=0.0)
    assert missed <= 0.1 * predicted


@pytest.mark.parametrize("name", NETS)
def test_the_best_are_split_and_the_cheapest_go(name):
    graph = trace(wide(name))
    losses, gains = random_scores(graph, 7)
    plan = select_exchanges(losses, gains, graph)
    for space, indices in plan.removals.removals.items():
        stays = np.delete(losses[space], indices)
        assert losses[space][indices].max() <= stays.min()
    for space, indices in plan.splits.splits.items():
        rest = np.delete(gains[space].gain, indices)
        assert gains[space].gain[indices].min() >= rest.max(initial=-np.inf)


def test_what_is_planned_can_be_done():
    model = wide("conv_bn")
    graph = trace(model)
    plan = select_exchanges(*random_scores(graph, 1), graph)
    assert len(plan.removals)
    assert len(plan.splits)
    smaller = remove(model, plan.removals)
    result = split(smaller, plan.splits_after(graph), epsilon="fresh")
    assert count_macs(result) <= count_macs(model)
    # No removal is left that nothing was put in place of.
    for space in plan.removals.removals:
        widths = plan.widths(graph)
        one_more = {**widths, space: widths[space] + 1}
        assert total(macs_terms(graph), one_more) > count_macs(model)


def test_nothing_pays_where_losses_are_large():
    graph = trace(wide("conv_bn"))
    losses, gains = random_scores(graph, 0)
    losses = {name: 1e6 * np.ones_like(loss) for name, loss in losses.items()}
    assert len(select_exchanges(losses, gains, graph)) == 0
    losses = {name: np.zeros_like(loss) for name, loss in losses.items()}
    assert len(select_exchanges(losses, gains, graph)) > 0
    none = {
        n: dataclasses.replace(g, gain=-np.ones_like(g.gain)) for n, g in gains.items()
    }
    assert len(select_exchanges(losses, none, graph)) == 0


@pytest.mark.parametrize("moved", [0.15, 0.4])
def test_so_much_is_moved_at_most(moved):
    graph = trace(wide("conv_bn"))
    losses, gains = random_scores(graph, 2)
    losses = {name: np.zeros_like(loss) for name, loss in losses.items()}
    plan = select_exchanges(losses, gains, graph, moved=moved)
    terms = macs_terms(graph)
    less = plan.removals.widths(graph)
    freed = total(terms, graph.widths) - total(terms, less)
    # What removals free together is less than the sum of what each does.
    assert 0 < freed <= moved * total(terms, graph.widths)


def test_a_space_does_not_lose_more_than_it_may():
    graph = trace(wide("conv_bn"))
    losses, gains = random_scores(graph, 2)
    losses = {name: np.zeros_like(loss) for name, loss in losses.items()}
    for ratio in (1.25, 2.0):
        plan = select_exchanges(losses, gains, graph, moved=1, max_shrinkage=ratio)
        widths = plan.widths(graph)
        least = min(widths[s.name] / s.width for s in graph.growable)
        assert 1 / ratio <= least < 1


def test_limits_and_other_costs():
    graph = trace(wide("conv_bn"))
    losses, gains = random_scores(graph, 3)
    first, last = graph.growable[0].name, graph.growable[-1].name
    plan = select_exchanges(
        losses,
        gains,
        graph,
        cost="params",
        width_multiple=4,
        min_widths={first: graph.space(first).width},
        max_widths={last: graph.space(last).width},
    )
    assert first not in plan.removals.removals
    assert last not in plan.splits.splits
    widths = plan.widths(graph)
    changed = {name for name in widths if widths[name] != graph.widths[name]}
    assert all(widths[name] % 4 == 0 for name in changed)
    for terms in (macs_terms(graph), params_terms(graph)):
        assert total(terms, widths) <= total(terms, graph.widths)


def test_a_larger_target_is_filled_first():
    graph = trace(wide("conv_bn"))
    losses, gains = random_scores(graph, 4)
    losses = {name: 1e6 * np.ones_like(loss) for name, loss in losses.items()}
    macs = total(macs_terms(graph), graph.widths)
    plan = select_exchanges(
        losses, gains, graph, target_macs=1.2 * macs, target_cost=1.2 * macs
    )
    assert len(plan.removals) == 0
    assert macs < total(macs_terms(graph), plan.widths(graph)) <= 1.2 * macs


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"moved": 0}, PlanError, "moved"),
        ({"moved": 1.5}, PlanError, "moved"),
        ({"target_macs": 1}, BudgetError, "Raise the target"),
        ({"target_cost": 1}, BudgetError, "Raise the target"),
        ({"cost": "watts"}, UnknownNameError, "watts"),
        ({"min_widths": 0}, PlanError, "min_widths"),
        ({"max_growth": 1}, PlanError, "max_growth"),
        ({"max_shrinkage": 1}, PlanError, "max_shrinkage"),
        ({"losses": 3}, PlanError, "losses"),
        ({"gains": {"nowhere": None}}, PlanError, "nowhere"),
    ],
)
def test_errors(change, error, message):
    graph = trace(nets.conv_bn())
    losses, gains = random_scores(graph, 0)
    arguments = {"losses": losses, "gains": gains, "graph": graph, **change}
    with pytest.raises(error, match=message):
        select_exchanges(**arguments)
