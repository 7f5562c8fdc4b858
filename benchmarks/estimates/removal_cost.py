"""What does it cost to measure what removals lose, in training steps? And what memory?

For each network a process of its own trains a compiled model on batches and measures
removals on as many of the same size, in turns, so that a busy spell of the machine hits
both. What is compiled and traced once is not counted: times are differences between
many batches and one.

    second order            `SecondOrder(fold=False)`, one pass
    with means              `SecondOrder()`, the default, a pass for means before
    taylor                  `Taylor()`

Peak memory is that of further processes with one job each, above the idle model's and
in units of the training's.

    python benchmarks/estimates/removal_cost.py [--networks cifar_v1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from estimator_cost import NETWORKS, model_and_batch, peak
from shared import Runs, in_a_process, parser_of, print_table

from tf_splitting import SecondOrder, Taylor, trace
from tf_splitting.data import Sample
from tf_splitting.estimating import removal_scores

ESTIMATORS = {
    "second order": SecondOrder(fold=False),
    "with means": SecondOrder(),
    "taylor": Taylor(),
}
JOBS = ("training", *ESTIMATORS)
# Batches of a measurement, besides the first.
MORE = 12


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "removal_cost.jsonl")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", choices=("time", *JOBS), help=argparse.SUPPRESS)
    return parser.parse_args()


def jobs(network: str) -> dict[str, Callable[[int], Any]]:
    """A job by name; each takes a number of batches."""
    model, batch = model_and_batch(network)
    graph = trace(model)

    def train(batches: int) -> None:
        for _ in range(batches):
            model.train_on_batch(batch.x, batch.y)

    def measure(name: str) -> Callable[[int], Any]:
        return lambda batches: removal_scores(
            model, graph, Sample((batch,) * batches), ESTIMATORS[name]
        )

    return {"training": train, **{name: measure(name) for name in ESTIMATORS}}


def seconds(run: Callable[[int], Any], batches: int) -> float:
    start = time.perf_counter()
    run(batches)
    return time.perf_counter() - start


def run_child(network: str, child: str, repeats: int) -> dict[str, float]:
    """In a process of its own: seconds per batch of all jobs, or one job's memory."""
    runs = jobs(network)
    if child != "time":
        idle = peak()
        runs[child](2)
        return {"memory": peak() - idle}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(1)
    for _ in range(repeats):
        for name, run in runs.items():
            more = seconds(run, 1 + MORE) - seconds(run, 1)
            taken[name].append(more / MORE)
    return {name: statistics.median(times) for name, times in taken.items()}


def call_child(network: str, child: str, repeats: int) -> dict[str, float]:
    flags = ("--child", child, "--networks", network, "--repeats", str(repeats))
    return in_a_process(__file__, *flags)


def row(network: str, result: dict[str, Any]) -> tuple[str, ...]:
    training, memory = result["training"], result["memory"]
    return (
        network,
        f"{NETWORKS[network][2]}",
        f"{NETWORKS[network][3]}",
        f"{1000 * training:.0f}",
        *(f"{result[job] / training:.2f}" for job in ESTIMATORS),
        *(f"{memory[job] / memory['training']:.2f}" for job in ESTIMATORS),
    )


def main() -> None:
    arguments = parse()
    if arguments.child:
        (network,) = arguments.networks
        print(json.dumps(run_child(network, arguments.child, arguments.repeats)))
        return
    runs = Runs(arguments.output)
    rows = [
        (
            "network",
            "pixels",
            "batch",
            "training step, ms",
            *ESTIMATORS,
            *(f"memory, {job}" for job in ESTIMATORS),
        )
    ]
    for network in arguments.networks:
        result: dict[str, Any] = call_child(network, "time", arguments.repeats)
        result["memory"] = {
            job: call_child(network, job, arguments.repeats)["memory"] for job in JOBS
        }
        runs.add({"network": network, **result})
        rows.append(row(network, result))
        print_table([rows[0], rows[-1]])
    print_table(rows, "All networks")


if __name__ == "__main__":
    main()
