"""What does saving cost a job?

Runs the README's main job, or whatever flags of `tools/grow.py` are given, and times
every save of its checkpoints: tracing, copying, hashing, writing and flushing to the
disk. The sum is compared with the seconds of the epochs, in which saves at their ends
are not counted.

    nice -n 10 python benchmarks/jobs/saving_cost.py [--train_limit=250 ...]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from absl import flags
from shared import Runs, parser_of, print_table

from tf_splitting.jobs import Keeper
from tf_splitting_programs.commands.grow import PROGRAM
from tf_splitting_programs.running import Call

MAIN_JOB = ("--model=mobilenet_v2", "--target_macs=0.2e9")


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = parser_of(__doc__, "saving_cost.jsonl")
    parser.epilog = (
        "Other flags are those of tools/grow.py, behind those of the main job."
    )
    return parser.parse_known_args()


def timed_saves() -> list[dict[str, float]]:
    """Seconds and megabytes of every save, from now on."""
    saves: list[dict[str, float]] = []
    save = Keeper.save

    def timed(keeper: Keeper, *arguments: Any, **options: Any) -> None:
        start = time.perf_counter()
        save(keeper, *arguments, **options)
        seconds = time.perf_counter() - start
        written = sum(file.stat().st_size for file in keeper.last.iterdir())
        saves.append({"seconds": seconds, "megabytes": written / 2**20})

    Keeper.save = timed
    return saves


def run_tool(workdir: Path, given: list[str]) -> dict[str, Any]:
    """Runs the job in this process. Returns its history."""
    arguments = (*MAIN_JOB, f"--workdir={workdir}", *given)
    flags.FLAGS(["grow", *arguments])
    PROGRAM.check()
    job = importlib.import_module(PROGRAM.job)
    job.run(Call(PROGRAM, ("tf-splitting", "grow"), arguments))
    return json.loads((workdir / "history.json").read_text())


def main() -> None:
    arguments, given = parse()
    saves = timed_saves()
    with tempfile.TemporaryDirectory() as folder:
        history = run_tool(Path(folder), given)
    training = sum(epoch["seconds"] for epoch in history["epochs"])
    saving = sum(save["seconds"] for save in saves)
    result = {
        "flags": [*MAIN_JOB, *given],
        "epochs": [epoch["seconds"] for epoch in history["epochs"]],
        "saves": saves,
        "share": saving / training,
        "added": [record["added"] for record in history["rounds"]],
        "macs": history["epochs"][-1]["macs"],
        "accuracy": history["epochs"][-1]["val_accuracy"],
    }
    Runs(arguments.output).add(result)
    seconds = [save["seconds"] for save in saves]
    print_table(
        [
            ("", ""),
            ("training", f"{training:.0f} s, {len(history['epochs'])} epochs"),
            ("saving", f"{saving:.2f} s, {len(saves)} saves"),
            ("a save, median", f"{median(seconds):.2f} s"),
            ("a save, longest", f"{max(seconds):.2f} s"),
            ("the last one", f"{saves[-1]['megabytes']:.1f} MB"),
            ("saving / training", f"{saving / training:.2%}"),
            ("neurons split", f"{sum(result['added'])}"),
            ("MACs", f"{result['macs'] / 1e9:.3f} G"),
            ("test accuracy", f"{result['accuracy']:.2%}"),
        ]
    )


if __name__ == "__main__":
    main()
