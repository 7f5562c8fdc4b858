"""One process at a time, and no cleaning up after a crash."""

import errno
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest
from light import FOLDER

from tf_splitting.errors import CheckpointError, LockedError
from tf_splitting.jobs.checkpoints import locking
from tf_splitting.jobs.checkpoints.locking import lock

START = """
import light; light.install()
import shlex
import os, sys
from tf_splitting.jobs.checkpoints.locking import lock
from tf_splitting.errors import LockedError
directory = sys.argv[1]
"""

HOLD = """
with lock(directory):
    print("holding", flush=True)
    sys.stdin.read()
"""

TRY = """
try:
    with lock(directory):
        print("got it")
except LockedError as error:
    print(error)
"""

# The child must not keep the lock when its parent is killed.
FORK = """
reading, writing = os.pipe()
with lock(directory):
    child = os.fork()
    if child == 0:
        # It runs: what a fork does in the child is done.
        os.write(writing, b"x")
        sys.stdin.read()
        os._exit(0)
    os.read(reading, 1)
    print(child, flush=True)
    signal = __import__("signal")
    os.kill(os.getpid(), signal.SIGKILL)
"""

# The child must not let go of it for its parent either.
LEAVE = """
with lock(directory):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print("waited", flush=True)
        sys.stdin.read()
"""


def command(code, directory):
    return [sys.executable, "-c", START + code, str(directory)]


@contextmanager
def running(code, directory):
    """A process that has printed its first line, which is `process.said`."""
    process = subprocess.Popen(
        command(code, directory),
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            process.said = process.stdout.readline().strip()
            yield process
        finally:
            process.stdin.close()


def run(code, directory):
    done = subprocess.run(
        command(code, directory), cwd=FOLDER, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_second_process_is_told_who_is_first(tmp_path):
    with running(HOLD, tmp_path) as first:
        assert first.said == "holding"
        with pytest.raises(LockedError) as caught, lock(tmp_path):
            pass
        message = str(caught.value)
        assert f"{tmp_path} is in use by process {first.pid} on" in message
        assert f" on {socket.gethostname()}, since 20" in message
        assert "from tf_splitting.jobs.checkpoints.locking import lock" in message
        assert "choose another directory" in message
        # Being refused does not take the lock away.
        assert f"process {first.pid} " in run(TRY, tmp_path)
    with lock(tmp_path):
        pass


def test_the_lock_of_this_process_is_seen_by_others(tmp_path):
    with lock(tmp_path):
        assert f"in use by process {os.getpid()} on" in run(TRY, tmp_path)
    assert run(TRY, tmp_path) == "got it"


def test_a_killed_process_leaves_nothing_to_clean_up(tmp_path):
    with running(HOLD, tmp_path) as first:
        first.kill()
        assert first.wait() == -signal.SIGKILL
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == first.pid
        with lock(tmp_path):
            owner = json.loads((tmp_path / ".lock").read_text())
            assert owner["pid"] == os.getpid()
            assert owner["host"] == socket.gethostname()
            assert owner["command"] == shlex.join(sys.orig_argv)
            assert re.fullmatch(r"[\d-]{10} [\d:]{8} [+-]\d{4}", owner["since"])


def test_a_forked_worker_does_not_keep_the_lock_of_a_killed_process(tmp_path):
    with running(FORK, tmp_path) as first:
        assert first.wait() == -signal.SIGKILL
        os.kill(int(first.said), 0)  # The worker is still there.
        with lock(tmp_path):
            pass


def test_a_forked_worker_does_not_release_the_lock(tmp_path):
    with running(LEAVE, tmp_path) as first:
        assert first.said == "waited"
        with pytest.raises(LockedError, match=f"process {first.pid} "), lock(tmp_path):
            pass


def test_twice_in_one_process(tmp_path):
    with lock(tmp_path):
        for _ in range(2):
            with pytest.raises(LockedError, match=r"\(this one\)"), lock(tmp_path):
                pass
    with lock(tmp_path), lock(tmp_path / "another"):
        pass


def test_released_by_an_exception_and_by_an_exit_stack(tmp_path):
    class Interruption(BaseException):
        pass

    with pytest.raises(Interruption), lock(tmp_path):
        raise Interruption
    with ExitStack() as stack:
        stack.enter_context(lock(tmp_path))
        assert "in use" in run(TRY, tmp_path)
    assert run(TRY, tmp_path) == "got it"


def test_the_file_stays_the_same(tmp_path):
    with lock(tmp_path):
        first = (tmp_path / ".lock").stat().st_ino
    with lock(tmp_path):
        assert (tmp_path / ".lock").stat().st_ino == first


def test_no_descriptor_is_left_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    with lock(tmp_path):
        assert len(os.listdir("/proc/self/fd")) == before + 1
        with pytest.raises(LockedError), lock(tmp_path):
            pass
    assert len(os.listdir("/proc/self/fd")) == before
    assert not locking._held


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\xff"])
def test_an_owner_who_has_not_signed(tmp_path, text):
    with lock(tmp_path):
        (tmp_path / ".lock").write_bytes(text.encode("latin-1"))
        with pytest.raises(LockedError, match="not yet said"), lock(tmp_path):
            pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, code):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locking.fcntl, "flock", flock)
    with pytest.raises(CheckpointError, match="system with flock") as caught:
        locking.lock(tmp_path).__enter__()
    assert os.strerror(code) in str(caught.value)
    assert not isinstance(caught.value, LockedError)
    assert not locking._held


@pytest.mark.parametrize("operation", ["open", "ftruncate", "pwrite"])
def test_a_directory_that_cannot_be_written(tmp_path, monkeypatch, operation):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, operation, fail)
        with pytest.raises(CheckpointError, match="No space left"), lock(tmp_path):
            pass
    with lock(tmp_path):
        pass


def test_a_file_in_the_place_of_the_directory(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match="not a directory"):
        lock(tmp_path / "file").__enter__()
