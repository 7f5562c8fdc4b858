"""Targets that do not fit the loss are told before anything is estimated."""

import keras
import nets
import numpy as np
import pytest

from tf_splitting import Exact, estimate
from tf_splitting.data.sampling import draw_sample
from tf_splitting.errors import DataError, ModelError
from tf_splitting.estimating.targets import check_targets

COUNT = 16
X = np.ones((COUNT, 5), "float32")
SPARSE = keras.losses.SparseCategoricalCrossentropy


def compiled(loss):
    model = nets.randomized(nets.dense())
    model.compile("sgd", loss)
    return model


def sample(y, batch_size=4):
    return draw_sample((X, y), size=COUNT, batch_size=batch_size)


def test_targets_that_fit_pass():
    check_targets(compiled(SPARSE(from_logits=True)), sample(np.arange(COUNT) % 3))
    check_targets(compiled("mse"), sample(np.zeros((COUNT, 3))))
    check_targets(nets.dense(), sample(np.zeros((COUNT, 3))), "mse")


@pytest.mark.parametrize("label", [3, -1, 255])
def test_a_single_label_out_of_range_is_found(label):
    labels = np.zeros(COUNT, int)
    labels[7] = label
    with pytest.raises(DataError, match=r"run from .*must lie in 0\.\.2"):
        check_targets(compiled(SPARSE(from_logits=True)), sample(labels))
    ignoring = SPARSE(from_logits=True, ignore_class=label)
    check_targets(compiled(ignoring), sample(labels))


@pytest.mark.parametrize(
    "targets",
    [
        np.zeros((COUNT, 4)),
        np.zeros((COUNT, 3, 3)),
        np.full((COUNT, 3), "a"),
    ],
)
def test_targets_of_another_shape_or_type_are_refused(targets):
    with pytest.raises(DataError, match="loss cannot be computed"):
        check_targets(compiled("mse"), sample(targets))


def test_a_loss_for_one_output_does_not_go_with_two():
    x = inputs = keras.Input((5,))
    x = keras.layers.Dense(4, name="first")(x)
    ends = [keras.layers.Dense(3, name=name)(x) for name in ("a", "b")]
    model = keras.Model(inputs, ends)
    y = np.zeros((COUNT, 3))
    with pytest.raises(ModelError, match="has 2 outputs; expected one"):
        estimate(model, (X, (y, y)), loss="mse", estimator=Exact(), verbose=0)
