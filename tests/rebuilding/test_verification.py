"""A rebuilt model is checked against its plan, and a wrong one is not handed out."""

from dataclasses import replace

import keras
import nets
import numpy as np
import pytest
from keras import layers, ops

from tf_splitting import GrowthHistory, SplitPlan, grow, split, trace
from tf_splitting.errors import RebuildError
from tf_splitting.rebuilding.growth import Growth
from tf_splitting.rebuilding.verification import check_widths


class Liar(layers.Layer):
    """Says that it keeps channels apart, and adds each to the next."""

    def call(self, x):
        return x + ops.roll(x, 1, axis=-1)

    def trace_channels(self, tracer, x):
        return tracer.channelwise(tracer.call.run, x)


class Forgetful(layers.Layer):
    """Carries a weight that it does not declare: it keeps its old width."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(4,), name="scale")

    def call(self, x):
        return x[..., :4] * self.scale

    def compute_output_shape(self, shape):
        return (*shape[:-1], 4)

    def trace_channels(self, tracer, x):
        return tracer.channelwise(tracer.call.run, x)


def lying(layer=None):
    x = inputs = keras.Input((5,))
    x = layers.Dense(4, activation="tanh", name="first")(x)
    x = layers.Dense(4, activation="tanh", name="second")(x)
    x = (layer or Liar(name="liar"))(x)
    x = layers.Dense(3, name="third")(x)
    return nets.compiled(keras.Model(inputs, layers.Dense(nets.CLASSES)(x)))


def test_the_first_layer_that_differs_is_named():
    model = lying()
    x = nets.images(model)
    weights = [w.copy() for w in model.get_weights()]
    plan = SplitPlan({"first": [0], "second": [1, 1]})
    with pytest.raises(
        RebuildError, match=r"first layer whose output.* 'liar'"
    ) as info:
        split(model, plan, verify=x)
    assert info.value.model is model
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, "fresh"])
def test_a_right_model_passes_at_any_step(epsilon):
    model = nets.ready("residual")
    plan = nets.random_plan(trace(model), share=0.5)
    grown = split(model, plan, epsilon=epsilon, verify=nets.images(model))
    again = split(model, plan, epsilon=epsilon)
    for a, b in zip(grown.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_plans_that_do_not_touch_the_wrong_layer_pass():
    model = lying()
    split(model, SplitPlan({"first": [0]}), verify=nets.images(model))


def test_a_model_with_other_widths_or_macs_is_refused():
    model = nets.dense()
    graph = trace(model)
    growth = Growth.of(graph, SplitPlan({"first": [0]}))
    grown = trace(split(model, SplitPlan({"first": [0]})))
    check_widths(model, graph, grown, growth)
    with pytest.raises(RebuildError, match=r"'first'.* has 4 neurons; planned were 5"):
        check_widths(model, graph, graph, growth)
    cheaper = replace(grown, terms=grown.terms[1:])
    with pytest.raises(RebuildError, match="other MACs"):
        check_widths(model, graph, cheaper, growth)


def test_a_weight_that_was_not_declared_shows():
    model = lying(Forgetful(name="forgetful"))
    plan = SplitPlan({"second": [1]})
    with pytest.raises((RebuildError, ValueError)):
        split(model, plan, verify=nets.images(model))


@pytest.mark.slow
def test_growing_verifies_by_default_and_loses_nothing():
    model = lying()
    data = nets.data(model, 64)
    history = GrowthHistory()
    options = {"rounds": 1, "epochs": 1, "final_epochs": 0, "verbose": 0}
    # Only the wrong layer's neighbour may grow, so that the split must touch it.
    options["max_widths"] = {"first": 4, "third": 3}
    with pytest.raises(RebuildError, match="'liar'") as info:
        grow(model, data, target_macs=90, history=history, **options)
    assert info.value.model is model
    assert len(history.epochs) == 1
    assert not history.rounds
    model.evaluate(*data, verbose=0)
    grow(model, data, target_macs=90, verify=False, **options)


def test_low_precision_has_a_wider_tolerance():
    x = inputs = keras.Input((5,))
    x = layers.Dense(40, activation="silu", name="first", dtype="mixed_bfloat16")(x)
    model = keras.Model(inputs, layers.Dense(3, dtype="mixed_bfloat16")(x))
    split(model, SplitPlan({"first": [0, 1, 2, 3]}), verify=nets.images(model))
