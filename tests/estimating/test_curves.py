"""Activations' derivatives against central differences of their values."""

import keras
import numpy as np
import pytest
from keras import ops

from tf_splitting.estimating.product.curves import CURVES, curve_of
from tf_splitting.estimating.product.gradients import calculus

pytestmark = pytest.mark.usefixtures("float64")

SMOOTH = ["silu", "sigmoid", "tanh", "gelu", "softplus", "mish", "elu", "selu"]


def curve(function, t, epsilon=1e-4):
    pullback = calculus(keras.Model(), jit_compile=False).pullback
    return curve_of(function, ops.array(t), pullback, epsilon=epsilon, axis=-1)


@pytest.mark.parametrize("name", SMOOTH)
def test_value_slope_and_bend(name):
    function = getattr(keras.activations, name)
    generator = np.random.default_rng(0)
    t = generator.uniform(0.1, 3, (50, 3)) * generator.choice([-1, 1], (50, 3))
    g = generator.standard_normal(t.shape)
    found = curve(function, t)
    step = 1e-4
    up, here, down = (
        np.asarray(function(ops.array(t + d))) for d in (step, 0.0, -step)
    )
    np.testing.assert_allclose(found.value, here, rtol=1e-12)
    np.testing.assert_allclose(found.slope(), (up - down) / (2 * step), atol=1e-6)
    bend = g * (up + down - 2 * here) / step**2
    np.testing.assert_allclose(found.bend(ops.array(g)), bend, atol=1e-5)


def test_every_known_curve_is_tested():
    tested = {getattr(keras.activations, name) for name in SMOOTH}
    assert set(CURVES) <= tested


def test_the_kink_of_relu_has_the_mass_of_a_spike():
    """∫ g relu'' = g(0), whatever the width, and nothing away from the kink."""
    t = np.linspace(-1, 1, 20_001)[:, None]
    for epsilon in (0.01, 0.1):
        bend = np.asarray(
            curve(keras.activations.relu, t, epsilon).bend(ops.array(1 + t))
        )
        assert bend.mean() * 2 == pytest.approx(1, rel=0.01)
        assert (bend[np.abs(t) > 1.01 * epsilon * t.std()] == 0).all()


def test_the_width_follows_the_scale_of_each_channel():
    t = np.random.default_rng(0).standard_normal((500, 2))
    g = np.ones_like(t)
    bends = [
        np.asarray(curve(keras.activations.relu, t * scale, 0.1).bend(ops.array(g)))
        for scale in (1.0, np.array([10.0, 0.1]))
    ]
    np.testing.assert_allclose(bends[1], bends[0] / [10.0, 0.1])
