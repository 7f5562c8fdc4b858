"""What `reallocate` takes besides a model and data, described once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tf_splitting.growing.arguments import RoundsArguments
from tf_splitting.growing.exchanges import GAIN_STEP, Exchanges
from tf_splitting.rebuilding import FreshStart, Start
from tf_splitting.selecting import DEFAULT_MOVED
from tf_splitting.support import arguments as given

ROUNDS = 3
# Of the training compute, before the last exchange.
REALLOCATING_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class ReallocateArguments(RoundsArguments):
    """What `reallocate` takes.

    Args:
        rounds: number of exchanges, at most.
        training_epochs: training compute of the whole job, as epochs of the model;
            estimates count at what they cost.
        reallocating_share: share of `training_epochs` that is spent before the last
            exchange, the first one included: 0 for a model that is trained already and
            one exchange.
        moved: share of the cost that is moved in a round, at most.
        gain_step: relative step that gains are predicted for, as `estimate` takes it:
            a larger one moves more.
        fold: whether the mean outputs of removed neurons are folded into biases and
            batch statistics.
        carried_kernels, carried_scales: what else a fresh neuron starts with on the
            way to its consumers: "copy" takes its parent's kernels (depthwise, grouped,
            separable) and scales (normalization, bias, PReLU, LayerScale); "draw"
            makes random kernels of the same norm, and takes scales' initial values.
        min_widths, max_widths: smallest and largest width of every space, or of spaces
            by name.
        max_growth, max_shrinkage: largest ratio of a space's new width to its old in
            one round, and of its old width to its new.
        sample_size: examples that neurons are measured on. Default: 2,048.
    """

    rounds: int | None = ROUNDS
    reallocating_share: float = REALLOCATING_SHARE
    moved: float = DEFAULT_MOVED
    gain_step: float = GAIN_STEP
    fold: bool = True
    carried_kernels: Start = "copy"
    carried_scales: Start = "copy"
    min_widths: int | Mapping[str, int] = 1
    max_widths: int | Mapping[str, int] | None = None
    max_growth: float = 2.0
    max_shrinkage: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        given.whole("rounds", self.rounds, at_least=1)
        given.number("reallocating_share", self.reallocating_share, at_least=0, below=1)
        given.number("moved", self.moved, above=0, at_most=1)
        given.number("gain_step", self.gain_step, above=0)
        given.truth("fold", self.fold)
        self.exchanges  # noqa: B018  (refuses what it is made of)

    @property
    def exchanges(self) -> Exchanges:
        """How neurons are exchanged."""
        names = ("cost", "width_multiple", "min_widths", "max_widths")
        ratios = ("max_growth", "max_shrinkage")
        selection = {name: getattr(self, name) for name in (*names, *ratios)}
        if isinstance(self.cost, str) and self.cost == "macs":
            # The MACs that the job began with are the limit, not those of a round.
            selection["target_cost"] = math.inf
        return Exchanges(
            selection,
            FreshStart(self.carried_kernels, self.carried_scales),
            self.moved,
            self.gain_step,
            self.fold,
        )
