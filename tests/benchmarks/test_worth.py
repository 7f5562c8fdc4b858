"""What a width is worth: the fit knows a function that it can express."""

import importlib
from pathlib import Path

import numpy as np
import pytest

GROWING = Path(__file__).resolve().parents[2] / "benchmarks" / "growing"
WIDTHS = np.array([8, 8, 12, 16, 24])
SLOPES = np.array([-0.05, 0.0, 0.03, -0.02, 0.04])
CURVATURE = 0.06
NOISE = 0.004


@pytest.fixture
def worth(monkeypatch):
    monkeypatch.syspath_prepend(str(GROWING))
    return importlib.import_module("fair.worth")


def loss_of(widths, worth):
    x = worth.centred(np.log(np.array(widths, float) / WIDTHS))
    return 1.8 - SLOPES @ x + CURVATURE * (x @ x)


def fitted(worth, noise, count=60):
    drawn = worth.redistributed(WIDTHS, count)
    left = noise * np.random.default_rng(1).standard_normal(count)
    losses = [loss_of(w, worth) + e for w, e in zip(drawn, left, strict=True)]
    return worth.Worth.fitted(drawn, losses)


def test_without_noise_loss_and_slopes_are_the_functions(worth):
    fit = fitted(worth, 0.0)
    for widths in ([8, 8, 12, 16, 24], [4, 9, 20, 8, 24], [80, 90, 200, 80, 240]):
        assert fit.loss(widths)[0] == pytest.approx(loss_of(widths, worth), abs=1e-9)
    slopes = [slope for slope, _ in fit.slopes(WIDTHS)]
    np.testing.assert_allclose(slopes, SLOPES - SLOPES.mean(), atol=1e-9)
    assert fit.explained == pytest.approx(1.0)


def test_errors_are_as_large_as_the_noise_makes_them(worth):
    fit = fitted(worth, NOISE)
    assert fit.noise == pytest.approx(NOISE, rel=0.3)
    for (slope, error), true in zip(fit.slopes(WIDTHS), SLOPES, strict=True):
        assert abs(slope - true + SLOPES.mean()) < 4 * error
        assert error < NOISE


def test_the_best_widths_lose_less_than_any_that_were_fitted(worth):
    fit = fitted(worth, NOISE)
    others = [loss_of(w, worth) for w in worth.redistributed(WIDTHS, 60)]
    assert loss_of(fit.best(), worth) < min(others)
