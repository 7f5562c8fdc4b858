"""Kills growing jobs at random moments, and compares how they end.

The command-line tool runs as a process of its own, as its users run it. One job runs
to its end; the same job is then killed with SIGKILL over and over, at random times and
at random file operations, and started with the same command until it is done, job
after job until there have been enough kills. Then likewise with SIGTERM and SIGINT,
which let it save first. Every job has to end with the weights, optimizer state and
history of the one that was left alone, bit by bit.

    python benchmarks/jobs/kill_harness.py --kills 100
    python benchmarks/jobs/kill_harness.py --kills 50 --family   # of three members

Exits with 1 if any job ended otherwise, or did not come back.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import h5py
import numpy as np
from shared import Runs, parser_of

ROOT = Path(__file__).resolve().parents[2]
ONE = ("--target_macs=120e3", "--rounds=2")
FAMILY = ("--target_macs=50e3,80e3,120e3", "--rounds=1")
FLAGS = (
    "--epochs=2",
    "--final_epochs=2",
    "--train_limit=96",
    "--test_limit=40",
    "--batch_size=16",
    "--sample_size=16",
    "--passes=2",
    "--save_steps=2",
    "--augment",
)
MAKE_MODEL = """
import sys
import keras
from keras import layers
keras.utils.set_random_seed(0)
keras.Sequential([
    keras.Input((16, 16, 3), name="images"),
    layers.Rescaling(1 / 127.5, offset=-1, name="scale"),
    layers.Conv2D(8, 3, strides=2, use_bias=False, name="first"),
    layers.BatchNormalization(momentum=0.8, name="norm"),
    layers.Activation("swish", name="swish"),
    layers.Conv2D(8, 3, activation="swish", name="second"),
    layers.GlobalAveragePooling2D(name="pool"),
    layers.Dropout(0.1, name="dropout"),
    layers.Dense(10, name="head"),
], name="small").save(sys.argv[1])
"""
# What lies in a workdir while something is being written, and what that is called.
WRITING = {
    "checkpoints/.checkpoint-*": "saving",
    ".grown.keras.*": "writing the model",
    ".saved_model.*": "exporting",
    ".growth.png.*": "writing the picture",
    ".report.html.*": "writing the report",
    ".history.json.*": "writing the history",
    "checkpoints/member-*/.checkpoint-*": "saving a branch",
    "stage-*/.*": "writing a member",
    ".family.*": "writing the comparison",
}
# How the last line of output begins, and what runs behind it.
AFTER = {
    "": "starting",
    "results:": "compiling, training",
    "resuming": "compiling, training",
    "round 0": "training or estimating",
    "estimating": "splitting",
    "+": "training",
    "round": "training or estimating",
    "layer": "finishing",
    "test:": "finishing",
    "member": "training a branch",
    "grown to": "training or estimating",
}
# Stopped by a signal and saved; interrupted before there was anything to save.
STOPPED, INTERRUPTED = 75, 130


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "kill_harness.jsonl")
    parser.add_argument("--kills", type=int, default=100, help="with SIGKILL, at least")
    parser.add_argument("--stops", type=int, default=20, help="SIGTERM and SIGINT")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", action="store_true", help="jobs of several targets")
    return parser.parse_args()


class Harness:
    """Runs one job over and over.

    Args:
        folder: for workdirs and the model.
        generator: of moments.
        flags: of the job.
    """

    def __init__(
        self, folder: Path, generator: random.Random, flags: tuple[str, ...]
    ) -> None:
        self._folder = folder
        self._flags = flags
        self._generator = generator
        self._model = folder / "small.keras"
        subprocess.run(
            [sys.executable, "-c", MAKE_MODEL, str(self._model)],
            check=True,
            capture_output=True,
        )
        start = time.perf_counter()
        code, _ = self._run(folder / "reference", None, None)
        if code:
            raise SystemExit(f"the uninterrupted job ended with exit code {code}")
        self.seconds = time.perf_counter() - start
        self._reference = outcome(folder / "reference")

    @property
    def losses(self) -> list[float]:
        """Loss of every epoch of the uninterrupted job."""
        return [epoch["loss"] for epoch in self._reference["history"]["epochs"]]

    def job(self, number: int, kind: signal.Signals, most: int) -> dict[str, Any]:
        """One whole job, stopped `most` times at most.

        Returns:
            How often it was stopped and where, whether it came back, and whether it
            ended as the uninterrupted one.
        """
        workdir = self._folder / f"job-{kind.name}-{number}"
        places: list[str] = []
        while True:
            stop = kind if len(places) < most else None
            code, place = self._run(workdir, stop, self._moment())
            if place is None:
                break
            places.append(place)
            allowed = {-kind, 0}
            if kind != signal.SIGKILL:
                allowed = {STOPPED, INTERRUPTED, -kind, 0}
            if code not in allowed:
                return {"places": places, "code": code, "same": False}
            if code == 0:
                break
        same = code == 0 and alike(outcome(workdir), self._reference)
        if same:
            shutil.rmtree(workdir)
        return {"places": places, "code": code, "same": same}

    def _moment(self) -> tuple[float, str | None]:
        """Seconds after the start, and what, if it is written, comes first."""
        seconds = self._generator.uniform(0, 0.7 * self.seconds)
        patterns = [None] * len(WRITING) + list(WRITING)
        return seconds, self._generator.choice(patterns)

    def _run(
        self,
        workdir: Path,
        stop: signal.Signals | None,
        moment: tuple[float, str | None] | None,
    ) -> tuple[int, str | None]:
        """Runs the command: its exit code, and where it was stopped, if it was."""
        tool = [sys.executable, str(ROOT / "tools" / "grow.py")]
        command = [*tool, f"--model={self._model}", f"--workdir={workdir}"]
        command += self._flags
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
            if stop is not None:
                wait_for(process, workdir, *moment, self._generator)
                if process.poll() is None:
                    process.send_signal(stop)
                    code = process.wait(timeout=600)
                    return code, place_of(workdir, read(output))
            code = process.wait(timeout=600)
            if code:
                print(read(output), file=sys.stderr)
            return code, None


def wait_for(
    process: subprocess.Popen,
    workdir: Path,
    seconds: float,
    pattern: str | None,
    generator: random.Random,
) -> None:
    """Returns at the moment, or when the process has ended."""
    start = time.perf_counter()
    # One of the first times that it is written, a little later.
    left = generator.randint(1, 4) if pattern == next(iter(WRITING)) else 1
    seen: set[Path] = set()
    if pattern is not None:
        # Time for it to be written.
        seconds *= 2
    while process.poll() is None and time.perf_counter() - start < seconds:
        if pattern is not None:
            new = set(workdir.glob(pattern)) - seen
            seen |= new
            left -= len(new)
            if new and left <= 0:
                time.sleep(generator.uniform(0, 0.01))
                return
        time.sleep(0.0005 if pattern else 0.01)


def read(output: Any) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")


def place_of(workdir: Path, output: str) -> str:
    """What a process was at when it was stopped."""
    for pattern, what in WRITING.items():
        if any(workdir.glob(pattern)):
            return what
    known = ""
    for line in output.splitlines():
        known = next((k for k in AFTER if k and line.startswith(k)), known)
    return AFTER[known]


def outcome(workdir: Path) -> dict[str, Any]:
    """What a finished job has left: arrays by name, and its history without seconds."""
    history = json.loads((workdir / "history.json").read_text())
    members = history["members"]
    for one in (history, *members):
        for record in (*one["epochs"], *one["rounds"]):
            del record["seconds"]
        for epoch in one["epochs"]:
            del epoch["measuring"]
    for member in members:
        del member["seconds"]
    arrays: dict[str, np.ndarray] = {}
    folder = workdir / "checkpoints"
    for kept in (folder, *folder.glob("member-*")):
        newest = max(kept.glob("checkpoint-*"))
        for name in ("weights.npz", "optimizer.npz"):
            with np.load(newest / name) as file:
                where = f"{kept.name}/{name}"
                arrays.update({f"{where}/{key}": file[key] for key in file.files})
    grown = [*workdir.glob("grown.keras"), *workdir.glob("stage-*/grown.keras")]
    for path in grown:
        unpacked = path.with_name("unpacked")
        shutil.unpack_archive(path, unpacked, "zip")
        with h5py.File(unpacked / "model.weights.h5") as file:
            arrays.update(datasets_in(file, path.parent.name if members else ""))
    exported = [(p.parent / "saved_model" / "saved_model.pb").exists() for p in grown]
    return {"arrays": arrays, "history": history, "exported": exported}


def datasets_in(file: h5py.File, name: str) -> dict[str, np.ndarray]:
    """The arrays of a file, by their places in it behind a name."""
    found = {}

    def keep(place: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[f"{name}/{place}"] = item[()]

    file.visititems(keep)
    return found


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two jobs ended the same, bit by bit."""
    names = one["arrays"].keys() == other["arrays"].keys()
    return (
        names
        and one["history"] == other["history"]
        and one["exported"] == other["exported"]
        and all(
            array.tobytes() == other["arrays"][name].tobytes()
            for name, array in one["arrays"].items()
        )
    )


def run(
    harness: Harness, kinds: list[signal.Signals], wanted: int
) -> tuple[collections.Counter, list[dict[str, Any]]]:
    """Jobs until they have been stopped often enough."""
    places: collections.Counter = collections.Counter()
    jobs: list[dict[str, Any]] = []
    while places.total() < wanted:
        kind = kinds[len(jobs) % len(kinds)]
        left = wanted - places.total()
        found = harness.job(len(jobs), kind, min(left, 12))
        jobs.append(found)
        places.update(found["places"])
        print(
            f"{kind.name} job {len(jobs)}: stopped {len(found['places'])} times, "
            f"{'the same' if found['same'] else 'NOT THE SAME'} "
            f"({places.total()} of {wanted})",
            flush=True,
        )
    return places, jobs


def main() -> None:
    arguments = parse()
    runs, failed = Runs(arguments.output), 0
    with tempfile.TemporaryDirectory() as folder:
        flags = (*FLAGS, *(FAMILY if arguments.family else ONE))
        harness = Harness(Path(folder), random.Random(arguments.seed), flags)
        losses = " ".join(f"{loss:.4f}" for loss in harness.losses)
        print(f"uninterrupted: {harness.seconds:.0f} s, losses {losses}", flush=True)
        for title, kinds, wanted in (
            ("kills", [signal.SIGKILL], arguments.kills),
            ("stops", [signal.SIGTERM, signal.SIGINT], arguments.stops),
        ):
            places, jobs = run(harness, kinds, wanted)
            same = sum(job["same"] for job in jobs)
            failed += len(jobs) - same
            print(f"{title}: {places.total()} in {len(jobs)} jobs, {same} the same")
            for place, count in places.most_common():
                print(f"  {count:3d} {place}")
            runs.add(
                {
                    "what": f"{title} of a family" if arguments.family else title,
                    "stopped": places.total(),
                    "jobs": len(jobs),
                    "same": same,
                    "places": dict(places),
                    "losses": harness.losses,
                }
            )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
