"""Gathers of axes on which spaces lie in blocks, repeated and tiled."""

import numpy as np

from tf_splitting.tracing import layout as lay
from tf_splitting.tracing.layout import Block

WIDTHS = {"a": 2, "b": 3}
GATHERS = {"a": np.array([0, 1, 1]), "b": np.array([0, 1, 2, 0])}


def test_concatenated_blocks():
    layout = (Block("a"), Block("b"))
    assert lay.size(layout, WIDTHS) == 5
    found = lay.sources(layout, WIDTHS, GATHERS)
    np.testing.assert_array_equal(found, [0, 1, 1, 2, 3, 4, 2])


def test_repeated_channels_stay_side_by_side():
    found = lay.sources((Block("a", 2),), WIDTHS, GATHERS)
    np.testing.assert_array_equal(found, [0, 1, 2, 3, 2, 3])


def test_flattened_positions():
    found = lay.sources((Block("a"),) * 3, WIDTHS, GATHERS)
    np.testing.assert_array_equal(found, [0, 1, 1, 2, 3, 3, 4, 5, 5])


def test_values_spread_as_channels_lie():
    values = {"a": np.array([7, 8]), "b": np.array([1, 2, 3])}
    found = lay.spread((Block("b"), Block("a", 2)), values)
    np.testing.assert_array_equal(found, [1, 2, 3, 7, 7, 8, 8])


def test_positions_of_a_space():
    layout = (Block("a"), Block("b"), Block("a"))
    np.testing.assert_array_equal(lay.positions(layout, WIDTHS, "a"), [0, 1, 5, 6])
    assert lay.positions(layout, WIDTHS, "c").size == 0


def test_an_index_along_one_axis():
    array = np.arange(24).reshape(2, 3, 4)
    for axis, where in enumerate(([1], [2, 0], [3, 1, 1])):
        found = array[lay.at(3, axis, np.array(where))]
        np.testing.assert_array_equal(found, np.take(array, where, axis))
