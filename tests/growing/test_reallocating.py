"""`reallocate`, alone and at the end of `grow`, and every error before work starts."""

import keras
import numpy as np
import pytest
from keras import layers
from test_shrinking import X, Y, classes, frozen_model, wide_model

import tf_splitting
from tf_splitting import (
    GrowthHistory,
    count_macs,
    count_params,
    grow,
    reallocate,
    trace,
)
from tf_splitting.errors import (
    ModelError,
    PlanError,
    SplittingError,
    UnknownNameError,
)

QUIET = {"verbose": 0, "batch_size": 32}


def uneven_model():
    """One layer with far more neurons than three classes need, one with too few."""
    return wide_model((60, 2))


@pytest.mark.slow
def test_neurons_move_to_where_they_gain():
    model = uneven_model()
    macs, history = count_macs(model), GrowthHistory()
    names = [layer.name for layer in model.layers]
    x, y = classes(1000)
    result = reallocate(model, (x, y), training_epochs=8, history=history, **QUIET)
    assert 0.9 * macs < count_macs(result) <= macs
    widths = trace(result).widths
    assert widths["hidden_0"] < 60
    assert widths["hidden_1"] > 2
    assert [layer.name for layer in result.layers] == names
    for record in history.rounds:
        assert record.kind == "exchange"
        assert record.added > 0 < record.removed
        assert record.epsilon == "fresh"
        assert record.predicted_gain > 0
        assert record.macs <= macs
    last = history.rounds[-1]
    assert last.widths == widths
    assert (last.macs, last.params) == (count_macs(result), count_params(result))
    assert 0.9 < history.compute / (8 * macs * len(x)) <= 1.0
    # What an even one of as many MACs learns.
    assert result.evaluate(x, y, verbose=0)[1] > 0.8


@pytest.mark.slow
def test_it_ends_where_no_exchange_pays(capsys):
    model = uneven_model()
    history = GrowthHistory()
    arguments = {**QUIET, "verbose": 1, "epochs": 1, "final_epochs": 1}
    result = reallocate(model, (X, Y), moved=1e-9, history=history, **arguments)
    assert history.rounds == []
    assert "no allowed exchange pays" in history.settled
    assert "no allowed exchange pays" in capsys.readouterr().out
    assert trace(result).widths == trace(model).widths
    # The last phase takes place all the same.
    assert len(history.epochs) == 2


@pytest.mark.exhaustive
def test_growth_ends_with_exchanges(capsys):
    model = wide_model((8, 3))
    target, history = 2.5 * count_macs(model), GrowthHistory()
    grown = grow(
        model,
        (X, Y),
        target_macs=target,
        reallocations=2,
        training_epochs=12,
        history=history,
        **{**QUIET, "verbose": 1},
    )
    kinds = [record.kind for record in history.rounds]
    first = kinds.index("exchange") if "exchange" in kinds else len(kinds)
    assert kinds[:first] == ["split"] * first
    assert history.rounds[first - 1].macs >= 0.9 * target
    assert kinds[first:] == ["exchange"] * (len(kinds) - first)
    assert len(kinds) - first == 2 or "no allowed exchange pays" in history.settled
    assert count_macs(grown) <= target
    told = capsys.readouterr().out
    assert f"round {first + 1}/4" in told or "no allowed exchange pays" in told


@pytest.mark.slow
def test_limits_are_kept():
    model = uneven_model()
    history = GrowthHistory()
    result = reallocate(
        model,
        (X, Y),
        rounds=2,
        epochs=2,
        final_epochs=0,
        gain_step=3.0,
        min_widths={"hidden_0": 40},
        max_widths={"hidden_1": 4},
        width_multiple=2,
        history=history,
        **QUIET,
    )
    assert history.rounds
    widths = trace(result).widths
    assert widths["hidden_0"] >= 40
    assert widths["hidden_1"] <= 4
    assert widths["hidden_0"] % 2 == widths["hidden_1"] % 2 == 0


@pytest.mark.slow
def test_another_cost_is_kept_too():
    model = uneven_model()
    result = reallocate(
        model,
        (X, Y),
        rounds=1,
        epochs=2,
        final_epochs=0,
        gain_step=3.0,
        cost="params",
        **QUIET,
    )
    assert trace(result).widths != trace(model).widths
    assert count_params(result) <= count_params(model)
    assert count_macs(result) <= count_macs(model)


def one_space():
    inputs = keras.Input((5,))
    x = layers.Dense(8, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(x), name="one")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rounds": 0}, SplittingError, "rounds"),
        ({"rounds": None}, SplittingError, "rounds=None"),
        ({"moved": 0}, SplittingError, "moved"),
        ({"moved": 2}, SplittingError, "moved"),
        ({"gain_step": 0}, SplittingError, "gain_step"),
        ({"reallocating_share": 1}, SplittingError, "reallocating_share"),
        ({"fold": "yes"}, SplittingError, "fold"),
        ({"min_widths": {"nowhere": 2}}, PlanError, "no channel space"),
        ({"max_widths": 0}, PlanError, "max_widths"),
        ({"max_growth": 1}, PlanError, "max_growth"),
        ({"max_shrinkage": 1}, PlanError, "max_shrinkage"),
        ({"carried_kernels": "take"}, UnknownNameError, "take"),
        ({"target_macs": 3}, UnknownNameError, "target_macs"),
        ({"model": frozen_model()}, ModelError, "Nothing in model"),
        ({"model": one_space()}, ModelError, "expected two at least"),
        ({"training_epochs": 2, "epochs": 1}, SplittingError, "training_epochs"),
    ],
)
def test_errors_before_work(change, error, message):
    model = change.pop("model", None) or uneven_model()
    before = [np.array(w) for w in model.weights]
    with pytest.raises(error, match=message):
        reallocate(model, (X, Y), verbose=0, **change)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(new))


def test_growth_takes_a_whole_number_of_them():
    with pytest.raises(SplittingError, match="reallocations"):
        grow(wide_model((4, 4)), (X, Y), target_macs=1e3, reallocations=-1)


def test_what_it_takes_is_told():
    told = tf_splitting.reallocate.__doc__
    for argument in ("gain_step", "moved", "min_widths", "checkpoint_dir"):
        assert f"{argument}" in told
