"""What the width of each layer is worth: a fit to networks trained from scratch.

Random redistributions of widths at one budget of MACs, each trained once. Their losses
are fitted by a quadratic function of the logarithms of the widths, whose mean over the
layers says nothing new (the budget fixes it) and is taken out: a slope and a curvature
for each layer. The fit says which proportions are best, how much any others lose, and
how well it knows that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SPREAD = 0.45
# Among which the best ones are looked for.
DRAWN = 20_000


def redistributed(widths: Sequence[int], count: int) -> list[tuple[float, ...]]:
    """Random proportions around some widths, the same ones whenever asked for."""
    generator = np.random.default_rng(0)
    factors = np.exp(SPREAD * generator.standard_normal((count, len(widths))))
    return [tuple(map(float, row.round(3))) for row in np.array(widths) * factors]


@dataclass(frozen=True)
class Worth:
    """The fitted function.

    Attributes:
        coefficients: constant, slopes and curvatures, `[1 + 2 n]`.
        covariance: of the coefficients.
        noise: standard deviation of a run around the fit.
        explained: share of the losses' variance that the fit explains.
        centre: logarithms of widths that it is taken around, `[n]`.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    noise: float
    explained: float
    centre: np.ndarray

    @classmethod
    def fitted(cls, widths: Sequence[Sequence[int]], losses: Sequence[float]) -> Worth:
        """Fits losses of networks of these widths."""
        logs = np.log(np.array(widths, float))
        centre = logs.mean(0)
        features = np.array([_features(row - centre) for row in logs])
        values = np.array(losses)
        # Along the mean of the logarithms nothing varies but the rounding.
        inverse = np.linalg.pinv(features.T @ features, rcond=1e-6)
        coefficients = inverse @ features.T @ values
        left = values - features @ coefficients
        freedom = len(values) - np.linalg.matrix_rank(inverse)
        noise = float(np.sqrt(left @ left / freedom))
        explained = 1 - float(left @ left / np.square(values - values.mean()).sum())
        return cls(coefficients, noise**2 * inverse, noise, explained, centre)

    def loss(self, widths: Sequence[int]) -> tuple[float, float]:
        """The loss expected of some widths, and its standard error."""
        features = _features(np.log(np.array(widths, float)) - self.centre)
        error = np.sqrt(features @ self.covariance @ features)
        return float(features @ self.coefficients), float(error)

    def best(self) -> np.ndarray:
        """The widths that lose least, of many drawn as the fitted ones were."""
        generator = np.random.default_rng(0)
        drawn = SPREAD * generator.standard_normal((DRAWN, len(self.centre)))
        features = np.array([_features(row) for row in drawn])
        return np.exp(self.centre + drawn[(features @ self.coefficients).argmin()])

    def slopes(self, widths: Sequence[int]) -> list[tuple[float, float]]:
        """Marginal value of each layer: fall of the loss for a width e times as large.

        At equal MACs, which all layers together are scaled back to. With standard
        errors.
        """
        x = np.log(np.array(widths, float)) - self.centre
        n = len(x)
        found = []
        for layer in range(n):
            # How the features change with one logarithm, the mean taken out.
            step = np.eye(n)[layer] - 1 / n
            change = np.concatenate([[0.0], step, 2 * (x - x.mean()) * step])
            error = np.sqrt(change @ self.covariance @ change)
            found.append((-float(change @ self.coefficients), float(error)))
        return found


def centred(x: np.ndarray) -> np.ndarray:
    """Logarithms of widths, their mean over the layers taken out."""
    return x - x.mean()


def _features(x: np.ndarray) -> np.ndarray:
    x = centred(x)
    return np.concatenate([[1.0], x, x**2])
