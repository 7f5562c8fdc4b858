"""`shrink` end to end on generated data, and every error before work starts."""

import keras
import numpy as np
import pytest
import tiers
from keras import layers

import tf_splitting
from tf_splitting import (
    GrowthHistory,
    NormalizationScale,
    SecondOrder,
    Taylor,
    WeightNorm,
    count_macs,
    count_params,
    grow,
    shrink,
    trace,
)
from tf_splitting.errors import (
    BudgetError,
    ModelError,
    PlanError,
    SplittingError,
    UnknownNameError,
)

QUIET = {"verbose": 0, "batch_size": 16, "final_epochs": 1}


def classes(count=160):
    """Points of three classes, apart enough to learn."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, count)
    x = generator.standard_normal((count, 5)) + 2 * np.eye(5)[y]
    return x.astype("float32"), y


def wide_model(widths=(24, 24), optimizer=None):
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((5,))
    for number, width in enumerate(widths):
        x = layers.Dense(width, use_bias=False, name=f"hidden_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.Activation("relu")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="wide")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.Adam(0.02)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


X, Y = classes()


@pytest.mark.slow
def test_a_model_shrinks_and_still_knows():
    model = wide_model()
    target = 0.2 * count_macs(model)
    history = GrowthHistory()
    smaller = shrink(
        model,
        (X, Y),
        target_macs=target,
        training_epochs=30,
        history=history,
        verbose=0,
        batch_size=16,
    )
    assert 0.5 * target < count_macs(smaller) <= target
    assert smaller.evaluate(X, Y, verbose=0)[1] > 0.8
    assert [layer.name for layer in smaller.layers] == [la.name for la in model.layers]
    # By a ratio of at most 1.5: five times smaller takes four rounds.
    assert [record.round for record in history.rounds] == [1, 2, 3, 4]
    for record in history.rounds:
        assert record.removed > record.added == 0
        assert (record.kind, record.epsilon) == ("removal", None)
        assert record.predicted_gain is not None
        parts = {"training", "estimating", "rebuilding", "measuring"}
        assert set(record.seconds) == parts
    assert history.rounds[-1].macs == count_macs(smaller)
    assert history.rounds[-1].params == count_params(smaller)
    assert history.rounds[-1].widths == trace(smaller).widths
    # Epochs of the smaller model over all examples.
    assert 0.9 < history.compute / (30 * target * len(X)) <= 1.0


@pytest.mark.slow
def test_what_counts_least_is_removed():
    """Neurons that nobody reads, of a model that is trained already."""
    model = wide_model((8, 8))
    model.fit(X, Y, batch_size=16, epochs=30, verbose=0)
    before = model.evaluate(X, Y, verbose=0)[0]
    kernel = np.array(model.get_layer("logits").kernel)
    kernel[[2, 5]] = 0.0
    model.get_layer("logits").kernel.assign(kernel)
    history = GrowthHistory()
    shrink(
        model,
        (X, Y),
        target_macs=count_macs(model) - 1,
        rounds=1,
        epochs=0,
        final_epochs=0,
        batch_size=16,
        min_widths={"hidden_0": 8, "hidden_1": 6},
        history=history,
        verbose=0,
    )
    (record,) = history.rounds
    assert record.removed == 1
    assert abs(record.after["loss"] - record.before["loss"]) < 0.01 * before


ESTIMATORS = [SecondOrder(), Taylor(), NormalizationScale(), WeightNorm()]


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("fold", tiers.few([True, False], [True]))
def test_every_estimator(estimator, fold):
    model = wide_model((8, 8))
    target = 0.6 * count_macs(model)
    smaller = shrink(
        model,
        (X, Y),
        target_macs=target,
        rounds=1,
        epochs=1,
        estimator=estimator,
        fold=fold,
        **QUIET,
    )
    assert count_macs(smaller) <= target


@pytest.mark.slow
def test_limits_are_kept():
    model = wide_model()
    smaller = shrink(
        model,
        (X, Y),
        target_macs=0.4 * count_macs(model),
        width_multiple=4,
        min_widths={"hidden_0": 16},
        epochs=0,
        **QUIET,
    )
    widths = trace(smaller).widths
    assert widths["hidden_0"] >= 16
    assert all(width % 4 == 0 for name, width in widths.items() if "hidden" in name)


@pytest.mark.slow
def test_another_cost_is_met():
    model = wide_model()
    target = 0.5 * count_params(model)
    smaller = shrink(
        model,
        (X, Y),
        target_macs=count_macs(model),
        cost="params",
        target_cost=target,
        epochs=0,
        **QUIET,
    )
    assert (
        count_params(smaller)
        - sum(  # statistics are no parameters that count
            int(np.prod(w.shape)) for w in smaller.non_trainable_weights
        )
        <= target
    )


@pytest.mark.exhaustive
def test_a_grown_model_shrinks_again():
    model = wide_model((4, 4))
    macs = count_macs(model)
    grown = grow(model, (X, Y), target_macs=2 * macs, epochs=1, **QUIET)
    smaller = shrink(grown, (X, Y), target_macs=macs, epochs=1, **QUIET)
    assert 0.8 * macs < count_macs(smaller) <= macs


@pytest.mark.slow
def test_the_table_of_a_round(capsys):
    model = wide_model((8, 8))
    shrink(
        model,
        (X, Y),
        target_macs=0.5 * count_macs(model),
        rounds=1,
        **{**QUIET, "verbose": 1},
    )
    told = capsys.readouterr().out
    assert "before removal" in told
    assert "neurons measured on 160 examples\n" in told


def frozen_model():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"target_macs": 10**9}, BudgetError, "only .* MACs. Give a smaller target"),
        ({"target_macs": 3}, BudgetError, "cannot be met"),
        ({"min_widths": 24}, BudgetError, "cannot be met"),
        ({"min_widths": {"hidden_0": 25}}, PlanError, "expected 24 at most"),
        ({"min_widths": {"nowhere": 2}}, PlanError, "no channel space"),
        ({"shrinkage": 1}, SplittingError, "shrinkage"),
        ({"shrinking_share": 1}, SplittingError, "shrinking_share"),
        ({"fold": "yes"}, SplittingError, "fold"),
        ({"estimator": Taylor}, SplittingError, "Pass one, not its class"),
        ({"method": "splitting"}, UnknownNameError, "method"),
        ({"model": frozen_model()}, ModelError, "Nothing in model"),
        ({"training_epochs": 2, "epochs": 1}, SplittingError, "training_epochs"),
    ],
)
def test_errors_before_work(change, error, message):
    model = change.pop("model", None) or wide_model()
    target = change.pop("target_macs", 0.5 * count_macs(model))
    before = [np.array(w) for w in model.weights]
    with pytest.raises(error, match=message):
        shrink(model, (X, Y), target_macs=target, verbose=0, **change)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(new))


def test_norms_are_refused_where_there_are_none():
    inputs = keras.Input((5,))
    x = layers.Dense(8, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(x))
    model.compile("sgd", "mse")
    with pytest.raises(ModelError, match="passes a normalization"):
        shrink(model, (X, np.eye(3)[Y]), target_macs=30, estimator=NormalizationScale())


def test_what_it_takes_is_told():
    told = tf_splitting.shrink.__doc__
    for argument in ("shrinkage", "min_widths", "target_macs", "checkpoint_dir"):
        assert f"{argument}: " in told
