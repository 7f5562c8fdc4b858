"""What should a split do? One trained network, split in many ways, trained on alike.

A seed network is trained once per seed; every arm starts from that state, weights and
optimizer, splits once to the same MACs, and trains on over the same batches while the
learning rate decays to zero. Runs are thus paired, and differences within a seed are
what counts. An arm is

    a plan:     neurons and directions by the default estimator, by the exact matrices,
                by the paper's procedure in as many passes, or at random
    its sides:  copies move along the whole direction (both), along one that moves only
                incoming weights, only outgoing ones, along a random one, or by steps
                in absolute units (not times the norm of what moves)
    a step:     a number, the ladder that never raises the loss, or fresh neurons

Every run is appended to a JSON-lines file as soon as it is done, and runs that are in
the file are not repeated, so the script can be stopped and started again; the trained
seed networks are kept for that.

    python benchmarks/growing/after_the_split.py --data_dir=DIR

`DIR` holds CIFAR-100 in TFDS format (or pass --download).
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from fair.networks import NETWORKS, widths_of
from shared import (
    Runs,
    add_data_flags,
    cifar100,
    mean_and_spread,
    parser_of,
    print_table,
)

import tf_splitting
from tf_splitting import Exact, Rayleigh, SplitPlan, data
from tf_splitting.data import Sample, draw_sample
from tf_splitting.estimating import DEFAULT_SAMPLE_SIZE, Directions, assemble, slices
from tf_splitting.growing import DESCENT, build_at
from tf_splitting.methods import Proposal, Round, Splitting, Uniform
from tf_splitting.rebuilding import FRESH
from tf_splitting.rebuilding import Splitting as Rebuilding
from tf_splitting.tracing import Field, Neurons
from tf_splitting.training import CosineDecay, measure, reestimate_batch_statistics

METHODS = {
    "default": Splitting(),
    "incoming": Splitting(Rayleigh(outgoing=False)),
    "exact": Splitting(Exact()),
    "paper": Splitting(Rayleigh(solver="rmsprop", passes=Rayleigh().passes)),
    "random": Uniform(),
}
PLANS = ("default", "exact", "paper", "random")
STEPS = (0.01, 0.03, 0.1, 0.3, 1.0)
# At these the plans are compared.
PLAN_STEPS = (FRESH, 0.1)


@dataclass(frozen=True)
class Arm:
    """One way to go on from the trained seed network; see above."""

    plan: str
    sides: str
    step: float | str

    def __str__(self) -> str:
        return f"{self.plan}-{self.sides}-{self.step}"


UNSPLIT = Arm("none", "both", 0.0)
STEP_ARMS = (
    *(Arm("default", "both", step) for step in (FRESH, *STEPS, DESCENT)),
    *(Arm("default", "outgoing", step) for step in STEPS),
    *(Arm("default", "incoming", step) for step in STEPS),
    *(Arm("default", "absolute", step) for step in (0.01, 0.1)),
    Arm("default", "random", 0.1),
)
PLAN_ARMS = tuple(Arm(plan, "both", step) for step in PLAN_STEPS for plan in PLANS[1:])
ARMS = {str(arm): arm for arm in (UNSPLIT, *STEP_ARMS, *PLAN_ARMS)}


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "after_the_split.jsonl")
    add_data_flags(parser)
    parser.add_argument("--keep", default="runs/after_the_split", help="seed networks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--sample_size", type=int, default=DEFAULT_SAMPLE_SIZE)
    parser.add_argument("--ratio", type=float, default=2.0, help="by which MACs grow")
    parser.add_argument("--epochs", type=int, default=4, help="before the split")
    parser.add_argument("--final_epochs", type=int, default=4, help="after it")
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    return parser.parse_args()


def seed_model(arguments: argparse.Namespace, seed: int) -> keras.Model:
    """The seed network, compiled."""
    keras.utils.set_random_seed(seed)
    network = NETWORKS["eight"]
    model = network.build(network.seeds["tapered"])
    model.compile(
        keras.optimizers.Adam(arguments.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class Start:
    """The state that all arms of a seed start from."""

    def __init__(self, arguments: argparse.Namespace, seed: int) -> None:
        self.arguments = arguments
        self.seed = seed
        self._proposals: dict[str, Proposal] = {}
        self._traced: dict[tuple, keras.Model] = {}

    @cached_property
    def images(self) -> data.ImageData:
        return cifar100(self.arguments, self.seed, coarse=True)

    @cached_property
    def sample(self) -> Sample:
        """Of the epoch after those that any arm trains on."""
        epoch = self.arguments.epochs + self.arguments.final_epochs
        return draw_sample(
            self.images.epoch_dataset(epoch),
            size=self.arguments.sample_size,
            seed=self.seed,
        )

    @cached_property
    def model(self) -> keras.Model:
        """The seed network as trained, its batch statistics estimated on the sample."""
        path = Path(self.arguments.keep) / f"seed{self.seed}.keras"
        if path.exists():
            return keras.saving.load_model(path)
        model = seed_model(self.arguments, self.seed)
        self.train(model, range(self.arguments.epochs), [])
        reestimate_batch_statistics(model, self.sample)
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
        return model

    @cached_property
    def graph(self) -> tf_splitting.ChannelGraph:
        return tf_splitting.trace(self.model)

    @cached_property
    def before(self) -> dict[str, float]:
        """Loss and metrics on the sample."""
        return measure(self.model, self.sample)

    def train(
        self,
        model: keras.Model,
        epochs: range,
        callbacks: list[keras.callbacks.Callback],
    ) -> None:
        """Trains over the batches of these epochs."""
        for epoch in epochs:
            model.fit(
                self.images.epoch_dataset(epoch),
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )

    def traced(self, model: keras.Model) -> keras.Model:
        """The model; where one of its widths was trained before, that in its state.

        Tracing takes a fifth of a run, and most arms have one plan.
        """
        known = self._traced.setdefault(tuple(widths_of(model)), model)
        for old, new in zip(_state(known), _state(model), strict=True):
            old.assign(new)
        return known

    def proposal(self, method: str) -> Proposal:
        """What a method would split, and its directions."""
        if method not in self._proposals:
            macs = tf_splitting.count_macs(self.model)
            context = Round(
                self.model,
                self.graph,
                self.sample,
                {"target_macs": self.arguments.ratio * macs},
                self.seed,
                verbose=0,
            )
            self._proposals[method] = METHODS[method].propose(context)
        return self._proposals[method]


def _state(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def plan_of(start: Start, arm: Arm) -> SplitPlan:
    """The arm's plan with its directions; with none, these are drawn at random."""
    if arm == UNSPLIT:
        return SplitPlan()
    proposal = start.proposal(arm.plan)
    if proposal.scores is None or arm.sides == "random":
        return proposal.plan
    scores = proposal.scores
    if arm.sides == "incoming":
        scores = start.proposal("incoming").scores
    neurons = Neurons(start.graph)
    spaces = [name for name, split in proposal.plan.splits.items() if split]
    field = _turned(neurons, assemble(neurons, scores, spaces), arm.sides)
    directions = {name: Directions(*slices(neurons, field, name)) for name in spaces}
    return SplitPlan(proposal.plan.splits, directions)


def _turned(neurons: Neurons, field: Field, sides: str) -> Field:
    """Directions as an arm's sides ask for."""
    if sides == "outgoing":
        kept = [
            values * (slot.role == "consumed")
            for slot, values in zip(neurons.slots, field, strict=True)
        ]
        return neurons.normalized(kept)
    if sides == "absolute":
        return [
            values * slot.broadcast(np.divide(1, norm, where=norm > 0, out=norm * 0))
            for slot, values, norm in zip(
                neurons.slots, field, neurons.norms(), strict=True
            )
        ]
    return field


def split(start: Start, arm: Arm) -> tuple[keras.Model, dict[str, Any]]:
    """The network as the arm splits it, and what that did."""
    splitting = Rebuilding(
        start.model, plan_of(start, arm), seed=start.seed, fresh=arm.step == FRESH
    )
    model, step, after = build_at(
        splitting, arm.step, start.sample, start.before["loss"]
    )
    return start.traced(model), {"step": step, "sample_loss": after["loss"]}


def run(start: Start, arm: Arm) -> dict[str, Any]:
    """Splits, trains on and measures."""
    arguments = start.arguments
    began = time.perf_counter()
    model, facts = split(start, arm)
    clock = time.perf_counter()
    test = start.images.test
    at_split = model.evaluate(test, verbose=0, return_dict=True)
    last = arguments.epochs + arguments.final_epochs
    decay = CosineDecay(arguments.final_epochs, arguments.epochs)
    start.train(model, range(arguments.epochs, last), [decay])
    measured = model.evaluate(test, verbose=0, return_dict=True)
    return {
        "arm": str(arm),
        "seed": start.seed,
        "accuracy": measured["accuracy"],
        "loss": measured["loss"],
        "train_loss": measure(model, start.sample)["loss"],
        "accuracy_at_split": at_split["accuracy"],
        "loss_at_split": at_split["loss"],
        "sample_loss_before": start.before["loss"],
        "macs": tf_splitting.count_macs(model),
        "params": tf_splitting.count_params(model),
        "widths": widths_of(model),
        "seconds": [clock - began, time.perf_counter() - clock],
        **facts,
    }


def difference(values: list[float], digits: int) -> str:
    """Mean and standard error of the mean, as text."""
    if len(values) < 2:
        return "-"
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.mean(values):+.{digits}f} ± {error:.{digits}f}"


def table(runs: Runs, arms: tuple[Arm, ...], reference: Arm) -> list[tuple[str, ...]]:
    """Mean of each arm over the seeds, and its paired difference to the reference."""
    others = {r["seed"]: r for r in runs.where(arm=str(reference))}
    head = ("arm", "seeds", "accuracy, %", f"less {reference}", "loss", "difference")
    rows = [(*head, "at the split: loss", "accuracy", "MACs")]
    for arm in map(str, arms):
        own = runs.where(arm=arm)
        if not own:
            continue
        pairs = [
            (r, others[r["seed"]])
            for r in own
            if arm != str(reference) and r["seed"] in others
        ]
        rows.append(
            (
                arm,
                str(len(own)),
                mean_and_spread([100 * r["accuracy"] for r in own]),
                difference(
                    [100 * (r["accuracy"] - o["accuracy"]) for r, o in pairs], 2
                ),
                f"{statistics.mean(r['loss'] for r in own):.3f}",
                difference([r["loss"] - o["loss"] for r, o in pairs], 3),
                f"{statistics.mean(r['sample_loss'] for r in own):.3f}",
                f"{statistics.mean(100 * r['accuracy_at_split'] for r in own):.1f}",
                f"{statistics.mean(r['macs'] for r in own) / 1e6:.2f} M",
            )
        )
    return rows


def print_tables(runs: Runs) -> None:
    """Prints what the steps and sides are worth, and what the plans are."""
    print_table(table(runs, (UNSPLIT, *STEP_ARMS), STEP_ARMS[0]), "Steps and sides")
    for step in PLAN_STEPS:
        arms = tuple(Arm(plan, "both", step) for plan in PLANS)
        print_table(table(runs, arms, arms[0]), f"Plans, at step {step}")


def main() -> None:
    arguments = parse()
    runs = Runs(arguments.output)
    for seed in arguments.seeds:
        start = Start(arguments, seed)
        for arm in (ARMS[name] for name in arguments.arms):
            if not runs.where(arm=str(arm), seed=seed):
                added = runs.add(run(start, arm))
                print(f"seed {seed}, {arm}: {added['accuracy']:.4f}", flush=True)
    print_tables(runs)


if __name__ == "__main__":
    main()
