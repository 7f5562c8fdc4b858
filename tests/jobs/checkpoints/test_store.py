"""Saving, loading, and which checkpoints stay."""

import errno
import json
import os
import pathlib
import shutil
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from contents import documents, same_arrays, tag_of

from tf_splitting.errors import CheckpointError, SplittingWarning
from tf_splitting.jobs.checkpoints import arrays, manifest
from tf_splitting.jobs.checkpoints.store import CheckpointStore

# Arrays of a kind that NumPy has since 2.0.
TEXTS = [
    np.array(["a"], getattr(np.dtypes, name)())
    for name in ["StringDType"]
    if hasattr(np.dtypes, name)
]


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "run" / "checkpoints"


@pytest.fixture
def store(directory):
    store = CheckpointStore(directory)
    store.open()
    return store


def names(directory):
    return sorted(p.name for p in directory.iterdir())


def save(store, *tags):
    for tag in tags:
        path = store.save(documents(tag))
    return path


def damage(path, name="weights.npz"):
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (path / name).write_bytes(data)


KINDS = "?bBhHiIlLqQefdgFDG"
VALUES = {
    **{f"kind {kind}": np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS},
    "big endian": np.arange(5, dtype=">f4"),
    "bytes": np.array([b"a", b"bcd"]),
    "text": np.array(["a", "κλ"]),
    "dates": np.array(["2024-05-17", "NaT"], "datetime64[D]"),
    "record": np.array([(1, 2.0)], [("a", "<i4"), ("b", "<f8", (2,))]),
    "not finite": np.array([np.nan, np.inf, -np.inf, -0.0], np.float32),
    "0-d": np.array(1.5),
    "a scalar": np.float16(2.5),
    "a Python number": 3,
    "empty": np.zeros((0,), np.float32),
    "empty with a shape": np.zeros((3, 0, 2), np.int8),
    "columns first": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "every other": np.arange(20).reshape(4, 5)[::2, ::-1],
    "broadcast": np.broadcast_to(np.float32(7), (2, 3)),
    "": np.arange(2),
    "file": np.arange(3),
    "a": np.arange(4),
    "a.npy": np.arange(5),
    "block_1/depthwise kernel:0": np.arange(6),
    "../Größe/ラベル 🎈": np.arange(7),
    "n" * 3000: np.arange(8),
}


def test_arrays_come_back_bit_for_bit(store):
    path = store.save({"all.npz": VALUES, "none.npz": {}})
    checkpoint = CheckpointStore(store.directory).load()
    assert (checkpoint.path, checkpoint.number) == (path, 1)
    assert same_arrays(checkpoint.arrays("all.npz"), VALUES)
    assert checkpoint.arrays("none.npz") == {}
    with np.load(path / "all.npz", allow_pickle=False) as plain:
        assert plain["kind f"].tolist() == VALUES["kind f"].tolist()


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4"])
def test_other_dtypes_come_back_as_bytes_to_view(store, name):
    dtype = np.dtype(getattr(ml_dtypes, name))
    values = np.arange(-3, 4).astype(dtype)
    store.save({"w.npz": {"x": values, "0-d": values[0], "empty": values[:0]}})
    found = store.load().arrays("w.npz")
    assert found["x"].dtype == np.dtype(f"V{dtype.itemsize}")
    assert found["x"].view(dtype).astype(float).tolist() == list(range(-3, 4))
    assert found["0-d"].view(dtype) == values[0]
    assert found["empty"].shape == (0,)


def test_json_comes_back(store):
    value = {"a": [1, 2.5, None, True], "Größe ✓": {"": "\ud800 \0"}, "i": 10**30}
    store.save({"a.json": value, "b.json": [float("inf"), -float("inf")], "c.json": 0})
    store.save({"nan.json": float("nan")})
    assert np.isnan(store.load().json("nan.json"))
    shutil.rmtree(store.last)
    checkpoint = store.load()
    assert checkpoint.json("a.json") == value
    assert checkpoint.json("b.json") == [float("inf"), -float("inf")]
    assert checkpoint.json("c.json") == 0


def test_documents_are_known_by_name(store):
    save(store, 1)
    checkpoint = store.load()
    assert checkpoint.has("job.json")
    assert not checkpoint.has("manifest.json")
    with pytest.raises(CheckpointError, match=r"Got 'x.json'; expected .*'job.json'"):
        checkpoint.json("x.json")


def test_a_checkpoint_holds_what_was_verified(store):
    save(store, 1)
    checkpoint = store.load()
    damage(checkpoint.path)
    shutil.rmtree(store.directory)
    assert tag_of(checkpoint) == 1


@pytest.mark.parametrize(
    "name", ["a.txt", "manifest.json", "../a.json", "a/b.npz", ".npz", ".a.json", ""]
)
def test_documents_need_names_that_tell_their_format(store, name):
    with pytest.raises(CheckpointError, match="expected a plain file name"):
        store.save({"good.json": 1, name: {}})
    assert names(store.directory) == []


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"a.json": {1, 2}}, TypeError),
        ({"a.npz": {"x": np.array([object()])}}, ValueError),
        *(({"a.npz": {"x": x}}, ValueError) for x in TEXTS),
        ({"a.npz": {"a\0b": np.zeros(1)}}, ValueError),
        ({"a.npz": {"\ud800": np.zeros(1)}}, ValueError),
    ],
)
@pytest.mark.filterwarnings("ignore:Custom dtypes are saved:UserWarning")
def test_values_that_do_not_fit_leave_nothing_behind(store, document, error):
    save(store, 1)
    with pytest.raises(error):
        store.save({"good.json": 1, **document})
    assert names(store.directory) == ["checkpoint-000001"]
    save(store, 2)
    assert tag_of(store.load()) == 2


def test_arrays_are_not_copied_as_a_whole():
    class Nowhere:
        size = 0

        def write(self, data):
            self.size += len(data)
            return len(data)

        def flush(self):
            pass

    stream, megabyte = Nowhere(), 2**20
    value = np.zeros((160, megabyte), np.uint8)
    tracemalloc.start()
    arrays.write(stream, {"rows": value, "columns": value.T, "every other": value[::2]})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 400 * megabyte < stream.size < 401 * megabyte
    # Two pieces of 16 MiB: one to gather what does not lie together, one to write.
    assert peak < 40 * megabyte


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_stay_and_numbers_go_up(directory, keep):
    store = CheckpointStore(str(directory), keep=keep)
    store.open()
    assert store.load() is None
    assert store.last is None
    for number in range(1, 6):
        path = save(store, number)
        assert path == store.last == directory / f"checkpoint-00000{number}"
        kept = range(max(1, number - keep + 1), number + 1)
        assert names(directory) == [f"checkpoint-00000{n}" for n in kept]
    store = CheckpointStore(directory, keep=keep)
    store.open()
    assert tag_of(store.load()) == 5
    assert store.last == path
    assert save(store, 6).name == "checkpoint-000006"
    assert len(names(directory)) == keep


def test_at_least_one_stays(tmp_path):
    with pytest.raises(CheckpointError, match="Got keep=0; expected 1 or more"):
        CheckpointStore(tmp_path, keep=0)


def test_numbers_are_numbers_not_names(store):
    save(store, 1)
    os.rename(store.last, store.directory / "checkpoint-999999")
    (store.directory / "checkpoint-7").mkdir()
    (store.directory / "notes.txt").write_text("mine")
    store = CheckpointStore(store.directory)
    assert save(store, 2).name == "checkpoint-1000000"
    assert save(store, 3).name == "checkpoint-1000001"
    assert tag_of(store.load()) == 3
    # What is not ours stays, also where it looks much like it.
    assert {"checkpoint-7", "notes.txt"} < set(names(store.directory))


def test_numbers_go_up_when_the_directory_was_emptied(store):
    save(store, 1, 2)
    for path in store.directory.iterdir():
        shutil.rmtree(path)
    assert save(store, 3).name == "checkpoint-000003"


def test_nothing_to_load(tmp_path, store):
    assert store.load() is None
    assert CheckpointStore(tmp_path / "nowhere").load() is None


def test_opening_removes_what_killed_saves_left(store):
    save(store, 1)
    half = store.directory / ".checkpoint-000002.abcd_123" / "checkpoint-000002"
    half.mkdir(parents=True)
    (half / "weights.npz").write_bytes(b"half")
    (store.directory / ".checkpoint-000000.abcdefgh").mkdir()
    (store.directory / ".keep").write_text("not ours")
    store.open()
    assert names(store.directory) == [".keep", "checkpoint-000001"]


def test_a_broken_newest_is_passed_over_and_the_good_one_outlives_it(store):
    save(store, 1, 2, 3)
    damage(store.last)
    store = CheckpointStore(store.directory)
    store.open()
    with pytest.warns(SplittingWarning) as caught:
        assert tag_of(store.load()) == 2
    assert str(caught[0].message) == (
        f"{store.directory / 'checkpoint-000003'} is broken: weights.npz has changed "
        "since it was written. The older checkpoint-000002 is used."
    )
    assert caught[0].filename == __file__
    assert store.last == store.directory / "checkpoint-000002"
    left = []
    for tag in (4, 5, 6):
        save(store, tag)
        left.append([int(name[-1]) for name in names(store.directory)])
    assert left == [[2, 3, 4], [4, 5], [5, 6]]


def test_a_store_that_finds_its_own_checkpoint_broken(store):
    save(store, 1, 2)
    damage(store.last)
    with pytest.warns(SplittingWarning, match="checkpoint-000002 is broken"):
        assert tag_of(store.load()) == 1
    assert store.last.name == "checkpoint-000001"
    save(store, 3)
    # It would go if the broken one still counted as good.
    assert names(store.directory)[0] == "checkpoint-000001"


@pytest.mark.parametrize("keep", [1, 3])
def test_jobs_that_save_once_each_do_not_fill_the_disk(directory, keep):
    for tag in range(1, 7):
        store = CheckpointStore(directory, keep=keep)
        store.open()
        store.load()
        save(store, tag)
    assert len(names(directory)) == keep


def test_all_broken(store):
    save(store, 1, 2)
    one, two = (store.directory / f"checkpoint-00000{n}" for n in (1, 2))
    (one / "manifest.json").unlink()
    (two / "optimizer.npz").unlink()
    (two / "job.json").write_text("{}")
    with pytest.raises(CheckpointError) as caught:
        CheckpointStore(store.directory).load()
    lines = str(caught.value).splitlines()
    assert lines[0] == f"None of the checkpoints in {store.directory} can be used:"
    assert lines[1].startswith("  checkpoint-000002: job.json has 2 bytes where ")
    assert lines[1].endswith(
        "optimizer.npz is missing; still whole: model.json, weights.npz"
    )
    assert lines[2] == (
        "  checkpoint-000001: manifest.json is missing; still whole: nothing"
    )
    assert "--restart" in lines[3]
    assert "an emptied checkpoint_dir" in lines[3]
    assert names(store.directory) == ["checkpoint-000001", "checkpoint-000002"]


def append(path):
    with path.open("ab") as file:
        file.write(b"x")


def changed_manifest(path, change):
    """Rewrites a manifest so that it is whole, but says something else."""
    body = json.loads((path / manifest.NAME).read_bytes())
    del body["sha256"]
    change(body)
    (path / manifest.NAME).write_bytes(manifest._render(body))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda p: (p / "job.json").unlink(), "job.json is missing"),
        (lambda p: (p / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda p: (p / "manifest.json").write_text("{"), "manifest.json is not JSON"),
        (lambda p: (p / "manifest.json").write_text("[]"), "is not a manifest"),
        (lambda p: (p / "manifest.json").write_text("[" * 99999), "is not JSON"),
        (lambda p: damage(p, "manifest.json"), "manifest.json"),
        (lambda p: (p / "weights.npz").write_bytes(b""), "has 0 bytes where"),
        (lambda p: append(p / "weights.npz"), "bytes where"),
        (lambda p: damage(p), "weights.npz has changed since it was written"),
        (lambda p: (shutil.rmtree(p), p.mkdir()), "manifest.json is missing"),
        (lambda p: (shutil.rmtree(p), p.write_text("")), r"\(Not a directory\)"),
        (
            lambda p: ((p / "job.json").unlink(), (p / "job.json").mkdir()),
            r"job.json cannot be read \(Is a directory\)",
        ),
        (
            lambda p: changed_manifest(p, lambda body: body.update(format=2, new={})),
            r"written by a newer version of tf_splitting \(format 2; this version "
            r"reads format 1\)",
        ),
        (
            lambda p: changed_manifest(p, lambda body: body.update(number=7)),
            "belongs to checkpoint 7",
        ),
    ],
)
def test_what_is_wrong_is_said(store, harm, reason):
    save(store, 1, 2)
    harm(store.last)
    store = CheckpointStore(store.directory)
    with pytest.warns(SplittingWarning, match=f"checkpoint-000002 is broken.*{reason}"):
        assert tag_of(store.load()) == 1


def test_every_bit_of_a_manifest_counts():
    data = manifest.encode(1, {"a.json": manifest.FileRecord(3, "0" * 64)})
    assert manifest.decode(data, 1) == {"a.json": (3, "0" * 64)}
    for position in range(8 * len(data)):
        changed = bytearray(data)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(manifest.DamagedError):
            manifest.decode(bytes(changed), 1)


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
def test_what_cannot_be_read_counts_as_broken(store, monkeypatch, code):
    save(store, 1, 2)
    bad = store.last / "model.json"
    original = pathlib.Path.read_bytes

    def read_bytes(path):
        if path == bad:
            raise OSError(code, os.strerror(code))
        return original(path)

    monkeypatch.setattr(pathlib.Path, "read_bytes", read_bytes)
    match = rf"model.json cannot be read \({os.strerror(code)}\)"
    with pytest.warns(SplittingWarning, match=match):
        assert tag_of(store.load()) == 1


def test_a_directory_that_cannot_be_listed(store, monkeypatch):
    save(store, 1)

    def listdir(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "listdir", listdir)
    with pytest.raises(CheckpointError, match=r"cannot be used .*Input/output error"):
        store.load()


@pytest.mark.parametrize("below", [".", "deeper"])
def test_a_file_in_the_place_of_the_directory(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    store = CheckpointStore(tmp_path / "file" / below)
    with pytest.raises(CheckpointError, match=r"cannot be used .*[nN]ot a directory"):
        store.open()
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("operation", ["mkdir", "open", "write", "fsync", "unlink"])
@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_directory_that_cannot_be_written(store, monkeypatch, operation, code):
    save(store, 1)

    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, operation, fail)
        with pytest.raises(CheckpointError, match=os.strerror(code)):
            CheckpointStore(store.directory).open()
    store.open()
    assert names(store.directory) == ["checkpoint-000001"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        CheckpointStore(tmp_path).open()
    tmp_path.chmod(0o700)


def test_an_old_checkpoint_that_cannot_be_removed_is_removed_later(store, monkeypatch):
    save(store, 1, 2)
    original = os.replace

    def replace(source, target):
        if os.path.basename(source) == "checkpoint-000001":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.warns(SplittingWarning, match="000001 .* could not be removed"):
            save(store, 3)
        with pytest.warns(SplittingWarning, match="000001 .* could not be removed"):
            save(store, 4)
    assert names(store.directory) == [f"checkpoint-00000{n}" for n in (1, 3, 4)]
    save(store, 5)
    assert names(store.directory) == [f"checkpoint-00000{n}" for n in (4, 5)]


def test_checkpoints_have_the_usual_permissions(store):
    previous = os.umask(0o027)
    try:
        path = save(store, 1)
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o750
    assert (path / "weights.npz").stat().st_mode & 0o777 == 0o640
