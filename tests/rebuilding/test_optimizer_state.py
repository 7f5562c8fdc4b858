"""What carried optimizer state must do in the next step, entry by entry.

At ε = 0 and on the same batch the grown model's gradient of an entry is its parent's
over the number of copies m of the neuron that the entry belongs to (the entry of a
consumer kernel belongs to the neuron it produces). Hence

    SGD     update of an entry = update of its parent / m
    Adam    update of an entry = update of its parent

and the grown model computes the original's function after the step if the update of
each entry is scaled by hand by m (SGD) or 1 (Adam), over the number of copies of the
neuron that the entry reads.
"""

import blocks
import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers, optimizers

from tf_splitting import SplitPlan, split
from tf_splitting.errors import UnknownNameError

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("float64")]

TINY = 1e-20
PROPORTIONAL = {
    "sgd": lambda: optimizers.SGD(0.1),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
}
SCALE_FREE = {
    "adam": lambda: optimizers.Adam(0.01, epsilon=TINY),
    "amsgrad": lambda: optimizers.Adam(0.01, epsilon=TINY, amsgrad=True),
    # Decay follows the weights, which are divided where they are read.
    "adamw": lambda: optimizers.AdamW(0.01, epsilon=TINY, weight_decay=0.0),
    "nadam": lambda: optimizers.Nadam(0.01, epsilon=TINY),
    "adamax": lambda: optimizers.Adamax(0.01, epsilon=TINY),
    "rmsprop": lambda: optimizers.RMSprop(0.01, epsilon=TINY),
    "rmsprop_centered": lambda: optimizers.RMSprop(
        0.01, epsilon=TINY, momentum=0.9, centered=True
    ),
    "adagrad": lambda: optimizers.Adagrad(0.1, epsilon=TINY),
    "adadelta": lambda: optimizers.Adadelta(1.0, epsilon=1e-16),
    "lion": lambda: optimizers.Lion(0.001),
}

# The net below, split by hand: conv neuron 1 in two, hidden neuron 0 in three.
PLAN = SplitPlan({"conv": [1], "hidden": [0, 0]})
CONV, CONV_COPIES = np.array([0, 1, 2, 1]), np.array([1, 2, 1, 2])
HIDDEN, HIDDEN_COPIES = np.array([0, 1, 2, 3, 0, 0]), np.array([3, 1, 1, 1, 3, 3])
FLAT = np.concatenate([3 * position + CONV for position in range(4)])
FLAT_COPIES = np.tile(CONV_COPIES, 4)


def build(optimizer):
    x = inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Flatten()(layers.Activation("tanh")(x))
    x = layers.Dense(4, activation="softplus", name="hidden")(x)
    model = keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))
    # Eagerly: a few steps do not pay for a graph.
    return nets.compiled(nets.randomized(model), optimizer, run_eagerly=True)


def gathered(path, array):
    """An array of the original's shape as it lies in the grown model."""
    if path == "conv/kernel":
        return array[..., CONV]
    if path.startswith("bn/"):
        return array[CONV]
    if path == "hidden/kernel":
        return array[FLAT][:, HIDDEN]
    if path in ("hidden/bias", "logits/kernel"):
        return array[HIDDEN]
    return array


def copies_of_owner(path):
    if path.startswith(("conv/", "bn/")):
        return CONV_COPIES
    return HIDDEN_COPIES if path.startswith("hidden/") else 1


def copies_read(path):
    if path == "hidden/kernel":
        return FLAT_COPIES[:, None]
    return HIDDEN_COPIES[:, None] if path == "logits/kernel" else 1


def snapshot(model):
    return {v.path: v.numpy() for v in model.trainable_variables}


@pytest.mark.parametrize(
    "name",
    tiers.some([*PROPORTIONAL, *SCALE_FREE], ["sgd", "momentum", "adam", "amsgrad"]),
)
def test_the_next_step(name):
    power = 1 if name in PROPORTIONAL else 0
    model = build({**PROPORTIONAL, **SCALE_FREE}[name]())
    x, y = nets.data(model)
    for batch in (slice(0, 8), slice(8, 16)):
        model.train_on_batch(x[batch], y[batch])
    grown = split(model, PLAN, epsilon=0.0)
    before, grown_before = snapshot(model), snapshot(grown)
    model.train_on_batch(x, y)
    grown.train_on_batch(x, y)
    after, grown_after = snapshot(model), snapshot(grown)
    for variable in grown.trainable_variables:
        path = variable.path
        parents = gathered(path, after[path] - before[path])
        update = grown_after[path] - grown_before[path]
        owner = np.broadcast_to(copies_of_owner(path), update.shape) ** power
        np.testing.assert_allclose(
            update, parents / owner, rtol=1e-6, atol=1e-12, err_msg=path
        )
        variable.assign(grown_before[path] + update * owner / copies_read(path))
    difference = nets.difference(nets.outputs(model, x), nets.outputs(grown, x))
    assert difference < 1e-8


def test_the_next_step_of_a_group():
    """All channels of a group that is copied take half of its step."""
    model = nets.compiled(
        nets.randomized(blocks.grouped()), PROPORTIONAL["momentum"](), run_eagerly=True
    )
    x, y = nets.data(model)
    model.train_on_batch(x, y)
    grown = split(model, SplitPlan({"narrow": [1]}), epsilon=0.0)
    before, grown_before = snapshot(model), snapshot(grown)
    for each in (model, grown):
        each.train_on_batch(x, y)
    after, grown_after = snapshot(model), snapshot(grown)
    read, made = [*range(9), 3, 4, 5], [*range(6), 2, 3]
    for paths, sources, copied in (
        (("narrow/kernel", "narrow_bn/gamma", "narrow_bn/beta"), read, {3, 4, 5}),
        (("groups/kernel", "groups_bn/gamma", "groups_bn/beta"), made, {2, 3}),
    ):
        copies = np.array([2 if source in copied else 1 for source in sources])
        for path in paths:
            expected = (after[path] - before[path])[..., sources] / copies
            update = grown_after[path] - grown_before[path]
            np.testing.assert_allclose(update, expected, 1e-6, 1e-12, err_msg=path)
    path = "wide/kernel"
    expected = (after[path] - before[path])[:, :, made]
    update = grown_after[path] - grown_before[path]
    np.testing.assert_allclose(update, expected, 1e-6, 1e-12)


def test_without_carried_state_momentum_would_differ():
    """The identity is not empty: a fresh optimizer breaks it."""
    model = build(PROPORTIONAL["momentum"]())
    x, y = nets.data(model)
    model.train_on_batch(x, y)
    grown = split(model, PLAN, epsilon=0.0)
    for variable in grown.optimizer.variables:
        if "momentum" in variable.path:
            variable.assign(0 * variable)
    before, grown_before = snapshot(model), snapshot(grown)
    model.train_on_batch(x, y)
    grown.train_on_batch(x, y)
    parents = snapshot(model)["logits/bias"] - before["logits/bias"]
    update = snapshot(grown)["logits/bias"] - grown_before["logits/bias"]
    assert np.abs(parents - update).max() > 1e-4


def test_counter_and_learning_rate_are_carried():
    model = build(optimizers.Adam(0.01))
    x, y = nets.data(model)
    for _ in range(3):
        model.train_on_batch(x, y)
    model.optimizer.learning_rate = 0.002
    grown = split(model, PLAN, epsilon=0.0)
    assert int(grown.optimizer.iterations) == 3
    assert float(grown.optimizer.learning_rate) == pytest.approx(0.002)


def test_averages_of_weights_grow_as_weights_do():
    model = build(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    model.train_on_batch(*nets.data(model))
    grown = split(model, PLAN, epsilon=0.0)
    averages = [v for v in model.optimizer.variables if "average" in v.path]
    grown_averages = [v for v in grown.optimizer.variables if "average" in v.path]
    paths = [v.path for v in model.trainable_variables]
    assert len(averages) == len(paths)
    for path, old, new in zip(paths, averages, grown_averages, strict=True):
        expected = gathered(path, old.numpy()) / copies_read(path)
        np.testing.assert_allclose(new, expected, rtol=1e-12)


def test_accumulated_gradients_grow_as_gradients_do():
    model = build(optimizers.SGD(0.1, gradient_accumulation_steps=3))
    x, y = nets.data(model)
    model.train_on_batch(x, y)
    grown = split(model, PLAN, epsilon=0.0)
    before, grown_before = snapshot(model), snapshot(grown)
    for _ in range(2):
        model.train_on_batch(x, y)
        grown.train_on_batch(x, y)
    after, grown_after = snapshot(model), snapshot(grown)
    for path in before:
        parents = gathered(path, after[path] - before[path])
        update = grown_after[path] - grown_before[path]
        assert np.abs(update).max() > 0
        expected = parents / np.broadcast_to(copies_of_owner(path), update.shape)
        np.testing.assert_allclose(update, expected, rtol=1e-6, atol=1e-12)


def test_slots_of_unknown_optimizers_start_anew_and_are_named():
    model = build(optimizers.Ftrl(0.1))
    model.train_on_batch(*nets.data(model))
    with pytest.warns(UserWarning, match=r"Ftrl has state.*start anew.*accumulator"):
        grown = split(model, PLAN, epsilon=0.0)
    grown.train_on_batch(*nets.data(grown))
    assert int(grown.optimizer.iterations) == 2


def test_state_of_frozen_layers_and_unsplit_models():
    model = build(optimizers.Adam(0.01))
    model.get_layer("conv").trainable = False
    model = nets.compiled(model, optimizers.Adam(0.01))
    model.train_on_batch(*nets.data(model))
    same = split(model, SplitPlan(), epsilon=0.0)
    for a, b in zip(model.optimizer.variables, same.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def trained(optimizer):
    model = build(optimizer)
    model.fit(*nets.data(model), epochs=2, verbose=0)
    return model


def moments(model):
    """Slots by the path of the variable they belong to and their own name."""
    slots = [v for v in model.optimizer.variables if v.ndim]
    return {v.path: v.numpy() for v in slots}


OPTIMIZERS = {"adam": SCALE_FREE["adam"], "adagrad": SCALE_FREE["adagrad"]}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_state_of_old_neurons_only(make):
    model = trained(make())
    carried = split(model, PLAN, epsilon="fresh")
    old = split(model, PLAN, epsilon="fresh", optimizer_state="old")
    fresh = make()
    fresh.build(carried.trainable_variables)
    at_first = {v.path: v.numpy() for v in fresh.variables if v.ndim}
    assert moments(old).keys() == moments(carried).keys()
    assert old.optimizer.iterations.numpy() == model.optimizer.iterations.numpy() > 0
    entries = 0
    for path, value in moments(old).items():
        # The added ones lie behind the others, on each axis.
        mask = np.zeros(value.shape, bool)
        if "conv" in path or "bn" in path:
            mask[..., 3:] = True
        if "hidden" in path:
            mask[..., 4:] = True
        if "hidden_kernel" in path:
            mask[np.arange(16) % 4 == 3] = True
        if "logits_kernel" in path:
            mask[4:] = True
        (initial,) = {float(a.flat[0]) for a in at_first.values()}
        np.testing.assert_array_equal(value[mask], initial, path)
        np.testing.assert_array_equal(value[~mask], moments(carried)[path][~mask], path)
        entries += mask.sum()
    assert entries > 50


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_reset_state_is_that_of_an_optimizer_of_its_own(make):
    model = trained(make())
    grown = split(model, PLAN, epsilon="fresh", optimizer_state="reset")
    anew = split(model, PLAN, epsilon="fresh")
    anew.compile(make(), anew.loss, run_eagerly=True)
    anew.optimizer.build(anew.trainable_variables)
    assert grown.optimizer.iterations.numpy() == 0
    x, y = nets.data(model)
    for each in (grown, anew):
        each.train_on_batch(x, y)
    for a, b in zip(grown.get_weights(), anew.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_schedule_goes_on_where_it_was():
    rate = optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model = trained(optimizers.Adam(rate))
    grown = split(model, PLAN, epsilon="fresh", optimizer_state="reset")
    steps = model.optimizer.iterations.numpy()
    assert grown.optimizer.iterations.numpy() == steps > 0
    assert not any(value.any() for value in moments(grown).values())


def test_unknown_states_are_refused():
    with pytest.raises(UnknownNameError, match=r"optimizer_state.*'reset'"):
        split(build("sgd"), PLAN, optimizer_state="rest")
