"""Budgets of rounds and the cosine of the last phase."""

import math

import keras
import numpy as np
import pytest

from tf_splitting.errors import SplittingError
from tf_splitting.support import has_own_schedule
from tf_splitting.training.rates import CosineDecay
from tf_splitting.training.schedule import (
    ComputeSchedule,
    EpochSchedule,
    Progress,
    divided,
    round_targets,
)


def test_budgets_grow_by_one_ratio_up_to_the_target():
    targets = round_targets(100, 800, rounds=None, growth=2.0)
    assert targets == pytest.approx((200, 400, 800))
    assert targets[-1] == 800


def test_as_many_rounds_as_the_growth_needs():
    assert len(round_targets(100, 801, rounds=None, growth=2.0)) == 4
    assert len(round_targets(100, 110, rounds=None, growth=2.0)) == 1
    targets = round_targets(100, 800, rounds=2, growth=2.0)
    assert targets == pytest.approx((100 * math.sqrt(8), 800))


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"growth": 1.0}])
def test_numbers_out_of_range(wrong):
    (name,) = wrong
    with pytest.raises(SplittingError, match=f"{name}={wrong[name]}"):
        round_targets(1, 2, **{"rounds": None, "growth": 2.0, **wrong})


def at(round=0, *, final=False, epoch=0, macs=100, spent=0.0):
    return Progress(round, final, epoch, macs, spent)


def test_epochs_of_phases_and_work_that_is_left():
    schedule = EpochSchedule((200, 400), epochs=2, final_epochs=5)
    assert schedule.phase(at(), 10) == (2, None)
    assert schedule.phase(at(2, final=True), None) == (5, None)
    assert schedule.remaining(at()) == 2 * 100 + 2 * 200 + 5 * 400
    assert schedule.remaining(at(1, epoch=3, macs=200)) == 200 + 5 * 400
    assert schedule.remaining(at(2, epoch=9, macs=400)) == 0
    assert schedule.told(at(1, epoch=3)) == "round 1/2  epoch 3/9"
    # A third split that nobody planned.
    assert schedule.told(at(2, epoch=6)) == "round 2/3  epoch 6/11"


def spend(schedule, sizes, steps, estimates=0.0):
    """Compute of every phase, as a job would spend it."""
    spent, phases = 0.0, []
    for number, macs in enumerate(sizes):
        final = number == len(sizes) - 1
        epochs, length = schedule.phase(
            at(number, final=final, macs=macs, spent=spent), steps
        )
        assert length <= steps
        phases.append(macs * epochs * length / steps)
        spent += phases[-1] + (0 if final else estimates)
    return phases, spent


@pytest.mark.parametrize("estimates", [0.0, 30.0])
@pytest.mark.parametrize("epochs", [0.7, 2.4, 12.0])
def test_phases_share_the_compute_and_none_is_lost(epochs, estimates):
    steps, sizes = 700, (100, 200, 400, 800)
    schedule = ComputeSchedule(sizes[1:], 100, epochs, growing_share=0.3)
    phases, spent = spend(schedule, sizes, steps, estimates)
    budget = epochs * 800
    # Less than a handful of batches of the last size is left over.
    assert budget * (1 - 0.01) < spent <= budget
    assert sum(phases[:-1]) == pytest.approx(0.3 * budget, rel=0.02)
    # Every size sees as many images: its share goes by its MACs.
    np.testing.assert_allclose(phases[1] / phases[0], 2, rtol=0.02)
    np.testing.assert_allclose(phases[2] / phases[1], 2, rtol=0.02)


def test_a_budget_that_is_used_up_leaves_nothing():
    schedule = ComputeSchedule((200,), 100, 2.0, growing_share=0.3)
    assert schedule.phase(at(1, final=True, macs=200, spent=450), 10).epochs == 0
    assert schedule.remaining(at(1, macs=200, spent=450)) == 0


def test_rounds_that_nobody_planned_take_nothing_from_the_last_phase():
    schedule = ComputeSchedule((200,), 100, 2.0, growing_share=0.3)
    assert schedule.phase(at(0), 10).epochs == 2
    assert schedule.phase(at(1, macs=150, spent=120), 10).epochs == 0


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 782])
def test_batches_divide_into_even_epochs(steps):
    for total in range(1, 5 * steps + 1):
        epochs, length = divided(total, steps)
        assert 1 <= length <= steps
        assert total - epochs < epochs * length <= total
        assert epochs * length >= 0.8 * total or total < 10
    assert divided(0, steps).epochs == 0


def test_the_line_says_how_much_compute_is_spent():
    schedule = ComputeSchedule((200, 400), 100, 12.0, growing_share=0.3)
    told = schedule.told(at(1, epoch=3, macs=200, spent=600.0))
    assert told == "round 1/2  epoch 3  budget 1.50/12"


def test_the_line_of_a_job_without_rounds_says_nothing_of_them():
    lengths = (EpochSchedule((), 0, 5), ComputeSchedule((200,), 200, 5.0, 0.0))
    epochs, compute = (
        schedule.told(at(final=True, epoch=3, macs=200, spent=600.0))
        for schedule in lengths
    )
    assert epochs == "epoch 3/5"
    assert compute == "epoch 3  budget 3.00/5"


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
