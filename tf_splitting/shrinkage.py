"""What a split may be expected to gain, from two measurements of it."""

from __future__ import annotations

import numpy as np

# Share of the gains on the sample that is believed in however little of it comes true.
LEAST = 0.1


def expected_gains(
    fitted: np.ndarray, held_out: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """Gains on examples not seen before.

    On the examples that a direction was fitted to, its gain is too high, the more so
    the fewer they are and the more weights a neuron has; on others it is right on
    average, but noisy. Gains are expected to be normal around a share ρ of the fitted
    one, as widely spread as that itself, where ρ is the share of all fitted gains that
    the held-out examples confirm. The mean of that, given what was measured, is

        (held_out / errors² + ρ fitted / (ρ fitted)²) / (1 / errors² + 1 / (ρ fitted)²)

    Args:
        fitted: gains on the examples that directions were fitted to, `[neurons]`.
        held_out: gains of the same directions on others.
        errors: standard errors of these; NaN where nothing is known.

    Source: empirical Bayes; Efron and Morris, "Data Analysis Using Stein's Estimator
    and its Generalizations", 1975.
    """
    gaining = fitted > 0
    total = fitted[gaining].sum()
    share = held_out[gaining].sum() / total if total > 0 else 0.0
    prior = np.clip(share, LEAST, 1) * np.maximum(fitted, 0)
    noise = np.square(np.nan_to_num(errors, nan=np.inf))
    spread = np.square(prior)
    weight = np.divide(
        spread, spread + noise, out=np.zeros_like(spread), where=spread + noise > 0
    )
    return np.where(gaining, weight * held_out + (1 - weight) * prior, 0.0)
