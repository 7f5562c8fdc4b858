"""Equations of capital letters: the same function, of which Keras knows the shape."""

import keras
import numpy as np
import pytest
from keras import ops

from tf_splitting.tracing.small_letters import (
    einsum_in_small_letters,
    in_small_letters,
)

pytestmark = pytest.mark.core

Q, K = keras.KerasTensor((None, 4, 2, 3)), keras.KerasTensor((None, 5, 2, 3))
SCORES = "BTNH,BSNH->BNTS"


@pytest.mark.parametrize(
    "equation", [SCORES, "Ba...,aC->B...C", "Ab,bB->AB", "AA->A", "aB, Ba -> a"]
)
def test_another_name_for_the_same(equation):
    small = in_small_letters(equation)
    assert not any(letter.isupper() or letter.isspace() for letter in small)
    generator = np.random.default_rng(0)
    inputs, _ = equation.replace(" ", "").split("->")
    ranks = [len(each.replace("...", "x")) for each in inputs.split(",")]
    operands = [generator.standard_normal((3,) * rank) for rank in ranks]
    expected = np.einsum(equation, *operands)
    np.testing.assert_allclose(np.einsum(small, *operands), expected, rtol=1e-12)


def test_equations_that_would_say_something_else_stay():
    # The result's axes come in the order of their letters, capitals first.
    assert in_small_letters("aB") == "aB"
    many = "abcdefghijklmnopqrstuvwxyzA->A"
    assert in_small_letters(many) == many
    assert in_small_letters("ab,bc->ac") == "ab,bc->ac"


def test_a_graph_holds_small_letters():
    q, k = (keras.Input(each.shape[1:]) for each in (Q, K))
    with einsum_in_small_letters():
        with einsum_in_small_letters():
            model = keras.Model([q, k], ops.einsum(SCORES, q, k))
        assert ops.einsum(SCORES, q, k).shape == (None, 2, 4, 5)
    # Its config holds them too: it loads where nothing helps Keras.
    again = keras.Model.from_config(model.get_config())
    assert again.output_shape == (None, 2, 4, 5)


def test_keras_needs_this_still():
    """Where this fails, Keras knows capital letters: `small_letters` can go."""
    with pytest.raises(ValueError, match="invalid literal"):
        ops.einsum(SCORES, Q, K)
