"""What does dividing a batch over two devices cost, at equal total work?

On a machine with CPUs only, two devices are simulated on the same cores: there is
nothing to gain, so the ratio to one device is the overhead of the divided path: for a
training step (a `fit` of some steps on arrays) and for a splitting product (incoming
and outgoing weights). Each mode runs in a process of its own, since devices are counted
once; the processes take turns, and medians of their turns are compared.

    python benchmarks/devices/divided_overhead.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared import Runs, parser_of, print_table

ROOT = Path(__file__).resolve().parents[2]
BATCH, STEPS, PRODUCTS = 64, 12, 3
# Mode: backend, number of devices.
MODES = {
    "TensorFlow, one": ("tensorflow", 1),
    "TensorFlow, mirrored": ("tensorflow", 2),
    "JAX, one": ("jax", 1),
    "JAX, data parallel": ("jax", 2),
}


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "divided_overhead.jsonl")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def scope(devices: int) -> Any:
    """Models made within belong to so many devices."""
    import keras

    if devices == 1:
        return nullcontext()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        logical = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(cpu, logical)
        names = [f"CPU:{number}" for number in range(devices)]
        return tf.distribute.MirroredStrategy(names).scope()
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    return nullcontext()


def work(devices: int) -> None:
    """Answers every line on stdin with the seconds of a step and of a product."""
    import keras
    import numpy as np

    from tf_splitting import models, trace
    from tf_splitting.data import draw_sample
    from tf_splitting.estimating import SplittingProblem
    from tf_splitting.support import placement_of
    from tf_splitting.training import as_feed, divide

    keras.utils.set_random_seed(0)
    with scope(devices):
        model = models.build(
            "mobilenet_v1",
            input_shape=(32, 32, 3),
            classes=20,
            widths="cifar_seed",
            synchronized_bn=True,
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    generator = np.random.default_rng(0)
    x = generator.uniform(0, 255, (STEPS * BATCH, 32, 32, 3)).astype("float32")
    arrays = x, generator.integers(0, 20, len(x))
    placement = placement_of(model)
    assert placement.devices == devices
    data = divide(as_feed(arrays, batch_size=BATCH).epochs(0)["x"], placement)
    sample = draw_sample(arrays, size=PRODUCTS * BATCH, batch_size=BATCH)
    problem = SplittingProblem(
        model, trace(model), sample, epsilon=0.01, outgoing=True, cache_limit=0
    )
    direction = problem.neurons.random(generator)
    for _ in range(2):
        model.fit(data, verbose=0, shuffle=False)
        problem.product(direction)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        model.fit(data, verbose=0, shuffle=False)
        middle = time.perf_counter()
        problem.product(direction)
        end = time.perf_counter()
        seconds = (middle - start) / STEPS, (end - middle) / PRODUCTS
        print(json.dumps(seconds), flush=True)


def start(backend: str, devices: int) -> subprocess.Popen:
    """A worker that has compiled everything."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    process = subprocess.Popen(
        [sys.executable, __file__, f"--worker={devices}"],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": str(ROOT),
            "XLA_FLAGS": flags if backend == "jax" else "",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while (line := process.stdout.readline()) != "ready\n":
        if not line:
            sys.exit(f"The worker on {backend} with {devices} devices has failed.")
    return process


def main() -> None:
    arguments = parse()
    if arguments.worker is not None:
        work(arguments.worker)
        return
    workers = {mode: start(*how) for mode, how in MODES.items()}
    seconds: dict[str, list[list[float]]] = {mode: [] for mode in MODES}
    for _ in range(arguments.turns):
        for mode, worker in workers.items():
            print("go", file=worker.stdin, flush=True)
            seconds[mode].append(json.loads(worker.stdout.readline()))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    rows = [("", "training step, ms", "product, ms", "ratio, step", "ratio, product")]
    result: dict[str, Any] = {"seconds": seconds, "batch": BATCH}
    for backend in ("TensorFlow", "JAX"):
        one, two = (mode for mode in MODES if mode.startswith(backend))
        ratios = [
            median(b[k] / a[k] for a, b in zip(seconds[one], seconds[two], strict=True))
            for k in range(2)
        ]
        result[backend] = ratios
        for mode, shown in ((one, ("", "")), (two, [f"{r:.2f}" for r in ratios])):
            times = [1e3 * median(turn[k] for turn in seconds[mode]) for k in range(2)]
            rows.append((mode, *(f"{t:.0f}" for t in times), *shown))
    Runs(arguments.output).add(result)
    print_table(rows)


if __name__ == "__main__":
    main()
