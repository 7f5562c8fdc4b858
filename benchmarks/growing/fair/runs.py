"""One run: a network trained and grown as a specification says, and measured."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import keras
from fair.images import Augmented, Cifar
from fair.networks import NETWORKS, Network, widths_of
from fair.rates import AdamApart, OldRate, WarmUp

import tf_splitting
from tf_splitting import GrowthHistory

# Epochs of its own, at its own size, of a seed that is trained already; and the rate.
SEED_EPOCHS, SEED_RATE = 2.4, 6e-3
# Learning rates around growth that the library does not have.
RATES = {"warm_up": WarmUp, "old_rate": OldRate}
# What removals are scored by.
ESTIMATORS = {
    "second order": tf_splitting.SecondOrder,
    "taylor": tf_splitting.Taylor,
    "normalization scale": tf_splitting.NormalizationScale,
    "weight norm": tf_splitting.WeightNorm,
}


@dataclass(frozen=True)
class Spec:
    """What a run is. Equal specifications are one run.

    Attributes:
        arm: "scaled": the proportions of `shape` or `widths` trained from scratch at
            the target; "grown": from the seed; "family": to several sizes; "shrunk":
            from these proportions at a larger size; "reallocated": the same as
            "scaled", its neurons exchanged.
        rate: of Adam.
        seed: of weights, order of the images, crops and growth.
        budget: training compute, as epochs of a network of the target's MACs.
        network: of `NETWORKS`.
        shape: of the seed.
        widths: proportions that "scaled" has in place of the shape's.
        batch_size: in place of the network's.
        size: share of the target that "scaled" is scaled to, and "shrunk" starts at.
        sizes: of a family, shares of the target; each member has the budget, as epochs
            of itself.
        trained: whether the seed is trained already, which is not counted.
        growth: arguments of `grow` and of `RATES`; of `reallocate`; or of `shrink`,
            whose estimator is one of `ESTIMATORS`.
    """

    arm: str
    rate: float
    seed: int = 0
    budget: float = 2.4
    network: str = "eight"
    shape: str = "tapered"
    widths: tuple[float, ...] = ()
    batch_size: int | None = None
    size: float = 1.0
    sizes: tuple[float, ...] = ()
    trained: bool = False
    growth: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The specification as text."""
        own = asdict(self)
        if not self.sizes:
            # Runs were written down before there were families.
            del own["sizes"]
        return json.dumps(own, sort_keys=True)

    @property
    def told(self) -> str:
        """What is not as usual, in a line."""
        usual = asdict(Spec("", 0.0))
        mine = {k: v for k, v in asdict(self).items() if v != usual[k]}
        return ", ".join(f"{name} {value}" for name, value in mine.items())


def measure(spec: Spec, cifar: Cifar) -> dict[str, Any]:
    """Runs what is specified.

    Returns:
        JSON data: the specification, losses and accuracies, compute in MACs times
        images, seconds, widths, and what happened at each split.
    """
    network = NETWORKS[spec.network]
    batch_size = spec.batch_size or network.batch_size
    images = Augmented(cifar.training, batch_size, spec.seed)
    history = GrowthHistory()
    keras.utils.set_random_seed(spec.seed)
    model = _seed(spec, network, images)
    start = time.perf_counter()
    if spec.arm == "scaled":
        macs = tf_splitting.count_macs(model)
        model = tf_splitting.train(
            model,
            images,
            training_epochs=spec.budget * network.target_macs / macs,
            history=history,
            seed=spec.seed,
            verbose=0,
        )
    elif spec.arm == "shrunk":
        given = dict(spec.growth)
        model = tf_splitting.shrink(
            model,
            images,
            target_macs=network.target_macs,
            training_epochs=spec.budget,
            history=history,
            seed=spec.seed,
            verbose=0,
            estimator=ESTIMATORS[given.pop("estimator")](),
            **given,
        )
    elif spec.arm == "reallocated":
        model = tf_splitting.reallocate(
            model,
            images,
            training_epochs=spec.budget,
            history=history,
            seed=spec.seed,
            verbose=0,
            **spec.growth,
        )
    else:
        targets = [size * network.target_macs for size in spec.sizes]
        model = tf_splitting.grow(
            model,
            images,
            target_macs=targets or network.target_macs,
            training_epochs=spec.budget,
            history=history,
            seed=spec.seed,
            verbose=0,
            callbacks=_callbacks(spec),
            **{k: v for k, v in spec.growth.items() if k not in RATES},
        )
    seconds = time.perf_counter() - start
    if spec.sizes:
        members = [
            {**_result(m, cifar), "compute": part.compute, "seconds": part.seconds}
            for m, part in zip(model, history.members, strict=True)
        ]
        about: dict[str, Any] = {"members": members}
        # What rates are compared by.
        about["held_out"] = {
            name: statistics.mean(member["held_out"][name] for member in members)
            for name in ("loss", "accuracy")
        }
    else:
        about = _result(model, cifar)
    return {
        "spec": asdict(spec),
        **about,
        "compute": history.compute,
        "seconds": seconds,
        "rounds": [asdict(record) for record in history.rounds],
        "phases": _phases(history),
    }


def _result(model: keras.Model, cifar: Cifar) -> dict[str, Any]:
    return {
        "held_out": _measured(model, *cifar.held_out),
        # For the tables alone: nothing is chosen by it.
        "test": _measured(model, *cifar.test),
        "macs": tf_splitting.count_macs(model),
        "params": tf_splitting.count_params(model),
        "widths": widths_of(model),
    }


def _seed(spec: Spec, network: Network, images: Augmented) -> keras.Model:
    """The compiled model that a run starts from."""
    widths = network.seeds[spec.shape]
    if spec.arm not in ("grown", "family"):
        widths = _scaled(spec.network, spec.widths or widths, spec.size)
    model = network.build(widths)
    if spec.trained:
        _compile(model, SEED_RATE)
        tf_splitting.train(model, images, training_epochs=SEED_EPOCHS, verbose=0)
    apart = "old_rate" in spec.growth
    _compile(model, spec.rate, AdamApart if apart else keras.optimizers.Adam)
    return model


def _callbacks(spec: Spec) -> list[keras.callbacks.Callback]:
    return [RATES[k](v) for k, v in spec.growth.items() if k in RATES]


@cache
def _scaled(network: str, proportions: tuple[float, ...], size: float) -> list[int]:
    return NETWORKS[network].scaled(proportions, size)


def _compile(
    model: keras.Model,
    rate: float,
    optimizer: type[keras.optimizers.Adam] = keras.optimizers.Adam,
) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(rate), loss, metrics=["accuracy"])


def _measured(model: keras.Model, x: Any, y: Any) -> dict[str, float]:
    return model.evaluate(x, y, batch_size=500, verbose=0, return_dict=True)


def _phases(history: GrowthHistory) -> list[dict[str, Any]]:
    """Size, images and last training loss between splits."""
    phases: dict[int, dict[str, Any]] = {}
    for epoch in history.epochs:
        phase = phases.setdefault(epoch["round"], {"macs": epoch["macs"], "images": 0})
        phase["images"] += epoch["images"]
        phase["loss"] = epoch["loss"]
    return list(phases.values())
