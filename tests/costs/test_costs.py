"""MACs and parameters, against the shapes of the layers and against rebuilt models."""

import math

import composites
import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers

import tf_splitting
from tf_splitting import SplitPlan, costs, count_macs, count_params, split, trace
from tf_splitting.errors import ModelError, UnknownNameError

PUBLISHED = {
    "MobileNet": "0.569",
    "MobileNetV2": "0.301",
    "ResNet50": "3.858",
    "VGG16": "15.470",
}


def independent_macs(model):
    """Kernel size times output positions, from the shapes of all weight layers."""
    macs = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            macs += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        elif isinstance(layer, layers.Dense):
            macs += math.prod(layer.kernel.shape)
    return macs


@pytest.mark.parametrize("name", tiers.some(PUBLISHED, ["MobileNet", "MobileNetV2"]))
def test_published_counts_at_224_pixels(name):
    model = getattr(keras.applications, name)(weights=None)
    macs = count_macs(model)
    assert f"{macs / 1e9:.3f}" == PUBLISHED[name]
    assert macs == independent_macs(model)
    assert count_params(model) == model.count_params()
    assert sum(tf_splitting.params_per_layer(model).values()) == model.count_params()


def test_macs_of_each_layer_by_hand():
    assert tf_splitting.macs_per_layer(nets.depthwise()) == {
        "conv": 3 * 3 * 3 * 3 * 2 * 4,
        "depthwise": 3 * 3 * 3 * 3 * 4,
        "pointwise": 3 * 3 * 4 * 5,
        "logits": 5 * 3,
    }


def test_a_layer_called_twice_counts_twice():
    assert tf_splitting.macs_per_layer(nets.shared()) == {
        "twice": 2 * 5 * 4,
        "again": 2 * 4 * 4,
        "logits": 4 * 3,
    }


def test_params_of_nested_models_by_path():
    assert tf_splitting.params_per_layer(nets.nested()) == {
        "middle/before": 24,
        "middle/inner/deep": 30,
        "middle/behind": 21,
        "logits": 12,
    }


@pytest.mark.slow
def test_mobilenet_v2_at_planned_widths():
    model = keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None)
    graph = trace(model)
    plan = nets.random_plan(graph, share=0.2)
    grown = split(model, plan)
    planned = costs.total(costs.macs_terms(graph), plan.widths(graph))
    assert planned == count_macs(grown) == independent_macs(grown)


def test_a_users_cost_is_taken_as_it_is():
    def cost(graph, widths):
        return 1.0

    assert costs.get_cost(cost) is cost


def test_an_unknown_cost_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"'param'.*nearest name is 'params'"):
        costs.get_cost("param")


def test_unknown_spatial_sizes_are_refused():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(2, 3, name="open")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    with pytest.raises(ModelError, match=r"'open'.*spatial size.*input_shape="):
        count_macs(model)
    fixed = keras.models.clone_model(model, input_tensors=keras.Input((9, 7, 3)))
    assert count_macs(model, (9, 7, 3)) == count_macs(fixed) == 7 * 5 * 27 * 2
    graph = trace(model, input_shape=(9, 7, 3))
    assert costs.MACS(graph, graph.widths) == count_macs(fixed)


def test_sizes_of_several_inputs():
    inputs = {name: keras.Input((None, 3), name=name) for name in "ba"}
    x = [layers.Dense(4, name=f"of_{key}")(value) for key, value in inputs.items()]
    x = layers.Dense(2)(layers.Concatenate(axis=1)(x))
    model = keras.Model(inputs, x)
    macs = {"a": (5, 3), "b": (7, None)}
    assert count_macs(model, macs) == 12 * 3 * 4 + 12 * 4 * 2
    for wrong in ((5, 3), {"a": (5, 4), "b": (7, 3)}, {"a": (5,), "b": (7,)}, 5, "a"):
        with pytest.raises(ModelError, match=r"Got input_shape=.*takes.*\(None, 3\)"):
            count_macs(model, wrong)


def test_layers_that_read_a_length_count_at_one():
    x = keras.Input((None, 4))
    model = keras.Model(x, composites.Causal(name="causal")(x))
    x = keras.Input((6, 4))
    fixed = keras.Model(x, composites.Causal(name="causal")(x))
    assert count_macs(model, (6, 4)) == count_macs(fixed) > 0


def test_params_of_an_unbuilt_model_are_refused():
    with pytest.raises(ModelError, match="has not been built"):
        count_params(keras.Sequential([layers.Dense(2)]))


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (layers.Conv2D(4, 3, data_format="channels_first"), 6 * 6 * 9 * 8 * 4),
        (layers.DepthwiseConv2D(3, data_format="channels_first"), 6 * 6 * 9 * 8),
        (layers.Conv2D(4, 3, groups=2), 6 * 6 * 9 * 4 * 4),
        (layers.Conv2D(8, 3, groups=8), 6 * 6 * 9 * 8),
    ],
)
def test_layers_that_cannot_grow_count_too(layer, macs):
    assert count_macs(keras.Sequential([keras.Input((8, 8, 8)), layer])) == macs


def test_costs_of_a_plan_by_hand():
    graph = trace(nets.dense())
    widths = SplitPlan({"first": [0, 1]}).widths(graph)
    assert widths == {**graph.widths, "first": 6}
    assert costs.COSTS["macs"](graph, widths) == 5 * 6 + 6 * 6 + 6 * 3
    assert np.isclose(costs.COSTS["params"](graph, widths), 6 * 6 + 7 * 6 + 7 * 3)


def test_what_a_space_adds_by_itself():
    graph = trace(nets.dense())
    widths = {**graph.widths, "first": 6, "second": 5}
    # 4 to 6 neurons with 5 inputs and 6 readers; 6 to 5 with 4 inputs and 3 readers.
    added = {"first": 2 * (5 + 6), "second": -(4 + 3)}
    assert costs.macs_by_space(graph, widths) == added
