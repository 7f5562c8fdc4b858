"""Fixed steps and the ladder."""

import nets
import pytest

from tf_splitting import SplitPlan
from tf_splitting.data.sampling import draw_sample
from tf_splitting.errors import SplittingError
from tf_splitting.growing.step_size import LADDER, build_at, check_epsilon
from tf_splitting.rebuilding.splitting import Splitting
from tf_splitting.training.measuring import measure


@pytest.mark.parametrize("epsilon", [0, 0.0, -0.1, float("nan"), float("inf"), "up"])
def test_steps_that_are_refused(epsilon):
    with pytest.raises(SplittingError, match="number above 0 or"):
        check_epsilon(epsilon)


def test_steps_that_are_allowed():
    check_epsilon("descent")
    check_epsilon(0.3)


@pytest.mark.slow
def test_the_ladder_takes_the_largest_step_that_does_not_raise_the_loss():
    model = nets.ready("dense")
    sample = draw_sample(nets.data(model), size=16)
    splitting = Splitting(model, SplitPlan({"first": [0, 1], "second": [2]}), seed=2)
    before = measure(model, sample)["loss"]
    losses = [measure(splitting.build(step), sample)["loss"] for step in LADDER]
    fits = [loss <= before for loss in losses]
    chosen = fits.index(True) if any(fits) else len(LADDER) - 1
    grown, step, after = build_at(splitting, "descent", sample, before)
    assert step == LADDER[chosen]
    assert after["loss"] == pytest.approx(losses[chosen], rel=1e-5)
    assert measure(grown, sample)["loss"] == pytest.approx(after["loss"], rel=1e-6)


@pytest.mark.slow
def test_an_unreachable_loss_ends_on_the_smallest_step():
    model = nets.ready("dense")
    sample = draw_sample(nets.data(model), size=16)
    splitting = Splitting(model, SplitPlan({"first": [0]}))
    assert build_at(splitting, "descent", sample, -1.0)[1] == min(LADDER)
