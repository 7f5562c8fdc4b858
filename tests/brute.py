"""The splitting index by brute force: split the model and look at its loss."""

import nets
import numpy as np

from tf_splitting import SplitPlan, split, trace
from tf_splitting.data.sampling import Batch, Sample
from tf_splitting.estimating.problem import SplittingProblem
from tf_splitting.estimating.scores import SpaceScores, slices
from tf_splitting.tracing.neurons import Neurons

STEP = 1e-3


def curvature(model, data, splits, scores, step=STEP):
    """2 (L(ε) - L(0)) / ε² of the model really split along the scores' directions."""
    x, y, *weight = data
    before = nets.loss_of(model, x, y, *weight)
    grown = split(model, SplitPlan(splits), scores=scores, epsilon=step)
    return 2 * (nets.loss_of(grown, x, y, *weight) - before) / step**2


def problem(model, data, outgoing=True, step=STEP):
    """The splitting problem of the data as one batch."""
    graph = trace(model)
    sample = Sample((Batch(*data),))
    return SplittingProblem(model, graph, sample, epsilon=step, outgoing=outgoing)


def as_scores(neurons: Neurons, values, field):
    """A value and a direction per neuron in the form that `split` takes."""
    scores = {}
    for space in neurons.graph.growable:
        incoming, outgoing = slices(neurons, field, space.name)
        index = neurons.of(space.name, values)
        scores[space.name] = SpaceScores(index, -index, incoming, outgoing)
    return scores


def random_scores(model, data, seed=0, step=STEP, kinks=False):
    """A random direction per neuron and its vᵀSv from the splitting product.

    With `kinks`, which S only knows on average, its curvature at this step instead.
    """
    p = problem(model, data, step=step)
    field = p.neurons.random(np.random.default_rng(seed))
    form = p.curvatures(field)[0] if kinks else p.neurons.inner(field, p.product(field))
    return as_scores(p.neurons, form, field)
