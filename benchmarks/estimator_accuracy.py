"""How near do the fast solvers come to the exact splitting index, pass by pass?

Trains a small network on CIFAR-100, finds the exact minimum eigenpair of every
neuron's splitting matrix on a fixed sample, and compares what each solver finds after
every number of passes over the same sample: relative error of λ, |cosine| between the
directions, rank correlation; each over all neurons of which the index is not zero.

    python benchmarks/estimator_accuracy.py --data_dir=DIR [--networks v1 v2]
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tf_splitting import data, models, trace
from tf_splitting.estimation import DEFAULT_STEP
from tf_splitting.estimators import Exact, Rayleigh, SplittingProblem
from tf_splitting.graph import format_table
from tf_splitting.sampling import draw_sample

NETWORKS = {
    "v1": ("mobilenet_v1", {"widths": "cifar_seed"}),
    "v2": ("mobilenet_v2", {"widths": "seed", "width_multiplier": 0.5}),
}
# The paper's procedure takes one step for each batch.
SOLVERS = ("lobpcg", "rmsprop")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="directory of CIFAR-100 in TFDS format")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--images", type=int, default=10_000, help="to train on")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--sample_size", type=int, default=2000)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 8])
    parser.add_argument("--outgoing", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--output", default="benchmarks/results/estimator_accuracy.jsonl"
    )
    return parser.parse_args()


def trained(name: str, images: data.ImageData, arguments: argparse.Namespace) -> Any:
    keras.utils.set_random_seed(arguments.seed)
    builder, options = NETWORKS[name]
    model = models.build(
        builder, input_shape=(32, 32, 3), classes=images.classes, **options
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    model.fit(images.train, epochs=arguments.epochs, verbose=2)
    return model


def compare(neurons: Any, exact: Any, found: Any) -> dict[str, float]:
    scale = np.abs(exact.values).max()
    there = np.abs(exact.values) > 1e-4 * scale
    error = np.abs(found.values - exact.values)[there] / np.abs(exact.values[there])
    cosine = np.abs(neurons.inner(found.vectors, exact.vectors))[there]
    return {
        "error": float(np.median(error)),
        "cosine": float(np.median(cosine)),
        "rank": spearman(found.values, exact.values),
    }


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    arguments = parse()
    images = data.load(
        "cifar100",
        data_dir=arguments.data_dir,
        train_limit=arguments.images,
        test_limit=100,
    )
    rows = [("network", "solver", "passes", "median error", "median |cos|", "Spearman")]
    for name in arguments.networks:
        model = trained(name, images, arguments)
        graph = trace(model)
        sample = draw_sample(
            images.train,
            size=arguments.sample_size,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
        )
        problem = SplittingProblem(
            model,
            graph,
            sample,
            epsilon=DEFAULT_STEP,
            outgoing=arguments.outgoing,
        )
        exact = Exact(outgoing=arguments.outgoing).solve(problem, seed=0)
        for solver in SOLVERS:
            for passes in arguments.passes:
                settings = Rayleigh(solver=solver, passes=passes, tolerance=0)
                found = settings.solve(problem, seed=arguments.seed + 1)
                result = compare(problem.neurons, exact, found)
                with open(arguments.output, "a") as file:
                    entry = {"network": name, "solver": solver, "passes": passes}
                    file.write(json.dumps({**entry, **result}) + "\n")
                rows.append(
                    (name, solver, str(passes), *(f"{v:.3g}" for v in result.values()))
                )
                print(format_table([rows[0], rows[-1]]), flush=True)
    print(f"\n{format_table(rows)}")


if __name__ == "__main__":
    main()
