"""`split`: applies a plan to a model and yields the grown model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import PlanError, SplittingError
from tf_splitting.estimating import (
    Directions,
    SpaceScores,
    assemble,
    check_directions,
    flat_inputs,
)
from tf_splitting.rebuilding.fresh import FreshStart, Start, fresh_offsets
from tf_splitting.rebuilding.growth import Growth, Offset, moved, offsets
from tf_splitting.rebuilding.optimizer_state import (
    OPTIMIZER_STATES,
    OptimizerState,
    carry_optimizer_state,
)
from tf_splitting.rebuilding.rebuild import rebuild, same_class
from tf_splitting.rebuilding.verification import check_function, check_widths
from tf_splitting.selecting import SplitPlan
from tf_splitting.support import (
    assign_copy,
    copy_compile_settings,
    instance,
    number,
    one_of,
    scope_of,
    whole,
)
from tf_splitting.tracing import (
    ChannelGraph,
    Field,
    Neurons,
    as_numpy,
    trace,
)

# The word for new neurons in place of copies.
FRESH = "fresh"
DEFAULT_EPSILON = 0.1


def split(
    model: keras.Model,
    plan: SplitPlan,
    *,
    scores: Mapping[str, SpaceScores] | None = None,
    epsilon: float | str = DEFAULT_EPSILON,
    seed: int = 0,
    verify: Any = None,
    split_untrainable: bool = False,
    carried_kernels: Start = "copy",
    carried_scales: Start = "copy",
    optimizer_state: OptimizerState = "carry",
) -> keras.Model:
    """Splits neurons: a grown model that starts out as (nearly) the same function.

    With a number ε, neuron θ with outgoing weights b becomes two neurons `θ ± ε‖θ‖v`
    with outgoing weights `(b ± ε‖b‖γ) / 2`, where the direction (v, γ) comes from the
    scores. With ε = 0 the function is the same, in inference and in training mode.

    With `"fresh"` the neuron keeps all of its outgoing weight, and the added one starts
    at random incoming weights of the same norm with outgoing weights zero. The function
    is the same too, and the two have nothing in common that training would first have
    to undo.

    Args:
        model: a built Functional or Sequential model. It is left as it was.
        plan: which neurons to split, by channel space (see `trace`).
        scores: directions, from `estimate`. A plan's own directions come first;
            spaces that neither holds are split along random unit vectors.
        epsilon: step, relative to the norm of the weights it changes, or `"fresh"`.
        seed: seed of random directions and of fresh neurons.
        verify: a batch of inputs on which the grown model is compared with the model
            at ε = 0. That its widths and MACs are as planned is always checked.
        split_untrainable: whether the plan may split neurons made by layers with
            `trainable=False`.
        carried_kernels: what else a fresh neuron starts with on the way to its
            consumers: "copy" takes its parent's depthwise, grouped and separable
            kernels; "draw" makes random ones of the same norm.
        carried_scales: "copy" takes its parent's normalization, bias, PReLU and
            LayerScale; "draw" takes their initial values.
        optimizer_state: of a compiled model: "carry" it over, scaled as a split scales
            gradients; carry that of "old" neurons only; or "reset" it.

    Returns:
        A model of the same structure with the same layer names, layer classes and
        trainable flags. If `model` is compiled, so is the result, with the
        optimizer's settings and state carried over (`optimizer_state`).

    Raises:
        PlanError: the plan or the scores do not fit the model.
        ModelError: the model has no graph.
        DataError: the batch to verify on does not fit the model.
        RebuildError: the result is not what was planned.
        SplittingError: another argument is out of range.

    Example:
        >>> grown = tf_splitting.split(
        ...     model, tf_splitting.SplitPlan({"conv1": [0, 3]}), epsilon=0.0
        ... )

    Source: Liu, Wu, Wang, "Splitting Steepest Descent for Growing Neural
    Architectures", arXiv 1910.02366; outgoing weights: see `docs/decisions.md`.
    """
    check_step(epsilon, FRESH)
    fresh = isinstance(epsilon, str)
    start = FreshStart(carried_kernels, carried_scales)
    check_start(start, epsilon)
    one_of("optimizer_state", optimizer_state, OPTIMIZER_STATES)
    splitting = Splitting(
        model,
        plan,
        scores=scores,
        seed=seed,
        fresh=fresh,
        start=start,
        optimizer_state=optimizer_state,
        verify=verify,
        split_untrainable=split_untrainable,
    )
    return splitting.build(1.0 if fresh else float(epsilon))


def check_step(epsilon: float | str, *words: str, above_zero: bool = False) -> None:
    """Raises unless a step is a finite number of at least 0 or one of the words.

    Raises:
        SplittingError: it is neither, or zero where it must be above.
    """
    if isinstance(epsilon, str) and epsilon in words:
        return
    otherwise = "".join(f' or "{word}"' for word in words)
    if above_zero:
        hint = "Copies at 0 would never separate."
        number("epsilon", epsilon, above=0, otherwise=otherwise, hint=hint)
    else:
        number("epsilon", epsilon, at_least=0, otherwise=otherwise)


def check_start(start: FreshStart, epsilon: float | str) -> None:
    """Raises if something is to be drawn anew and neurons are copied.

    Raises:
        SplittingError: a copy would no longer compute what its parent does.
    """
    if start.draws and epsilon != FRESH:
        raise SplittingError(
            f"Got epsilon={epsilon!r} and something carried along that is drawn anew "
            f"({start}); expected epsilon={FRESH!r}: copies share their parents' "
            'outgoing weights, and have to compute the same. Leave it at "copy".'
        )


def check_plan(plan: SplitPlan, graph: ChannelGraph) -> None:
    """Raises unless it is a plan that fits the traced model.

    Raises:
        PlanError: it is something else, or does not fit.
    """
    hint = 'Wrap it: SplitPlan({"conv1": [0, 3]}).'
    instance("plan", plan, SplitPlan, "a SplitPlan", hint, error=PlanError)
    plan.check(graph)


class Splitting:
    """A plan worked out for a model, whose step can be chosen afterwards.

    `split` builds one and uses it once; a search for the largest step that does not
    raise the loss builds the model once and sets its weights for several steps.
    """

    def __init__(
        self,
        model: keras.Model,
        plan: SplitPlan,
        *,
        scores: Mapping[str, SpaceScores] | None = None,
        seed: int = 0,
        fresh: bool = False,
        start: FreshStart = FreshStart(),  # noqa: B008  (it cannot change)
        optimizer_state: OptimizerState = "carry",
        verify: Any = None,
        split_untrainable: bool = False,
        class_of: Callable[[type], type] = same_class,
    ) -> None:
        self.model = model
        self._class_of = class_of
        self._pairs: list[tuple[Any, Any]] = []
        self._fresh = fresh
        self._start = start
        self._optimizer_state = optimizer_state
        self._verify = verify
        self._split_untrainable = split_untrainable
        self.graph = trace(model, split_untrainable=split_untrainable)
        check_plan(plan, self.graph)
        self.growth = Growth.of(self.graph, plan, fresh=fresh)
        known = check_directions("scores", scores)
        if verify is not None:
            flat_inputs(model, verify)
        self._known = {**known, **plan.directions}
        self._splits = plan.splits
        self._seed = whole("seed", seed, at_least=0)
        self._neurons = Neurons(self.graph)
        if self._known and not fresh:
            self._offsets  # noqa: B018  (refuses directions that do not fit)

    @cached_property
    def _offsets(self) -> dict[str, list[Offset]]:
        """What a step of 1 adds to each kernel."""
        found: dict[str, list[Offset]] = {}
        for second in (False, True):
            signs = self.growth.second_signs if second else self.growth.signs
            apart = [s for s, each in self._splits.items() if each and signs[s].any()]
            if not apart:
                continue
            if second:
                directions = _second_directions(self._neurons, self._known, apart)
            else:
                splits = {space: self._splits[space] for space in apart}
                directions = _directions(self._neurons, self._known, splits, self._seed)
            moving = offsets(self.growth, self._neurons, directions, signs)
            for weight, each in moving.items():
                found.setdefault(weight, []).extend(each)
        return found

    @cached_property
    def _fresh_offsets(self) -> dict[str, list[Offset]]:
        """What makes copies fresh neurons, whatever the step."""
        if not any((shares == 0).any() for shares in self.growth.shares.values()):
            return {}
        return fresh_offsets(
            self.growth,
            self._neurons,
            np.random.default_rng(self._seed),
            self._start,
            self._seed,
            self._known,
        )

    def build(self, epsilon: float) -> keras.Model:
        """The grown model at this step (1 for fresh neurons), where the old one is."""
        with scope_of(self.model):
            return self._build(epsilon)

    def _build(self, epsilon: float) -> keras.Model:
        new, self._pairs = rebuild(
            self.model,
            self.graph,
            self.growth.new_widths,
            self._class_of,
            arrays=self.growth.arrays(self.graph),
        )
        self._check(new)
        self.set_weights(epsilon)
        if self.model.compiled:
            copy_compile_settings(self.model, new)
            uses = {id(weight.variable): weight for weight in self.graph.weights}
            carry_optimizer_state(
                self.model,
                new,
                self._pairs,
                self.growth,
                uses,
                self._optimizer_state,
            )
        return new

    def _check(self, new: keras.Model) -> None:
        """Raises unless the new model is what was planned."""
        grown = trace(new, split_untrainable=self._split_untrainable)
        check_widths(self.model, self.graph, grown, self.growth)
        if self._verify is not None:
            self.set_weights(0.0)
            check_function(self.model, new, self.graph, self.growth, self._verify)

    def set_weights(self, epsilon: float) -> None:
        """Sets the weights of the model built last to those at this step."""
        for variable, value in self.values(epsilon):
            assign_copy(variable, value)

    def values(self, epsilon: float) -> Iterator[tuple[Any, Any]]:
        """Each variable of the model built last, with its value at this step."""
        uses = {id(weight.variable): weight for weight in self.graph.weights}
        for old, new in self._pairs:
            use = uses.get(id(old))
            if use is None:
                yield new, old
                continue
            value = self.growth.weight(as_numpy(old), use)
            if fresh := self._fresh_offsets.get(use.name):
                value = moved(value, fresh, 1.0)
            if epsilon and (moves := self._offsets.get(use.name)):
                value = moved(value, moves, epsilon)
            yield new, value

    def replan(self, plan: SplitPlan) -> None:
        """Takes another plan of the same widths; the model built last stays in use.

        Raises:
            PlanError: the plan does not fit the model, or makes other widths.
        """
        check_plan(plan, self.graph)
        growth = Growth.of(self.graph, plan, fresh=self._fresh)
        if growth.new_widths != self.growth.new_widths:
            raise PlanError(
                f"The plan makes widths {growth.new_widths}, the one before it "
                f"{self.growth.new_widths}. Make a Splitting of its own for it."
            )
        self.growth = growth
        self._known = {**self._known, **plan.directions}
        self._splits = plan.splits
        for name in ("_offsets", "_fresh_offsets"):
            vars(self).pop(name, None)


def reclassed(
    model: keras.Model, class_of: Callable[[type], type] = same_class
) -> keras.Model:
    """The same model once more, its layers of other classes if asked for.

    It goes on exactly as the first would: every variable is alike, what layers draw
    random numbers from and the optimizer's among them.
    """
    return Splitting(model, SplitPlan(), class_of=class_of).build(epsilon=0.0)


def _directions(
    neurons: Neurons,
    known: Mapping[str, SpaceScores | Directions],
    splits: Mapping[str, list[int]],
    seed: int,
) -> Field:
    """Relative directions of all neurons to be split."""
    missing = np.zeros(neurons.count, bool)
    for space, indices in splits.items():
        if indices and space not in known:
            neurons.of(space, missing)[indices] = True
    given = [space for space, indices in splits.items() if indices and space in known]
    if not missing.any():
        return assemble(neurons, known, given)
    random = neurons.random(np.random.default_rng(seed), missing)
    if not given:
        return random
    return [a + b for a, b in zip(assemble(neurons, known, given), random, strict=True)]


def _second_directions(
    neurons: Neurons,
    known: Mapping[str, SpaceScores | Directions],
    spaces: list[str],
) -> Field:
    """Second relative directions of all neurons of some spaces.

    Raises:
        PlanError: nobody knows them.
    """
    for space in spaces:
        directions = known.get(space)
        if directions is None or not (
            directions.second_incoming or directions.second_outgoing
        ):
            raise PlanError(
                f"The plan moves neurons of space {space!r} along a second direction, "
                "but neither it nor the scores hold one. Pass the scores that it was "
                "made from, or moves along the first direction only."
            )
    return assemble(neurons, known, spaces, second=True)
