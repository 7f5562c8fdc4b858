"""What a fresh neuron carries along: its parent's, or drawn anew."""

import keras
import nets
import numpy as np
import pytest
from keras import layers

from tf_splitting import SplitPlan, grow, split
from tf_splitting.errors import SplittingError, UnknownNameError

PARENTS = [2, 0, 2]
OLD = 4


def net():
    """One neuron's way leads over every kind of weight that it can carry along."""
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(OLD, 3, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.PReLU(shared_axes=(1, 2), name="slopes")(x)
    x = layers.Conv2D(8, 3, groups=8, padding="same", name="grouped")(x)
    x = layers.SeparableConv2D(3, 3, padding="same", name="separable")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return nets.randomized(keras.Model(inputs, layers.Dense(nets.CLASSES)(x)))


# Of each weight the axis of its neurons and how many slices one has, or how many
# entries and what they start at.
KERNELS = {
    "depthwise/kernel": (2, 1),
    "grouped/kernel": (3, 2),
    "separable/depthwise_kernel": (2, 2),
}
SCALES = {
    "conv/bias": (1, 0.0),
    "norm/gamma": (1, 1.0),
    "norm/beta": (1, 0.0),
    "norm/moving_mean": (1, 0.0),
    "norm/moving_variance": (1, 1.0),
    "depthwise/bias": (2, 0.0),
    "slopes/alpha": (2, 0.0),
    "grouped/bias": (2, 0.0),
}


def weight(model, name):
    layer, _, variable = name.partition("/")
    (found,) = [w for w in model.get_layer(layer).weights if w.name == variable]
    return found.numpy()


def by_neuron(array, axis, each):
    """`[neurons, weights of each]`."""
    rows = np.moveaxis(array, axis, 0)
    return rows.reshape(len(rows) // each, -1)


def grown(model, kernels, scales):
    return split(
        model,
        SplitPlan({"conv": PARENTS}),
        epsilon="fresh",
        carried_kernels=kernels,
        carried_scales=scales,
    )


@pytest.mark.parametrize("scales", ["copy", "draw"])
@pytest.mark.parametrize("kernels", ["copy", "draw"])
def test_each_kind_follows_its_setting(kernels, scales):
    model = net()
    new = grown(model, kernels, scales)
    for name, (axis, each) in KERNELS.items():
        before, after = (by_neuron(weight(m, name), axis, each) for m in (model, new))
        np.testing.assert_array_equal(after[:OLD], before, name)
        added, parents = after[OLD:], before[PARENTS]
        if kernels == "copy":
            np.testing.assert_array_equal(added, parents, name)
        else:
            norms = [np.linalg.norm(a, axis=-1) for a in (added, parents)]
            np.testing.assert_allclose(*norms, rtol=1e-5, err_msg=name)
            cosines = np.sum(added * parents, -1) / norms[0] ** 2
            assert np.abs(cosines).max() < 0.99, name
            # Two of one parent differ from each other, too.
            assert np.abs(added[0] - added[2]).max() > 1e-3, name
    for name, (each, initial) in SCALES.items():
        before, after = (weight(m, name).reshape(-1, each) for m in (model, new))
        np.testing.assert_array_equal(after[:OLD], before, name)
        expected = before[PARENTS] if scales == "copy" else initial
        np.testing.assert_array_equal(after[OLD:], np.broadcast_to(expected, (3, each)))


def test_what_nobody_says_the_start_of_is_copied():
    class Gate(layers.Layer):
        def build(self, shape):
            self.gate = self.add_weight(shape=(shape[-1],), name="gate")

        def call(self, x):
            return x * self.gate

        def trace_channels(self, tracer, x):
            tracer.carry(self.gate, 0, x)
            return tracer.channelwise(self.call, x)

    inputs = keras.Input((5,))
    x = Gate(name="own")(layers.Dense(OLD, name="conv")(inputs))
    model = nets.randomized(keras.Model(inputs, layers.Dense(2)(x)))
    before, after = (
        weight(m, "own/gate") for m in (model, grown(model, "draw", "draw"))
    )
    np.testing.assert_array_equal(after, before[[0, 1, 2, 3, *PARENTS]])


def test_a_seed_draws_the_same():
    model = net()
    one, same = (grown(model, "draw", "draw") for _ in range(2))
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("setting", ["carried_kernels", "carried_scales"])
def test_copies_keep_what_they_carry(setting):
    plan = SplitPlan({"conv": [1]})
    with pytest.raises(SplittingError, match=r"0\.1.*expected epsilon='fresh'"):
        split(net(), plan, epsilon=0.1, **{setting: "draw"})
    with pytest.raises(UnknownNameError, match=f"{setting}.*'draw'"):
        split(net(), plan, epsilon="fresh", **{setting: "drawn"})
    model = nets.ready("dense")
    with pytest.raises(SplittingError, match="expected epsilon='fresh'"):
        grow(model, nets.data(model), target_macs=1e4, epsilon=1.0, **{setting: "draw"})


@pytest.mark.slow
def test_growing_draws_them():
    model = nets.ready("depthwise")
    made = grow(
        model,
        nets.data(model),
        target_macs=8_000,
        rounds=1,
        epochs=0,
        final_epochs=0,
        carried_kernels="draw",
        carried_scales="draw",
        verbose=0,
    )
    before, after = (weight(m, "depthwise/kernel") for m in (model, made))
    added = after[:, :, before.shape[2] :, 0]
    old = before[..., 0]
    assert added.shape[2] > 0
    closest = np.abs(added[:, :, :, None] - old[:, :, None]).max((0, 1)).min()
    assert closest > 1e-3
    gamma = weight(made, "depthwise_bn/gamma")[before.shape[2] :]
    np.testing.assert_array_equal(gamma, 1)
