"""Files and directories that appear whole or not at all."""

import errno
import os

import pytest

from tf_splitting.support import files
from tf_splitting.support.files import (
    appearing,
    remove_leftovers,
    write_text_atomically,
)


def test_a_file_appears_with_its_content(tmp_path):
    write_text_atomically(tmp_path / "new" / "a.json", "text")
    assert (tmp_path / "new" / "a.json").read_text() == "text"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.json"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with appearing(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "half"


@pytest.mark.parametrize("written", [True, False])
def test_an_exception_leaves_the_old_file_and_no_debris(tmp_path, written):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted():
        with appearing(path) as temporary:
            if written:
                temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_directories_replace_directories(tmp_path):
    path = tmp_path / "saved"
    for content in ("old", "new"):
        with appearing(path) as temporary:
            (temporary / "deep").mkdir(parents=True)
            (temporary / "deep" / content).write_text(content)
    assert [p.name for p in (path / "deep").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["saved"]


class Killed(BaseException):
    """Stands for the end of the process: nothing is tidied up after it."""


def replace_directory(path):
    with appearing(path) as temporary:
        temporary.mkdir()
        (temporary / "content").write_text("new")


def killed_while_replacing(path, monkeypatch):
    """A directory replaces another, and dies between the two renames."""
    original, calls = os.replace, []

    def replace(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise Killed
        original(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        patch.setattr(files.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            replace_directory(path)


def test_a_directory_that_was_half_replaced_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / "saved"
    path.mkdir()
    killed_while_replacing(path, monkeypatch)
    assert not path.exists()
    remove_leftovers(tmp_path)
    assert (path / "content").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["saved"]


def test_leftovers_do_not_replace_what_has_come_since(tmp_path, monkeypatch):
    path = tmp_path / "saved"
    path.mkdir()
    killed_while_replacing(path, monkeypatch)
    path.write_text("newer")
    remove_leftovers(tmp_path)
    assert path.read_text() == "newer"
    assert [p.name for p in tmp_path.iterdir()] == ["saved"]


def test_leftovers_that_cannot_be_finished_stay(tmp_path, monkeypatch):
    path = tmp_path / "saved"
    path.mkdir()
    killed_while_replacing(path, monkeypatch)
    before = sorted(tmp_path.rglob("*"))

    def replace(source, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        remove_leftovers(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path = tmp_path / "saved"
    path.mkdir()
    (path / "content").write_text("old")
    original = os.replace

    def replace(source, target):
        if target == path and os.path.basename(source) == "saved":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="Input/output"):
        replace_directory(path)
    assert (path / "content").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["saved"]


def test_only_leftovers_are_removed(tmp_path):
    for name in (".a.json.abc_1234", ".b.settings"):
        (tmp_path / name).mkdir()
    (tmp_path / ".a.json.abc_1234" / "a.json").write_text("half")
    (tmp_path / ".b.settings" / "theirs").write_text("theirs")
    (tmp_path / ".c.settings").write_text("theirs")
    (tmp_path / ".d.settings").symlink_to(tmp_path / "a")
    (tmp_path / ".e.notrandom").mkdir()
    (tmp_path / "a").mkdir()
    remove_leftovers(str(tmp_path))
    left = [".b.settings", ".c.settings", ".d.settings", ".e.notrandom", "a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == left
    assert (tmp_path / ".b.settings" / "theirs").exists()


@pytest.mark.parametrize("inside", [(), ("deep", "deeper")])
def test_all_is_flushed_before_the_name_and_then_the_name(
    tmp_path, monkeypatch, inside
):
    path = tmp_path / "new" / "results" / "a"
    log = []
    fsync, replace = os.fsync, os.replace

    def recorded(descriptor):
        log.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def renamed(source, target):
        log.append("renamed")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(os, "replace", renamed)
    with appearing(path) as temporary:
        file = temporary.joinpath(*inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("text")
    at = log.index("renamed")
    assert set(log[:2]) == {str(tmp_path), str(tmp_path / "new")}
    between = [file, *file.parents][: len(inside) + 1]
    assert sorted(log[2:at]) == sorted(map(str, between))
    assert log[at + 1 :] == [str(path.parent)]


@pytest.mark.parametrize(
    ("code", "harmless"), [(errno.EINVAL, True), (errno.EIO, False)]
)
def test_directories_that_cannot_be_flushed(tmp_path, monkeypatch, code, harmless):
    original = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(code, os.strerror(code))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    if harmless:
        write_text_atomically(tmp_path / "a", "text")
    else:
        with pytest.raises(OSError, match="Input/output"):
            write_text_atomically(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"
