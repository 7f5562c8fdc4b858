"""Checks of arguments: what they take, and what they say of the rest."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tf_splitting.errors import DataError, SplittingError, UnknownNameError
from tf_splitting.support import arguments


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_of_all_kinds_become_ints(value):
    found = arguments.whole("n", value, at_least=3, at_most=3)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", [True, np.bool_(True), "3", 3.0, np.array(3), None])
def test_what_is_no_whole_number(value):
    with pytest.raises(SplittingError, match=r"^Got n=.*; expected a whole number"):
        arguments.whole("n", value)


def test_none_has_to_be_allowed():
    assert arguments.whole("n", None, or_none=True) is None
    assert arguments.number("x", None, or_none=True) is None
    with pytest.raises(SplittingError, match="a finite number or None"):
        arguments.number("x", "a", or_none=True)


@pytest.mark.parametrize("value", [1, np.float16(1), np.int64(1), Fraction(1)])
def test_numbers_of_all_kinds_become_floats(value):
    found = arguments.number("x", value, above=0.5, at_most=1)
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize("value", [math.nan, True, "1", 1j, np.ones(1), None])
def test_what_is_no_number(value):
    with pytest.raises(SplittingError, match=r"^Got x=.*; expected a number\."):
        arguments.number("x", value, finite=False)


def test_bounds():
    arguments.number("x", math.inf, finite=False)
    with pytest.raises(SplittingError, match=r"of at least 0 and below 1\. Pass one\."):
        arguments.number("x", 1, at_least=0, below=1)
    with pytest.raises(DataError, match=r"above 0\. Try 1\."):
        arguments.number("x", 0, above=0, hint="Try 1.", error=DataError)
    for value in (-math.inf, math.inf, 10**400, -(10**400)):
        with pytest.raises(SplittingError, match="a finite number"):
            arguments.number("x", value)


def test_truth_and_verbosity():
    assert arguments.truth("t", np.bool_(True)) is True
    assert arguments.truth("t", 0) is False
    assert arguments.verbosity(np.bool_(False)) == 0
    assert arguments.verbosity(2) == 2
    for value in (2, "true", None, np.zeros(2)):
        with pytest.raises(SplittingError, match="expected True or False"):
            arguments.truth("t", value)


def test_names_say_the_nearest():
    assert arguments.one_of("cost", "macs", ("macs", "params")) == "macs"
    for value in ("param", ["params"]):
        with pytest.raises(UnknownNameError, match="nearest name is 'params'"):
            arguments.one_of("cost", value, ("macs", "params"))


def test_classes_are_no_objects():
    assert arguments.behaving("text", "a", ["upper"], "text") == "a"
    for value in (str, 1):
        with pytest.raises(SplittingError, match="expected text"):
            arguments.behaving("text", value, ["upper"], "text")


def test_paths():
    assert arguments.path("path", "a/b") == Path("a/b")
    for value in ("", "a\0b", b"a", 3, None):
        with pytest.raises(SplittingError, match="expected a path"):
            arguments.path("path", value)


def test_class_weights():
    assert arguments.class_weights(None) is None
    assert arguments.class_weights({np.int64(1): np.float32(2)}) == {1: 2.0}
    for value in ({"a": 1}, {0: math.nan}, {0: -1}, [1, 2], {-1: 1.0}):
        with pytest.raises(SplittingError, match="class_weight"):
            arguments.class_weights(value)


def test_messages_stay_short():
    with pytest.raises(SplittingError) as caught:
        arguments.whole("n", np.zeros((99, 99)))
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
    with pytest.raises(SplittingError, match="Got n=<int>"):
        arguments.whole("n", 10**5000, at_most=3)
