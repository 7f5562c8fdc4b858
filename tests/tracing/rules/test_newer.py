"""Layers and operations that Keras has only since some release."""

import keras
import pytest

from tf_splitting.requirements import KERAS
from tf_splitting.tracing.rules.newer import (
    NEWER_FUNCTIONS,
    SINCE,
    existing_functions,
    existing_layers,
)

pytestmark = pytest.mark.core


@pytest.mark.parametrize("name", SINCE)
def test_they_came_with_the_release_that_the_table_says(name):
    assert bool(existing_layers([name])) == (SINCE[name] <= KERAS)


def test_a_layer_of_the_oldest_release_must_be_there():
    known = [keras.layers.Dense, keras.layers.Add]
    assert existing_layers(["Dense", "Add"]) == known
    with pytest.raises(AttributeError, match="Dens"):
        existing_layers(["Dens"])


def test_operations_that_the_oldest_release_lacks():
    there = {name for name in NEWER_FUNCTIONS if existing_functions([name])}
    if KERAS < (3, 11):
        assert not there
    if KERAS >= (3, 15):
        assert there == NEWER_FUNCTIONS
    with pytest.raises(AttributeError, match="relo"):
        existing_functions(["relu", "relo"])
