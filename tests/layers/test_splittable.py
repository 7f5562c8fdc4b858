"""Splittable layers: what their Keras bases compute, and splitting by hand."""

import keras
import nets
import numpy as np
import pytest
from keras import ops

import tf_splitting
from tf_splitting import SplitPlan, split, trace
from tf_splitting.errors import ModelError, PlanError

LAYERS = tf_splitting.layers
CASES = {
    "Dense": ({"units": 4, "activation": "tanh"}, (5,)),
    "Conv1D": ({"filters": 4, "kernel_size": 3, "padding": "causal"}, (6, 3)),
    "Conv2D": ({"filters": 4, "kernel_size": 3, "strides": 2}, (7, 7, 3)),
    "Conv3D": ({"filters": 4, "kernel_size": 2}, (4, 4, 4, 3)),
    "Conv1DTranspose": ({"filters": 4, "kernel_size": 3, "strides": 2}, (5, 3)),
    "Conv2DTranspose": ({"filters": 4, "kernel_size": 2}, (4, 4, 3)),
    "Conv3DTranspose": ({"filters": 4, "kernel_size": 2}, (2, 2, 2, 3)),
    "SeparableConv1D": ({"filters": 4, "kernel_size": 3}, (6, 3)),
    "SeparableConv2D": (
        {"filters": 4, "kernel_size": 3, "depth_multiplier": 2},
        (6, 6, 3),
    ),
    "PReLU": ({"shared_axes": [1]}, (6, 3)),
    "DepthwiseConv1D": ({"kernel_size": 3, "depth_multiplier": 2}, (6, 3)),
    "DepthwiseConv2D": ({"kernel_size": 3, "activation": "relu"}, (6, 6, 3)),
    "BatchNormalization": ({}, (6, 3)),
}
each = pytest.mark.parametrize("name", CASES)


def built(name, package=LAYERS):
    config, shape = CASES[name]
    layer = getattr(package, name)(**config)
    layer.build((None, *shape))
    generator = np.random.default_rng(0)
    layer.set_weights([generator.uniform(0.5, 1.5, w.shape) for w in layer.weights])
    return layer, generator.standard_normal((2, *shape)).astype("float32")


def run(layer, x):
    return ops.convert_to_numpy(layer(x))


@each
def test_they_compute_what_keras_computes(name):
    layer, x = built(name)
    base, _ = built(name, keras.layers)
    assert isinstance(layer, type(base))
    np.testing.assert_array_equal(run(layer, x), run(base, x))


@each
def test_saving(name, tmp_path):
    layer, x = built(name)
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is type(layer)
    np.testing.assert_array_equal(run(loaded, x), run(model, x))


@each
def test_split_inputs_reads_copies_at_half(name):
    layer, x = built(name)
    doubled = np.concatenate([x, x[..., 1:2]], -1)
    found = run(layer.split_inputs([1]), doubled)
    expected = run(layer, x)
    if "units" not in CASES[name][0] and "filters" not in CASES[name][0]:
        # Channels stay apart.
        count = expected.shape[-1] // x.shape[-1]
        copies = expected[..., count : 2 * count]
        expected = np.concatenate([expected, copies], -1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in CASES if "Conv" in n or n == "Dense"])
def test_split_outputs_copies_neurons(name):
    layer, x = built(name)
    if "Depthwise" in name:
        pytest.skip("its channels are those that come in")
    found = run(layer.split_outputs([2, 0]), x)
    np.testing.assert_allclose(found, run(layer, x)[..., [0, 1, 2, 3, 2, 0]], rtol=1e-5)


def test_split_outputs_then_inputs_is_the_same_function():
    first, x = built("Conv2D")
    second = LAYERS.Dense(3)
    second.build((None, 3, 3, 4))
    expected = run(second, run(first, x))
    split_first = first.split_outputs([1, 3])
    split_second = second.split_inputs([1, 3])
    found = run(split_second, run(split_first, x))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert split_first.filters == 6
    assert first.filters == 4


@each
def test_remove_inputs_reads_the_rest(name):
    layer, x = built(name)
    silent = x.copy()
    silent[..., 1] = 0.0
    found = run(layer.remove_inputs([1]), np.delete(x, 1, -1))
    expected = run(layer, silent)
    if "units" not in CASES[name][0] and "filters" not in CASES[name][0]:
        # Channels stay apart.
        count = expected.shape[-1] // x.shape[-1]
        expected = np.delete(expected, range(count, 2 * count), -1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in CASES if "Depthwise" not in n])
def test_remove_outputs_leaves_the_rest(name):
    layer, x = built(name)
    smaller = layer.remove_outputs([1])
    assert type(smaller) is type(layer)
    if name in ("BatchNormalization", "PReLU"):
        found, expected = run(smaller, np.delete(x, 1, -1)), run(layer, x)
    else:
        found, expected = run(smaller, x), run(layer, x)
    expected = np.delete(expected, 1, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in CASES if "Conv" in n or n == "Dense"])
def test_split_then_remove_is_the_layer_before(name):
    layer, _ = built(name)
    if "Depthwise" in name:
        pytest.skip("its channels are those that come in")
    back = layer.split_outputs([0, 2]).remove_outputs([4, 5])
    for old, new in zip(layer.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_removing_by_hand_is_refused_where_it_cannot_work():
    with pytest.raises(ModelError, match="has not been built"):
        LAYERS.Dense(3).remove_outputs([0])
    layer, _ = built("Dense")
    with pytest.raises(PlanError, match="neuron 4"):
        layer.remove_outputs([4])
    with pytest.raises(PlanError, match="expected 2 at least to stay"):
        layer.remove_inputs([0, 1, 2, 3])
    lstm = keras.layers.LSTM(4)
    lstm.build((None, 3, 4))
    with pytest.raises(ModelError, match="Nothing is known"):
        LAYERS.remove_from_layer(lstm, [0], "produced")


def test_a_step_moves_the_copies_apart_around_the_neuron():
    layer, _ = built("Dense")
    moved = layer.split_outputs([1], epsilon=0.2, seed=3).kernel.numpy()
    theta = layer.kernel.numpy()[:, 1]
    np.testing.assert_allclose((moved[:, 1] + moved[:, 4]) / 2, theta, rtol=1e-5)
    length = np.linalg.norm(moved[:, 1] - moved[:, 4]) / np.linalg.norm(theta)
    assert 0 < length <= 2 * 0.2 + 1e-6


def test_splitting_by_hand_is_refused_where_it_cannot_work():
    with pytest.raises(ModelError, match="has not been built"):
        LAYERS.Dense(3).split_outputs([0])
    layer, _ = built("Dense")
    with pytest.raises(PlanError, match="neuron 4"):
        layer.split_outputs([4])


@pytest.mark.parametrize(
    ("layer", "shape", "words"),
    [
        (keras.layers.LayerNormalization(), (None, 4), "Nothing is known"),
        (keras.layers.Flatten(), (None, 2, 4), "Nothing is known"),
        (keras.layers.Add(), [(None, 4), (None, 4)], "expected a layer with weights"),
        (keras.Sequential([keras.Input((4,))]), None, "expected a single layer"),
    ],
)
@pytest.mark.parametrize("side", ["produced", "consumed"])
def test_layers_that_have_nothing_to_split_are_refused(layer, shape, words, side):
    if not layer.built:
        layer.build(shape)
    with pytest.raises(ModelError, match=words):
        LAYERS.split_layer(layer, [0], side)


def test_of_a_recurrent_layer_what_it_reads_alone_is_split():
    layer = keras.layers.LSTM(4)
    layer.build((None, 3, 2))
    with pytest.raises(ModelError, match="Nothing is known"):
        LAYERS.split_layer(layer, [0], "produced")
    x = np.random.default_rng(0).standard_normal((5, 3, 2)).astype("float32")
    grown = LAYERS.split_layer(layer, [1], "consumed")
    wider = np.concatenate([x, x[..., 1:]], -1)
    np.testing.assert_allclose(grown(wider), layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", ["produced", "consumed"])
def test_a_convolution_in_groups_is_split_by_groups(side):
    layer = keras.layers.Conv2D(6, 3, groups=2)
    layer.build((None, 5, 5, 4))
    grown = LAYERS.split_layer(layer, [1], side)
    assert (grown.groups, grown.filters, grown.kernel.shape) == (3, 9, (3, 3, 2, 9))
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 4)).astype("float32")
    whole = grown(np.concatenate([x, x[..., 2:]], -1))
    expected = np.array(layer(x))
    expected = np.concatenate([expected, expected[..., 3:]], -1)
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-6)


def test_an_embedding_has_no_inputs_to_split():
    layer = keras.layers.Embedding(5, 4)
    layer.build((None, 3))
    assert LAYERS.split_layer(layer, [1], "produced").embeddings.shape == (5, 5)
    with pytest.raises(ModelError, match="consumed channels"):
        LAYERS.split_layer(layer, [1], "consumed")


def test_channels_first_inputs_are_split_along_their_axis():
    layer = keras.layers.Conv2D(4, 3, data_format="channels_first")
    layer.build((None, 3, 8, 9))
    split = LAYERS.split_layer(layer, [0, 2], "consumed")
    assert split.kernel.shape == (3, 3, 5, 4)
    halves = layer.kernel.numpy() * np.array([0.5, 1, 0.5])[:, None]
    expected = halves[:, :, [0, 1, 2, 0, 2]]
    np.testing.assert_allclose(split.kernel, expected)


def test_untrainable_layers_are_split_by_hand():
    layer = keras.layers.Dense(4, trainable=False)
    layer.build((None, 3))
    assert LAYERS.split_layer(layer, [0], "produced").units == 5


@pytest.mark.parametrize("name", ["residual", "sequential", "nested"])
def test_convert_and_back_with_the_optimizer(name):
    model = nets.compiled(
        nets.randomized(nets.ALL[name]()), keras.optimizers.Adam(), run_eagerly=True
    )
    x, y = nets.data(model)
    model.train_on_batch(x, y)
    converted = LAYERS.convert(model)
    plain = LAYERS.to_plain(converted)
    assert trace(converted).widths == trace(model).widths
    kinds = [type(layer) for layer in model.layers]
    assert [type(layer) for layer in plain.layers] == kinds
    assert [type(layer) for layer in converted.layers] != kinds
    for other in (converted, plain):
        pairs = zip(model.optimizer.variables, other.optimizer.variables, strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)
    for each_model in (model, converted, plain):
        each_model.train_on_batch(x, y)
    expected = nets.outputs(model, x)
    np.testing.assert_allclose(nets.outputs(converted, x), expected, rtol=1e-5)
    np.testing.assert_allclose(nets.outputs(plain, x), expected, rtol=1e-5)


def test_a_converted_model_splits_as_the_plain_one():
    model = nets.randomized(nets.residual())
    plan = nets.random_plan(trace(model))
    grown = split(LAYERS.convert(model), plan, epsilon=0.1, seed=1)
    expected = split(model, plan, epsilon=0.1, seed=1)
    for a, b in zip(grown.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert isinstance(grown.get_layer("mix"), LAYERS.Conv2D)


def test_empty_plans_change_nothing():
    model = nets.randomized(nets.depthwise())
    same = split(model, SplitPlan(), epsilon=0.3)
    for a, b in zip(model.weights, same.weights, strict=True):
        np.testing.assert_array_equal(a, b)
