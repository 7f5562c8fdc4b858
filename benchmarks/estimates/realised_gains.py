"""Do predicted gains come true?

Splits every neuron of trained networks, one at a time, and compares by how much the
loss changes with what `estimate` predicted: ½ ε² λ, on the sample that λ was estimated
on and on images held out; then splits many neurons at once, as `grow` does.

Each step is predicted by an estimate of that step (the finite difference that
stands for the second derivative is the split itself), and also by the estimate at the
default step. Splits are the library's own: one grown model for each channel space,
given the weights of each neuron's split in turn.

Neurons that are predicted to gain less than 1e-4 of the largest |λ| are left out. Every
network's result is a line of a JSON-lines file, and steps in the file are not measured
again, so the script can be stopped and started again.

    python benchmarks/estimates/realised_gains.py --data_dir=DIR [--networks vgg]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
import tensorflow as tf
from estimator_accuracy import NEGLIGIBLE, spearman
from networks import add_flags, trained
from shared import Runs, parser_of, print_table

import tf_splitting
from tf_splitting.data import Batch, draw_sample
from tf_splitting.estimating import DEFAULT_STEP
from tf_splitting.rebuilding import Splitting

BATCH_SIZE = 250
GROWTH = 1.5  # of MACs, when many neurons are split
QUANTILES = (0.1, 0.5, 0.9)
Losses = Callable[[], float]


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "realised_gains.jsonl")
    add_flags(parser)
    parser.add_argument("--sample_size", type=int, default=1000)
    parser.add_argument("--held_out", type=int, default=1000, help="test images")
    parser.add_argument(
        "--steps", type=float, nargs="+", default=[0.01, 0.03, 0.1, 0.3]
    )
    parser.add_argument("--neurons", type=int, help="at most so many of each space")
    return parser.parse_args()


def one_batch(dataset: tf.data.Dataset, size: int, seed: int) -> Batch:
    (batch,) = draw_sample(dataset, size=size, batch_size=size, seed=seed).batches
    return batch


def mean_loss(model: keras.Model, x: Any, y: np.ndarray) -> Losses:
    """A function that yields the model's mean loss with the weights it has by then.

    Losses of single images are float32 as anywhere, but their mean is taken in float64:
    a split changes it by about 1e-6 of itself.
    """

    @tf.function
    def losses(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return keras.losses.sparse_categorical_crossentropy(
            y, model(x, training=False), from_logits=True
        )

    parts = range(0, len(y), BATCH_SIZE)
    x = [tf.constant(x[i : i + BATCH_SIZE]) for i in parts]
    y = [tf.constant(y[i : i + BATCH_SIZE]) for i in parts]
    return lambda: float(
        np.concatenate([losses(*part).numpy() for part in zip(x, y)]).mean(
            dtype=np.float64
        )
    )


def cut_in_two(
    model: keras.Model, changing: set[int]
) -> tuple[keras.Model | None, keras.Model]:
    """Cuts a model in two, all layers with changing variables in the second part.

    The first part, None if there is none, need not be evaluated again and again.
    """
    outputs = [(layer, layer.output) for layer in model.layers[1:-1]]
    changes = [{id(v) for v in layer.variables} & changing for layer, _ in outputs]
    first = next(i for i, variables in enumerate(changes) if variables)
    for _, cut in reversed(outputs[:first]):
        try:
            rest = keras.Model(cut, model.output)
        except ValueError:  # another path leads around this tensor
            continue
        if changing <= {id(variable) for variable in rest.variables}:
            return keras.Model(model.input, cut), rest
    return None, model


class Grown:
    """A grown model whose loss can be had for the weights of many splits.

    Args:
        model: the model that is split.
        plan: one plan; others of the same widths may follow.
        batches: what to measure losses on, by name.
    """

    def __init__(
        self,
        model: keras.Model,
        plan: tf_splitting.SplitPlan,
        batches: dict[str, Batch],
    ) -> None:
        self._splitting = Splitting(model, plan)
        new = self._splitting.build(0.0)
        before = {variable.path: variable.shape for variable in model.weights}
        self._changing = {id(v) for v in new.weights if v.shape != before[v.path]}
        head, rest = cut_in_two(new, self._changing)
        self._losses: dict[str, Losses] = {}
        for name, batch in batches.items():
            x = batch.x
            if head is not None:
                x = head.predict(x, batch_size=BATCH_SIZE, verbose=0)
            self._losses[name] = mean_loss(rest, x, batch.y)
        # Of the same architecture, so that round-off is alike.
        self._before = {name: loss() for name, loss in self._losses.items()}

    def replan(self, plan: tf_splitting.SplitPlan) -> None:
        self._splitting.replan(plan)

    def falls(self, step: float, names: list[str]) -> list[float]:
        """By how much the losses fall when the plan is carried out with this step."""
        for variable, value in self._splitting.values(step):
            if id(variable) in self._changing:
                variable.assign(value)
        return [self._before[name] - self._losses[name]() for name in names]


def measure(
    name: str, steps: list[float], arguments: argparse.Namespace
) -> dict[str, Any]:
    """All that is known of one network at these steps, in plain data."""
    model, images = trained(name, arguments)
    batches = {
        "sample": one_batch(
            images.epoch_dataset(0), arguments.sample_size, arguments.seed
        ),
        "held out": one_batch(images.test, arguments.held_out, arguments.seed),
    }
    sample = batches["sample"]
    start = time.process_time()
    scores = {
        step: tf_splitting.estimate(
            model,
            (sample.x, sample.y),
            sample_size=sample.size,
            epsilon=step,
            seed=arguments.seed,
            verbose=0,
        )
        for step in dict.fromkeys([*steps, DEFAULT_STEP])
    }
    estimated = time.process_time()
    graph = tf_splitting.trace(model)
    neurons = []
    for space in graph.growable:
        found = split_each(model, space.name, scores, batches, steps, arguments.neurons)
        neurons += found
        print(f"{name}: {space.name}, {len(found)} neurons", flush=True)
    single = time.process_time()
    return {
        "network": name,
        "sample_size": sample.size,
        "held_out": batches["held out"].size,
        "loss": scores[DEFAULT_STEP].loss,
        "largest": {
            step: max(float(np.abs(s.splitting_index).max()) for s in found.values())
            for step, found in scores.items()
        },
        "joint": [split_many(model, graph, scores[step], batches) for step in steps],
        "seconds": [estimated - start, single - estimated],
        "neurons": neurons,
    }


def split_each(
    model: keras.Model,
    space: str,
    scores: dict[float, tf_splitting.SplittingScores],
    batches: dict[str, Batch],
    steps: list[float],
    most: int | None,
) -> list[dict[str, Any]]:
    """Splits each neuron of a space that gains at some step, alone.

    Returns:
        For each neuron "λ", by step of the estimate, and "falls": by how much the loss
        fell, as [step of the estimate, step of the split, on the sample, held out].
    """
    grown = Grown(model, tf_splitting.SplitPlan({space: [0]}), batches)
    width = len(scores[DEFAULT_STEP][space].splitting_index)
    measured = []
    for index in range(min(width, most or width)):
        values = {s: float(f[space].splitting_index[index]) for s, f in scores.items()}
        falls = []
        for estimate, found in scores.items():
            if values[estimate] >= 0:
                continue
            plan = tf_splitting.SplitPlan({space: [index]})
            grown.replan(plan.with_directions(found))
            for step in steps:
                if estimate in (step, DEFAULT_STEP):
                    both = estimate == step == DEFAULT_STEP
                    names = list(batches) if both else ["sample"]
                    falls.append((estimate, step, *grown.falls(step, names)))
        measured.append(
            {"space": space, "index": index, "λ": values, "falls": rounded(falls)}
        )
    return measured


def split_many(
    model: keras.Model,
    graph: tf_splitting.ChannelGraph,
    scores: tf_splitting.SplittingScores,
    batches: dict[str, Batch],
) -> dict[str, Any]:
    """Splits all neurons of a plan at once, as `grow` would."""
    target = GROWTH * tf_splitting.count_macs(model)
    plan = tf_splitting.select(scores, graph, target_macs=target)
    grown = Grown(model, plan, batches)
    grown.replan(plan.with_directions(scores))
    falls = grown.falls(scores.epsilon, list(batches))
    return {
        "step": scores.epsilon,
        "neurons": len(plan),
        "predicted": sum(
            float(scores[space].gain[indices].sum())
            for space, indices in plan.splits.items()
        ),
        **dict(zip(batches, falls, strict=True)),
    }


def rounded(rows: list[tuple[float, ...]]) -> list[list[float]]:
    return [[float(f"{value:.5g}") for value in row] for row in rows]


def table(results: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """One line for each network, step of the estimate and step of the split."""
    columns = ("network", "estimated at", "split at", "loss on", "neurons")
    rows = [(*columns, "10 %", "median", "90 %", "in sum", "Spearman")]
    for result in results:
        lines: dict[tuple[float, float, int], list[tuple[float, float]]] = {}
        for neuron in result["neurons"]:
            for estimate, step, *falls in neuron["falls"]:
                value = neuron["λ"][str(estimate)]
                if value > -NEGLIGIBLE * result["largest"][str(estimate)]:
                    continue
                for which, fall in enumerate(falls):
                    line = lines.setdefault(
                        (which, estimate != step, estimate, step), []
                    )
                    line.append((-0.5 * step**2 * value, fall))
        for (which, _, estimate, step), pairs in sorted(lines.items()):
            predicted, fallen = np.array(pairs).T
            rows.append(
                (
                    result["network"],
                    f"{estimate:g}",
                    f"{step:g}",
                    ("sample", "held out")[which],
                    str(len(pairs)),
                    *(f"{q:.3f}" for q in np.quantile(fallen / predicted, QUANTILES)),
                    f"{fallen.sum() / predicted.sum():.3f}",
                    f"{spearman(fallen, predicted):.3f}",
                )
            )
    return rows


def joint_table(results: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """One line for each network and step: all neurons of a plan at once."""
    columns = ("network", "step", "neurons", "predicted fall", "realised", "ratio")
    rows = [(*columns, "held out", "ratio")]
    for result in results:
        for joint in result["joint"]:
            row = [result["network"], f"{joint['step']:g}", str(joint["neurons"])]
            row.append(f"{joint['predicted']:.3g}")
            for fall in (joint["sample"], joint["held out"]):
                row += [f"{fall:.3g}", f"{fall / joint['predicted']:.3f}"]
            rows.append(tuple(row))
    return rows


def print_tables(results: Iterable[dict[str, Any]]) -> None:
    title = "Realised fall of the loss over predicted, neurons split one at a time"
    print_table(table(results), title)
    print_table(joint_table(results), "All neurons of a plan at once")


def main() -> None:
    arguments = parse()
    runs = Runs(arguments.output)
    for name in arguments.networks:
        known = runs.where(network=name)
        done = {joint["step"] for result in known for joint in result["joint"]}
        if steps := [step for step in arguments.steps if step not in done]:
            print_tables([runs.add(measure(name, steps, arguments))])
    print_tables(runs)


if __name__ == "__main__":
    main()
