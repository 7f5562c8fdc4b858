"""What does a round cost besides training?

One round of two jobs, taken apart: tracing, estimating (and how many passes and images
that took), selecting, rebuilding (with the check of the function), and what the first
training step of the grown model takes longer than the others. Each as seconds and as a
share of the round: the README's main job (MobileNetV2 at 224 pixels, one epoch of 1,000
images), and CIFAR-100 (MobileNetV1 at 32 pixels, 10 epochs of 50,000 images, of which
one is run and counted ten times).

    python benchmarks/growing/round_overhead.py --data_dir=DIR [--jobs cifar100 main]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
from shared import Runs, parser_of, print_table

from tf_splitting import Rayleigh, count_macs, data, models, trace
from tf_splitting.data import draw_sample
from tf_splitting.growing import MEASURED, build_at
from tf_splitting.methods import Round, Splitting
from tf_splitting.rebuilding import Splitting as Rebuilding
from tf_splitting.training import measure, reestimate_batch_statistics


class Job(NamedTuple):
    """What a job does in a round; `images` to train on, None for all."""

    model: str
    widths: str
    data: str
    pixels: int
    batch_size: int
    epochs: int
    images: int | None
    sample_size: int
    passes: int


JOBS = {
    "cifar100": Job(
        "mobilenet_v1", "cifar_seed", "cifar100", 32, 64, 10, None, 8192, 8
    ),
    "main": Job(
        "mobilenet_v2", "seed", "fashion_mnist_small", 224, 32, 1, 1000, 192, 4
    ),
}


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "round_overhead.jsonl")
    parser.add_argument("--data_dir", help="directory of CIFAR-100 in TFDS format")
    parser.add_argument("--jobs", nargs="+", default=JOBS, choices=JOBS)
    parser.add_argument("--growth", type=float, default=2.0, help="of MACs")
    return parser.parse_args()


class Clock:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        self.seconds[name] = time.perf_counter() - start
        return result


class StepTimes(keras.callbacks.Callback):
    """When every training step ended."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.ends = [time.perf_counter()]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.ends.append(time.perf_counter())

    @property
    def compiling(self) -> float:
        """What the first step took longer than the others."""
        steps = [b - a for a, b in zip(self.ends, self.ends[1:], strict=False)]
        return steps[0] - sum(steps[1:]) / len(steps[1:])


def run(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    job = JOBS[name]
    images = data.load(
        job.data,
        data_dir=arguments.data_dir,
        image_size=job.pixels,
        batch_size=job.batch_size,
        train_limit=job.images,
    )
    keras.utils.set_random_seed(0)
    model = models.build(
        job.model,
        input_shape=(job.pixels, job.pixels, 3),
        classes=images.classes,
        widths=job.widths,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    clock = Clock()
    clock("epoch", lambda: model.fit(images.train, verbose=2))
    sample = clock("sampling", lambda: draw_sample(images.train, size=job.sample_size))
    measured = sample.part(0, MEASURED)

    def statistics() -> float:
        reestimate_batch_statistics(model, measured)
        return measure(model, measured)["loss"]

    before = clock("statistics", statistics)
    graph = clock("tracing", lambda: trace(model))
    selection = {"target_macs": arguments.growth * count_macs(model)}
    context = Round(model, graph, sample, selection, seed=0, verbose=1)
    # Selecting is part of it: plans decide when the sample is large enough.
    method = Splitting(Rayleigh(passes=job.passes))
    proposal = clock("estimating", lambda: method.propose(context))

    def rebuild() -> keras.Model:
        splitting = Rebuilding(
            model, proposal.plan, scores=proposal.scores, verify=measured.batches[0].x
        )
        return build_at(splitting, 0.1, measured, before)[0]

    grown = clock("rebuilding", rebuild)
    times = StepTimes()
    grown.fit(images.train.take(20), callbacks=[times], verbose=0)
    clock.seconds["compiling"] = times.compiling
    training = job.epochs * clock.seconds.pop("epoch")
    return {
        "job": name,
        "training": training,
        "seconds": clock.seconds,
        "examples": proposal.scores.examples,
        "passes": proposal.scores.passes,
        "neurons": len(proposal.plan),
    }


def table(results: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    names = list(results[0]["seconds"])
    rows = [("job", "training, s", *names, "all", "share", "images", "passes")]
    for result in results:
        total = sum(result["seconds"].values())
        rows.append(
            (
                result["job"],
                f"{result['training']:.0f}",
                *(f"{result['seconds'][name]:.1f}" for name in names),
                f"{total:.1f}",
                f"{100 * total / (total + result['training']):.1f} %",
                str(result["examples"]),
                str(result["passes"]),
            )
        )
    return rows


def main() -> None:
    arguments = parse()
    runs, results = Runs(arguments.output), []
    for job in arguments.jobs:
        results.append(runs.add(run(job, arguments)))
        print_table(table(results))


if __name__ == "__main__":
    main()
