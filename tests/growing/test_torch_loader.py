"""PyTorch's DataLoader gives what equal arrays give, from any epoch and batch on."""

import keras
import numpy as np
import pytest

import tf_splitting
from tf_splitting.data import LoaderEpochs, draw_sample, is_torch_loader
from tf_splitting.errors import DataError
from tf_splitting.training import as_feed

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.utils.data import (  # noqa: E402
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
)

SIZE, BATCH = 22, 4


def arrays():
    generator = np.random.default_rng(3)
    x = generator.normal(size=(SIZE, 6)).astype("float32")
    return x, generator.integers(0, 3, SIZE).astype("int32")


def loader(**options):
    x, y = map(torch.from_numpy, arrays())
    return DataLoader(TensorDataset(x, y), **{"batch_size": BATCH, **options})


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(4, "swish", name="first"),
            keras.layers.Dropout(0.2, seed=1),
            keras.layers.Dense(3, name="head"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    return model


def weights_of(model):
    return [np.asarray(weight) for weight in model.weights]


def batches_of(source, epoch, first_batch=0):
    batches = source.epoch_dataset(epoch, first_batch)
    return [batches[k][0].tobytes() for k in range(len(batches))]


class Noisy(Dataset):
    """Examples that are drawn anew, with numbers in a dict."""

    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        x, y = arrays()
        noise = 0.1 * torch.rand(6).numpy()
        return {"left": x[index, :3], "right": (x[index] + noise)[3:]}, y[index]


class Endless(IterableDataset):
    def __iter__(self):
        x, y = arrays()
        return zip(x, y)


def test_loaders_are_told_from_other_streams():
    assert is_torch_loader(loader())
    assert not is_torch_loader([1, 2])
    assert as_feed(loader()).description == "DataLoader, 6 batches"
    assert as_feed(loader()).last_batch == SIZE % BATCH
    assert as_feed(loader(drop_last=True)).rows == BATCH


@pytest.mark.parametrize(
    "options",
    [{}, pytest.param({"collate_fn": "numpy"}, marks=pytest.mark.slow)],
    ids=["tensors", "numpy"],
)
def test_training_is_that_on_equal_arrays(options):
    if options:
        # Batches of NumPy arrays, which Keras itself does not take from a loader.
        options = {"collate_fn": lambda rows: tuple(map(np.stack, zip(*rows)))}
    trained = [network(), network()]
    losses = []
    for model, data in zip(trained, (arrays(), loader(**options))):
        history = tf_splitting.GrowthHistory()
        settings = (
            {"shuffle": False, "batch_size": BATCH} if model is trained[0] else {}
        )
        tf_splitting.train(
            model,
            data,
            epochs=2,
            verbose=0,
            validation_data=data,
            history=history,
            **settings,
        )
        losses.append([entry["val_loss"] for entry in history.epochs])
    for one, other in zip(*map(weights_of, trained)):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.slow
def test_a_model_grows_on_a_loader():
    model = network()
    target = 2 * tf_splitting.count_macs(model)
    grown = tf_splitting.grow(
        model,
        loader(shuffle=True),
        target_macs=target,
        training_epochs=3,
        sample_size=16,
        verbose=0,
    )
    assert 0.9 * target <= tf_splitting.count_macs(grown) <= target


@pytest.mark.parametrize("own_generator", [False, True])
def test_an_epoch_is_the_same_whenever_it_is_asked_for(own_generator):
    def source():
        generator = torch.Generator().manual_seed(5) if own_generator else None
        return LoaderEpochs(
            DataLoader(Noisy(), BATCH, shuffle=True, generator=generator), seed=1
        )

    def bytes_of(source, epoch, first_batch=0):
        batches = source.epoch_dataset(epoch, first_batch)
        rows = [batches[k][0] for k in range(len(batches))]
        return [x["left"].tobytes() + x["right"].tobytes() for x in rows]

    first = source()
    wholes = [bytes_of(first, epoch) for epoch in range(3)]
    assert len({tuple(sorted(whole)) for whole in wholes}) == 3
    torch.rand(7)
    assert bytes_of(source(), 2, 4) == wholes[2][4:]
    assert bytes_of(source(), 1) == wholes[1]


def test_the_callers_random_state_stays():
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    batches_of(LoaderEpochs(loader(shuffle=True)), 0)
    assert torch.equal(torch.rand(2), expected)


def test_dicts_of_inputs():
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    joined = keras.layers.Concatenate()([left, right])
    hidden = keras.layers.Dense(4, "swish", name="first")(joined)
    model = keras.Model([left, right], keras.layers.Dense(3)(hidden))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    data = DataLoader(Noisy(), BATCH)
    tf_splitting.train(model, data, epochs=1, verbose=0)
    sample = draw_sample(data, size=8)
    assert sample.size == 8
    assert set(sample.batches[0].x) == {"left", "right"}
    scores = tf_splitting.estimate(model, data, sample_size=8)
    assert scores.examples == 8


def test_epochs_of_some_steps_go_on_through_the_data():
    source = LoaderEpochs(loader(shuffle=True), seed=2)
    feed = as_feed(loader(shuffle=True), seed=2, steps=4)
    found = []
    for epoch in range(3):
        rest = feed.rest(epoch, 0)
        found += [rest[k][0].tobytes() for k in range(len(rest))]
    assert found == batches_of(source, 0) + batches_of(source, 1)


def test_a_loader_without_a_length():
    feed = as_feed(DataLoader(Endless(), BATCH))
    assert feed.total is None
    assert len(list(feed.rest(0, 4))) == 2
    assert feed.rest(0, 6) is None
    with pytest.raises(DataError, match="without a length as validation_data"):
        tf_splitting.train(
            network(),
            arrays(),
            epochs=1,
            validation_data=DataLoader(Endless(), BATCH),
        )
    model = network()
    tf_splitting.train(model, DataLoader(Endless(), BATCH), epochs=2, verbose=0)


def test_what_a_loader_cannot_give_is_told():
    with pytest.raises(DataError, match="no batches"):
        as_feed(loader(batch_size=64, drop_last=True))
    unlabelled = DataLoader(TensorDataset(torch.zeros(8, 6)), 4)
    with pytest.raises(DataError, match=r"expected \(x, y\)"):
        tf_splitting.train(network(), unlabelled, epochs=1)
    x, y = arrays()
    y[13] = 7
    wrong = DataLoader(TensorDataset(*map(torch.from_numpy, (x, y))), BATCH)
    with pytest.raises(DataError, match="7"):
        tf_splitting.train(network(), wrong, epochs=1, verbose=0)
