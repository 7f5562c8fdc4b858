"""What does scoring candidates cost, in training steps of the widened model?

Scoring takes one pass for the gradient at outgoing weights, and one forward pass for
the candidates' batch statistics. Each is timed over many batches and over one, so that
what is compiled cancels; a training step is timed on the same batches, in turns.

    python benchmarks/estimates/scoring_cost.py [--networks cifar_v1] [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from estimator_cost import NETWORKS, model_and_batch
from shared import Runs, parser_of, print_table

from tf_splitting import trace
from tf_splitting.data import Sample
from tf_splitting.estimating import outgoing_gradients
from tf_splitting.training import reestimate_batch_statistics

BATCHES = 9


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "scoring_cost.jsonl")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(network: str, repeats: int) -> dict[str, float]:
    """Medians of a training step, a gradient pass and a forward pass, per batch."""
    model, batch = model_and_batch(network)
    graph, x, y = trace(model), batch.x, batch.y
    many, one = Sample((batch,) * BATCHES), Sample((batch,))
    model.train_on_batch(x, y)
    taken: dict[str, list[float]] = {"training": [], "gradient": [], "statistics": []}

    def per_batch(run: Callable[[Sample], object]) -> float:
        return (seconds(lambda: run(many)) - seconds(lambda: run(one))) / (BATCHES - 1)

    for _ in range(repeats):
        steps = [seconds(lambda: model.train_on_batch(x, y)) for _ in range(BATCHES)]
        taken["training"].append(statistics.median(steps))
        taken["gradient"].append(
            per_batch(lambda s: outgoing_gradients(model, graph, s))
        )
        taken["statistics"].append(
            per_batch(lambda s: reestimate_batch_statistics(model, s))
        )
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    arguments = parse()
    runs = Runs(arguments.output)
    rows = [
        ("network", "pixels", "training step, ms", "gradient", "statistics", "both")
    ]
    for network in arguments.networks:
        result = runs.add({"network": network, **measure(network, arguments.repeats)})
        shares = [result[k] / result["training"] for k in ("gradient", "statistics")]
        rows.append(
            (
                network,
                f"{NETWORKS[network][2]}",
                f"{1000 * result['training']:.0f}",
                *(f"{share:.2f}" for share in (*shares, sum(shares))),
            )
        )
    print_table(rows)


if __name__ == "__main__":
    main()
