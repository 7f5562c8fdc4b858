"""What does growing give that scaling by width does not? Fair comparisons, CIFAR-100.

Every arm gets the same training compute (multiply-accumulates times images, estimates
included) and its own best learning rate, found on 5,000 training images held out. Test
images are looked at in the tables alone.

    python benchmarks/growing/fair_comparisons.py --data_dir=DIR [--studies short ...]

`DIR` holds CIFAR-100 in TFDS format (or pass --download). Runs are appended to a
JSON-lines file as soon as they are done, and those in the file are not repeated.
Started twice, the two processes share the runs, one thread each; `--tables` prints
what is there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fair.arms import Arm, Results
from fair.claims import Claims
from fair.runs import Spec
from fair.studies import PANELS, STUDIES, WORTH
from shared import Runs, parser_of, print_table

# Seconds between looks at what other processes have done.
PATIENCE = 10


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "fair_comparisons.jsonl")
    parser.add_argument("--data_dir", help="directory of CIFAR-100 in TFDS format")
    parser.add_argument("--download", action="store_true")
    studies = [*STUDIES, *WORTH]
    parser.add_argument("--studies", nargs="+", default=studies, choices=studies)
    parser.add_argument("--tables", action="store_true", help="print what is there")
    parser.add_argument("--picture", help="PNG file to draw accuracy by compute to")
    parser.add_argument("--threads", type=int, default=1, help="of this process")
    return parser.parse_args()


def read(path: Path) -> Results:
    """The runs that are there, by specification."""
    return {Spec(**run["spec"]).key: run for run in Runs(path)}


def arms_of(study: str) -> list[Arm]:
    """Those whose runs a study needs."""
    return WORTH[study][0] if study in WORTH else STUDIES[study]


def work(arguments: argparse.Namespace) -> None:
    """Makes the runs that are missing, with whoever else does."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    from fair.images import Cifar
    from fair.runs import measure

    cifar = Cifar(arguments.data_dir, arguments.download)
    path = Path(arguments.output)
    claims = Claims(path.with_suffix(".claims"))

    def missing() -> Iterator[Spec]:
        results = read(path)
        for study in arguments.studies:
            for arm in arms_of(study):
                yield from (
                    spec for spec in arm.runs(results) if spec.key not in results
                )

    def make_one() -> bool | None:
        """Whether a run was made; None where nothing is missing."""
        found = None
        for spec in missing():
            found = False
            with claims.claimed(spec.key) as mine:
                # Another process may have made it while this one was looking.
                if mine and spec.key not in read(path):
                    run = Runs(path).add(measure(spec, cifar))
                    print(
                        f"{spec.told}: held out {run['held_out']['loss']:.3f}, "
                        f"{run['held_out']['accuracy']:.2%}; {run['seconds']:.0f} s",
                        flush=True,
                    )
                    return True
        return found

    while (made := make_one()) is not None:
        if not made:
            time.sleep(PATIENCE)


def main() -> None:
    arguments = parse()
    if not (arguments.tables or arguments.picture):
        work(arguments)
    from fair.picture import draw
    from fair.tables import compute_alone, table, worth_table

    results = read(arguments.output)
    for study in arguments.studies:
        rows = (
            worth_table(*WORTH[study], results)
            if study in WORTH
            else table(STUDIES[study], results)
        )
        print_table(rows, study)
        if study in STUDIES and (told := compute_alone(STUDIES[study], results)):
            print(f"The member: {told}.")
    if arguments.picture:
        draw(PANELS, results, Path(arguments.picture))


if __name__ == "__main__":
    main()
