"""How often a case of a parametrized test runs."""

import pytest


def marks(case, always, slow):
    """Those of a case: none, slow, or else exhaustive."""
    if case in always:
        return ()
    return pytest.mark.slow if case in slow else pytest.mark.exhaustive


def sorted_out(cases, always, slow):
    """Cases as parameters: some run always, some are slow, the rest are exhaustive."""
    return [pytest.param(case, marks=marks(case, always, slow)) for case in cases]


def some(cases, always):
    """Cases as parameters: some run always, the rest are slow."""
    return sorted_out(cases, always, [*cases])


def few(cases, usual):
    """Cases as parameters: some run as the test does, the rest are exhaustive."""
    return sorted_out(cases, usual, ())
