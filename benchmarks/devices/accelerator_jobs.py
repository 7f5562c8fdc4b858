"""The part of `accelerator.py` that runs on the device, in a process of its own.

    python benchmarks/devices/accelerator_jobs.py {reference,measure} SETTINGS

Settings are JSON. `reference` estimates λ of a small network and keeps it in a file;
`measure` prints what it finds as it goes, each time a line of JSON behind `MARK`. What
does not fit the device's memory or the time is said in its place.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import keras
import numpy as np

import tf_splitting
from tf_splitting import Rayleigh, count_macs, models, trace
from tf_splitting.data import Batch, Sample
from tf_splitting.estimating import DEFAULT_STEP, SplittingProblem, in_float32
from tf_splitting.tracing import Field

MARK = "@"
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
# Whether outgoing weights move, and the precision if it is not the toolkit's own.
PRODUCTS = {
    "incoming": (False, None),
    "both": (True, None),
    "both, highest precision": (True, "highest"),
}
TURNS = 3  # at least
# What one turn of a job takes: short enough for many, long beside a single wait.
TURN_SHARE = 0.1
MOST_STEPS = 200
# Keeps the mean square of swish at 1 for inputs that are normal with mean square 1.
SWISH_GAIN = 2.8
LAMBDA_IMAGES, LAMBDA_PASSES = 32, 4
# In a compiled program, matrix products included; GPUs call libraries for most.
CONVOLUTION = r' (?:convolution|dot)\(|target="__(?:cudnn\$conv|cublas|onednn)'

_jit = jax.jit


def tell(**found: Any) -> None:
    print(MARK + json.dumps(found, allow_nan=False), flush=True)


class Program:
    """Stands in for what `jax.jit` makes: keeps what XLA says of it.

    Attributes:
        compiled: the executable, None before the first call.
        arguments: of the first call.
        facts: seconds to trace and to compile, and `facts_of` the program.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self._jitted = _jit(function, **options)
        self.compiled: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self.compiled is None:
            self.compile(*arguments)
        return self.compiled(*arguments)

    def compile(self, *arguments: Any) -> None:
        start = time.perf_counter()
        lowered = self._jitted.lower(*arguments)
        traced = time.perf_counter()
        self.compiled = lowered.compile()
        self.arguments = arguments
        self.facts = {
            "trace_seconds": traced - start,
            "compile_seconds": time.perf_counter() - traced,
            **facts_of(self.compiled, lowered.as_text()),
        }


def facts_of(compiled: Any, text: str) -> dict[str, Any]:
    """Memory, operations and precision of a compiled program.

    Memory is what its arguments, results and scratch take together at once, results
    that reuse the arguments' memory counted once. A device's own peak cannot be set
    back, and would say nothing of the programs that came later.
    """
    facts: dict[str, Any] = {
        "convolutions": len(re.findall(CONVOLUTION, compiled.as_text())),
        "highest_precision": "HIGHEST" in text,
    }
    if (memory := compiled.memory_analysis()) is not None:
        kept = memory.argument_size_in_bytes + memory.output_size_in_bytes
        kept -= memory.alias_size_in_bytes
        facts["memory_bytes"] = kept + memory.temp_size_in_bytes
        facts["scratch_bytes"] = memory.temp_size_in_bytes
    if cost := compiled.cost_analysis():
        facts["xla_flops"] = cost["flops"]
        facts["xla_bytes"] = cost["bytes accessed"]
    return facts


class Group:
    """The jobs of one network at one batch size, in both precisions.

    Attributes:
        models: those built so far, by precision.

    Args:
        settings: `name`, `model`, `options`, `pixels`, `classes`, `batch`,
            `precisions`; and the names of its `products`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        size, pixels = settings["batch"], settings["pixels"]
        generator = np.random.default_rng(0)
        shape = (size, pixels, pixels, 3)
        self._x = generator.uniform(0, 255, shape).astype("float32")
        self._y = generator.integers(0, settings["classes"], size).astype("int32")
        self.models: dict[str, keras.Model] = {}
        self._precise: keras.Model | None = None
        self._problems: dict[str, SplittingProblem] = {}

    def model(self, precision: str) -> keras.Model:
        """The network, compiled as the toolkit's own jobs are by default."""
        if precision not in self.models:
            keras.config.set_dtype_policy(POLICIES[precision])
            try:
                model = build(self._settings)
            finally:
                keras.config.set_dtype_policy("float32")
            model.compile(keras.optimizers.Adam(2e-3), loss())
            self.models[precision] = model
        return self.models[precision]

    def training(self, precision: str) -> tuple[Callable[[int], None], dict[str, Any]]:
        """Steps as `fit` takes them: one program, its state given away and returned.

        The batch stays on the device, and no step waits for the one before.
        """
        model = self.model(precision)
        model.optimizer.build(model.trainable_variables)
        variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        # Copies: the products go on with the model's own.
        state = tuple([jax.numpy.copy(v.value) for v in group] for group in variables)
        batch = jax.device_put((self._x, self._y))
        step = Program(model.train_step, donate_argnums=0)
        step.compile(state, batch)

        def run(steps: int) -> None:
            nonlocal state
            for _ in range(steps):
                logs, state = step(state, batch)
            jax.block_until_ready((logs, state))

        return run, step.facts

    def product(self, name: str) -> tuple[Callable[[int], None], dict[str, Any]]:
        """Products by the program that the toolkit compiles, arguments on the device.

        Estimates of a model in lower precision are made on a copy in float32.
        """
        outgoing, precision = PRODUCTS[name]
        made: list[Program] = []

        def record(function: Callable[..., Any], **options: Any) -> Program:
            made.append(Program(function, **options))
            return made[-1]

        if self._precise is None:
            self._precise = in_float32(self.model(self._settings["precisions"][0]))
        with mock.patch.object(jax, "jit", record):
            problem = SplittingProblem(
                self._precise,
                trace(self._precise),
                Sample((Batch(self._x, self._y),)),
                epsilon=DEFAULT_STEP,
                outgoing=outgoing,
                cache_limit=0,
            )
        with computing(precision):
            problem.product(problem.neurons.random(np.random.default_rng(1)))
        (program,) = [program for program in made if program.compiled is not None]
        self._problems[name] = problem
        arguments = jax.device_put(program.arguments)

        def run(steps: int) -> None:
            for _ in range(steps):
                result = program.compiled(*arguments)
            jax.block_until_ready(result)

        return run, program.facts

    def through_toolkit(self, name: str) -> Callable[[int], None]:
        """The same products by way of `SplittingProblem.product`.

        That is with the batch sent to the device and the results fetched, scaled and
        added up by NumPy.
        """
        problem = self._problems[name]
        direction = problem.neurons.random(np.random.default_rng(1))

        def run(steps: int) -> None:
            for _ in range(steps):
                problem.product(direction)

        return run


def build(settings: dict[str, Any]) -> keras.Model:
    pixels = settings["pixels"]
    return models.build(
        settings["model"],
        input_shape=(pixels, pixels, 3),
        classes=settings["classes"],
        **settings["options"],
    )


def computing(precision: str | None) -> AbstractContextManager[Any]:
    """Programs traced within compute with this precision; None: as they like."""
    return jax.default_matmul_precision(precision) if precision else nullcontext()


def loss() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def measure_group(
    settings: dict[str, Any], seconds: float, deadline: float, slowest: float
) -> float:
    """Compiles all jobs of a group, then times them in turns; tells after each step.

    Args:
        settings: see `Group`.
        seconds: to time each job for.
        deadline: no program is compiled that would not be ready by then.
        slowest: seconds that the longest compilation has taken so far; the next may
            take as long.

    Returns:
        The new `slowest`.
    """
    group, runs = Group(settings), {}
    found: dict[str, dict[str, Any]] = {}
    about: dict[str, Any] = {"group": settings["name"], "jobs": found}
    first, *others = (
        (f"training {precision}", partial(group.training, precision))
        for precision in settings["precisions"]
    )
    products = ((name, partial(group.product, name)) for name in settings["products"])
    makers = dict((first, *products, *others))
    for name, make in makers.items():
        start = time.time()
        if start + slowest > deadline:
            found[name] = {"skipped": "no time left to compile it"}
            continue
        try:
            runs[name], found[name] = make()
        except jax.errors.JaxRuntimeError as error:
            found[name] = {"error": in_short(error)}
        slowest = max(slowest, time.time() - start)
        tell(**about)
    if "both" in runs:
        runs["both, through the toolkit"] = group.through_toolkit("both")
    for name, result in timed(runs, seconds, deadline).items():
        found.setdefault(name, {}).update(result)
    for model in group.models.values():
        about |= {"macs": count_macs(model), "params": model.count_params()}
    about["device_peak_bytes_so_far"] = memory_of_device().get("peak_bytes_in_use")
    tell(**about, done=True)
    return slowest


def timed(
    runs: dict[str, Callable[[int], None]], seconds: float, deadline: float
) -> dict[str, dict[str, Any]]:
    """Median seconds of a step of every job, `seconds` for each, all in turns."""
    found: dict[str, dict[str, Any]] = {}
    steps: dict[str, int] = {}
    taken: dict[str, list[float]] = {}

    def take(name: str, count: int) -> float | None:
        start = time.perf_counter()
        try:
            runs[name](count)
        except jax.errors.JaxRuntimeError as error:
            found[name] = {"error": in_short(error)}
            taken.pop(name, None)
            return None
        return (time.perf_counter() - start) / count

    for name in runs:
        if take(name, 1) is not None and (once := take(name, 1)) is not None:
            steps[name] = min(max(1, int(TURN_SHARE * seconds / once)), MOST_STEPS)
            taken[name] = []
    end = time.time() + seconds * len(runs)
    turns = 0
    while taken and (turns < TURNS or time.time() < end):
        if turns and time.time() > deadline:
            break
        for name in list(taken):
            if (each := take(name, steps[name])) is not None:
                taken[name].append(each)
        turns += 1
    for name, times in taken.items():
        found[name] = {
            "seconds": statistics.median(times),
            "fastest": min(times),
            "slowest": max(times),
            "turns": turns,
            "steps_per_turn": steps[name],
        }
    return found


def in_short(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return first if len(first) <= 200 else first[:197] + "..."


def memory_of_device() -> dict[str, Any]:
    return jax.local_devices()[0].memory_stats() or {}


def environment() -> dict[str, Any]:
    device = jax.local_devices()[0]
    return {
        "device": device.device_kind,
        "platform": device.platform,
        "devices": jax.local_device_count(),
        "memory_limit_bytes": memory_of_device().get("bytes_limit"),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "jaxlib": jax.lib.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "tf_splitting": tf_splitting.__version__,
            "device": getattr(device.client, "platform_version", None),
        },
        "matmul_precision": str(jax.config.jax_default_matmul_precision),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


class LambdaProblem:
    """λ of the CIFAR network at weights and images that NumPy draws.

    Args:
        settings: of the network, as those of a `Group`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        generator = np.random.default_rng(0)
        self._model = build(settings)
        for layer in self._model.layers:
            if not layer.weights or isinstance(layer, keras.layers.BatchNormalization):
                continue
            kernel, *rest = (np.array(w) for w in layer.get_weights())
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            fan_in = np.prod(kernel.shape[:2] if depthwise else kernel.shape[:-1])
            kernel = generator.normal(0, np.sqrt(SWISH_GAIN / fan_in), kernel.shape)
            layer.set_weights([kernel, *rest])
        self._model.compile("sgd", loss())
        shape = (LAMBDA_IMAGES, settings["pixels"], settings["pixels"], 3)
        x = generator.uniform(0, 255, shape).astype("float32")
        y = generator.integers(0, settings["classes"], LAMBDA_IMAGES)
        self._sample = Sample((Batch(x, y),))
        self._graph = trace(self._model)

    def problem(self) -> SplittingProblem:
        """With programs of its own, compiled at the precision of the moment."""
        return SplittingProblem(
            self._model,
            self._graph,
            self._sample,
            epsilon=DEFAULT_STEP,
            outgoing=True,
            cache_limit=0,
        )

    def scales(self, problem: SplittingProblem, values: np.ndarray) -> np.ndarray:
        """The largest |value| of each neuron's space, `[neurons]`."""
        scales = np.empty_like(values)
        for space in self._graph.growable:
            problem.neurons.of(space.name, scales)[:] = np.abs(
                problem.neurons.of(space.name, values)
            ).max()
        return scales


def estimated(problem: SplittingProblem) -> tuple[np.ndarray, Field]:
    """λ as scores have it, and the directions, as `estimate` finds them."""
    found = Rayleigh(passes=LAMBDA_PASSES, tolerance=0).solve(problem, 0)
    return problem.fold_shares @ problem.curvatures(found.vectors), found.vectors


def keep_reference(settings: dict[str, Any], path: str) -> None:
    problem = LambdaProblem(settings).problem()
    index, directions = estimated(problem)
    products = problem.product(directions)
    arrays = {f"direction {i}": part for i, part in enumerate(directions)}
    arrays |= {f"product {i}": part for i, part in enumerate(products)}
    np.savez(path, index=index, **arrays)


def compare_lambda(settings: dict[str, Any], path: str) -> dict[str, Any]:
    """How far λ and products with the reference's directions are from it.

    Differences of λ are relative to the largest λ of the neuron's space, those of
    products to the length of the neuron's product.
    """
    here, found = LambdaProblem(settings), {}
    with np.load(path) as kept:
        index = kept["index"]
        count = len([name for name in kept if name.startswith("product")])
        directions = [kept[f"direction {i}"] for i in range(count)]
        products = [kept[f"product {i}"] for i in range(count)]
    for name, precision in {"default": None, "highest": "highest"}.items():
        with computing(precision):
            problem = here.problem()
            own, _ = estimated(problem)
            same = problem.fold_shares @ problem.curvatures(directions)
            again = problem.product(directions)
        inner = problem.neurons.inner
        off = [a - b for a, b in zip(again, products, strict=True)]
        length = np.maximum(inner(products, products), np.finfo(float).tiny)
        scales = here.scales(problem, index)
        found[name] = {
            "products": spread(np.sqrt(inner(off, off) / length)),
            "lambda": spread(np.abs(own - index) / scales),
            "lambda_same_directions": spread(np.abs(same - index) / scales),
        }
    return {"neurons": len(index), "largest_lambda": float(abs(index).max()), **found}


def spread(differences: np.ndarray) -> dict[str, float]:
    return {
        "largest": float(differences.max()),
        "median": float(np.median(differences)),
    }


def main() -> None:
    command, argument = sys.argv[1:3]
    settings = json.loads(argument)
    if command == "reference":
        keep_reference(settings["lambda"], settings["reference"])
        return
    tell(environment=environment())
    if settings["reference"] is not None:
        compared = compare_lambda(settings["lambda"], settings["reference"])
        tell(**{"lambda": compared})
    slowest = 0.0
    for group in settings["groups"]:
        slowest = measure_group(
            group, settings["seconds"], settings["deadline"], slowest
        )
        gc.collect()  # models are cycles, and keep their arrays on the device


if __name__ == "__main__":
    main()
