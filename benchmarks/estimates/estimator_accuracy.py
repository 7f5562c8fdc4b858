"""How near do the fast solvers come to the splitting index, pass by pass?

Takes small networks trained on CIFAR-100, finds the minimum eigenpair of every
neuron's splitting matrix on a fixed sample, and compares what each solver finds with
the same number of image evaluations: relative error of λ, |cosine| between the
directions, rank correlation; each over all neurons of which the index is not zero.

Both solvers evaluate every image once a pass, and `rmsprop` needs a last pass that
measures what it has found: `lobpcg` with k passes meets `rmsprop` with k - 1.

The reference is `Exact`, or, where a neuron has more weights than that, `Rayleigh`
with --reference_passes; its residuals |Sv - λv|, relative to |λ|, are in the output.

    python benchmarks/estimates/estimator_accuracy.py --data_dir=DIR [--networks v2]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from networks import add_flags, trained
from shared import Runs, parser_of, print_table

from tf_splitting import trace
from tf_splitting.data import draw_sample
from tf_splitting.estimating import (
    DEFAULT_STEP,
    Eigenpairs,
    Exact,
    Rayleigh,
    SplittingProblem,
)
from tf_splitting.tracing import Neurons

# Passes beyond those that an estimator is told to take.
SOLVERS = {"lobpcg": 0, "rmsprop": 1}
NEGLIGIBLE = 1e-4  # of the largest |λ|


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "estimator_accuracy.jsonl")
    add_flags(parser)
    parser.add_argument("--sample_size", type=int, default=2000)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6, 8])
    parser.add_argument("--reference_passes", type=int, default=50)
    parser.add_argument("--outgoing", action="store_true")
    return parser.parse_args()


def make_problem(name: str, arguments: argparse.Namespace) -> SplittingProblem:
    model, images = trained(name, arguments)
    sample = draw_sample(
        images.epoch_dataset(0),
        size=arguments.sample_size,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
    )
    return SplittingProblem(
        model,
        trace(model),
        sample,
        epsilon=DEFAULT_STEP,
        outgoing=arguments.outgoing,
    )


def reference(
    problem: SplittingProblem, arguments: argparse.Namespace
) -> tuple[Exact | Rayleigh, Eigenpairs]:
    """The cheaper of the exact solution and a converged one."""
    solver: Exact | Rayleigh = Exact(outgoing=arguments.outgoing)
    if solver.products(problem) > arguments.reference_passes * problem.batches:
        solver = Rayleigh(
            passes=arguments.reference_passes,
            tolerance=0,
            outgoing=arguments.outgoing,
        )
    return solver, solver.solve(problem, seed=arguments.seed)


def not_zero(exact: Eigenpairs) -> np.ndarray:
    return np.abs(exact.values) > NEGLIGIBLE * np.abs(exact.values).max()


def compare(neurons: Neurons, exact: Eigenpairs, found: Eigenpairs) -> dict[str, float]:
    there = not_zero(exact)
    a, b = found.values[there], exact.values[there]
    cosine = np.abs(neurons.inner(found.vectors, exact.vectors))[there]
    return {
        "error": float(np.median(np.abs(a - b) / np.abs(b))),
        "cosine": float(np.median(cosine)),
        "rank": spearman(a, b),
    }


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    arguments = parse()
    runs = Runs(arguments.output)
    columns = ("network", "solver", "image evaluations")
    rows = [(*columns, "median error", "median |cos|", "Spearman")]
    for name in arguments.networks:
        problem = make_problem(name, arguments)
        solver, exact = reference(problem, arguments)
        there = not_zero(exact)
        residual = float(np.max((exact.residuals / np.abs(exact.values))[there]))
        print(
            f"{name}: {there.sum()} of {len(there)} indices are not zero; {solver!r} "
            f"has residuals up to {residual:.2g} |λ|",
            flush=True,
        )
        for passes in arguments.passes:
            for method, extra in SOLVERS.items():
                if passes <= extra:
                    continue
                settings = Rayleigh(
                    solver=method,
                    passes=passes - extra,
                    tolerance=0,
                    outgoing=arguments.outgoing,
                )
                evaluations = (
                    settings.products(problem) * problem.sample.size // problem.batches
                )
                found = settings.solve(problem, seed=arguments.seed + 1)
                entry = runs.add(
                    {
                        "network": name,
                        "solver": method,
                        "passes": passes,
                        "evaluations": evaluations,
                        "outgoing": arguments.outgoing,
                        **compare(problem.neurons, exact, found),
                        "neurons": int(there.sum()),
                        "reference": repr(solver),
                        "reference_residual": residual,
                    }
                )
                figures = [entry[key] for key in ("error", "cosine", "rank")]
                rows.append(
                    (name, method, str(evaluations), *(f"{v:.3g}" for v in figures))
                )
                print_table([rows[0], rows[-1]])
    print_table(rows, "All networks")


if __name__ == "__main__":
    main()
