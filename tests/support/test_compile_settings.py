"""What `compile` was given survives a split; fails if Keras moves its private copy."""

import keras
import nets
import numpy as np
import pytest

from tf_splitting import SplitPlan, estimate, split

PLAN = SplitPlan({"first": [1]})


def plain_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def plain_metric(y_true, y_pred):
    return keras.ops.max(y_pred, axis=-1)


def evaluated(model):
    x, y = nets.data(model)
    weight = np.linspace(0.1, 1, len(x))
    return model.evaluate(x, y, sample_weight=weight, return_dict=True, verbose=0)


def test_plain_functions_as_loss_and_metrics():
    model = nets.randomized(nets.dense())
    model.compile("sgd", plain_loss, metrics=[plain_metric, "accuracy"])
    grown = split(model, PLAN, epsilon=0.0)
    before, after = evaluated(model), evaluated(grown)
    assert set(before) == {"loss", "plain_metric", "accuracy"}
    assert after == pytest.approx(before, rel=1e-5)


def test_metric_objects_are_new_and_keep_their_names():
    metric = keras.metrics.CategoricalAccuracy(name="right")
    weighted = keras.metrics.MeanSquaredError(name="off")
    model = nets.dense()
    model.compile("sgd", "mse", metrics=[metric], weighted_metrics=[weighted])
    grown = split(model, PLAN, epsilon=0.0)
    before, after = evaluated(model), evaluated(grown)
    assert set(before) == {"loss", "right", "off"}
    assert after == pytest.approx(before, rel=1e-5)
    metric.reset_state()
    assert evaluated(grown)["right"] == pytest.approx(before["right"])
    assert float(metric.result()) == 0.0


def test_settings_are_carried():
    model = nets.dense()
    model.compile(
        keras.optimizers.Adam(0.003, beta_1=0.7, clipnorm=2.0),
        "mse",
        loss_weights=[0.25],
        steps_per_execution=3,
        jit_compile=True,
        run_eagerly=False,
    )
    grown = split(model, PLAN, epsilon=0.0)
    assert grown.jit_compile is True
    assert grown.steps_per_execution == 3
    assert grown.run_eagerly is False
    assert grown._compile_config.config["loss_weights"] == [0.25]
    settings = grown.optimizer.get_config()
    assert settings["beta_1"] == 0.7
    assert settings["clipnorm"] == 2.0
    assert grown.optimizer is not model.optimizer
    x, y = nets.data(model)
    whole = keras.losses.MeanSquaredError()(y, model(x))
    assert float(grown.compute_loss(x, y, grown(x))) == pytest.approx(
        0.25 * float(whole), rel=1e-5
    )


def test_the_current_learning_rate_is_carried():
    model = nets.compiled(nets.dense(), keras.optimizers.SGD(0.1))
    model.optimizer.learning_rate = 0.004
    grown = split(model, PLAN, epsilon=0.0)
    assert float(grown.optimizer.learning_rate) == pytest.approx(0.004)


def test_a_learning_rate_schedule_survives_with_its_place():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.125])
    model = nets.compiled(nets.dense(), keras.optimizers.SGD(schedule))
    for _ in range(3):
        model.train_on_batch(*nets.data(model))
    grown = split(model, PLAN, epsilon=0.0)
    assert int(grown.optimizer.iterations) == 3
    assert float(grown.optimizer.learning_rate) == 0.125


def test_loss_scaling_is_not_wrapped_twice():
    model = nets.compiled(
        nets.dense(), keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01))
    )
    model.train_on_batch(*nets.data(model))
    grown = split(model, PLAN, epsilon=0.0)
    assert isinstance(grown.optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(grown.optimizer.inner_optimizer, keras.optimizers.Adam)
    assert float(grown.optimizer.dynamic_scale) == float(model.optimizer.dynamic_scale)


def test_an_uncompiled_model_stays_uncompiled():
    assert not split(nets.dense(), PLAN).compiled


class OfItsOwn(keras.Model):
    """A loss as people wrote it before it was told whether it is trained."""

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return keras.ops.mean(keras.ops.square(y - y_pred))


def test_a_loss_of_its_own_need_not_be_told_of_training():
    x = inputs = keras.Input((3,))
    x = keras.layers.Dense(4, "tanh", name="first")(x)
    model = OfItsOwn(inputs, keras.layers.Dense(2)(x))
    model.compile("sgd")
    plain = keras.Model(inputs, model.output)
    plain.compile("sgd", "mse")
    data = np.ones((4, 3), "float32"), np.zeros((4, 2), "float32")
    own, same = (estimate(each, data, verbose=0) for each in (model, plain))
    np.testing.assert_allclose(
        own["first"].splitting_index, same["first"].splitting_index, rtol=1e-4
    )
