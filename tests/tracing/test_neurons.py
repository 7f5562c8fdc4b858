"""Neurons and their weight slices."""

import nets
import numpy as np

from tf_splitting import trace
from tf_splitting.tracing.neurons import Neurons


def slot(neurons, weight, role):
    (index,) = [
        i for i, s in enumerate(neurons.slots) if (s.weight, s.role) == (weight, role)
    ]
    return index


def test_numbers_run_space_by_space_and_frozen_axes_have_none():
    neurons = Neurons(trace(nets.dense()))
    assert neurons.count == 4 + 6
    assert [(s.weight, s.role) for s in neurons.slots] == [
        ("first/kernel", "produced"),
        ("second/kernel", "consumed"),
        ("second/kernel", "produced"),
        ("logits/kernel", "consumed"),
    ]
    np.testing.assert_array_equal(neurons.slots[1].ids, [0, 1, 2, 3])
    np.testing.assert_array_equal(neurons.slots[2].ids, np.arange(4, 10))


def test_a_concatenation_holds_neurons_of_several_spaces():
    neurons = Neurons(trace(nets.concatenate()))
    ids = neurons.slots[slot(neurons, "after/kernel", "consumed")].ids
    left, right = neurons.offsets["left"], neurons.offsets["right"]
    expected = [left, left + 1, left + 2, right, right + 1]
    np.testing.assert_array_equal(ids, expected)


def test_norms_are_those_of_the_slices():
    model = nets.flatten()
    neurons = Neurons(trace(model))
    norms = neurons.norms()
    kernel = model.get_layer("conv").kernel.numpy()
    found = norms[slot(neurons, "conv/kernel", "produced")][:4]
    np.testing.assert_allclose(found, np.sqrt((kernel**2).sum((0, 1, 2))), rtol=1e-5)
    # Flatten: the outgoing slice of a channel has a row at every position.
    kernel = model.get_layer("hidden").kernel.numpy().reshape(-1, 4, 3)
    found = norms[slot(neurons, "hidden/kernel", "consumed")][:4]
    np.testing.assert_allclose(found, np.sqrt((kernel**2).sum((0, 2))), rtol=1e-5)


def test_a_zero_slice_takes_the_mean_of_the_others():
    model = nets.dense()
    kernel = model.get_layer("first").kernel
    value = kernel.numpy()
    value[:, 1] = 0
    kernel.assign(value)
    norms = Neurons(trace(model)).norms()[0][:4]
    others = np.linalg.norm(value, axis=0)[[0, 2, 3]]
    np.testing.assert_allclose(norms[1], others.mean(), rtol=1e-6)


def test_a_zero_kernel_has_norms_one():
    model = nets.dense()
    kernel = model.get_layer("first").kernel
    kernel.assign(0 * kernel)
    np.testing.assert_array_equal(Neurons(trace(model)).norms()[0][:4], 1)


def test_random_fields_are_independent_unit_vectors():
    neurons = Neurons(trace(nets.residual()))
    a, b = (neurons.random(np.random.default_rng(i)) for i in (0, 1))
    np.testing.assert_allclose(neurons.inner(a, a), 1, rtol=1e-5)
    assert np.abs(neurons.inner(a, b)).max() < 0.9


def test_inner_products_against_slices():
    neurons = Neurons(trace(nets.dense()))
    generator = np.random.default_rng(0)
    a, b = neurons.random(generator), neurons.random(generator)
    expected = a[0][:, 2] @ b[0][:, 2] + a[1][2] @ b[1][2]
    np.testing.assert_allclose(neurons.inner(a, b)[2], expected, rtol=1e-5)
    doubled = neurons.scaled(a, np.arange(10.0))
    np.testing.assert_allclose(neurons.inner(doubled, a), np.arange(10.0), rtol=1e-5)
