"""Budgets of rounds and the cosine of the last phase."""

import math

import keras
import numpy as np
import pytest

from tf_splitting.errors import SplittingError
from tf_splitting.support import has_own_schedule
from tf_splitting.training.schedule import CosineDecay, plan_rounds

PHASES = {"growth": 2.0, "epochs": 2, "final_epochs": 5}


def test_budgets_grow_by_one_ratio_up_to_the_target():
    schedule = plan_rounds(100, 800, rounds=None, **PHASES)
    assert schedule.targets == pytest.approx((200, 400, 800))
    assert schedule.targets[-1] == 800
    assert schedule.rounds == 3
    assert schedule.total_epochs == 3 * 2 + 5


def test_as_many_rounds_as_the_growth_needs():
    assert plan_rounds(100, 801, rounds=None, **PHASES).rounds == 4
    assert plan_rounds(100, 110, rounds=None, **PHASES).rounds == 1
    targets = plan_rounds(100, 800, rounds=2, **PHASES).targets
    assert targets == pytest.approx((100 * math.sqrt(8), 800))


def test_work_that_is_left():
    schedule = plan_rounds(100, 400, rounds=2, **PHASES)
    assert schedule.remaining_work(0, 100) == 2 * 100 + 2 * 200 + 5 * 400
    assert schedule.remaining_work(3, 200) == 200 + 5 * 400
    assert schedule.remaining_work(9, 400) == 0


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"growth": 1.0}, {"epochs": -1}, {"final_epochs": -1}]
)
def test_numbers_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(SplittingError, match=f"{name}={wrong[name]}"):
        plan_rounds(1, 2, **{"rounds": None, **PHASES, **wrong})


def test_half_a_cosine_over_batches_and_epochs():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    decay = CosineDecay(2)
    decay.set_model(model)
    decay.set_params({"steps": 4})
    decay.on_train_begin()
    rates = []
    for epoch in range(2):
        decay.on_epoch_begin(epoch)
        for batch in range(4):
            decay.on_train_batch_begin(batch)
            rates.append(float(model.optimizer.learning_rate))
    expected = 0.25 * (1 + np.cos(np.pi * np.arange(8) / 8))
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    decay.on_train_end()
    assert float(model.optimizer.learning_rate) == 0.5


def test_own_schedules_are_recognised():
    decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert has_own_schedule(keras.optimizers.Adam(decay))
    assert not has_own_schedule(keras.optimizers.Adam(0.1))
