"""Whatever happens while a checkpoint is saved, and to it afterwards: what is loaded
is what was saved.
"""

import json
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tiers
from contents import documents, tag_of
from light import FOLDER

from tf_splitting.errors import CheckpointError, SplittingWarning
from tf_splitting.jobs.checkpoints.store import CheckpointStore


def outcomes_of(folder, *arguments):
    process = subprocess.run(
        [sys.executable, FOLDER / "fault_cases.py", folder, *arguments],
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(
    scope="module",
    params=tiers.some(["ENOSPC", "half", "EROFS", "kill"], ["kill"]),
)
def faults(request, tmp_path_factory):
    """`(fault, outcomes)`: one run per operation of a save."""
    return request.param, outcomes_of(tmp_path_factory.mktemp("fault"), request.param)


def test_a_fault_at_any_operation_of_a_save(faults):
    fault, outcomes = faults
    assert len(outcomes) >= {"half": 20}.get(fault, 60)
    for case in outcomes:
        published = case["after publishing"]
        assert case["loaded"] == (3 if published else 2), case
        # Nothing but whole checkpoints bears such a name, and the old one stays
        # until the new one has appeared.
        assert case["visible"] in ([[1, 2, 3], [2, 3]] if published else [[1, 2]]), case
        assert case["leaked"] == 0, case
        if fault != "kill":
            assert case["published"] == published, case
            assert published or case["raised"] == fault.replace("half", "ENOSPC"), case
        assert case["next"] == 4, case
        # One that has appeared, but may not survive a power cut, replaces no other.
        kept = ([2, 3] if case["raised"] else [3]) if published else [2]
        assert case["visible at last"] == [*kept, 4], case
        assert case["hidden at last"] == 0, case


def test_only_flushing_the_name_can_fail_once_the_checkpoint_is_there(faults):
    fault, outcomes = faults
    published = [case for case in outcomes if case["after publishing"]]
    raised = [case["operation"] for case in published if case["raised"]]
    assert raised == (["open", "fsync", "close"] if fault == "ENOSPC" else [])


def test_everything_is_flushed_before_the_name_and_the_name_before_removing(tmp_path):
    log = [tuple(entry) for entry in outcomes_of(tmp_path, "operations")]
    renames = [i for i, (operation, _) in enumerate(log) if operation == "replace"]
    publish, remove = renames
    folder = log[publish][1]
    written = {path for operation, path in log if operation == "write"}
    names = [*documents(3), "manifest.json"]
    assert written == {f"{folder}/{name}" for name in names}
    # The manifest comes last, and each file is flushed after its last byte.
    flushed = [log.index(("fsync", f"{folder}/{name}")) for name in names]
    assert flushed == sorted(flushed)
    last = {path: i for i, (operation, path) in enumerate(log) if operation == "write"}
    assert all(last[f"{folder}/{name}"] < i for name, i in zip(names, flushed))
    assert max(flushed) < log.index(("fsync", folder)) < publish
    parent = str(tmp_path / "case")
    assert publish < log.index(("fsync", parent)) < remove
    assert Path(log[remove][1]).name == "checkpoint-000001"


def test_what_was_saved_is_there_after_a_kill_at_a_random_moment(tmp_path):
    outcomes = outcomes_of(tmp_path, "random", str(KILLS))
    before = 0
    for case in outcomes:
        saved = max(case["reported"])
        assert min(case["reported"]) == before + 1, case
        # The process may die between saving a checkpoint and telling of it.
        assert case["loaded"] in (saved, saved + 1), case
        before = case["loaded"]
    assert len(outcomes) == KILLS
    assert before >= KILLS
    assert any(case["hidden"] for case in outcomes), "no kill came in the middle"


@contextmanager
def small_disk(folder):
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk cannot be mounted here; a limit stands in for it")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tmp_path):
    with small_disk(tmp_path):
        outcome = outcomes_of(tmp_path, "disk")
    assert outcome["raised"] == "ENOSPC"
    assert outcome["unchanged"]
    assert (outcome["loaded"], outcome["next"]) == (1, 2)
    assert outcome["loaded when full"] == 1
    assert "No space left" in outcome["refused"]


def test_a_limit_on_the_size_of_files(tmp_path):
    outcome = outcomes_of(tmp_path, "limit")
    assert outcome["raised"] == "EFBIG"
    assert outcome["unchanged"]
    assert (outcome["loaded"], outcome["next"]) == (1, 2)


def truncate(rng, files):
    file = rng.choice(files)
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.truncate(rng.integers(size))


def flip(rng, files):
    data = bytearray((file := rng.choice(files)).read_bytes())
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)


def remove(rng, files):
    rng.choice(files).unlink()


def append(rng, files):
    with rng.choice(files).open("ab") as stream:
        stream.write(rng.bytes(rng.integers(1, 20)))


def overwrite(rng, files):
    data = bytearray((file := rng.choice(files)).read_bytes())
    start = rng.integers(len(data))
    data[start : start + 16] = bytes(len(data[start : start + 16]))
    file.write_bytes(data)


def swap(rng, files):
    """With the file of the same name in another checkpoint."""
    file = rng.choice(files)
    others = [p for p in file.parent.parent.iterdir() if p != file.parent]
    other = rng.choice(others) / file.name
    mine, theirs = file.read_bytes(), other.read_bytes()
    file.write_bytes(theirs)
    other.write_bytes(mine)


def copy(rng, files):
    """Over the file of the same name in another checkpoint."""
    file = rng.choice(files)
    others = [p for p in file.parent.parent.iterdir() if p != file.parent]
    shutil.copyfile(file, rng.choice(others) / file.name)


def add(rng, files):
    (files[0].parent / f"extra-{rng.integers(9)}.npz").write_bytes(rng.bytes(9))


# How often a process is killed, and a directory damaged.
KILLS, DAMAGED = 40, 800
DAMAGES = (truncate, flip, remove, append, overwrite, swap, copy, add)


def is_whole(checkpoint, pristine):
    """Whether all files are byte for byte what was saved: whatever the code thinks."""
    return all(
        (file := checkpoint / original.name).exists()
        and file.read_bytes() == original.read_bytes()
        for original in pristine.iterdir()
    )


@pytest.mark.slow
def test_random_damage_never_yields_wrong_data(tmp_path):
    pristine, directory = tmp_path / "pristine", tmp_path / "damaged"
    store = CheckpointStore(pristine, keep=3)
    store.open()
    for tag in (1, 2, 3):
        store.save(documents(tag))
    found = {"newest": 0, "older": 0, "none": 0}
    for case in range(DAMAGED):
        rng = np.random.default_rng(case)
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(pristine, directory)
        # Mostly the newest, and each kind of damage first: a second may repair it.
        for count in range(rng.choice([1, 1, 2, 5])):
            damage = rng.choice(DAMAGES) if count else DAMAGES[case % len(DAMAGES)]
            number = rng.choice([3, 3, 3, 2, 1]) if count else 3
            folder = directory / f"checkpoint-00000{number}"
            files = [file for file in sorted(folder.iterdir()) if file.stat().st_size]
            if files and (damage not in (swap, copy) or complete(directory)):
                damage(rng, files)
        whole = [
            tag
            for tag in (3, 2, 1)
            if is_whole(*(d / f"checkpoint-00000{tag}" for d in (directory, pristine)))
        ]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if not whole:
                with pytest.raises(CheckpointError, match="None of the checkpoints"):
                    CheckpointStore(directory).load()
                found["none"] += 1
                continue
            assert tag_of(CheckpointStore(directory).load()) == whole[0], case
        named = [f"checkpoint-00000{tag} is broken" for tag in range(3, whole[0], -1)]
        assert len(caught) == len(named)
        for warning, name in zip(caught, named):
            assert warning.category is SplittingWarning
            assert name in str(warning.message)
        found["newest" if whole[0] == 3 else "older"] += 1
    assert sum(found.values()) == DAMAGED >= 500
    assert min(found.values()) > DAMAGED / 100, found
    assert found["older"] > 0.7 * DAMAGED


def complete(directory):
    """Whether every checkpoint has the same files, so that any can be swapped."""
    names = [{p.name for p in folder.iterdir()} for folder in directory.iterdir()]
    return all(n == names[0] for n in names)
