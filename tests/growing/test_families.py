"""Several targets: each member is what a job to its target alone would make."""

import json
import shutil
from contextlib import suppress

import keras
import numpy as np
import pytest
import tiers
from interrupted import KillAt, KillError, assert_same_model, examples, timeless
from keras import layers

import tf_splitting
from tf_splitting import GrowthHistory, count_macs, grow
from tf_splitting.errors import BudgetError, CheckpointError, SplittingError
from tf_splitting.training import compute_schedules

pytestmark = pytest.mark.usefixtures("deterministic")


def seed_model(widths=(12,)):
    """With dropout, normalization and Adam: state of every kind to carry over."""
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((5,), name="input")
    for number, width in enumerate(widths):
        x = layers.Dense(width, name=f"hidden_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.Activation("relu", name=f"relu_{number}")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    model = keras.Model(inputs, layers.Dense(3, name="logits")(x), name="seed")
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


MACS = 96
TARGETS = (2 * MACS, 4 * MACS, 8 * MACS)
LENGTHS = {"epochs": 1, "final_epochs": 2}


def run(target_macs, folder=None, model=None, **changes):
    """`(result, history)` of a job."""
    history = GrowthHistory()
    arguments = {
        "rounds": 1,
        **LENGTHS,
        "batch_size": 12,
        "validation_data": examples(24),
        "checkpoint_dir": folder,
        "history": history,
        "verbose": 0,
        "method": "uniform",
        **changes,
    }
    model = seed_model() if model is None else model
    result = grow(model, examples(), target_macs=target_macs, **arguments)
    return result, history


class Draw(keras.callbacks.Callback):
    """Draws from a global generator."""

    def __init__(self):
        super().__init__()
        self.drawn = []

    def on_epoch_end(self, epoch, logs=None):
        self.drawn.append((count_macs(self.model), epoch, np.random.random()))


def told(log):
    """Remembers who was told of, with how many weights the model had."""
    return lambda model, member: log.append((member.target_macs, model.count_params()))


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """An ordinary family: models, history, folder, who was told of, numbers drawn."""
    folder, log, draw = tmp_path_factory.mktemp("family"), [], Draw()
    models, history = run(
        TARGETS, folder, on_member=told(log), callbacks=[draw], save_steps=3
    )
    return models, history, folder, log, draw.drawn


def path_of(history):
    """A job's own path, without the seconds."""
    data = timeless(history)
    del data["members"]
    return data


def assert_same_family(one, other):
    """Models and histories, but for seconds."""
    (models, history), (again, repeated) = one, other
    for a, b in zip(models, again, strict=True):
        assert_same_model(a, b)
    assert path_of(history) == path_of(repeated)
    for a, b in zip(history.members, repeated.members, strict=True):
        assert path_of(history.path_to(a)) == path_of(repeated.path_to(b))


def assert_alone(finished, history, number, **settings):
    """Compares a member with the result of a job to its target alone."""
    member, draw = history.members[number], Draw()
    target = member.target_macs
    single, path = run(target, rounds=number + 1, callbacks=[draw], **settings)
    assert_same_model(finished, single)
    assert path_of(history.path_to(member)) == path_of(path)
    assert member.macs == count_macs(single)
    assert 0.97 * target <= member.macs <= target
    assert member.compute == path.compute
    assert member.logs["val_accuracy"] == path.epochs[-1]["val_accuracy"]
    return draw.drawn


@pytest.mark.slow
@pytest.mark.parametrize("number", tiers.few(range(3), [1]))
def test_a_member_is_what_a_job_of_its_own_would_make(family, number):
    models, history, *_, drawn = family
    alone = assert_alone(models[number], history, number)
    # Nor do branches change what comes after them.
    assert {*alone} <= {*drawn}


@pytest.mark.slow
def test_members_share_what_leads_to_them(family):
    _, history, _, log, _ = family
    seed = history.epochs[:1]
    assert [epoch["macs"] for epoch in seed] == [MACS]
    sizes = (MACS, *TARGETS)
    passes = sum(sizes[:3]) + 2 * sum(sizes[1:])
    assert history.compute == 72 * passes
    assert history.path_compute == 72 * (sum(sizes[:3]) + 2 * sizes[3])
    assert [len(member.epochs) for member in history.members] == [2, 2, 0]
    assert [target for target, _ in log] == [*TARGETS]


SETTINGS = {
    "splitting": {"method": "splitting"},
    "reallocated": {"reallocations": 1, "sample_size": 72, "optimizer_state": "carry"},
    "state of old neurons": {"optimizer_state": "old", "decay": "every"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", tiers.few(SETTINGS, ["splitting"]))
def test_whatever_the_settings(name):
    """Two layers, so that something can be exchanged."""
    settings = {**SETTINGS[name], "epochs": 1, "final_epochs": 1}
    macs = 5 * 20 + 20 * 20 + 3 * 20
    models, history = run((2 * macs, 4 * macs), model=seed_model((20, 20)), **settings)
    assert_alone(models[0], history, 0, model=seed_model((20, 20)), **settings)


@pytest.mark.exhaustive
def test_members_share_compute_too():
    epochs, targets = 6.0, TARGETS[:2]
    schedules = compute_schedules([targets[:1], targets], MACS, epochs, 0.5)
    settings = {"epochs": None, "final_epochs": None, "training_epochs": epochs}
    models, history = run(targets, **settings)
    share = schedules[0].growing_share
    assert share < 0.5 == schedules[1].growing_share
    assert_alone(models[0], history, 0, growing_share=share, **settings)
    for member in history.members:
        budget = epochs * 72 * member.target_macs
        assert 0.9 * budget < member.compute <= budget
    ends = [member.compute for member in history.members]
    assert history.path_compute == ends[-1] < history.compute < sum(ends)


@pytest.mark.slow
def test_lines_tell_the_time_left_of_the_whole_job(capsys):
    run(TARGETS[:2], verbose=1, epochs=0, final_epochs=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if " left" in line]
    member, last = lines
    assert member.startswith("member of 192 MACs  round 1/1  epoch 1/1")
    assert not member.endswith("  0s left")
    assert last.startswith("round 2/2")
    assert last.endswith("  0s left")


@pytest.mark.slow
def test_a_family_of_one_is_a_family():
    (model,), history = run(TARGETS[:1], epochs=0, final_epochs=1)
    assert count_macs(model) == TARGETS[0]
    assert [member.epochs for member in history.members] == [[]]


# Events after which a process is killed, each from where the one before was saved: in
# the trunk, the first branch and the second; or every few events.
KILLS = [(3, 10, 28), (9,) * 12]


@pytest.mark.slow
@pytest.mark.parametrize("kills", tiers.few(KILLS, KILLS[:1]))
@pytest.mark.parametrize("steps", tiers.few([3, None], [3]))
def test_killed_in_trunk_and_branches_the_members_are_the_same(
    kills, steps, family, tmp_path
):
    models, history, _, log, _ = family
    arguments = {"save_steps": steps}
    for at in kills:
        with pytest.raises(KillError) if kills is KILLS[0] else suppress(KillError):
            run(TARGETS, tmp_path, callbacks=[KillAt(at), Draw()], **arguments)
    again = []
    found = run(
        TARGETS, tmp_path, callbacks=[Draw()], on_member=told(again), **arguments
    )
    assert_same_family(found, (models, history))
    assert again == log


@pytest.mark.slow
def test_a_finished_family_comes_back_at_once(family, monkeypatch):
    models, history, folder, log, _ = family
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
    again = []
    found = run(TARGETS, folder, on_member=told(again))
    assert_same_family(found, (models, history))
    assert again == log


@pytest.mark.slow
def test_on_member_that_fails_is_called_again(tmp_path):
    def fail(model, member):
        raise OSError("disk full")

    lengths = {"epochs": 0, "final_epochs": 1}
    with pytest.raises(OSError, match="disk full"):
        run(TARGETS[:2], tmp_path, on_member=fail, **lengths)
    log = []
    run(TARGETS[:2], tmp_path, on_member=told(log), **lengths)
    assert [target for target, _ in log] == [*TARGETS[:2]]


@pytest.mark.slow
def test_a_finished_member_that_is_gone_is_missed(family, tmp_path):
    folder = tmp_path / "job"
    shutil.copytree(family[2], folder)
    shutil.rmtree(folder / f"member-{TARGETS[0]}")
    with pytest.raises(CheckpointError, match=r"192 MACs, but nothing is saved"):
        run(TARGETS, folder)


@pytest.mark.slow
@pytest.mark.parametrize("targets", [TARGETS[:2], TARGETS[-1]])
def test_other_targets_are_another_job(family, targets):
    with pytest.raises(CheckpointError, match="target_macs was"):
        run(targets, family[2])


@pytest.mark.slow
def test_a_target_that_no_split_leads_to_gets_what_is_there():
    """One more neuron costs more than the second target leaves."""
    model = seed_model((3, 3))
    macs = count_macs(model)
    targets = (4 * macs, 4 * macs + 6, 8 * macs)
    lengths = {"epochs": 0, "final_epochs": 1}
    models, history = run(targets, model=model, **lengths)
    sizes = [count_macs(model) for model in models]
    assert sizes[0] == sizes[1] < 0.97 * targets[1]
    assert targets[1] < sizes[2] <= targets[2]
    assert [member.macs for member in history.members] == sizes
    assert "no split" in history.members[1].stopped
    assert history.members[2].stopped is history.stopped


@pytest.mark.slow
def test_a_member_is_a_seed_of_larger_ones(family, tmp_path):
    family[0][0].save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    grown, history = run(TARGETS[1], model=loaded, epochs=0, final_epochs=1)
    assert count_macs(grown) == TARGETS[1]
    assert [epoch["macs"] for epoch in history.epochs] == [TARGETS[1]]


@pytest.mark.slow
def test_the_history_is_plain_data(family, tmp_path):
    history = family[1]
    history.save(tmp_path / "history.json")
    again = GrowthHistory()
    again.fill(json.loads((tmp_path / "history.json").read_text()))
    assert again == history
    assert again.compute == history.compute
    assert again.seconds == history.seconds
    total = sum(member.seconds for member in history.members)
    assert history.path_seconds < history.seconds < total


@pytest.mark.slow
def test_members_are_of_plain_layers():
    model = tf_splitting.layers.convert(seed_model())
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    family = grow(
        model,
        examples(),
        target_macs=TARGETS[:2],
        method="uniform",
        verbose=0,
        epochs=0,
        final_epochs=0,
    )
    assert [type(m.get_layer("hidden_0")) for m in family] == [layers.Dense] * 2


@pytest.mark.parametrize(
    ("targets", "error", "words"),
    [
        ((400, 300), SplittingError, "300 comes after 400"),
        ((400, 400), SplittingError, "Give each once"),
        ((), SplittingError, "one number at least"),
        ((400, "many"), SplittingError, "'many'"),
        ((400, float("nan")), SplittingError, "nan"),
        ((95, 400), BudgetError, "has 96 MACs already"),
        ((96, 400), BudgetError, "has 96 MACs already"),
        ((400, float("inf")), SplittingError, "inf"),
        ((400, 410), BudgetError, "are one: a model within 3% below"),
        ((200, 207), BudgetError, "closer together than one step"),
    ],
)
def test_targets_are_refused_before_work(targets, error, words, monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(error, match=words):
        run(targets)
