"""What `grow` takes besides a model and data, described once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import SplittingError
from tf_splitting.estimating import Estimator
from tf_splitting.growing.arguments import RoundsArguments
from tf_splitting.growing.exchanges import Exchanges
from tf_splitting.growing.step_size import check_epsilon
from tf_splitting.methods import METHODS, Method, Splitting
from tf_splitting.rebuilding import FRESH, FreshStart, Start, check_start
from tf_splitting.support import arguments as given
from tf_splitting.training import Member

# What grew the best networks of all that were tried (README, "Does it pay?").
DEFAULT_EPSILON = FRESH
# Of the estimation sample, if the user does not say how large it may be.
MOST_EXAMPLES = 8192
MOST_BYTES = 2**29
# Of the training compute, before the last split.
GROWING_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class GrowArguments(RoundsArguments):
    """What `grow` takes.

    Args:
        target_macs: multiply-accumulates per example that the result may have; or
            several numbers, rising: a budget for each of a family of models.
        target_cost: what a result may cost at most, in the units of `cost`.
        on_member: of a family, called as `on_member(model, member)` with each model as
            soon as it is finished and its `Member` of the history. A job that resumes
            calls it for those that are there too.
        rounds: number of splits on the way to each target; default: as many as `growth`
            asks for. Rounds are added if spaces cannot grow fast enough to reach the
            target in these.
        growth: ratio by which the MACs grow in a round, if `rounds` is not given.
        training_epochs: training compute of the whole job, as epochs of a model of
            `target_macs`; estimates count at what they cost, and beyond a batch take a
            tenth of it at most. Smaller models get more epochs for it. Of a family it
            is what goes into each member, as epochs of that; what leads to several of
            them is spent once.
        growing_share: share of `training_epochs` that is spent before the last split;
            of a family, at most, before a member's.
        epsilon: `"fresh"`: added neurons start at random incoming weights and zero
            outgoing ones; or a number: copies move by this relative step along the
            splitting directions; or `"descent"`: by the largest step of a ladder that
            does not raise the loss on the estimation sample.
        carried_kernels, carried_scales: what else a fresh neuron starts with on the
            way to its consumers: "copy" takes its parent's kernels (depthwise, grouped,
            separable) and scales (normalization, bias, PReLU, LayerScale); "draw"
            makes random kernels of the same norm, and takes scales' initial values.
        estimator: of the method `"splitting"`: `Rayleigh(...)` (the default),
            `Exact()`, or one of your own.
        method: `"splitting"` (by splitting indices), `"candidates"` (random fresh
            neurons, scored by the gradient at their outgoing weights), `"gradmax"`,
            `"tiny"`, `"firefly"`, `"signed"`, `"uniform"` (random neurons: the
            baseline), or an object with the protocol of `tf_splitting.methods.Method`.
        reallocations: rounds after the last split, in which neurons are exchanged: see
            `reallocate`. They are trained for like rounds of growth.
        max_widths: largest width of every space, or of spaces by name.
        max_growth: largest ratio of a space's widths in one round: up to 2 where
            neurons are copied (4 by the method `"signed"`), of any size (up to 64)
            where they are added fresh.
        sample_size: most examples that neurons are measured on; the `"splitting"`
            method takes as many of them as it needs to settle its plan. Default:
            8,192, fewer if they would take more than 512 MB.
    """

    target_macs: float | Sequence[float]
    target_cost: float = math.inf
    on_member: Callable[[keras.Model, Member], object] | None = None
    growth: float = 2.0
    growing_share: float = GROWING_SHARE
    epsilon: float | str = DEFAULT_EPSILON
    carried_kernels: Start = "copy"
    carried_scales: Start = "copy"
    estimator: Estimator | None = None
    method: str | Method = "splitting"
    reallocations: int = 0
    max_widths: int | Mapping[str, int] | None = None
    max_growth: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_targets(self.target_macs)
        if self.on_member is not None:
            given.behaving("on_member", self.on_member, ["__call__"], "a function")
        given.number("growing_share", self.growing_share, at_least=0, below=1)
        given.whole("reallocations", self.reallocations, at_least=0)
        check_epsilon(self.epsilon)
        check_start(self.start, self.epsilon)
        self._check_method()

    @property
    def targets(self) -> tuple[float, ...]:
        """The target, or those of a family."""
        macs: Any = self.target_macs
        return tuple(map(float, macs if self.several else (macs,)))

    @property
    def several(self) -> bool:
        """Whether a family is to grow, of one member perhaps."""
        return _are_several(self.target_macs)

    @property
    def start(self) -> FreshStart:
        """What a fresh neuron carries along."""
        return FreshStart(self.carried_kernels, self.carried_scales)

    @property
    def selection(self) -> dict[str, Any]:
        """What `select` takes, but for the budget of a round."""
        names = ("cost", "target_cost", "width_multiple", "max_widths", "max_growth")
        return {name: getattr(self, name) for name in names}

    @property
    def exchanges(self) -> Exchanges:
        """How neurons are exchanged after the last split."""
        return Exchanges(self.selection, self.start)

    @property
    def configuration(self) -> dict[str, Any]:
        """What makes a job what it is: compared when it resumes."""
        macs = self.targets if self.several else self.targets[0]
        own = {"target_macs": macs, "method": self.chosen_method()}
        return {**super().configuration, **own}

    @property
    def sampling(self) -> dict[str, Any]:
        """Size of the fixed sample and most memory it may take, for `draw_sample`."""
        if self.sample_size is not None:
            return {"size": self.sample_size, "most_bytes": None}
        return {"size": MOST_EXAMPLES, "most_bytes": MOST_BYTES}

    def _check_method(self) -> None:
        """Raises unless there is a method, and it works with this step.

        Raises:
            SplittingError: there is none, or it scores fresh neurons and others are
                to be added.
        """
        chosen = self.chosen_method()
        if getattr(chosen, "fresh_only", False) and self.epsilon != FRESH:
            raise SplittingError(
                f"Got method {self.method!r} with epsilon={self.epsilon!r}; expected "
                "epsilon='fresh', the default: it scores fresh neurons. Copies are "
                "scored by the method 'splitting'."
            )

    def chosen_method(self) -> Method:
        """The method, with the estimator if one was given.

        Raises:
            UnknownNameError: no method has this name.
            SplittingError: it is no method, or takes no estimator.
        """
        method, estimator = self.method, self.estimator
        if not isinstance(method, str):
            if estimator is not None:
                raise SplittingError(
                    "Got both a method object and an estimator; give the estimator to "
                    "the method, for example methods.Splitting(estimator=...)."
                )
            expected = f"one of {sorted(METHODS)}, or an object with a method propose"
            return given.behaving("method", method, ["propose"], expected)
        given.one_of("method", method, METHODS, ", or a method object")
        if estimator is not None:
            if method != "splitting":
                raise SplittingError(f"Method {method!r} takes no estimator.")
            return Splitting(estimator=estimator)
        return METHODS[method]()


def _check_targets(value: Any) -> None:
    """Raises unless it is a number of MACs, or several that rise.

    Raises:
        SplittingError: it is something else.
    """
    numbers = list(value) if _are_several(value) else [value]
    hint = "Give one number, or the budgets of a family: [0.1e9, 0.2e9]."
    for each in numbers:
        given.number("target_macs", each, above=0, hint=hint)
    if not numbers:
        raise given.refused("target_macs", value, "one number at least")
    for lower, upper in itertools.pairwise(numbers):
        if not lower < upper:
            raise SplittingError(
                f"Got target_macs={given.shown(value)}; expected budgets that rise, "
                f"but {upper:g} comes after {lower:g}. Give each once, the smallest "
                "first."
            )


def _are_several(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.ndim)
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
