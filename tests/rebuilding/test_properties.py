"""Whatever the model and the plan: the function is kept, costs come out right.

Models and plans are random (`random_models`); a failure prints the smallest recipe that
hypothesis could find. `build(Recipe(...))` makes its model.
"""

from collections import Counter

import hypothesis
import keras
import nets
import numpy as np
import pytest
import tiers
from hypothesis import HealthCheck, Phase, given, settings
from random_models import LAYERS, STRUCTURES, build, plans, recipes

from tf_splitting import SplitPlan, count_macs, count_params, remove, split, trace
from tf_splitting.costs.base import total
from tf_splitting.costs.macs import macs_terms
from tf_splitting.costs.params import params_terms
from tf_splitting.tracing.layout import size

# Keras finds a softmax over one channel odd.
pytestmark = pytest.mark.filterwarnings("ignore:.*You are using a softmax over axis")

TOLERANCE = 1e-9
# Unlike any width or height: where a batch is as large as an image is high, Keras 3.15
# takes a sum with a (batch, 1, 1, 1) tensor for a bias over NCHW channels.
EXAMPLES = 11
SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "print_blob": False,
    "report_multiple_bugs": False,
    # All but the explanation of a failure, which takes as long as finding it.
    "phases": [Phase.generate, Phase.shrink],
    "suppress_health_check": [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
}


def sample(model, seed=0):
    generator = np.random.default_rng(seed)
    return [
        keras.ops.convert_to_tensor(
            generator.standard_normal((EXAMPLES, *tensor.shape[1:]))
        )
        for tensor in model.inputs
    ]


def outputs(model, x, training=False):
    results = model(x[0] if len(x) == 1 else x, training=training)
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(results)]


def assert_same(before, after):
    for a, b in zip(before, after, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(b, a, rtol=0, atol=TOLERANCE * np.abs(a).max())


def behaves_otherwise_in_training(model):
    """Whether batch statistics count, and no neurons are dropped at random."""
    names = {variable.name for variable in model.variables}
    return "moving_mean" in names and "seed_generator_state" not in names


def plan_of(graph, drawn):
    """The k-th growable space takes the k-th list of neurons, round and round."""
    return SplitPlan(
        {
            space.name: [i % space.width for i in drawn[k % len(drawn)]]
            for k, space in enumerate(graph.growable)
        }
    )


def assert_consistent(graph):
    """Every axis is as long as its spaces say, every frozen space says why."""
    widths = graph.widths
    for weight in graph.weights:
        for use in weight.axes:
            assert weight.variable.shape[use.axis] == size(use.layout, widths)
    for use in graph.configs:
        entry = use.layer.get_config()[use.key]
        entry = entry if use.index is None else entry[use.index]
        assert entry == size(use.layout, widths)
    for space in graph.spaces:
        assert space.width >= 1
        assert space.frozen is None or space.frozen.strip()


def replayed(graph, x):
    """The outputs as the steps compute them."""
    values = dict(zip(graph.inputs, x, strict=True))
    for step in graph.steps:
        arguments = [values[i] for i in step.inputs]
        if step.kernel is not None:
            arguments.append(graph.weight(step.kernel).variable)
        results = keras.tree.flatten(step.run(*arguments))
        values.update(zip(step.outputs, results, strict=True))
    return [keras.ops.convert_to_numpy(values[i]) for i in graph.outputs]


def assert_costs(model, graph, plan, grown):
    """Costs foretold at the plan's widths are those of the grown model."""
    widths = plan.widths(graph)
    assert trace(grown).widths == widths
    assert total(macs_terms(graph), graph.widths) == count_macs(model)
    assert total(macs_terms(graph), widths) == count_macs(grown)
    terms = params_terms(graph)
    added = total(terms, widths) - total(terms, graph.widths)
    assert count_params(grown) - count_params(model) == added


def assert_same_from_file(grown, x, path):
    """A plain Keras file: no custom objects, the same function and widths."""
    grown.save(path)
    loaded = keras.saving.load_model(path)
    assert_same(outputs(grown, x), outputs(loaded, x))
    assert sorted(trace(loaded).widths.values()) == sorted(trace(grown).widths.values())


def assert_removed(model, graph, seed, x):
    """A smaller model computes what the whole one does without some neurons."""
    plan = nets.random_removal(graph, seed)
    smaller = remove(model, plan)
    with nets.silenced(model, graph, plan):
        assert_same(outputs(model, x), outputs(smaller, x))
    assert trace(smaller).widths == plan.widths(graph)


FEATURES = (
    "again: Dense",
    "again: Functional",
    "shared: Reshape",
    "shared: Sequential",
    "shared along two axes",
    "composite in composite",
    "concatenated with itself",
    "grouped queries",
    "inputs: 2",
    "nest in nest",
    "nest of two inputs",
    "nest of two outputs",
    "outputs: 2",
    "sequential",
    "shared across levels",
)
# Least number of models, out of 243, with a space of this kind.
TRAITS = {
    "growable": 60,
    "several growable": 20,
    "frozen in the middle": 20,
    "growable, nested": 5,
    "growable, in a layer": 5,
    "growable, several producers": 10,
    "growable, several consumers": 10,
    "growable beside another": 5,
    "growable, repeated": 5,
    "nested input grows": 3,
}


def traits(graph):
    """Which kinds of spaces a model has."""
    found = set()
    ends = ("it is an input of the model", "it is an output of the model")
    if any(space.frozen not in (None, *ends) for space in graph.spaces):
        found.add("frozen in the middle")
    growable = {space.name for space in graph.growable}
    around = tuple(f"{path}/" for path in graph.insides)
    found |= {"growable"} if growable else set()
    found |= {"several growable"} if len(growable) > 1 else set()
    for space in graph.growable:
        for kind in ("producers", "consumers"):
            if len(getattr(space, kind)) > 1:
                found.add(f"growable, several {kind}")
        if any("/" in layer for layer in space.producers):
            found.add("growable, nested")
        if any(layer.startswith(around) for layer in space.producers):
            found.add("growable, in a layer")
    for weight in graph.weights:
        for use in weight.axes:
            blocks = [block for block in use.layout if block.space in growable]
            if len({block.space for block in blocks}) > 1:
                found.add("growable beside another")
            if len(blocks) > len(set(blocks)) or any(b.repeat > 1 for b in blocks):
                found.add("growable, repeated")
    for use in graph.nested_inputs:
        if any(block.space in growable for block in use.layout):
            found.add("nested input grows")
    return found


def check(recipe, drawn, path):
    # Layers are named as they are when the model is built alone.
    keras.utils.clear_session(free_memory=False)
    model, features = build(recipe)
    graph = trace(model)
    assert_consistent(graph)
    x = sample(model)
    before = outputs(model, x)
    assert_same(before, replayed(graph, x))
    plan = plan_of(graph, drawn)
    grown = split(model, plan, epsilon=0.0)
    assert_same(before, outputs(grown, x))
    assert_consistent(trace(grown))
    assert_costs(model, graph, plan, grown)
    # One or the other, because both take as long as all the rest.
    if recipe.seed % 2:
        fresh = split(model, plan, epsilon="fresh")
        assert_same(before, outputs(fresh, x))
        assert trace(fresh).widths == plan.widths(graph)
    elif "shared across levels" not in features:
        # Keras files hold a layer anew for every nested model that it is part of.
        assert_same_from_file(grown, x, path)
    assert_removed(model, graph, recipe.seed, x)
    if behaves_otherwise_in_training(model):
        # Last, because it moves the averages that inference uses.
        before = outputs(model, x, training=True)
        assert_same(before, outputs(grown, x, training=True))
        assert_same(outputs(model, x), outputs(grown, x))


# Hypothesis spends most examples after the tenth on variations of earlier ones; short
# runs of several seeds yield models that differ more.
EXAMPLES_OF_A_SEED = 9


def for_each_example(seed, function, *strategies, **changes):
    run = given(*strategies)(function)
    options = {**SETTINGS, "max_examples": EXAMPLES_OF_A_SEED, **changes}
    hypothesis.seed(seed)(settings(**options)(run))()


@pytest.mark.parametrize("seed", tiers.sorted_out(range(11), range(2), range(2, 6)))
def test_random_models(float64, tmp_path, seed):
    def run(recipe, drawn):
        check(recipe, drawn, tmp_path / "grown.keras")

    for_each_example(seed, run, recipes(), plans())


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(11, 223))
def test_thousands_of_random_models(float64, tmp_path, seed):
    test_random_models(None, tmp_path, seed)


@pytest.mark.exhaustive
def test_the_random_models_have_what_is_to_be_tested():
    """Every kind of operation occurs, and growable spaces of every kind do."""
    features, spaces = Counter(), Counter()

    def count(recipe):
        keras.utils.clear_session(free_memory=False)
        model, kinds = build(recipe)
        features.update(kinds)
        spaces.update(traits(trace(model)))

    for seed in range(27):
        for_each_example(seed, count, recipes(), phases=[Phase.generate])
    assert not {*LAYERS, *STRUCTURES, *FEATURES} - {*features}
    assert {k: n for k, n in spaces.items() if n < TRAITS[k]} == {}
    assert {*spaces} == {*TRAITS}
