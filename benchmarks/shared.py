"""What the scripts share: runs kept in a file, CIFAR-100, tables.

The library is imported where it is used: some scripts only start others, and are to
take no memory and no time of theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_splitting import data

RESULTS = Path(__file__).parent / "results"


class Runs:
    """Runs in a JSON-lines file: one a line, there as soon as it is done.

    A line that a killed process has left unfinished is passed over, so that its run
    counts as missing.

    Args:
        path: of the file; it is made, and its folder, with the first run.

    Example:
        >>> if not runs.where(arm="width", seed=0):
        ...     runs.add(measure("width", 0))
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._runs = list(self._read())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._runs)

    def where(self, **values: Any) -> list[dict[str, Any]]:
        """The runs that have these values, oldest first."""
        return [
            run
            for run in self._runs
            if all(run.get(name) == value for name, value in values.items())
        ]

    def add(self, run: dict[str, Any]) -> dict[str, Any]:
        """Appends a run.

        Returns:
            The run as it will be read: keys are text, tuples are lists.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(run, ensure_ascii=False)
        end = self._path.read_bytes()[-1:] if self._path.exists() else b""
        with self._path.open("a", encoding="utf-8") as file:
            # Not behind what a killed process has left.
            file.write(f"{line}\n" if end in (b"", b"\n") else f"\n{line}\n")
            file.flush()
            os.fsync(file.fileno())
        self._runs.append(json.loads(line))
        return self._runs[-1]

    def _read(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        lines = self._path.read_bytes().splitlines()
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                told = f"{self._path}: line {number} is unfinished and passed over"
                print(told, file=sys.stderr)


def parser_of(documentation: str, results: str) -> argparse.ArgumentParser:
    """A script's parser, with a flag for where its runs are kept.

    Args:
        documentation: of the script; its first line is shown.
        results: name of the file in `benchmarks/results/`.
    """
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--output", default=RESULTS / results)
    return parser


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Those that `cifar100` reads."""
    parser.add_argument("--data_dir", help="directory of CIFAR-100 in TFDS format")
    parser.add_argument("--download", action="store_true")
    parser.add_argument("--images", type=int, default=10_000, help="to train on")


def cifar100(
    arguments: argparse.Namespace, seed: int, coarse: bool = False
) -> data.ImageData:
    """CIFAR-100 in batches of 64, training images cropped and flipped.

    Args:
        arguments: values of the flags of `add_data_flags`.
        seed: of the order, crops and flips.
        coarse: with its 20 coarse labels in place of all 100.
    """
    from tf_splitting import data

    return data.load(
        "cifar100:coarse_label" if coarse else "cifar100",
        data_dir=arguments.data_dir,
        download=arguments.download,
        batch_size=64,
        augment=True,
        seed=seed,
        train_limit=arguments.images,
    )


def in_a_process(script: str, *flags: str) -> dict[str, Any]:
    """The JSON object that a script prints last, run in a process of its own.

    Args:
        script: path of the file.
        flags: that it is given.
    """
    command = [sys.executable, script, *flags]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(found.stdout.splitlines()[-1])


def measured(
    runs: Runs,
    names: Iterable[str],
    again: bool,
    measure: Callable[[str], dict[str, Any]],
    told: Callable[[dict[str, Any]], Iterable[str]],
) -> dict[str, dict[str, Any]]:
    """Measures models that are not known yet; the last run of every one, by name.

    Args:
        runs: what is known; they have the name as `model`.
        names: of the models to measure.
        again: also those that are known.
        measure: makes a run.
        told: cells of the row that is printed of each.
    """
    for name in names:
        if again or not runs.where(model=name):
            print(" | ".join(told(runs.add(measure(name)))), flush=True)
    return {run["model"]: run for run in runs}


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ("-",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mean_and_spread(values: list[float]) -> str:
    """Mean and standard deviation, as text."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {spread:.2f}"


def print_table(rows: list[tuple[str, ...]], title: str = "") -> None:
    """Prints rows under their first, at once."""
    from tf_splitting.support import format_table

    if title:
        print(f"\n{title}\n")
    print(format_table(rows), flush=True)
