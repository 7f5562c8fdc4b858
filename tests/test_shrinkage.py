import numpy as np
import pytest

from tf_splitting.shrinkage import LEAST, expected_gains


def test_certain_measurements_are_believed_and_noise_is_not():
    fitted = np.array([1.0, 1.0, 2.0])
    held_out = np.array([0.5, 0.9, 0.6])
    errors = np.array([1e-9, 1e9, np.nan])
    share = held_out.sum() / fitted.sum()
    found = expected_gains(fitted, held_out, errors)
    np.testing.assert_allclose(found, [0.5, share, 2 * share])


def test_what_gains_nowhere_gains_nothing():
    fitted = np.array([-1.0, 0.0, 1.0])
    found = expected_gains(fitted, np.array([1.0, 1.0, -0.5]), np.full(3, 1e9))
    np.testing.assert_allclose(found, [0, 0, LEAST])


def test_it_is_nearer_to_the_truth_than_either_measurement():
    """Gains of many neurons whose directions were fitted to a noisy sample."""
    generator = np.random.default_rng(0)
    truth = generator.exponential(1.0, 2000)
    errors = generator.uniform(0.2, 2.0, truth.size)
    fitted = truth + errors  # The fit follows the noise up.
    held_out = truth + errors * generator.standard_normal(truth.size)
    found = expected_gains(fitted, held_out, errors)

    def off(values):
        return np.sqrt(np.mean(np.square(values - truth)))

    assert off(found) < 0.8 * min(off(fitted), off(held_out))
    assert found.sum() == pytest.approx(truth.sum(), rel=0.15)
