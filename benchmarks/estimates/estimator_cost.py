"""What does a splitting product cost, in training steps? And what memory?

For each network a process of its own trains a compiled model on one batch and takes
splitting products of all neurons on the same batch, in turns, so that a busy spell of
the machine hits both; the table shows medians in units of the training step:

    incoming    a product with the splitting matrices of the incoming weights
    both        of incoming and outgoing weights
    cached      the same on a batch that has been linearized before
    measuring   what real splits would come to, along given directions

Peak memory is that of further processes, each with one job and four times the batch,
above the idle model's, and in units of the training's.

    python benchmarks/estimates/estimator_cost.py [--networks cifar_v1] [--repeats 15]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from shared import Runs, in_a_process, parser_of, print_table

from tf_splitting import models, trace
from tf_splitting.data import Batch, Sample
from tf_splitting.estimating import DEFAULT_STEP, SplittingProblem

CLASSES = 10
# Name: (model, keyword arguments, pixels, batch size).
NETWORKS = {
    "cifar_v1": ("mobilenet_v1", {"widths": "cifar_seed"}, 32, 64),
    "v1_96": ("mobilenet_v1", {"widths": "seed"}, 96, 32),
    "v1_224": ("mobilenet_v1", {"widths": "seed"}, 224, 16),
    "v2_96": ("mobilenet_v2", {"widths": "seed"}, 96, 32),
    "v2_224": ("mobilenet_v2", {"widths": "seed"}, 224, 16),
}
JOBS = ("training", "incoming", "both", "cached", "measuring")
SMALL = ("training", "incoming", "both", "measuring")  # what memory is measured of
MEMORY_BATCH = 4  # times that of the timing


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "estimator_cost.jsonl")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--child", choices=("time", *JOBS), help=argparse.SUPPRESS)
    return parser.parse_args()


def model_and_batch(network: str, times: int = 1) -> tuple[keras.Model, Batch]:
    """A compiled network, and a random batch, so many times as large as usual."""
    name, options, pixels, size = NETWORKS[network]
    size *= times
    model = models.build(
        name, input_shape=(pixels, pixels, 3), classes=CLASSES, **options
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1e-4), loss)
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 255, (size, pixels, pixels, 3)).astype("float32")
    return model, Batch(x, generator.integers(0, CLASSES, size))


def jobs(network: str, times: int = 1) -> dict[str, Callable[[], Any]]:
    """One training step, and one product of each kind, on the same batch."""
    model, batch = model_and_batch(network, times)
    graph, sample = trace(model), Sample((batch,))

    def problem(outgoing: bool, cache: bool = False) -> SplittingProblem:
        return SplittingProblem(
            model,
            graph,
            sample,
            epsilon=DEFAULT_STEP,
            outgoing=outgoing,
            cache_limit=2**40 if cache else 0,
        )

    def product(outgoing: bool, cache: bool = False) -> Callable[[], Any]:
        made = problem(outgoing, cache)
        direction = made.neurons.random(np.random.default_rng(1))
        return lambda: made.product(direction)

    def measuring() -> Callable[[], Any]:
        made = problem(outgoing=True)
        direction = made.neurons.random(np.random.default_rng(1))
        return lambda: made.curvatures(direction)

    return {
        "training": lambda: model.train_on_batch(batch.x, batch.y),
        "incoming": product(outgoing=False),
        "both": product(outgoing=True),
        "cached": product(outgoing=True, cache=True),
        "measuring": measuring(),
    }


def peak() -> float:
    """Largest resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_child(network: str, child: str, repeats: int) -> dict[str, float]:
    """In a process of its own: median seconds of all jobs, or one job's memory."""
    runs = jobs(network, 1 if child == "time" else MEMORY_BATCH)
    if child != "time":
        idle = peak()
        for _ in range(3):
            runs[child]()
        return {"memory": peak() - idle}
    first = {}
    for name, run in runs.items():
        start = time.perf_counter()
        run()
        first[f"first {name}"] = time.perf_counter() - start
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {**first, **{name: statistics.median(t) for name, t in taken.items()}}


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
        *(f"{result[job] / training:.2f}" for job in JOBS[1:]),
        *(f"{memory[job] / memory['training']:.2f}" for job in SMALL[1:]),
        f"{result['first both'] - result['both']:.1f}",
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
            *JOBS[1:],
            *(f"memory, {job}" for job in SMALL[1:]),
            "compiling, s",
        )
    ]
    for network in arguments.networks:
        result: dict[str, Any] = call_child(network, "time", arguments.repeats)
        result["memory"] = {
            job: call_child(network, job, arguments.repeats)["memory"] for job in SMALL
        }
        runs.add({"network": network, **result})
        rows.append(row(network, result))
        print_table([rows[0], rows[-1]])
    print_table(rows, "All networks")


if __name__ == "__main__":
    main()
