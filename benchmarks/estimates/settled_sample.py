"""How many images does a plan need? And is it the plan of all of them?

For trained networks: the splitting method as `grow` runs it, its sample growing until
the plan stays, against the plan of one estimate on all the training images. Agreement
is the share of neurons that both plans split; worth is what the first plan gains by the
scores of all images, as a share of what the second one does.

    python benchmarks/estimates/settled_sample.py --data_dir=DIR [--networks v2]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from networks import add_flags, trained
from shared import Runs, parser_of, print_table

from tf_splitting import Rayleigh, SplitPlan, SplittingScores, count_macs, select, trace
from tf_splitting.data import draw_sample
from tf_splitting.estimating import Estimation
from tf_splitting.methods import Round, Splitting, agreement


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "settled_sample.jsonl")
    add_flags(parser)
    parser.add_argument("--sample_size", type=int, default=8192)
    parser.add_argument("--growth", type=float, default=1.5, help="of MACs")
    return parser.parse_args()


def run(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    model, images = trained(name, arguments)
    everything = draw_sample(
        images.epoch_dataset(0), size=arguments.images, seed=arguments.seed
    )
    graph = trace(model)
    selection = {"target_macs": arguments.growth * count_macs(model)}
    sample = everything.part(0, arguments.sample_size)
    context = Round(model, graph, sample, selection, arguments.seed, verbose=1)
    start = time.perf_counter()
    settled = Splitting().propose(context)
    middle = time.perf_counter()
    estimation = Estimation(model, graph, everything, estimator=Rayleigh())
    scores = estimation.scores(everything, arguments.seed + 1)
    plan = select(scores, graph, **selection)
    return {
        "network": name,
        "images": settled.scores.examples,
        "passes": settled.scores.passes,
        "neurons": len(settled.plan),
        "agreement": agreement(settled.plan, plan),
        "worth": gained(settled.plan, scores) / gained(plan, scores),
        "seconds": [middle - start, time.perf_counter() - middle],
        "all_images": everything.size,
    }


def gained(plan: SplitPlan, scores: SplittingScores) -> float:
    """Sum of the gains that the scores predict for a plan."""
    return sum(scores[s].gain[i].sum() for s, i in plan.splits.items())


def main() -> None:
    arguments = parse()
    runs = Runs(arguments.output)
    rows = [
        ("network", "images", "passes", "neurons split", "as with all images", "worth")
    ]
    for name in arguments.networks:
        result = runs.add(run(name, arguments))
        rows.append(
            (
                name,
                str(result["images"]),
                str(result["passes"]),
                str(result["neurons"]),
                f"{100 * result['agreement']:.1f} %",
                f"{result['worth']:.3f}",
            )
        )
        print_table(rows)


if __name__ == "__main__":
    main()
