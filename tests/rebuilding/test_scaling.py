"""`scale`: the same proportions at another size, untrained."""

import composites
import keras
import nets
import numpy as np
import pytest
from keras import layers

import tf_splitting
from tf_splitting import count_macs, scale, trace
from tf_splitting.errors import BudgetError, ModelError, SplittingError


def growable(model):
    return {space.name: space.width for space in trace(model).growable}


@pytest.mark.parametrize("build", [nets.depthwise, nets.residual, nets.dense])
@pytest.mark.parametrize("factor", [0.5, 1, 9])
def test_all_widths_change_by_one_factor_up_to_the_budget(build, factor):
    model = build()
    before, target = growable(model), factor * count_macs(model)
    scaled = scale(model, target_macs=target)
    after = growable(scaled)
    assert count_macs(scaled) <= target
    ratios = [after[name] / before[name] for name in before]
    # Widths are rounded, so that each ratio is off by half a neuron at most.
    slack = [0.5 / before[name] for name in before]
    assert max(r - s for r, s in zip(ratios, slack)) <= min(
        r + s for r, s in zip(ratios, slack)
    )
    wider = {n: max(1, round(w * (max(ratios) + 0.5))) for n, w in before.items()}
    plan = tf_splitting.SplitPlan({n: [0] * (wider[n] - after[n]) for n in wider})
    assert count_macs(tf_splitting.split(scaled, plan, epsilon=0.0)) > target
    assert not scaled.compiled


def test_multiplied_mobilenets_are_what_is_built_with_a_multiplier():
    seed = tf_splitting.models.build(
        "mobilenet_v1", input_shape=(32, 32, 3), classes=10, width_multiplier=0.25
    )
    double = tf_splitting.models.build(
        "mobilenet_v1", input_shape=(32, 32, 3), classes=10, width_multiplier=0.5
    )
    scaled = scale(seed, target_macs=count_macs(double))
    assert trace(scaled).layer_widths() == trace(double).layer_widths()


def test_weights_start_anew_but_for_layers_that_do_not_train():
    x = np.random.default_rng(0).normal(3, 2, (50, 6)).astype("float32")
    normalization = layers.Normalization()
    normalization.adapt(x)
    inputs = keras.Input((6,))
    frozen = layers.Dense(7, name="frozen", trainable=False)
    y = layers.Dense(8, name="free")(frozen(normalization(inputs)))
    model = keras.Model(inputs, layers.Dense(3, name="logits")(y))
    model.compile(keras.optimizers.SGD(0.3, momentum=0.9), "mse")
    for variable in model.trainable_variables:
        variable.assign(variable + 100)
    keras.utils.set_random_seed(0)
    scaled = scale(model, target_macs=2 * count_macs(model))
    assert scaled.get_layer("free").units > 8
    np.testing.assert_array_equal(
        scaled.get_layer("frozen").kernel, model.get_layer("frozen").kernel
    )
    np.testing.assert_array_equal(scaled.layers[1].mean, normalization.mean)
    # Glorot's uniform distribution, as before.
    kernel = scaled.get_layer("logits").kernel
    limit = np.sqrt(6 / sum(kernel.shape))
    assert 0.7 * limit < np.abs(kernel).max() <= limit
    assert scaled.compiled
    assert scaled.optimizer.momentum == 0.9
    keras.utils.set_random_seed(0)
    again = scale(model, target_macs=2 * count_macs(model))
    np.testing.assert_array_equal(
        again.get_layer("free").kernel, scaled.get_layer("free").kernel
    )


def open_images(size=None):
    x = inputs = keras.Input((size, size, 2))
    x = layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, name="last")(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def test_sizes_that_macs_are_counted_at_stay_open():
    target = 5 * count_macs(open_images(9))
    scaled = scale(open_images(), target_macs=target, input_shape=(9, 9, 2))
    assert scaled.input_shape == (None, None, None, 2)
    alike = scale(open_images(9), target_macs=target)
    assert growable(scaled) == growable(alike)
    assert count_macs(scaled, (9, 9, 2)) == count_macs(alike) <= target


def test_layers_that_read_open_sizes_are_refused():
    words = keras.Input((None,), dtype="int32")
    x = composites.Causal(name="causal")(layers.Embedding(5, 4)(words))
    model = keras.Model(words, layers.Dense(5)(x))
    with pytest.raises(ModelError, match="read sizes that it leaves open"):
        scale(model, target_macs=1e4, input_shape=(6,))


def test_widths_are_multiples():
    model = nets.depthwise()
    scaled = scale(model, target_macs=10 * count_macs(model), width_multiple=4)
    assert all(width % 4 == 0 for width in growable(scaled).values())


def test_an_array_to_start_from_is_refused():
    start = keras.initializers.Constant(np.ones((5, 4)))
    inputs = keras.Input((5,))
    hidden = layers.Dense(4, kernel_initializer=start, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(hidden))
    with pytest.raises(ModelError, match="'hidden' has a kernel_initializer"):
        scale(model, target_macs=2 * count_macs(model))


def test_impossible_budgets_are_refused():
    with pytest.raises(BudgetError, match="with 1 neurons in every layer"):
        scale(nets.dense(), target_macs=5)
    with pytest.raises(BudgetError, match="at most 10,000 times"):
        scale(nets.dense(), target_macs=1e9)
    with pytest.raises(SplittingError, match="target_macs"):
        scale(nets.dense(), target_macs=-1)


def test_weights_that_a_call_reads_itself_have_no_start():
    model = composites.linear()
    with pytest.raises(
        ModelError, match=r"'first' of type Linear reads its weight 'w'"
    ):
        scale(model, target_macs=4 * count_macs(model))


def test_scales_of_an_opened_model_start_at_the_number_that_they_all_are():
    model = composites.linear()
    model.get_layer("scale").scale.assign(np.full(5, 0.5))
    plan = tf_splitting.SplitPlan({"first/w": [0], "second/w": [0]})
    scaled = scale(tf_splitting.split(model, plan), target_macs=4 * count_macs(model))
    table = scaled.get_layer("scale").get_layer("scale")
    assert table.output_dim > 6
    assert (np.asarray(table.embeddings) == 0.5).all()
