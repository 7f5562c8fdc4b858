"""`tools/grow.py` with several targets: what each member leaves, and the comparison."""

import json
import shutil
import signal
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiers
from tensorflow.core.util.event_pb2 import Event
from tool_runs import SHORT, TINY, started

import tf_splitting
from tf_splitting.requirements import KERAS

TARGETS = (60e3, 120e3)
STAGES = ("stage-0.060M", "stage-0.120M")
FLAGS = ("--target_macs=60e3,120e3", "--method=uniform", *TINY, *SHORT)


@pytest.fixture(scope="module")
def family(run_tool, small_file, tmp_path_factory):
    """A finished job with everything on: `(process, workdir)`."""
    if KERAS < (3, 13):
        pytest.skip("Keras does not write LiteRT")
    workdir = tmp_path_factory.mktemp("family") / "out"
    process = run_tool(
        "grow",
        f"--model={small_file}",
        f"--workdir={workdir}",
        "--baselines",
        "--litert",
        *FLAGS,
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process, workdir


@pytest.mark.slow
def test_every_member_has_a_folder_of_its_own(family):
    _, workdir = family
    names = {path.name for path in workdir.iterdir()}
    files = {".lock", "flags.txt", "history.json", "family.json", "family.png"} | {
        "seed.json",
        "report.html",
    }
    assert names == files | {"checkpoints", "logs", *STAGES}
    own = {"growth.png", "history.json", "model.tflite", "report.json", "saved_model"}
    own.add("report.html")
    for stage, target in zip(STAGES, TARGETS):
        assert {p.name for p in (workdir / stage).iterdir()} == own | {
            "grown.keras",
            "scaled",
        }
        for file in ("grown.keras", "scaled/scaled.keras"):
            model = keras.saving.load_model(workdir / stage / file)
            assert 0.9 * target < tf_splitting.count_macs(model) <= target
    grown = keras.saving.load_model(workdir / STAGES[0] / "grown.keras")
    scaled = keras.saving.load_model(workdir / STAGES[0] / "scaled" / "scaled.keras")
    assert [layer.name for layer in scaled.layers] == [x.name for x in grown.layers]


@pytest.mark.slow
def test_the_comparison_says_what_was_measured_and_spent(family):
    process, workdir = family
    about = json.loads((workdir / "family.json").read_text())
    history = tf_splitting.GrowthHistory()
    history.fill(json.loads((workdir / "history.json").read_text()))
    assert about["compute"] == history.compute
    seed = about["seed"]
    assert seed["macs"] < TARGETS[0]
    first = history.epochs[0]
    assert first["round"] == 0 < history.epochs[1]["round"]
    assert seed["compute"] == first["compute"]
    # Its few steps ended with batch statistics that fit.
    assert seed["metrics"]["loss"] == pytest.approx(first["val_loss"], rel=1e-4)
    for number, (member, row, baseline) in enumerate(
        zip(history.members, about["grown"], about["scaled"], strict=True)
    ):
        own = json.loads((workdir / STAGES[number] / "report.json").read_text())
        assert own == row
        assert row["macs"] == member.macs
        assert row["compute"] == member.compute
        assert row["metrics"]["accuracy"] == pytest.approx(
            member.logs["val_accuracy"], abs=1e-6
        )
        assert {*row["latency"]} == {"Keras", "SavedModel", "LiteRT"}
        # The same compute, but for the last fraction of a step.
        assert 0.9 * row["compute"] < baseline["compute"] <= row["compute"]
    lines = process.stdout.splitlines()
    for name in ("the seed", "grown to 60.0k", "grown to 120.0k", "scaled to 60.0k"):
        assert any(line.startswith(name) for line in lines), name
    assert any("LiteRT ms" in line for line in lines)
    assert any(line.startswith("training of the whole job: ") for line in lines)


@pytest.mark.slow
def test_the_pictures_are_pictures(family):
    _, workdir = family
    for name in ("family.png", f"{STAGES[0]}/growth.png"):
        decoded = tf.io.decode_png((workdir / name).read_bytes())
        assert min(decoded.shape[:2]) > 400
        assert np.std(decoded) > 0


def events(folder):
    found = {}
    for file in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = Event.FromString(record)
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


@pytest.mark.slow
def test_tensorboard_shows_the_curve_and_each_branch(family):
    _, workdir = family
    about = json.loads((workdir / "family.json").read_text())
    curve = events(workdir / "logs" / "family")
    accuracy = {row["macs"]: row["metrics"]["accuracy"] for row in about["grown"]}
    assert curve["family/accuracy"] == pytest.approx(accuracy)
    trunk, branch = events(workdir / "logs"), events(workdir / "logs" / STAGES[0])
    assert {*branch["macs"].values()} == {about["grown"][0]["macs"]}
    assert max(trunk["macs"].values()) == about["grown"][1]["macs"]
    assert (workdir / "logs" / "scaled-60000").exists()


@pytest.mark.slow
def test_members_can_be_evaluated_together(family, run_here, capsys):
    _, workdir = family
    about = json.loads((workdir / "family.json").read_text())
    run_here("evaluate", model=workdir, test_limit=40, batch_size=16)
    lines = capsys.readouterr().out.splitlines()
    assert "40 test images" in lines[0]
    for stage, row, line in zip(STAGES, about["grown"], lines[3:], strict=True):
        assert line.startswith(stage)
        assert f"{row['metrics']['accuracy']:.4f}" in line
        assert f"{row['metrics']['loss']:.4f}" in line


@pytest.mark.exhaustive
def test_a_folder_needs_no_flag(family, run_tool):
    _, workdir = family
    process = run_tool("evaluate", workdir, "--test_limit=40", "--batch_size=16")
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(f"{workdir}, on 40 test images")
    both = run_tool("evaluate", workdir, f"--model={workdir}")
    assert both.returncode == 2
    assert "takes flags only" in both.stderr


@pytest.mark.slow
def test_what_is_missing_is_written_again(family, run_tool, small_file, tmp_path):
    """And nothing is trained again, nor measured."""
    workdir = tmp_path / "out"
    shutil.copytree(family[1], workdir)
    row = (workdir / STAGES[0] / "report.json").read_text()
    (workdir / STAGES[0] / "grown.keras").unlink()
    (workdir / "family.png").unlink()
    again = run_tool("grow", f"--model={small_file}", f"--workdir={workdir}", *FLAGS)
    assert again.returncode == 0, again.stderr
    assert "  epoch " not in again.stdout
    assert (workdir / STAGES[0] / "grown.keras").exists()
    assert (workdir / "family.png").exists()
    assert (workdir / STAGES[0] / "report.json").read_text() == row


@pytest.mark.slow
@pytest.mark.parametrize("member", tiers.few([False, True], [True]))
def test_stopped_and_killed_it_ends_the_same(member, family, small_file, tmp_path):
    """In the trunk and in a branch: the members are those of one run, bit by bit."""
    workdir = tmp_path / "out"
    flags = ("--target_macs=60e3,120e3", "--method=uniform", "--save_steps=1")
    number = signal.SIGKILL if member else signal.SIGTERM
    wanted = "member-60000" if member else "checkpoint-"
    process = started(workdir, small_file, *flags)
    try:
        deadline = time.monotonic() + 240
        while not any((workdir / "checkpoints").glob(f"{wanted}*/checkpoint-*/*")) and (
            member or not any((workdir / "checkpoints").glob(f"{wanted}*"))
        ):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        code = process.wait(timeout=120)
        assert code == (-signal.SIGKILL if member else 75)
    finally:
        process.kill()
        process.communicate()
    assert not (workdir / "family.json").exists()
    again = started(workdir, small_file, *flags)
    output, errors = again.communicate(timeout=500)
    assert again.returncode == 0, errors
    assert "resuming from" in output
    for stage in STAGES:
        mine, yours = (
            keras.saving.load_model(folder / stage / "grown.keras")
            for folder in (workdir, family[1])
        )
        for a, b in zip(mine.variables, yours.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"target_macs": "60e3,50e3"}, "50000 comes after 60000"),
        ({"target_macs": "60e3,61e3"}, "are one"),
        ({"target_macs": "10,60e3"}, "MACs already"),
        ({"target_macs": "60e3", "baselines": True}, "several --target_macs"),
    ],
)
def test_mistakes_are_told_before_work(values, words, run_here, small_file, capsys):
    with pytest.raises(ValueError, match=words):
        run_here("grow", model=small_file, **values)
    assert "training" not in capsys.readouterr().out


def test_one_target_to_shrink_to(run_here, small_file):
    with pytest.raises(ValueError, match="give one number"):
        run_here("shrink", model=small_file, target_macs="10e3,20e3")
