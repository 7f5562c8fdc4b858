"""What do training and splitting products cost on a GPU or TPU? Is λ right there?

For each network and batch size: a training step (forward, backward, Adam) in float32
and mixed bfloat16, and the product with the splitting matrices of all neurons, of
incoming weights and of both sides. Estimates run in float32 whatever the model trains
in, and so do the products in the rows of bfloat16. Steps follow each other without
waiting, data and weights on the device; jobs of one batch take turns. "Through the
toolkit" is the product as estimates take it, with the batch sent, the results fetched
and added up. Memory is what a program takes at once, arguments and results included.
FLOP counts 2 for each MAC and three passes for training; "XLA" is the compiler's own
count, of which the share of the device's peak of a product is taken.

λ of the CIFAR network is estimated on the device and on the CPU, at the precision that
JAX computes with by default, which may round float32 (TF32 on GPUs, bfloat16 on TPUs),
and at the highest.

    python benchmarks/devices/accelerator.py [--quick] [--rows v1-128-float32 lambda]

JAX only; takes eight minutes at most. Rows for which no time was left are named.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

if os.environ.setdefault("KERAS_BACKEND", "jax") != "jax":
    sys.exit(
        f"accelerator.py: KERAS_BACKEND is {os.environ['KERAS_BACKEND']!r}; this "
        "benchmark measures the JAX backend only. Set it to 'jax', or unset it."
    )

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from accelerator_jobs import MARK
from shared import Runs, parser_of, print_table

JOBS = Path(__file__).with_name("accelerator_jobs.py")
LAMBDA = "lambda"
PRECISIONS = ("float32", "bfloat16")
PRODUCTS = ("incoming", "both")
HIGHEST = "both, highest precision"
THROUGH = "both, through the toolkit"
TRAINING_PASSES = 3  # forward, and backward to activations and to weights
GRACE = 15  # seconds past the deadline before a job is killed
REFERENCE_SHARE = 0.25  # of the time, for λ on the CPU
OUT_OF_TIME = "no time left"


class Network(NamedTuple):
    """`highest`: also take products at the highest precision, to compare."""

    model: str
    widths: str
    pixels: int
    classes: int
    batch: int
    highest: bool = False


CIFAR = Network("mobilenet_v1", "cifar_seed", 32, 100, 512)
# In the order of importance: what time is left for is measured.
NETWORKS = {
    "v1-128": Network("mobilenet_v1", "full", 224, 1000, 128, highest=True),
    "v2-128": Network("mobilenet_v2", "full", 224, 1000, 128),
    "cifar-512": CIFAR,
    "v1-256": Network("mobilenet_v1", "full", 224, 1000, 256),
    "v2-256": Network("mobilenet_v2", "full", 224, 1000, 256),
}
QUICK = {
    "cifar-16": CIFAR._replace(batch=16),
    "v1-8": Network("mobilenet_v1", "seed", 64, 1000, 8, highest=True),
    "v2-8": Network("mobilenet_v2", "seed", 64, 1000, 8),
}


class Peak(NamedTuple):
    """FLOP/s without sparsity; None: the device does not compute in that format."""

    float32: float
    tf32: float | None
    bfloat16: float | None


# By the name that JAX gives a device. From the makers' data sheets; a product with
# structured sparsity, which they quote too, is twice as fast.
PEAKS = {
    r"NVIDIA H100 80GB HBM3|NVIDIA H200": Peak(66.9e12, 494.7e12, 989.4e12),
    r"NVIDIA H100 PCIe": Peak(51.2e12, 378e12, 756e12),
    r"NVIDIA A100-.*GB|NVIDIA A100 80GB PCIe": Peak(19.5e12, 156e12, 312e12),
    r"Tesla V100-SXM2-.*GB": Peak(15.7e12, None, None),
    r"Tesla V100-PCIE-.*GB": Peak(14e12, None, None),
    r"Tesla T4": Peak(8.1e12, None, None),
    r"NVIDIA L4": Peak(30.3e12, 60.5e12, 121e12),
}
# TPUs multiply bfloat16 only: float32 in one pass by default, in six at the highest
# precision. A TPU v2 or v3 is two devices, and not here.
TPU_PEAKS = {
    r"TPU v4": 275e12,
    r"TPU v5 lite|TPU v5e": 197e12,
    r"TPU v5|TPU v5p": 459e12,
    r"TPU v6 lite|TPU v6e": 918e12,
}
TPU_PASSES = 6


def peak_of(device: str, precision: str, highest: bool) -> tuple[float | None, str]:
    """FLOP/s that a device can do at most, and in which format; None if not known.

    Args:
        device: its name.
        precision: "float32" or "bfloat16".
        highest: whether float32 is not to be rounded before it is multiplied.
    """
    for name, rate in TPU_PEAKS.items():
        if re.fullmatch(name, device):
            if precision == "float32" and highest:
                return rate / TPU_PASSES, f"{TPU_PASSES} passes in bfloat16"
            return rate, "bfloat16"
    for name, peak in PEAKS.items():
        if re.fullmatch(name, device):
            if precision == "bfloat16":
                return peak.bfloat16, "bfloat16"
            if peak.tf32 is not None and not highest:
                return peak.tf32, "TF32"
            return peak.float32, "float32"
    return None, "unknown device"


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "accelerator.jsonl")
    parser.add_argument("--quick", action="store_true", help="sizes for a CPU")
    parser.add_argument("--rows", nargs="+", help="default: all")
    parser.add_argument("--seconds", type=float, default=3.0, help="to time each job")
    parser.add_argument(
        "--total_seconds", type=float, default=450.0, help="for everything"
    )
    arguments = parser.parse_args()
    networks = QUICK if arguments.quick else NETWORKS
    names = [LAMBDA, *(f"{name}-{p}" for name in networks for p in PRECISIONS)]
    arguments.rows = arguments.rows or names
    if unknown := [row for row in arguments.rows if row not in names]:
        parser.error(
            f"--rows: got {' '.join(unknown)}; expected some of {' '.join(names)}"
        )
    return arguments


def groups_of(networks: dict[str, Network], rows: list[str]) -> list[dict[str, Any]]:
    """Settings of each batch of which a row is wanted."""
    groups = []
    for name, network in networks.items():
        precisions = [p for p in PRECISIONS if f"{name}-{p}" in rows]
        if precisions:
            groups.append({**settings_of(network, name), "precisions": precisions})
    return groups


def settings_of(network: Network, name: str) -> dict[str, Any]:
    return {
        "name": name,
        **network._asdict(),
        "options": {"widths": network.widths},
        "products": [*PRODUCTS, *([HIGHEST] if network.highest else [])],
    }


class Run:
    """What the processes of one run have told.

    Attributes:
        environment: device and versions.
        compared: λ against the CPU's, or why not.
        groups: what is known of each batch, by its name.
    """

    def __init__(self, deadline: float, seconds: float, folder: Path) -> None:
        self.environment: dict[str, Any] = {}
        self.compared: dict[str, Any] | None = None
        self.groups: dict[str, dict[str, Any]] = {}
        self._deadline = deadline
        self._seconds = seconds
        self._reference = folder / "reference.npz"

    def measure(self, groups: list[dict[str, Any]], compare: bool) -> None:
        """Measures all of it, as far as time goes.

        A process that ends before its time is followed by another, which goes on
        behind what the first was at.
        """
        compare = compare and self._reference_made()
        left = list(groups)
        while (left or compare) and time.time() < self._deadline:
            settings = {
                "groups": left,
                "reference": str(self._reference) if compare else None,
                "lambda": settings_of(CIFAR, LAMBDA),
                "seconds": self._seconds,
                "deadline": self._deadline,
            }
            code = self._process("measure", settings, self._deadline)
            left = [g for g in left if not self.groups.get(g["name"], {}).get("done")]
            if code == 0 or time.time() > self._deadline:
                break
            error = {"error": f"its process ended with code {code}"}
            if compare and self.compared is None:
                self.compared = error
            elif left:
                self._blame(left.pop(0), error)
            compare = False
        if compare and self.compared is None:
            self.compared = {"skipped": OUT_OF_TIME}

    def jobs(self, group: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """What is known of each job of a batch, or why it is not."""
        told = self.groups.get(group["name"], {}).get("jobs", {})
        found = {}
        training = (f"training {precision}" for precision in group["precisions"])
        for name in (*training, *group["products"], THROUGH):
            found[name] = dict(told.get(name, {}))
            if not found[name].keys() & {"seconds", "error", "skipped"}:
                found[name]["skipped"] = OUT_OF_TIME
        return found

    def _blame(self, group: dict[str, Any], error: dict[str, Any]) -> None:
        jobs = self.groups.setdefault(group["name"], {}).setdefault("jobs", {})
        for name in self.jobs(group):
            jobs[name] = {**jobs.get(name, {}), **error}

    def _reference_made(self) -> bool:
        settings = {
            "lambda": settings_of(CIFAR, LAMBDA),
            "reference": str(self._reference),
        }
        left = self._deadline - time.time()
        code = self._process(
            "reference",
            settings,
            time.time() + REFERENCE_SHARE * left,
            {**os.environ, "JAX_PLATFORMS": "cpu"},
        )
        if code != 0:
            self.compared = {"error": f"λ on the CPU: its process ended with {code}"}
        return code == 0

    def _process(
        self,
        command: str,
        settings: dict[str, Any],
        deadline: float,
        environment: dict[str, str] | None = None,
    ) -> int:
        process = subprocess.Popen(
            [sys.executable, str(JOBS), command, json.dumps(settings)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        limit = max(0.0, deadline + GRACE - time.time())
        with ending(process, limit):
            for line in process.stdout:
                if line.startswith(MARK):
                    self._note(json.loads(line.removeprefix(MARK)))
                else:
                    print(line, end="", file=sys.stderr)
            return process.wait()

    def _note(self, told: dict[str, Any]) -> None:
        if "group" in told:
            self.groups[told["group"]] = told
            name, job = list(told["jobs"].items())[-1]
            state = "timed" if "done" in told else f"{name}: {progress_of(job)}"
            print(f"{told['group']}: {state}", file=sys.stderr, flush=True)
        self.environment = told.get("environment", self.environment)
        self.compared = told.get(LAMBDA, self.compared)


@contextmanager
def ending(process: subprocess.Popen[str], limit: float) -> Iterator[None]:
    """Kills a process after so many seconds, and when the block is left."""
    timer = threading.Timer(limit, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()
        process.wait()


def progress_of(job: dict[str, Any]) -> str:
    if "compile_seconds" in job:
        return f"compiled in {job['compile_seconds']:.0f} s"
    return job.get("error") or job["skipped"]


def rows_of(run: Run, group: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one batch: training in one precision, and the products."""
    jobs, told = run.jobs(group), run.groups.get(group["name"], {})
    known = ("macs", "params", "device_peak_bytes_so_far")
    device = run.environment.get("device", "")
    common = {"batch": group["batch"], "device": device}
    rows = []
    for precision in group["precisions"]:
        training = jobs[f"training {precision}"]
        figures = {
            "training": figures_of(
                training, training, **common, macs=told.get("macs"), precision=precision
            ),
            **{
                name: figures_of(jobs[name], training, **common)
                for name in (*group["products"], THROUGH)
            },
        }
        rows.append(
            {
                "row": f"{group['name']}-{precision}",
                **{key: group[key] for key in ("model", "widths", "pixels", "batch")},
                "precision": precision,
                "products_in": "float32",
                **{key: told.get(key) for key in known},
                "jobs": figures,
            }
        )
    return rows


def figures_of(
    job: dict[str, Any],
    training: dict[str, Any],
    *,
    batch: int,
    device: str,
    macs: int | None = None,
    precision: str = "float32",
) -> dict[str, Any]:
    """A job's measurements and what follows from them.

    Args:
        job, training: what was measured of it, and of training in the same row.
        batch: number of images.
        device: its name.
        macs: of training, for one image, if that is the job.
        precision: that it computes in.
    """
    found = dict(job)
    if "memory_bytes" in job and "memory_bytes" in training:
        found["memory_of_training"] = job["memory_bytes"] / training["memory_bytes"]
    if macs is not None:
        found["flops"] = TRAINING_PASSES * 2 * macs * batch
    if "seconds" not in job:
        return found
    seconds = job["seconds"]
    found["images_per_second"] = batch / seconds
    if "seconds" in training:
        found["of_training"] = seconds / training["seconds"]
    flops = found.get("flops", job.get("xla_flops"))
    if flops is not None:
        rate, found["peak_in"] = peak_of(device, precision, job["highest_precision"])
        found["of_peak"] = None if rate is None else flops / seconds / rate
    return found


def table(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    lines = [
        (
            "row",
            "job",
            "ms",
            "of training",
            "images/s",
            "MB",
            "of training",
            "GFLOP",
            "GFLOP, XLA",
            "of peak",
            "compiling, s",
        )
    ]
    for row in rows:
        for name, job in row["jobs"].items():
            told = job.get("error") or job.get("skipped")
            product = name != "training"
            lines.append(
                (
                    "" if product else row["row"],
                    f"{name} (float32)" if product else name,
                    told or shown(job, "seconds", "{:.2f}", 1e3),
                    shown(job, "of_training", "{:.2f}") if product else "",
                    shown(job, "images_per_second", "{:.0f}"),
                    shown(job, "memory_bytes", "{:.0f}", 1e-6),
                    shown(job, "memory_of_training", "{:.2f}") if product else "",
                    shown(job, "flops", "{:.4g}", 1e-9),
                    shown(job, "xla_flops", "{:.4g}", 1e-9),
                    shown(job, "of_peak", "{:.1f} % of ", 100) + job.get("peak_in", "")
                    if job.get("of_peak") is not None
                    else "",
                    shown(job, "compile_seconds", "{:.1f}"),
                )
            )
    return lines


def shown(job: dict[str, Any], key: str, form: str, factor: float = 1.0) -> str:
    value = job.get(key)
    return "" if value is None else form.format(factor * value)


def lambda_table(compared: dict[str, Any]) -> list[tuple[str, ...]]:
    kinds = {
        "lambda": "λ, own directions",
        "lambda_same_directions": "λ, the CPU's directions",
        "products": "products with the CPU's directions",
    }
    lines = [("against the CPU, relative", "precision", "largest", "median")]
    for key, words in kinds.items():
        for precision in ("default", "highest"):
            found = compared[precision][key]
            largest, median = (f"{found[k]:.2g}" for k in ("largest", "median"))
            lines.append((words, precision, largest, median))
    return lines


def main() -> None:
    start = time.time()
    arguments = parse()
    networks = QUICK if arguments.quick else NETWORKS
    groups = groups_of(networks, arguments.rows)
    with tempfile.TemporaryDirectory() as folder:
        deadline = start + arguments.total_seconds - GRACE
        run = Run(deadline, arguments.seconds, Path(folder))
        run.measure(groups, compare=LAMBDA in arguments.rows)
    if not run.environment:
        sys.exit(
            "accelerator.py: nothing was measured: no process has come as far as its "
            "device (see above), or --total_seconds are too few."
        )
    rows = [row for group in groups for row in rows_of(run, group)]
    result = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(
            timespec="seconds"
        ),
        "command": shlex.join(["python", *sys.argv]),
        "quick": arguments.quick,
        **run.environment,
        "total_seconds": time.time() - start,
        "rows": rows,
        "lambda": run.compared,
    }
    Runs(arguments.output).add(result)
    versions = run.environment["versions"]
    print(
        f"\n{run.environment['device']}, JAX {versions['jax']}, "
        f"Keras {versions['keras']}, {result['total_seconds']:.0f} s in all"
    )
    if peak_of(run.environment["device"], "float32", highest=False)[0] is None:
        print("Its peak FLOP/s are not known here: no shares of them.")
    if rows:
        print()
        print_table(table(rows))
    if run.compared is not None:
        print()
        if told := run.compared.get("error") or run.compared.get("skipped"):
            print(f"λ against the CPU: {told}")
        else:
            print_table(lambda_table(run.compared))
    missing = [
        f"{row['row']}, {name}: {job['skipped']}"
        for row in rows
        for name, job in row["jobs"].items()
        if "skipped" in job
    ]
    if missing:
        print("\nskipped:", *missing, sep="\n  ")


if __name__ == "__main__":
    main()
