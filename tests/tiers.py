"""How often a case of a parametrized test runs."""

import pytest


def marks(case, always, slow):
    """Those of a case: none, slow, or else exhaustive."""
    if case in always:
        return ()
    return pytest.mark.slow if case in slow else pytest.mark.exhaustive


def some(cases, always):
    """Cases as parameters: some run always, the rest are slow."""
    return [pytest.param(case, marks=marks(case, always, [*cases])) for case in cases]


def few(cases, usual):
    """Cases as parameters: some run as the test does, the rest are exhaustive."""
    return [pytest.param(case, marks=marks(case, usual, ())) for case in cases]
