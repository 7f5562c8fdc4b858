"""A job that is stopped anywhere and goes on ends as if it had never been stopped."""

import functools
import json
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiers
from composites import Backwards
from interrupted import KillAt, KillError, assert_same_model, examples, timeless
from keras import layers

import tf_splitting
from tf_splitting import (
    GrowthHistory,
    Interrupted,
    RemovalPlan,
    SplitPlan,
    count_macs,
    data,
    grow,
    reallocate,
    remove,
    shrink,
    split,
)
from tf_splitting.errors import CheckpointError, NonFiniteLossError, SplittingWarning
from tf_splitting.jobs import JobState, Keeper
from tf_splitting.jobs.checkpoints.store import CheckpointStore

pytestmark = pytest.mark.usefixtures("deterministic")


def seed_model(optimizer=None, dropout=0.2):
    """With dropout and batch normalization, which have state of their own."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((5,), name="input")
    x = layers.Dense(12, name="hidden")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="seed")
    model.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        x, y = examples()
        rows = slice(12 * index, 12 * index + 12)
        return x[rows], y[rows]


def stream():
    return tf.data.Dataset.from_tensor_slices(examples()).batch(12)


UNKNOWN = "stream of unknown length"
SETS = {
    "arrays": examples,
    "sequence": Sequence,
    "stream": stream,
    UNKNOWN: lambda: stream().unbatch().filter(lambda x, y: True).batch(12),
}


def model_for(kind):
    """A model that a set of this kind trains repeatably.

    Keras notices the end of a stream without a length by a step that finds no data,
    in which dropout has drawn its numbers, and which the optimizer has counted.
    """
    optimizer = keras.optimizers.Adam(0.01) if kind == "arrays" else None
    return seed_model(optimizer, dropout=0 if kind == UNKNOWN else 0.2)


def job(dataset, folder=None, callbacks=(), model=None, **changes):
    """Runs the job; `(model, history)`."""
    history = GrowthHistory()
    model = seed_model() if model is None else model
    arguments = {
        "target_macs": 2 * count_macs(model),
        "rounds": 1,
        "epochs": 2,
        "final_epochs": 2,
        "batch_size": 12 if isinstance(dataset, tuple) else None,
        "validation_data": examples(24),
        "checkpoint_dir": folder,
        "save_steps": 2,
        "history": history,
        "verbose": 0,
        # Estimates take most of the time; the tests about them ask for them.
        "method": "uniform",
        **changes,
    }
    grown = grow(model, dataset, callbacks=list(callbacks), **arguments)
    return grown, history


def with_a_composite():
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((5,), name="input")
    x = Backwards(name="inner")(layers.Dense(4, "relu", name="hidden")(x))
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="seed")
    model.compile("sgd", "mse")
    return model


def test_weights_go_where_they_were_in_a_layer_back_at_its_width(tmp_path):
    """As a model, which it has become, it has them in another order."""
    wide = split(with_a_composite(), SplitPlan({"inner/first": [1]}))
    model = remove(wide, RemovalPlan({"inner/first": [2]}))
    Keeper(tmp_path, {}, split_untrainable=False).save(
        model, GrowthHistory(), JobState()
    )
    assert_comes_back(model, with_a_composite(), tmp_path)


def assert_comes_back(model, seed, folder):
    """A model that a job had, from what it had started with."""
    keeper = Keeper(folder, {}, split_untrainable=False)
    resumed = keeper.resume(seed, GrowthHistory())
    x, _ = examples()
    np.testing.assert_array_equal(resumed.model(x), model(x))


def with_an_array():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((5,), name="input")
    x = layers.Dense(4, "relu", name="hidden")(inputs)
    x = x * np.array([1.0, 20.0, 300.0, 4000.0], "float32")
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="seed")
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("back", [False, True])
def test_neurons_have_the_numbers_that_they_had(back, tmp_path):
    """Where neurons come and go there are others in an array of the same length."""
    model = split(with_an_array(), SplitPlan({"hidden": [1]}))
    if back:
        model = remove(model, RemovalPlan({"hidden": [2]}))
    Keeper(tmp_path, {}, split_untrainable=False).save(
        model, GrowthHistory(), JobState()
    )
    assert_comes_back(model, with_an_array(), tmp_path)


ESTIMATED = {"method": "splitting"}
SHORT_PHASES = {"save_steps": None, "epochs": 1}


def assert_same(one, other):
    (first, history), (second, again) = one, other
    assert timeless(history) == timeless(again)
    assert_same_model(first, second)


@pytest.mark.parametrize(
    "kind", tiers.sorted_out(SETS, (), ["arrays", "sequence", UNKNOWN])
)
def test_killed_again_and_again_it_ends_the_same(kind, tmp_path):
    uninterrupted = job(SETS[kind](), model=model_for(kind))
    # Events are those of a process, so each run gets a little further, or a lot.
    for at in (3, 12):
        with pytest.raises(KillError):
            job(SETS[kind](), tmp_path, [KillAt(at)], model_for(kind))
    assert_same(job(SETS[kind](), tmp_path, model=model_for(kind)), uninterrupted)


COMPUTE = {
    "epochs": None,
    "final_epochs": None,
    "training_epochs": 4.3,
    "decay": "every",
}


@pytest.mark.parametrize(
    "kind", tiers.sorted_out(SETS, (), ["arrays", "sequence", "stream"])[:-1]
)
def test_a_job_laid_out_by_compute_goes_on_too(kind, tmp_path):
    compute = {**COMPUTE, "method": "candidates" if kind == "arrays" else "uniform"}
    uninterrupted = job(SETS[kind](), model=model_for(kind), **compute)
    lengths = [epoch["images"] for epoch in uninterrupted[1].epochs]
    assert {*lengths} != {72}  # not whole passes over the data
    for at in (3, 7, 12):
        with pytest.raises(KillError):
            job(SETS[kind](), tmp_path, [KillAt(at)], model_for(kind), **compute)
    assert_same(
        job(SETS[kind](), tmp_path, model=model_for(kind), **compute), uninterrupted
    )


def shrunk(folder=None, callbacks=(), **changes):
    """Runs a job that removes neurons twice; `(model, history)`."""
    history, model = GrowthHistory(), seed_model()
    arguments = {
        "target_macs": 0.5 * count_macs(model),
        "rounds": 2,
        "epochs": 1,
        "final_epochs": 2,
        "batch_size": 12,
        "optimizer_state": "carry",
        "checkpoint_dir": folder,
        "save_steps": 2,
        "history": history,
        "verbose": 0,
        **changes,
    }
    smaller = shrink(model, examples(), callbacks=list(callbacks), **arguments)
    return smaller, history


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(3, 8, 15), (12,)])
def test_a_job_that_shrinks_goes_on_too(kills, tmp_path):
    uninterrupted = shrunk()
    for at in kills:
        with pytest.raises(KillError):
            shrunk(tmp_path, [KillAt(at)])
    assert_same(shrunk(tmp_path), uninterrupted)


def assert_measured_once(run, module, measure, plan, folder, monkeypatch):
    """A job that is killed before it removes what it has chosen chooses it once.

    Args:
        run: runs the job, in a folder if one is given.
        module: that removes, by `removed`, and measures.
        measure: name of the function there.
        plan: what the plan's file has to hold.
    """
    uninterrupted = run()

    def killed(*_, **__):
        raise KillError

    with monkeypatch.context() as patch:
        patch.setattr(module, "removed", killed)
        with pytest.raises(KillError):
            run(folder)
    assert CheckpointStore(folder).load().json("plan.json")[plan]
    calls = []
    function = getattr(module, measure)

    def counted(*arguments, **options):
        calls.append(1)
        return function(*arguments, **options)

    monkeypatch.setattr(module, measure, counted)
    assert_same(run(folder), uninterrupted)
    assert len(calls) == 1


@pytest.mark.slow
def test_what_costs_are_is_not_measured_twice(tmp_path, monkeypatch):
    shrinker = tf_splitting.growing.shrinker
    how = ("removal_scores", "removals")
    assert_measured_once(shrunk, shrinker, *how, tmp_path, monkeypatch)


def uneven_model():
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((5,), name="input")
    for number, width in enumerate((24, 3)):
        x = layers.Dense(width, name=f"hidden_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.Activation("relu", name=f"relu_{number}")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="uneven")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    return model


def reallocated(folder=None, callbacks=(), **changes):
    """Runs a job that exchanges neurons twice; `(model, history)`."""
    history = GrowthHistory()
    arguments = {
        "rounds": 2,
        "gain_step": 3.0,
        "epochs": 1,
        "final_epochs": 2,
        "batch_size": 12,
        "optimizer_state": "carry",
        "checkpoint_dir": folder,
        "save_steps": 2,
        "history": history,
        "verbose": 0,
        **changes,
    }
    callbacks = list(callbacks)
    result = reallocate(uneven_model(), examples(), callbacks=callbacks, **arguments)
    return result, history


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(3, 8, 15), (12,)])
def test_a_job_that_reallocates_goes_on_too(kills, tmp_path):
    uninterrupted = reallocated()
    rounds = uninterrupted[1].rounds
    assert [record.kind for record in rounds] == ["exchange"] * 2
    for at in kills:
        with pytest.raises(KillError):
            reallocated(tmp_path, [KillAt(at)])
    assert_same(reallocated(tmp_path), uninterrupted)


@pytest.mark.slow
def test_what_pays_is_not_measured_twice(tmp_path, monkeypatch):
    reallocator = tf_splitting.growing.reallocator
    how = ("select_exchanges", "exchange")
    assert_measured_once(reallocated, reallocator, *how, tmp_path, monkeypatch)


@pytest.mark.slow
def test_other_targets_are_another_job(tmp_path):
    shrunk(tmp_path)
    with pytest.raises(CheckpointError, match="target_macs was"):
        shrunk(tmp_path, target_macs=20)
    with pytest.raises(CheckpointError, match="estimator"):
        shrunk(tmp_path, estimator=tf_splitting.Taylor())


@pytest.mark.slow
def test_without_steps_epochs_are_what_is_saved(tmp_path):
    uninterrupted = job(examples())
    with pytest.raises(KillError):
        job(examples(), tmp_path, [KillAt(12)], save_steps=None)
    state = CheckpointStore(tmp_path).load().json("state.json")["state"]
    assert (state["epoch"], state["batch"]) == (1, 0)
    assert_same(job(examples(), tmp_path, save_steps=None), uninterrupted)


@pytest.mark.slow
def test_a_job_is_saved_before_its_first_step(tmp_path):
    """The optimizer has no slots then, nor has what is saved of it."""
    uninterrupted = job(examples(), epochs=0)
    with pytest.raises(KillError):
        job(examples(), tmp_path, [KillAt(1)], epochs=0)
    state = CheckpointStore(tmp_path).load().json("state.json")["state"]
    assert (state["round"], state["epoch"], state["batch"]) == (1, 0, 0)
    assert_same(job(examples(), tmp_path, epochs=0), uninterrupted)


class AskToStop(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.place, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            tf_splitting.request_stop("a notice")


# At the first step, inside, and at an epoch's last step.
STOPS = [(kind, batch) for kind in SETS for batch in (0, 4, 5)]
SLOW_STOPS = [("arrays", 4), ("sequence", 4), (UNKNOWN, 0), ("arrays", 5)]


@functools.cache
def uninterrupted_with_short_phases(kind):
    return job(SETS[kind](), model=model_for(kind), **SHORT_PHASES)


@pytest.mark.parametrize("place", tiers.sorted_out(STOPS, (), SLOW_STOPS), ids=str)
def test_a_callback_may_ask_to_stop(place, tmp_path):
    kind, batch = place
    options = SHORT_PHASES
    uninterrupted = uninterrupted_with_short_phases(kind)
    with pytest.raises(Interrupted) as stop:
        job(SETS[kind](), tmp_path, [AskToStop(2, batch)], model_for(kind), **options)
    assert stop.value.reason == "a notice"
    assert stop.value.checkpoint.parent == tmp_path
    state = CheckpointStore(tmp_path).load().json("state.json")["state"]
    expected = (3, 0) if batch == 5 and kind != UNKNOWN else (2, batch + 1)
    assert (state["epoch"], state["batch"]) == expected
    again = job(SETS[kind](), tmp_path, model=model_for(kind), **options)
    if kind == UNKNOWN:
        # Of steps that found no data (see above) the interrupted job made one less.
        again[0].optimizer.iterations.assign(uninterrupted[0].optimizer.iterations)
    assert_same(again, uninterrupted)


def test_without_a_directory_a_request_stops_too():
    with pytest.raises(Interrupted) as stop:
        job(examples(), None, [AskToStop(0, 1)], save_steps=None)
    assert stop.value.checkpoint is None


@pytest.mark.slow
def test_a_request_during_the_estimate_stops_there(tmp_path, monkeypatch):
    uninterrupted = job(examples(), **ESTIMATED)
    propose = tf_splitting.methods.Splitting.propose

    def asked(method, context):
        tf_splitting.request_stop("now")
        return propose(method, context)

    with monkeypatch.context() as patch:
        patch.setattr(tf_splitting.methods.Splitting, "propose", asked)
        with pytest.raises(Interrupted) as stop:
            job(examples(), tmp_path, **ESTIMATED)
    assert stop.value.checkpoint is not None
    assert_same(job(examples(), tmp_path, **ESTIMATED), uninterrupted)


@pytest.mark.slow
def test_an_estimate_is_not_made_twice(tmp_path, monkeypatch):
    uninterrupted = job(examples(), **ESTIMATED)
    rounds = tf_splitting.growing.grower

    def killed(*_):
        raise KillError

    with monkeypatch.context() as patch:
        patch.setattr(rounds, "build_at", killed)
        with pytest.raises(KillError):
            job(examples(), tmp_path, **ESTIMATED)
    checkpoint = CheckpointStore(tmp_path).load()
    assert checkpoint.json("state.json")["state"]["phase"] == "estimated"
    assert checkpoint.has("scores.npz")

    calls = []
    propose = tf_splitting.methods.Splitting.propose

    def counted(method, context):
        calls.append(context.seed)
        return propose(method, context)

    monkeypatch.setattr(tf_splitting.methods.Splitting, "propose", counted)
    assert_same(job(examples(), tmp_path, **ESTIMATED), uninterrupted)
    assert calls == []


@pytest.mark.slow
def test_a_finished_job_comes_back_at_once(tmp_path):
    finished = job(examples(), tmp_path)
    watch = KillAt(1)
    assert_same(job(examples(), tmp_path, [watch]), finished)
    assert watch.events == 0


@pytest.mark.slow
def test_images_resume_with_their_augmentation(tmp_path):
    def images():
        return data.load(
            "fashion_mnist_small",
            channels=1,
            batch_size=32,
            train_limit=160,
            augment=True,
        )

    def model():
        keras.utils.set_random_seed(1)
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1), name="images"),
                layers.Rescaling(1 / 255, name="scale"),
                layers.Conv2D(4, 5, strides=3, activation="swish", name="conv"),
                layers.Conv2D(4, 3, strides=2, activation="swish", name="conv2"),
                layers.Flatten(name="flat"),
                layers.Dense(10, name="logits"),
            ],
            name="images_seed",
        )
        model.compile(
            "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        return model

    options = {"epochs": 1, "final_epochs": 2, "rounds": 1, "validation_data": None}
    uninterrupted = job(images(), model=model(), **options)
    for at in (4, 8):
        with pytest.raises(KillError):
            job(images(), tmp_path, [KillAt(at)], model(), **options)
    assert_same(job(images(), tmp_path, model=model(), **options), uninterrupted)


@pytest.mark.slow
def test_early_stopping_stays_stopped(tmp_path):
    class StopEarly(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                self.model.stop_training = True

    uninterrupted = job(examples(), callbacks=[StopEarly()])
    assert [epoch["round"] for epoch in uninterrupted[1].epochs] == [0, 1, 1]
    with pytest.raises(Interrupted):
        # Estimating begins right behind the epoch.
        job(examples(), tmp_path, [AskToStop(0, 5), StopEarly()])
    assert_same(job(examples(), tmp_path, [StopEarly()]), uninterrupted)


@pytest.mark.slow
def test_averaged_weights_take_over_once_a_phase(tmp_path):
    def model():
        return seed_model(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9))

    uninterrupted = job(examples(), model=model())
    for at in (4, 13):
        with pytest.raises(KillError):
            job(examples(), tmp_path, [KillAt(at)], model())
    assert_same(job(examples(), tmp_path, model=model()), uninterrupted)


def test_other_arguments_are_refused_by_name(tmp_path):
    with pytest.raises(KillError):
        job(examples(), tmp_path, [KillAt(12)])
    with pytest.raises(CheckpointError) as refusal:
        job(examples(), tmp_path, epochs=3, seed=7)
    assert "epochs was 2, is 3" in str(refusal.value)
    assert "seed was 0, is 7" in str(refusal.value)
    assert "final_epochs" not in str(refusal.value)
    with pytest.raises(CheckpointError, match="optimizer was"):
        job(examples(), tmp_path, model=seed_model(keras.optimizers.SGD(0.01)))
    with pytest.raises(CheckpointError, match="dataset was"):
        job(examples(36), tmp_path)


def test_another_model_is_refused(tmp_path):
    with pytest.raises(KillError):
        job(examples(), tmp_path, [KillAt(12)])
    other = seed_model()
    other.get_layer("relu").activation = keras.activations.swish
    with pytest.raises(CheckpointError, match="model was"):
        job(examples(), tmp_path, model=other)


@pytest.mark.slow
def test_other_versions_are_told(tmp_path, monkeypatch):
    with pytest.raises(KillError):
        job(examples(), tmp_path, [KillAt(12)])
    monkeypatch.setattr(tf_splitting.jobs.resuming, "_version", lambda name: "99")
    with pytest.warns(SplittingWarning, match=r"keras 3[.\d]+ then, 99 now"):
        job(examples(), tmp_path)


@pytest.mark.slow
def test_a_full_disk_does_not_end_the_job(tmp_path, monkeypatch):
    uninterrupted = job(examples())
    save = CheckpointStore.save
    calls = []

    def full(store, documents):
        calls.append(len(documents))
        if len(calls) in (3, 4):
            raise OSError(28, "No space left on device")
        return save(store, documents)

    monkeypatch.setattr(CheckpointStore, "save", full)
    with pytest.warns(SplittingWarning, match="No space left on device.*goes on"):
        done = job(examples(), tmp_path)
    assert_same(done, uninterrupted)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Poison(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                kernel = self.model.get_layer("hidden").kernel
                kernel.assign(np.full(kernel.shape, np.nan))

    with pytest.raises(NonFiniteLossError) as error:
        job(examples(), tmp_path, [Poison()], save_steps=None)
    assert "hidden/kernel" in str(error.value)
    store = CheckpointStore(tmp_path)
    state = store.load().json("state.json")["state"]
    assert (state["epoch"], state["batch"]) == (1, 0)
    assert f"last good checkpoint is {store.last}" in str(error.value)


@pytest.mark.slow
def test_a_checkpoint_is_readable_without_this_package(tmp_path):
    job(examples(), tmp_path)
    newest = sorted(tmp_path.glob("checkpoint-*"))[-1]
    about = json.loads((newest / "state.json").read_text())
    assert about["configuration"]["target_macs"] > 0
    assert {"keras", "numpy", "python", "tensorflow"} <= about["versions"].keys()
    architecture = json.loads((newest / "architecture.json").read_text())
    config = json.dumps(architecture["config"])
    model = keras.models.model_from_json(config)
    with np.load(newest / "weights.npz") as weights:
        shapes = [weights[name].shape for name in sorted(weights.files)]
    assert shapes == [tuple(variable.shape) for variable in model.variables]
    assert len(json.loads((newest / "history.json").read_text())["epochs"]) == 4


@pytest.mark.slow
def test_global_random_state_comes_back(tmp_path):
    def drawn(folder, *callbacks):
        tf.random.set_global_generator(tf.random.Generator.from_seed(5))
        draws = []

        class Keep(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                draw = (
                    random.random(),
                    np.random.random(),
                    float(keras.random.uniform(())),
                    float(tf.random.get_global_generator().uniform(())),
                )
                draws.append((epoch, draw))

        try:
            job(examples(), folder, [Keep(), *callbacks])
        except KillError:
            draws.append(None)
        return draws

    uninterrupted = drawn(None)
    before = drawn(tmp_path, KillAt(20))
    assert before[-1] is None
    random.random(), np.random.random()
    after = drawn(tmp_path)
    epochs = dict([*before[:-1], *after])
    assert epochs == dict(uninterrupted)
    assert after[0][0] > 0
