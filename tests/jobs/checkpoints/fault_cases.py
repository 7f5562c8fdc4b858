"""A program without TensorFlow: saves a checkpoint over and over, and each time another
operation on the file system fails, or kills the process. Prints the outcomes as JSON.

    python fault_cases.py FOLDER operations
    python fault_cases.py FOLDER ENOSPC|half|EROFS|kill
    python fault_cases.py FOLDER random KILLS
    python fault_cases.py FOLDER limit|disk
"""

import errno
import json
import os
import resource
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import light

light.install()

import numpy as np  # noqa: E402
from contents import documents, tag_of  # noqa: E402

from tf_splitting.errors import CheckpointError  # noqa: E402
from tf_splitting.jobs.checkpoints import checkpoint  # noqa
from tf_splitting.jobs.checkpoints.directory import numbers, path_of  # noqa
from tf_splitting.jobs.checkpoints.store import CheckpointStore  # noqa

LOOKING = ("listdir", "scandir", "stat", "lstat", "fstat", "close", "fsync")
CHANGING = ("write", "mkdir", "rename", "replace", "unlink", "remove", "rmdir")


class Operations:
    """Within it, what Python asks of the file system is recorded, and one operation
    suffers a fault:

    ENOSPC: it fails, as on a full disk.
    half: it is a write, writes half, and the next write finds the disk full.
    EROFS: from here on all that would change the file system fails.
    kill: the process dies before it, or half-way if it is a write.
    """

    def __init__(self, fault=None, at=-1):
        self.fault, self.at = fault, at
        self.log = []  # of [operation, path]
        self.published = None  # when the new checkpoint got its name
        self._paths = {}
        self._full = False

    def __enter__(self):
        names = ("open", *LOOKING, *CHANGING)
        self._originals = {name: getattr(os, name) for name in names}
        for name in names:
            setattr(os, name, self._wrapped(name))
        return self

    def __exit__(self, *_):
        for name, original in self._originals.items():
            setattr(os, name, original)

    def _wrapped(self, name):
        original = self._originals[name]

        def operation(*args, **kwargs):
            index = len(self.log)
            target = args[0] if args else "."
            path = self._paths.get(target, "") if type(target) is int else target
            self.log.append([name, os.fspath(path)])
            self._strike(index, name, original, args)
            if self._full and name == "write":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.fault == "half" and index == self.at:
                self._full = True
                args = (args[0], args[1][: len(args[1]) // 2])
            result = original(*args, **kwargs)
            if name == "open":
                self._paths[result] = os.fspath(args[0])
            elif name == "replace" and Path(args[0]).parent.name.startswith("."):
                self.published = index
            return result

        return operation

    def _strike(self, index, name, original, args):
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        changes = name in CHANGING or (name == "open" and args[1] & writes)
        if self.fault == "EROFS" and index >= self.at and changes:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if index != self.at:
            return
        if self.fault == "ENOSPC":
            if name == "close":
                # A close that fails has closed all the same.
                original(*args)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.fault == "kill":
            if name == "write":
                original(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)


class Case:
    """A directory with the checkpoints 1 and 2; the save of 3 removes the first."""

    def __init__(self, folder):
        self.directory = folder / "case"
        self._pristine = folder / "pristine"
        store = CheckpointStore(self._pristine)
        store.open()
        store.save(documents(1))
        store.save(documents(2))

    def run(self, fault=None, at=-1):
        """Saves under the fault, and describes what is there afterwards."""
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.copytree(self._pristine, self.directory)
        store = CheckpointStore(self.directory)
        store.open()
        assert tag_of(store.load()) == 2
        before = os.listdir("/proc/self/fd")
        operations = Operations(fault, at)
        raised = None
        with operations:
            if fault == "kill":
                died = _in_child(lambda: store.save(documents(3)))
                assert died == -signal.SIGKILL, died
            else:
                try:
                    store.save(documents(3))
                except OSError as error:
                    raised = errno.errorcode[error.errno]
            if fault == "EROFS":
                assert CheckpointStore(self.directory).load() is not None
        outcome = {
            "raised": raised,
            "published": operations.published is not None,
            "leaked": len(os.listdir("/proc/self/fd")) - len(before),
            "hidden": len(_hidden(self.directory)),
            "visible": _visible(self.directory),
            "loaded": tag_of(CheckpointStore(self.directory).load()),
        }
        if fault == "kill":
            store = CheckpointStore(self.directory)
            store.open()
            store.load()
        store.save(documents(4))
        CheckpointStore(self.directory).open()
        outcome["next"] = tag_of(CheckpointStore(self.directory).load())
        outcome["hidden at last"] = len(_hidden(self.directory))
        outcome["visible at last"] = _visible(self.directory)
        self.log, self.published = operations.log, operations.published
        return outcome


def _visible(directory):
    """The tags of all that bears the name of a checkpoint: all must be whole."""
    return [
        tag_of(checkpoint.read(path_of(directory, n), n)) for n in numbers(directory)
    ]


def _hidden(directory):
    return [name for name in os.listdir(directory) if name.startswith(".")]


def _in_child(work):
    """Runs it in a forked process; its exit status, negative if it was killed."""
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def each_operation(folder, fault):
    """One run per operation of a save; the outcomes."""
    case = Case(folder)
    case.run()
    log, published = case.log, case.published
    outcomes = []
    for index, (name, path) in enumerate(log):
        if fault == "half" and name != "write":
            continue
        outcome = {"index": index, "operation": name, "path": path}
        outcome["after publishing"] = index > published
        outcomes.append(outcome | case.run(fault, index))
    return outcomes


def random_kills(folder, kills):
    """Kills a process that saves all the time, after two saves and a random part of
    the time a save takes; what it had saved must be there.
    """
    rng = np.random.default_rng(0)
    size, directory, outcomes = 20_000, folder / "random", []
    for _ in range(kills):
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                store = CheckpointStore(directory)
                store.open()
                found = store.load()
                tag = tag_of(found, size) if found else 0
                while True:
                    tag += 1
                    store.save(documents(tag, size))
                    os.write(writing, f"{tag}\n".encode())
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            reported = [int(pipe.readline())]
            start = time.monotonic()
            reported.append(int(pipe.readline()))
            time.sleep(rng.uniform(0, 1.5) * (time.monotonic() - start))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            reported += [int(line) for line in pipe.read().split()]
        tag = tag_of(CheckpointStore(directory).load(), size)
        hidden = len(_hidden(directory))
        outcomes.append({"reported": reported, "loaded": tag, "hidden": hidden})
    return outcomes


def no_room(folder, kind):
    """Saves what is too large, for a limit on file sizes or for a small disk."""
    directory = folder / "small"
    store = CheckpointStore(directory)
    store.open()
    store.save(documents(1))
    before = sorted(os.listdir(directory))
    if kind == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    try:
        store.save({**documents(2), "large.npz": {"x": np.zeros(3_000_000, np.uint8)}})
        raised = None
    except OSError as error:
        raised = errno.errorcode[error.errno]
    outcome = {"raised": raised, "unchanged": sorted(os.listdir(directory)) == before}
    outcome["loaded"] = tag_of(CheckpointStore(directory).load())
    if kind == "disk":
        outcome |= _to_the_last_byte(folder, directory)
    store.save(documents(2))
    outcome["next"] = tag_of(CheckpointStore(directory).load())
    return outcome


def _to_the_last_byte(folder, directory):
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    try:
        CheckpointStore(directory).open()
        refused = None
    except CheckpointError as error:
        refused = str(error)
    loaded = tag_of(CheckpointStore(directory).load())
    filler.unlink()
    return {"refused": refused, "loaded when full": loaded}


def main(folder, what, *arguments):
    assert not {"keras", "tensorflow"} & set(sys.modules), "no longer light"
    folder = Path(folder)
    # A failure to prune is only warned about; all other warnings are mistakes.
    warnings.filterwarnings("error")
    warnings.filterwarnings("ignore", "checkpoint-|.*is no longer needed")
    if what == "operations":
        case = Case(folder)
        case.run()
        outcomes = case.log
    elif what == "random":
        outcomes = random_kills(folder, int(*arguments))
    elif what in ("limit", "disk"):
        outcomes = no_room(folder, what)
    else:
        outcomes = each_operation(folder, what)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
