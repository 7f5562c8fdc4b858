"""`remove`: what is left computes what it did, and nothing else changes."""

import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers

from tf_splitting import RemovalPlan, SplitPlan, count_macs, remove, split, trace
from tf_splitting.costs.base import total
from tf_splitting.costs.macs import macs_terms
from tf_splitting.errors import DataError, PlanError, RebuildError, UnknownNameError

each_net = pytest.mark.parametrize(
    "name",
    tiers.some(
        [n for n in nets.ALL if n != "flatten"],
        ["conv_bn", "depthwise", "residual", "squeeze_excite", "concatenate", "nested"],
    ),
)


@each_net
def test_outputs_are_those_of_the_model_with_silenced_neurons(name, float64):
    model = nets.randomized(nets.ALL[name]())
    graph = trace(model)
    plan = nets.random_removal(graph)
    assert len(plan) >= sum(space.width > 2 for space in graph.growable)
    x = nets.images(model)
    smaller = remove(model, plan, verify=x)
    for training in (False, True):
        before = keras.tree.flatten(model(x, training=training))
        with nets.silenced(model, graph, plan):
            expected = keras.tree.flatten(model(x, training=training))
        results = keras.tree.flatten(smaller(x, training=training))
        for b, e, r in zip(before, expected, results, strict=True):
            assert nets.difference(np.array(b), np.array(e)) > 1e-4
            assert nets.difference(np.array(e), np.array(r)) < 1e-10


@each_net
def test_what_comes_back_is_what_was_planned(name):
    model = nets.ready(name)
    graph = trace(model)
    plan = nets.random_removal(graph)
    smaller = remove(model, plan)
    assert trace(smaller).widths == plan.widths(graph)
    assert count_macs(smaller) == total(macs_terms(graph), plan.widths(graph))
    assert type(smaller) is type(model)
    assert smaller.name == model.name
    names = [layer.name for layer in model.layers]
    assert [layer.name for layer in smaller.layers] == names
    smaller.train_on_batch(*nets.data(smaller))


@each_net
def test_what_was_added_is_removed_bit_for_bit(name):
    model = nets.ready(name)
    graph = trace(model)
    grown = split(model, nets.random_plan(graph, share=0.5), epsilon="fresh")
    added = {
        space: range(graph.widths[space], width)
        for space, width in trace(grown).widths.items()
    }
    again = remove(grown, RemovalPlan(added))
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(np.array(old), np.array(new))


@each_net
@pytest.mark.parametrize("fold", tiers.some([False, True], [True]))
def test_copies_that_have_not_moved_are_removed_bit_for_bit(name, fold):
    model = nets.ready(name)
    graph = trace(model)
    once = {s.name: sorted({0, s.width - 1}) for s in graph.growable}
    copied = split(model, SplitPlan(once), epsilon=0.0)
    widths = trace(copied).widths
    added = {space: range(graph.widths[space], widths[space]) for space in once}
    x = nets.images(model)
    data = nets.data(model) if fold else None
    again = remove(copied, RemovalPlan(added), dataset=data, verify=x)
    for old, new in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(np.array(old), np.array(new))


def test_the_original_is_left_as_it_was():
    model = nets.ready("residual")
    x, y = nets.data(model)
    model.train_on_batch(x, y)
    weights = [np.array(w) for w in model.weights]
    state = [np.array(v) for v in model.optimizer.variables]
    remove(model, nets.random_removal(trace(model)), dataset=(x, y), verify=x)
    for before, after in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(before, np.array(after))
    for before, after in zip(state, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(before, np.array(after))


@pytest.mark.parametrize("optimizer", ["adam", "momentum", "rmsprop"])
def test_the_next_step_is_the_old_one_where_neurons_stay(optimizer, float64):
    """Of the model whose removed neurons are silent, trained so far with them."""
    make = {
        "adam": lambda: keras.optimizers.Adam(0.01),
        "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.9),
    }[optimizer]
    model = nets.compiled(nets.randomized(nets.conv_bn()), make(), run_eagerly=True)
    x, y = nets.data(model)
    for _ in range(2):
        model.train_on_batch(x, y)
    graph = trace(model)
    plan = nets.random_removal(graph)
    smaller = remove(model, plan)
    smaller.run_eagerly = True
    paths = [w.path for w in model.trainable_variables]
    with nets.silenced(model, graph, plan):
        before = [np.array(w) for w in model.trainable_variables]
        model.train_on_batch(x, y)
        after = [np.array(w) for w in model.trainable_variables]
    small_before = [np.array(w) for w in smaller.trainable_variables]
    smaller.train_on_batch(x, y)
    uses = {id(w.variable): w for w in graph.weights}
    for i, path in enumerate(paths):
        step = after[i] - before[i]
        use = uses.get(id(model.trainable_variables[i]))
        for axis in [] if use is None else use.axes:
            ((space, _),) = axis.layout
            step = np.delete(step, plan.removals.get(space, []), axis.axis)
        own = np.array(smaller.trainable_variables[i]) - small_before[i]
        np.testing.assert_allclose(own, step, rtol=1e-7, atol=1e-12, err_msg=path)


def test_state_can_be_reset():
    model = nets.compiled(nets.dense(), keras.optimizers.Adam(0.01))
    model.train_on_batch(*nets.data(model))
    plan = nets.random_removal(trace(model))
    carried = remove(model, plan)
    reset = remove(model, plan, optimizer_state="reset")
    assert int(np.array(carried.optimizer.iterations)) == 1
    assert int(np.array(reset.optimizer.iterations)) == 0


def padded(behind, bias):
    """A network whose second convolution reads a neuron less at its borders."""
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="softplus", name="first")(x)
    x = layers.Conv2D(3, 3, padding="same", use_bias=bias, name="second")(x)
    if behind:
        x = layers.BatchNormalization(name="bn")(x)
    return nets.randomized(keras.Model(inputs, x))


@pytest.mark.parametrize(("behind", "bias"), [(False, True), (True, False)])
def test_mean_outputs_stay(behind, bias, float64):
    """On average over the sample and all positions, to the last digit."""
    model = padded(behind, bias)
    x = nets.images(model, 40)
    y = np.zeros((40, 6, 6, 3))
    plan = RemovalPlan({"first": [1, 2]})

    def means(other):
        return nets.outputs(other, x).mean((0, 1, 2))

    folded = remove(model, plan, dataset=(x, y))
    np.testing.assert_allclose(means(folded), means(model), rtol=1e-10)
    lost = means(remove(model, plan)) - means(model)
    assert np.abs(lost).min() > 0.01


def test_means_are_kept_behind_every_consumer(float64):
    """A neuron that two layers read, one of them several times, loses less."""
    model = nets.ready("residual")
    x, y = nets.data(model, 256)
    plan = nets.random_removal(trace(model), share=0.2)
    before = nets.outputs(model, x)
    plain = nets.outputs(remove(model, plan), x) - before
    folded = nets.outputs(remove(model, plan, dataset=(x, y)), x) - before
    assert np.square(folded).mean() < 0.7 * np.square(plain).mean()
    assert np.abs(folded.mean(0)).max() < 0.3 * np.abs(plain.mean(0)).max()


def test_nothing_changes_where_no_bias_is(float64):
    inputs = keras.Input((5,))
    x = layers.Dense(4, activation="softplus", name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(3, use_bias=False)(x))
    x, y = nets.data(model)
    plan = RemovalPlan({"first": [0]})
    folded, plain = remove(model, plan, dataset=(x, y)), remove(model, plan)
    np.testing.assert_array_equal(nets.outputs(folded, x), nets.outputs(plain, x))


def test_a_group_for_each_channel_is_not_the_only_one():
    """With one channel left, it would be a convolution that mixes channels."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, name="first")(inputs)
    x = layers.Conv2D(3, 3, groups=3, name="grouped")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(PlanError, match=r"2 of the 3 .*; expected 2 at least"):
        remove(model, RemovalPlan({"first": [0, 1]}))
    smaller = remove(model, RemovalPlan({"first": [0]}), verify=nets.images(model))
    assert smaller.get_layer("grouped").groups == 2


def test_saved_and_loaded(tmp_path):
    model = nets.ready("squeeze_excite")
    smaller = remove(model, nets.random_removal(trace(model)))
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.saving.load_model(tmp_path / "smaller.keras")
    x = nets.images(model)
    assert nets.difference(nets.outputs(smaller, x), nets.outputs(loaded, x)) < 1e-6


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (
            RemovalPlan({"first": [0, 1, 2, 3]}),
            "removes 4 of the 4 neurons of space 'first'; expected 2 ",
        ),
        (RemovalPlan({"first": [4]}), "neuron 4 of space 'first', which has 4"),
        (RemovalPlan({"nowhere": [0]}), "no channel space 'nowhere'"),
        (RemovalPlan({"logits": [0]}), "which is frozen because it is an output"),
        (RemovalPlan({"first": [0]}, made_for={"first": 9}), "'first' has 9"),
        (SplitPlan({"first": [0]}), "expected a RemovalPlan"),
        ({"first": [0]}, r"Wrap it: RemovalPlan"),
    ],
)
def test_plans_that_do_not_fit(plan, message):
    with pytest.raises(PlanError, match=message):
        remove(nets.dense(), plan)


def test_other_bad_input():
    model, plan = nets.ready("dense"), RemovalPlan({"first": [0]})
    with pytest.raises(UnknownNameError, match="optimizer_state"):
        remove(model, plan, optimizer_state="keep")
    with pytest.raises(DataError, match="takes"):
        remove(model, plan, verify=np.zeros((4, 77)))
    with pytest.raises(DataError, match="takes"):
        remove(model, plan, dataset=(np.zeros((4, 77)), np.zeros((4, 3))))


def test_a_layer_that_describes_itself_wrongly_is_found(monkeypatch):
    """A rebuilt model that computes something else does not come back."""
    model = nets.ready("dense")
    from tf_splitting.rebuilding import removing

    assigned = removing.what_stays

    def wrong(graph, plan):
        left = assigned(graph, plan)
        left.gathers["first"] = left.gathers["first"][::-1].copy()
        left.shares["first"] = 2 * left.shares["first"]
        return left

    monkeypatch.setattr(removing, "what_stays", wrong)
    with pytest.raises(RebuildError, match="computes something else") as caught:
        remove(model, RemovalPlan({"first": [0]}), verify=nets.images(model))
    assert caught.value.model is model
