"""`grow` end to end on generated data, and every error before work starts."""

import json
import subprocess
import sys

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
import tiers
from keras import layers

import tf_splitting
from tf_splitting import (
    GrowthHistory,
    count_macs,
    count_params,
    grow,
    macs_per_layer,
    trace,
)
from tf_splitting.errors import (
    BudgetError,
    DataError,
    ModelError,
    NonFiniteLossError,
    SplittingError,
    UnknownNameError,
)
from tf_splitting.estimating.estimators.base import Eigenpairs

QUIET = {"verbose": 0, "batch_size": 16, "final_epochs": 1}


def classes(count=96):
    """Points of three classes, apart enough to learn."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, count)
    x = generator.standard_normal((count, 5)) + 2 * np.eye(5)[y]
    return x.astype("float32"), y


def seed_model(optimizer=None, widths=(8, 8)):
    x = inputs = keras.Input((5,))
    for number, width in enumerate(widths):
        x = layers.Dense(width, activation="relu", name=f"hidden_{number}")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="seed")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9),
        loss,
        metrics=["accuracy"],
    )
    return model


class Watch(keras.callbacks.Callback):
    """Keeps the epoch numbers, learning rates and logs that it is told."""

    def __init__(self):
        super().__init__()
        self.epochs, self.rates, self.logs = [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch)

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, size=16):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return len(self.x) // self.size

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        return self.x[rows], self.y[rows]


@pytest.fixture(scope="module")
def job():
    """One ordinary job in two rounds, that many tests look at."""
    keras.utils.set_random_seed(0)
    # Wide enough that a neuron costs less than the 3 % that may be left over.
    model = seed_model(widths=(24, 24))
    target = 4 * count_macs(model)
    history, watch = GrowthHistory(), Watch()
    grown = grow(
        model,
        classes(),
        target_macs=target,
        rounds=2,
        epochs=2,
        final_epochs=3,
        batch_size=16,
        validation_data=classes(32),
        callbacks=[watch],
        history=history,
        verbose=0,
    )
    return model, grown, target, history, watch


def test_the_budget_is_used_and_never_exceeded(job):
    model, grown, target, _, _ = job
    assert 0.97 * target <= count_macs(grown) <= target
    assert count_macs(model) < target / 3


def test_the_result_is_a_plain_compiled_model_of_the_same_name(job):
    model, grown, _, _, _ = job
    for new, old in zip(grown.layers, model.layers, strict=True):
        assert new.name == old.name
        assert type(new) is type(old)
    assert grown.name == model.name
    assert grown.compiled
    assert grown.optimizer.momentum == 0.9
    assert grown.evaluate(*classes(), verbose=0)[1] > 0.6


def test_epochs_are_numbered_through(job):
    *_, history, watch = job
    assert watch.epochs == list(range(2 + 2 + 3))
    assert [epoch["epoch"] for epoch in history.epochs] == list(range(1, 8))
    assert [epoch["round"] for epoch in history.epochs] == [0, 0, 1, 1, 2, 2, 2]


def test_validation_reaches_callbacks_and_history(job):
    *_, history, watch = job
    assert all("val_loss" in logs for logs in watch.logs)
    assert all("val_accuracy" in epoch for epoch in history.epochs)


def test_the_rate_is_constant_then_decays_and_is_restored(job):
    _, grown, _, _, watch = job
    steps = len(watch.rates) // 7
    assert watch.rates[: 4 * steps] == pytest.approx([0.05] * 4 * steps)
    final = watch.rates[4 * steps :]
    assert final[0] == pytest.approx(0.05)
    # The watch looks before the decay sets the rate of a batch.
    assert np.all(np.diff(final[1:]) < 0)
    assert final[-1] < 0.05 * 0.05
    assert float(grown.optimizer.learning_rate) == pytest.approx(0.05)


def test_the_history_is_complete(job, tmp_path):
    _, grown, target, history, _ = job
    assert len(history.rounds) == 2
    last = history.rounds[-1]
    assert last.macs == count_macs(grown)
    assert last.params == count_params(grown)
    assert last.widths == trace(grown).widths
    assert [record.round for record in history.rounds] == [1, 2]
    # Budgets in between grow by one ratio.
    assert 0.9 * target / 2 <= history.rounds[0].macs <= target / 2
    seed = history.seed
    assert (seed.macs, seed.params) == (count_macs(job[0]), count_params(job[0]))
    assert seed.widths == trace(job[0]).widths
    assert last.layer_widths == trace(grown).layer_widths()
    assert last.layer_macs == macs_per_layer(grown)
    before = seed.widths
    for record in history.rounds:
        assert record.added == sum(record.widths.values()) - sum(before.values())
        changed = {n for n, width in record.widths.items() if width != before[n]}
        assert set(record.gains) == set(record.space_macs) == changed
        assert sum(record.gains.values()) == pytest.approx(record.predicted_gain)
        assert set(record.before) == set(record.after) == {"loss", "accuracy"}
        parts = {"training", "estimating", "rebuilding", "measuring"}
        assert set(record.seconds) == parts
        assert all(seconds > 0 for seconds in record.seconds.values())
        assert record.predicted_gain > 0
        assert record.examples > 0
        assert record.passes > 0
        before = record.widths
    assert history.stopped is None
    history.save(tmp_path / "history.json")
    loaded = json.loads((tmp_path / "history.json").read_text())
    assert loaded["rounds"][1]["macs"] == last.macs
    assert loaded["epochs"][0]["loss"] == history.epochs[0]["loss"]
    assert all(0 < e["measuring"] < e["seconds"] for e in history.epochs)
    assert GrowthHistory.load(tmp_path / "history.json") == history
    (tmp_path / "history.json").write_text('{"rounds": 3}')
    with pytest.raises(DataError, match="no history of a job"):
        GrowthHistory.load(tmp_path / "history.json")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tf.data", "PyDataset"])
def test_datasets(kind):
    x, y = classes()
    dataset = (
        tf.data.Dataset.from_tensor_slices((x, y)).batch(16)
        if kind == "tf.data"
        else Batches(x, y)
    )
    # A neuron costs less than the 3 % that may be left over.
    model = seed_model(widths=(24, 24))
    target = 2 * count_macs(model)
    options = {**QUIET, "batch_size": None}
    grown = grow(model, dataset, target_macs=target, **options)
    assert 0.97 * target <= count_macs(grown) <= target


@pytest.mark.slow
def test_a_schedule_of_the_users_is_kept():
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    watch = Watch()
    model = seed_model(keras.optimizers.SGD(decay))
    target = 2 * count_macs(model)
    grow(model, classes(), target_macs=target, callbacks=[watch], **QUIET)
    steps = range(len(watch.rates))
    np.testing.assert_allclose(watch.rates, [float(decay(i)) for i in steps], 1e-5)


@pytest.mark.slow
def test_widths_are_multiples():
    model = seed_model(widths=(8, 12))
    grown = grow(model, classes(), target_macs=900, width_multiple=4, rounds=2, **QUIET)
    widths = trace(grown).widths
    assert all(widths[name] % 4 == 0 for name in ("hidden_0", "hidden_1"))
    assert 0.8 * 900 < count_macs(grown) <= 900


def test_a_round_whose_budget_no_split_fits_takes_that_of_a_later_one():
    """Steps of eight neurons cost more than the first of many rounds may spend."""
    model = seed_model()
    history = GrowthHistory()
    target = 2.2 * count_macs(model)
    options = {"target_macs": target, "width_multiple": 8, "rounds": 6}
    grown = grow(model, classes(), history=history, **options, **QUIET)
    first = history.rounds[0]
    budgets = count_macs(model) * 2.2 ** (np.arange(1, 7) / 6)
    assert budgets[0] < first.macs <= target
    assert {space.width % 8 for space in trace(grown).growable} == {0}
    assert count_macs(grown) > 1.5 * count_macs(model)


@pytest.mark.exhaustive
def test_descent_never_raises_the_loss():
    history = GrowthHistory()
    model = seed_model()
    options = {**QUIET, "epsilon": "descent", "rounds": 3, "history": history}
    grow(model, classes(), target_macs=6 * count_macs(model), **options)
    assert len(history.rounds) >= 3
    for record in history.rounds:
        assert record.after["loss"] <= record.before["loss"] + 1e-6


@pytest.mark.exhaustive
def test_the_seed_decides():
    def weights(seed):
        keras.utils.set_random_seed(1)
        model = seed_model()
        options = {**QUIET, "sample_size": 32, "seed": seed, "epochs": 0}
        grown = grow(model, classes(), target_macs=2 * count_macs(model), **options)
        return np.concatenate([w.numpy().ravel() for w in grown.weights])

    first = weights(5)
    np.testing.assert_array_equal(first, weights(5))
    other = weights(6)
    assert first.shape != other.shape or np.abs(first - other).max() > 1e-4


@pytest.mark.slow
def test_splittable_layers_come_back_plain():
    model = tf_splitting.layers.convert(seed_model())
    grown = grow(model, classes(), target_macs=2 * count_macs(model), **QUIET)
    assert {type(layer) for layer in grown.layers} == {
        keras.layers.InputLayer,
        keras.layers.Dense,
    }


@pytest.mark.slow
def test_uniform_growth_widens_all_spaces_alike():
    model = seed_model(widths=(16, 8))
    options = {**QUIET, "method": "uniform", "rounds": 1}
    grown = grow(model, classes(), target_macs=1.9 * count_macs(model), **options)
    widths = trace(grown).widths
    assert widths["hidden_0"] / 16 == pytest.approx(widths["hidden_1"] / 8, abs=0.13)


class Reluctant:
    """An estimator that finds nothing to gain."""

    outgoing = True

    def solve(self, problem, seed):
        nowhere = [np.zeros(slot.variable.shape) for slot in problem.neurons.slots]
        return Eigenpairs(np.zeros(problem.neurons.count), nowhere)

    def products(self, problem):
        return 0


def test_a_round_without_gain_ends_the_job_with_a_message(capsys):
    model, history = seed_model(), GrowthHistory()
    options = {**QUIET, "verbose": 1, "history": history, "estimator": Reluctant()}
    grown = grow(model, classes(), target_macs=2 * count_macs(model), **options)
    assert count_macs(grown) == count_macs(model)
    assert not history.rounds
    assert "no split that gains" in history.stopped
    assert history.stopped in capsys.readouterr().out


@pytest.fixture
def fits(monkeypatch):
    """Counts the calls of `fit`."""
    calls = []
    monkeypatch.setattr(keras.Model, "fit", lambda *a, **k: calls.append(k))
    return calls


def subclassed():
    class Hidden(keras.Model):
        def call(self, x):
            return x * float(keras.ops.sum(x))

    model = Hidden()
    model.compile("sgd", "mse")
    return model


def without_hidden():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    return model


def uncompiled():
    model = seed_model()
    return keras.Model(model.input, model.output)


X, Y = classes()
NAN = np.where(np.arange(5) == 2, np.nan, X).astype("float32")
REFUSED = {
    "target below": (BudgetError, seed_model, (X, Y), {"target_macs": 9}),
    "uncompiled": (ModelError, uncompiled, (X, Y), {}),
    "subclassed": (ModelError, subclassed, (X, Y), {}),
    "nothing to grow": (ModelError, without_hidden, (X, Y), {}),
    "wrong shape": (DataError, seed_model, (X[:, :4], Y), {}),
    "label too large": (DataError, seed_model, (X, Y + 1), {}),
    "negative label": (DataError, seed_model, (X, Y - 1), {}),
    "empty arrays": (DataError, seed_model, (X[:0], Y[:0]), {}),
    "no targets": (DataError, seed_model, (X,), {}),
    "lengths": (DataError, seed_model, (X, Y[:5]), {}),
    "not a number": (DataError, seed_model, (NAN, Y), {}),
    "one-hot labels": (DataError, seed_model, (X, np.eye(3)[Y]), {}),
    "generator": (DataError, seed_model, iter([(X, Y)]), {}),
    "too many rounds": (SplittingError, seed_model, (X, Y), {"rounds": 0}),
    "epsilon zero": (SplittingError, seed_model, (X, Y), {"epsilon": 0.0}),
    "method": (UnknownNameError, seed_model, (X, Y), {"method": "unifrom"}),
    "cost": (UnknownNameError, seed_model, (X, Y), {"cost": "flops"}),
    "widths": (BudgetError, seed_model, (X, Y), {"max_widths": 8}),
}
WORDS = {
    "target below": "has 128 MACs already",
    "uncompiled": "is not compiled",
    "subclassed": "Hidden",
    "nothing to grow": "every channel space is frozen",
    "wrong shape": r"shape \(\d+, 4\).*takes \(None, 5\)",
    "label too large": r"from 1 to 3.*0\.\.2",
    "negative label": r"from -1 to 1",
    "empty arrays": "is empty",
    "no targets": r"expected \(x, y\)",
    "lengths": "different lengths",
    "not a number": "NaN",
    "one-hot labels": "loss cannot be computed",
    "generator": "read only once",
    "too many rounds": "rounds=0",
    "epsilon zero": "never separate",
    "method": "nearest name is 'uniform'",
    "cost": "'flops'",
    "widths": "No split fits",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_any_training(name, fits):
    error, build, dataset, options = REFUSED[name]
    options = {"target_macs": 500, **QUIET, **options}
    with pytest.raises(error, match=WORDS[name]):
        grow(build(), dataset, **options)
    assert not fits


def test_a_target_that_only_the_cheapest_split_exceeds_is_refused(fits):
    with pytest.raises(BudgetError, match="No split fits"):
        grow(seed_model(), (X, Y), target_macs=129, **QUIET)
    assert not fits


def test_an_empty_stream_is_refused(fits):
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).take(0)
    with pytest.raises(DataError, match="is empty"):
        grow(seed_model(), dataset, target_macs=500, verbose=0)
    assert not fits


def test_a_loss_that_explodes_during_training():
    model = seed_model(keras.optimizers.SGD(1e30))
    with pytest.raises(NonFiniteLossError, match=r"training loss became .* at batch"):
        grow(model, (X, Y), target_macs=500, epochs=3, **QUIET)


def test_a_method_and_an_estimator_are_one_too_many():
    method = tf_splitting.methods.Uniform()
    with pytest.raises(SplittingError, match="both a method object and an estimator"):
        grow(
            seed_model(),
            (X, Y),
            target_macs=500,
            method=method,
            estimator=tf_splitting.Rayleigh(),
            verbose=0,
        )


LOAD = """
import sys, numpy as np, keras
model = keras.saving.load_model(sys.argv[1])
assert not any(name.startswith("tf_splitting") for name in sys.modules)
np.save(sys.argv[2], model(np.load(sys.argv[3])))
"""


@pytest.mark.exhaustive
def test_the_result_loads_where_the_package_is_unknown(job, tmp_path):
    grown = job[1]
    grown.save(tmp_path / "grown.keras")
    np.save(tmp_path / "x.npy", X)
    files = ["grown.keras", "found.npy", "x.npy"]
    subprocess.run([sys.executable, "-I", "-c", LOAD, *files], cwd=tmp_path, check=True)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, nets.outputs(grown, X), atol=1e-5)


class Poisoned(Batches):
    """A PyDataset in which one example of one batch is not as it should be."""

    def __init__(self, x, y, *, batch, **changes):
        super().__init__(x, y)
        self.batch, self.changes = batch, changes

    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        if index != self.batch:
            return x, y
        x, y = x.copy(), y.copy()
        if "bad_x" in self.changes:
            x[3, 1] = self.changes["bad_x"]
        if "bad_y" in self.changes:
            y[5] = self.changes["bad_y"]
        return x, y


@pytest.mark.parametrize("kind", tiers.some(["sequence", "stream"], ["stream"]))
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bad_x": np.nan}, "1 of 16 examples in batch 4 of the first epoch"),
        ({"bad_x": np.inf}, "the first at 3"),
        ({"bad_y": 3}, "labels in batch 4 of the first epoch run from"),
    ],
)
def test_bad_data_is_found_in_the_first_epoch(kind, changes, message, monkeypatch):
    """By its place, though the sample has missed it."""
    data = Poisoned(*classes(), batch=4, **changes)
    if kind == "stream":
        elements = [data[index] for index in range(len(data))]
        data = tf.data.Dataset.from_generator(
            lambda: iter(elements),
            output_signature=(
                tf.TensorSpec((None, 5), tf.float32),
                tf.TensorSpec((None,), tf.int64),
            ),
        ).apply(tf.data.experimental.assert_cardinality(6))
    good = tf_splitting.data.draw_sample(classes(32), size=32, batch_size=16)
    monkeypatch.setattr(
        tf_splitting.growing.preparing, "draw_sample", lambda *_, **__: good
    )
    model = seed_model()
    with pytest.raises(DataError, match=message):
        grow(
            model,
            data,
            target_macs=2 * count_macs(model),
            shuffle=False,
            method="uniform",
            verbose=0,
            final_epochs=1,
        )


@pytest.mark.slow
def test_an_endless_dataset_needs_steps():
    model = seed_model()
    endless = tf.data.Dataset.from_tensor_slices(classes()).batch(16).repeat()
    options = {"method": "uniform", "verbose": 0, "final_epochs": 1, "sample_size": 32}
    target = 2 * count_macs(model)
    with pytest.raises(DataError, match="steps_per_epoch"):
        grow(model, endless, target_macs=target, **options)
    history = GrowthHistory()
    grow(
        model,
        endless,
        target_macs=target,
        steps_per_epoch=2,
        history=history,
        **options,
    )
    assert len(history.epochs) == len(history.rounds) + 1


def test_epochs_of_fewer_steps_go_on_through_arrays():
    x, y = classes(40)
    feed = tf_splitting.training.as_feed((x, y), batch_size=8, seed=1, steps=2)
    rows = []
    for epoch in range(5):
        batches = feed.epochs(epoch)["x"]
        assert len(batches) == 2
        rows += [batches[index][0] for index in range(2)]
    once, again = np.concatenate(rows[:5]), np.concatenate(rows[5:])
    for half in (once, again):
        np.testing.assert_array_equal(np.sort(half, 0), np.sort(x, 0))
    assert not np.array_equal(once, again)


@pytest.fixture(scope="module")
def compute_job():
    """A job that is laid out by compute, with estimates."""
    keras.utils.set_random_seed(0)
    model = seed_model(widths=(24, 24))
    target, history, watch = 4 * count_macs(model), GrowthHistory(), Watch()
    grown = grow(
        model,
        classes(),
        target_macs=target,
        rounds=2,
        training_epochs=40,
        growing_share=0.25,
        batch_size=4,
        callbacks=[watch],
        method="candidates",
        history=history,
        verbose=0,
    )
    return model, grown, target, history, watch


@pytest.mark.slow
def test_compute_is_what_was_asked_for(compute_job):
    _, grown, target, history, _ = compute_job
    budget = 40 * 96 * target
    assert 0.98 * budget < history.compute <= budget
    trained = [record.compute["training"] for record in history.rounds]
    assert sum(trained) == pytest.approx(0.25 * budget, rel=0.05)
    # 24 steps of 4 images are an epoch; counted one by one as in any job.
    for epoch in history.epochs:
        assert epoch["images"] <= 96
        assert epoch["compute"] == epoch["images"] * epoch["macs"]
    assert history.epochs[-1]["macs"] == count_macs(grown)
    assert [e["epoch"] for e in history.epochs] == [*range(1, len(history.epochs) + 1)]


def test_estimates_count_and_the_history_adds_up(compute_job, tmp_path):
    history = compute_job[3]
    estimated = [record.compute["estimating"] for record in history.rounds]
    assert all(value > 0 for value in estimated)
    training = sum(epoch["compute"] for epoch in history.epochs)
    assert history.compute == pytest.approx(training + sum(estimated))
    again = GrowthHistory()
    again.fill(json.loads(history.to_json()))
    assert again == history


def test_only_the_last_phase_of_a_compute_job_decays(compute_job):
    _, _, _, history, watch = compute_job
    steps = [round(epoch["images"] / 4) for epoch in history.epochs]
    final = sum(
        n for n, e in zip(steps, history.epochs, strict=True) if e["round"] == 2
    )
    np.testing.assert_allclose(watch.rates[:-final], 0.05)
    expected = 0.025 * (1 + np.cos(np.pi * np.arange(final) / final))
    np.testing.assert_allclose(watch.rates[-final:], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_every_phase_may_decay():
    watch = Watch()
    grow(
        seed_model(),
        classes(),
        target_macs=3 * count_macs(seed_model()),
        rounds=2,
        epochs=2,
        final_epochs=1,
        decay="every",
        batch_size=16,
        callbacks=[watch],
        method="uniform",
        verbose=0,
    )
    phases = np.split(np.asarray(watch.rates), [12, 24])
    for rates, count in zip(phases, (12, 12, 6), strict=True):
        expected = 0.025 * (1 + np.cos(np.pi * np.arange(count) / count))
        np.testing.assert_allclose(rates, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["epochs", "final_epochs"])
def test_compute_or_epochs(name):
    with pytest.raises(SplittingError, match=f"training_epochs=3 and {name}=1"):
        grow(seed_model(), classes(), target_macs=1e4, training_epochs=3, **{name: 1})


def test_training_takes_epochs_or_compute():
    for options in ({}, {"epochs": 1, "training_epochs": 1.0}):
        with pytest.raises(SplittingError, match="epochs and training_epochs"):
            tf_splitting.train(seed_model(), classes(), **options)
    history, model = GrowthHistory(), seed_model()
    tf_splitting.train(
        model,
        classes(),
        training_epochs=1.5,
        batch_size=16,
        history=history,
        verbose=0,
    )
    assert [epoch["images"] for epoch in history.epochs] == [48, 48, 48]
    assert history.compute == 1.5 * 96 * count_macs(model)


def test_compute_needs_data_whose_length_is_known(fits):
    stream = tf.data.Dataset.from_tensor_slices(classes()).batch(16)
    unknown = stream.filter(lambda x, y: True)
    with pytest.raises(DataError, match="training_epochs=2 with a _FilterDataset"):
        grow(seed_model(), unknown, target_macs=200, training_epochs=2)
    assert not fits


@pytest.mark.slow
def test_validation_split_is_that_of_fit():
    model = seed_model()
    history = GrowthHistory()
    grow(
        model,
        classes(96),
        target_macs=2 * count_macs(model),
        validation_split=0.25,
        method="uniform",
        history=history,
        **QUIET,
    )
    assert "val_loss" in history.epochs[0]
    with pytest.raises(DataError, match="validation_split"):
        grow(
            seed_model(),
            Batches(*classes()),
            target_macs=2 * count_macs(model),
            validation_split=0.25,
            **QUIET,
        )


def test_unknown_arguments_of_fit_are_named():
    model = seed_model()
    with pytest.raises(UnknownNameError, match="'class_weight'"):
        grow(model, classes(), target_macs=1e4, class_weights={0: 1.0})


def test_a_baseline_trains_as_the_last_phase():
    model, history = seed_model(), GrowthHistory()
    trained = tf_splitting.train(
        model, classes(), epochs=3, batch_size=16, history=history, verbose=0
    )
    assert trained is model
    assert [epoch["epoch"] for epoch in history.epochs] == [1, 2, 3]
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["splitting", "uniform"])
def test_one_large_step(method):
    """A round may grow spaces by any ratio where neurons are added fresh."""
    model, history = nets.ready("dense"), GrowthHistory()
    before = trace(model).widths
    target = 6 * count_macs(model)
    grown = grow(
        model,
        nets.data(model, count=64),
        target_macs=target,
        rounds=1,
        max_growth=10,
        epochs=1,
        final_epochs=0,
        method=method,
        history=history,
        verbose=0,
    )
    assert len(history.rounds) == 1
    assert 0.9 * target < count_macs(grown) <= target
    ratios = [w / before[s] for s, w in trace(grown).widths.items()]
    assert 2 < max(ratios) <= 10
    record = history.rounds[0]
    assert record.after["loss"] == pytest.approx(record.before["loss"], rel=1e-5)
