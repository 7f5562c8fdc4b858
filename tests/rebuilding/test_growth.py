"""Gathers, copies and signs of a plan."""

import nets
import numpy as np
import pytest

from tf_splitting import SplitPlan, trace
from tf_splitting.rebuilding.growth import Growth


def growth(indices):
    return Growth.of(trace(nets.dense()), SplitPlan({"first": indices}))


def test_copies_are_appended_and_counted():
    found = growth([2, 0, 2])
    np.testing.assert_array_equal(found.gathers["first"], [0, 1, 2, 3, 2, 0, 2])
    copies = [2, 1, 3, 1, 3, 2, 3]
    np.testing.assert_allclose(found.shares["first"], 1 / np.array(copies))
    np.testing.assert_array_equal(found.shares["second"], np.ones(6))
    assert found.new_widths["first"] == 7


@pytest.mark.parametrize("copies", [2, 3, 4, 7])
def test_signs_sum_to_zero_and_their_squares_average_one(copies):
    found = growth([1] * (copies - 1))
    signs = found.signs["first"][found.gathers["first"] == 1]
    assert len(np.unique(signs)) == copies
    assert signs.sum() == pytest.approx(0, abs=1e-12)
    assert np.mean(signs**2) == pytest.approx(1)
    assert not found.signs["first"][found.gathers["first"] != 1].any()


def test_two_copies_go_one_step_each_way():
    found = growth([3])
    np.testing.assert_allclose(found.signs["first"], [0, 0, 0, 1, -1])
