"""Jobs on models without a graph, or with one that open sizes keep closed."""

import keras
import numpy as np
import pytest
from composites import Causal
from keras import layers, ops

from tf_splitting import count_macs, grow, reallocate, shrink, to_functional, train
from tf_splitting.errors import ModelError

CLASSES, LENGTH = 5, 6
MACS = 5 * 6 + 6 * 4 + 4 * 3


class Net(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.hidden = layers.Dense(6, "relu", name="hidden")
        self.second = layers.Dense(4, "relu", name="second")
        self.logits = layers.Dense(3, name="logits")

    def call(self, x):
        return self.logits(self.second(self.hidden(x)))


class OwnStep(Net):
    def train_step(self, data):
        return super().train_step(data)


def classes():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((96, 5)).astype("float32")
    return x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)


def compiled(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def net(kind=Net):
    keras.utils.set_random_seed(0)
    return compiled(kind(name="net"))


def language_model(length=None):
    words = keras.Input((length,), dtype="int32")
    x = layers.Embedding(CLASSES, 4, name="embedding")(words)
    x = Causal(name="causal")(x)
    keras.utils.set_random_seed(0)
    return compiled(keras.Model(words, layers.Dense(CLASSES)(x), name="lm"))


def texts():
    """Each word is the one before and one more."""
    start = np.random.default_rng(0).integers(0, CLASSES, (96, 1))
    words = (start + np.arange(LENGTH + 1)) % CLASSES
    return words[:, :-1], words[:, 1:]


def as_pydataset(x, y):
    class Items(keras.utils.PyDataset):
        def __len__(self):
            return len(x) // 32

        def __getitem__(self, index):
            rows = slice(32 * index, 32 * index + 32)
            return x[rows], y[rows]

    return Items()


@pytest.mark.parametrize(
    "dataset",
    [lambda x, y: (x, y), pytest.param(as_pydataset, marks=pytest.mark.slow)],
)
def test_a_subclassed_model_grows_and_is_left_alone(dataset):
    model, (x, y) = net(), classes()
    model(x[:1])
    before = model.get_weights()
    arguments = {"target_macs": 2 * MACS, "epochs": 1, "final_epochs": 1, "verbose": 0}
    grown = grow(model, dataset(x, y), **arguments)
    assert MACS < count_macs(grown) <= 2 * MACS
    assert type(grown) is not Net
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_it_grows_as_the_functional_model_of_it_does():
    model, (x, y) = net(), classes()
    model(x[:1])
    arguments = {"target_macs": 2 * MACS, "epochs": 1, "final_epochs": 1, "verbose": 0}
    ends = [
        grow(each, (x, y), **arguments) for each in (model, to_functional(model, x))
    ]
    for a, b in zip(*(end.get_weights() for end in ends), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.exhaustive
def test_the_other_jobs_take_one_too():
    x, y = classes()
    arguments = {"epochs": 1, "final_epochs": 1, "verbose": 0}
    # Not built yet: it is called on the data, as `fit` does.
    model = net()
    smaller = shrink(model, (x, y), target_macs=0.7 * MACS, **arguments)
    assert count_macs(smaller) <= 0.7 * MACS
    moved = reallocate(model, (x, y), rounds=1, **arguments)
    assert count_macs(moved) <= MACS
    assert count_macs(train(model, (x, y), epochs=1, verbose=0)) == MACS


def test_what_a_graph_would_lose_is_refused():
    x, y = classes()
    model = net(OwnStep)
    model(x[:1])
    with pytest.raises(ModelError, match=r"OwnStep with its own train_step"):
        grow(model, (x, y), target_macs=2 * MACS)


@pytest.mark.exhaustive
def test_a_language_model_of_any_length_grows_at_that_of_the_data():
    model, (x, y) = language_model(), texts()
    macs = count_macs(language_model(LENGTH))
    arguments = {"target_macs": 1.4 * macs, "rounds": 1, "epochs": 2, "verbose": 0}
    grown = grow(model, (x, y), final_epochs=6, **arguments)
    assert model.inputs[0].shape == (None, None)
    assert grown.inputs[0].shape == (None, LENGTH)
    assert macs < count_macs(grown) <= 1.4 * macs
    loss, _ = grown.evaluate(x, y, verbose=0)
    assert loss < model.evaluate(x, y, verbose=0)[0] < np.log(CLASSES) + 0.5


class Tied(layers.Layer):
    """It reads the weights of a layer that is elsewhere in the model too."""

    def __init__(self, embedding, **options):
        super().__init__(**options)
        self.embedding = embedding

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.embedding.embeddings))


def test_what_cannot_be_rebuilt_is_told_before_training():
    words = keras.Input((6,), dtype="int32")
    embedding = layers.Embedding(11, 4, name="embedding")
    x = embedding(words)
    x = x + layers.Dense(4)(layers.Dense(8, "tanh", name="up")(x))
    model = keras.Model(words, Tied(embedding, name="tied")(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    x = np.arange(48).reshape(8, 6) % 11
    before = model.get_weights()
    target = 2 * count_macs(model)
    with pytest.raises(ModelError, match="is a weight of another layer too"):
        grow(model, (x, x), target_macs=target, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
