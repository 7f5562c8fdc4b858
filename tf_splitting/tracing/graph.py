"""What tracing a model yields: its channel spaces, and how everything hangs on them.

A `ChannelGraph` answers four questions, each for one later stage:

    spaces     what may grow, and why the rest may not      -> users, selection
    terms      what the model costs at any widths           -> costs, selection
    weights    which axis of which variable carries what    -> rebuilding, estimators
    steps      how to compute the model in channel-wise and
               channel-mixing steps                         -> estimators
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np

from tf_splitting.errors import PlanError
from tf_splitting.support import format_table
from tf_splitting.tracing.inside import Inside
from tf_splitting.tracing.layout import Layout, size

Role = Literal["produced", "consumed", "carried"]

# Why the two ends of any model are frozen.
IS_INPUT = "it is an input of the model"
IS_OUTPUT = "it is an output of the model"


@dataclass(frozen=True)
class ChannelSpace:
    """A set of channel axes that share one width: the unit that grows.

    Attributes:
        name: path of the layer that produces it first; stable across calls.
        width: number of neurons.
        producers: paths of the layers that create its channels.
        consumers: paths of the layers that read and mix them.
        frozen: None, or why it cannot grow, in words.
    """

    name: str
    width: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    frozen: str | None = None


@dataclass(frozen=True)
class Carried:
    """What a neuron carries along besides its own weights, and how a new one starts.

    Attributes:
        kind: "kernel" (depthwise, grouped, separable) or "scale" (normalization, bias,
            PReLU, LayerScale).
        initial: of a scale, what it starts at: a number, or an initializer that is
            called with a shape. None: nobody says, so that it is always copied.
    """

    kind: Literal["kernel", "scale"] = "scale"
    initial: float | Callable[[tuple[int, ...]], Any] | None = None


@dataclass(frozen=True)
class AxisUse:
    """One axis of a weight: what lies on it and what the layer does with it.

    `carried` says more of an axis in that role.
    """

    axis: int
    role: Role
    layout: Layout
    carried: Carried | None = None


@dataclass(frozen=True)
class WeightUse:
    """A weight and the axes of it that change width with some space."""

    name: str
    variable: Any
    axes: tuple[AxisUse, ...]

    def layout(self, role: Role) -> tuple[int, Layout]:
        """`(axis, layout)` of the axis that is known to be in this role."""
        return next((use.axis, use.layout) for use in self.axes if use.role == role)


@dataclass(frozen=True)
class ConfigUse:
    """An entry of a layer's config that holds the length of an axis."""

    layer: Any
    key: str
    index: int | None
    layout: Layout


@dataclass(frozen=True)
class ConstantUse:
    """An array among the arguments of a call, one axis of which has channels on it."""

    operation: Any
    array: Any
    axis: int
    layout: Layout


@dataclass(frozen=True)
class Activation:
    """One output of a call: its channel axis, from the end, and what lies on it."""

    layer: str
    axis: int
    layout: Layout


@dataclass(frozen=True)
class InputUse:
    """An axis of a nested model's own input, whose shape is written into the model."""

    tensor: Any
    axis: int
    layout: Layout


@dataclass(frozen=True)
class Term:
    """A product that adds to a cost: `factor` times the lengths of some axes.

    `factor` is None where a shape the count needs is unknown (`None` in a spatial
    dimension).
    """

    layer: str
    factor: int | None
    layouts: tuple[Layout, ...]

    def value(self, widths: Mapping[str, int]) -> int:
        """The product at these widths; its factor has to be known."""
        assert self.factor is not None, self.layer
        return self.factor * math.prod(size(layout, widths) for layout in self.layouts)


@dataclass(frozen=True)
class Step:
    """One computation, as estimators see it.

    `linear` steps mix channels through `kernel` (`run(x, kernel)`, linear in both);
    `channelwise` ones keep channel i in channel i (`run(*xs)`); `opaque` ones do
    something nobody has described, between frozen spaces only.

    The channels of a result lie along `axis`, from the end. A channel-wise step that is
    affine says by `linear_part(*changes, *sides)` how its
    output changes with its inputs (the last `sides` of them, such as masks, are taken
    as they are); one that applies a known function to every element names it as its
    `activation`; one that multiplies every channel by a `factor()` and adds a
    `shift()`, or only adds, gives these, ready to be broadcast. A step with a kernel
    gives by `scaled(factor)` a `run` whose result is multiplied by such a factor.
    """

    kind: Literal["linear", "channelwise", "opaque"]
    layer: str
    run: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kernel: str | None = None
    axis: int = -1
    sides: int = 0
    linear_part: Callable[..., Any] | None = None
    activation: Callable[..., Any] | None = None
    factor: Callable[[], Any] | None = None
    shift: Callable[[], Any] | None = None
    scaled: Callable[[Any], Callable[..., Any]] | None = None

    @property
    def kernel_name(self) -> str:
        """Name of the kernel of a step that is known to be linear."""
        assert self.kernel is not None, self.layer
        return self.kernel


@dataclass(frozen=True)
class ChannelGraph:
    """A traced model. Print it for a table of its spaces.

    `insides` holds what was found in layers that are made of layers, by path.
    `uncounted` names layers with weights whose MACs are not known; costs leave them
    out, and `count_macs` warns of them.

    Example:
        >>> graph = tf_splitting.trace(model)
        >>> [s.name for s in graph.spaces if s.frozen is None]
        >>> print(graph)
    """

    name: str
    spaces: tuple[ChannelSpace, ...]
    terms: tuple[Term, ...]
    weights: tuple[WeightUse, ...]
    configs: tuple[ConfigUse, ...]
    constants: tuple[ConstantUse, ...] = field(repr=False)
    nested_inputs: tuple[InputUse, ...]
    activations: tuple[Activation, ...] = field(repr=False)
    uncounted: tuple[str, ...]
    steps: tuple[Step, ...] = field(repr=False)
    insides: Mapping[str, Inside] = field(repr=False)
    inputs: tuple[int, ...] = field(repr=False)
    input_names: tuple[str, ...] = field(repr=False)
    outputs: tuple[int, ...] = field(repr=False)

    @property
    def widths(self) -> dict[str, int]:
        """Width of every space, by name."""
        return {space.name: space.width for space in self.spaces}

    @property
    def growable(self) -> tuple[ChannelSpace, ...]:
        """The spaces that are not frozen."""
        return tuple(space for space in self.spaces if space.frozen is None)

    @property
    def floors(self) -> dict[str, int]:
        """The smallest width of every space that may change, by name.

        Two, where there are as many: a single channel is broadcast to others when it is
        added to them, and a convolution of one group that reads it mixes channels.
        """
        return {space.name: min(space.width, 2) for space in self.growable}

    @property
    def arrays(self) -> list[np.ndarray]:
        """Those of `constants`, in their order, as ones of NumPy."""
        return [keras.ops.convert_to_numpy(use.array) for use in self.constants]

    def space(self, name: str) -> ChannelSpace:
        """The space of this name.

        Raises:
            PlanError: there is none.
        """
        for space in self.spaces:
            if space.name == name:
                return space
        known = ", ".join(repr(space.name) for space in self.growable)
        raise PlanError(
            f"Model {self.name!r} has no channel space {name!r}. Growable spaces: "
            f"{known or 'none'}."
        )

    def weight(self, name: str) -> WeightUse:
        """The weight of this name."""
        return next(weight for weight in self.weights if weight.name == name)

    def resized(self, widths: Mapping[str, int]) -> dict[str, int]:
        """All widths, with some of them replaced."""
        return {**self.widths, **widths}

    def fits(self, other: ChannelGraph) -> bool:
        """Whether another graph of the model, at other sizes, says the same of it.

        That it has the same spaces, of which the same may change, and that the same
        layers were looked into. What is frozen may be a size that is open in one.
        """
        return (
            self.widths.keys() == other.widths.keys()
            and self.insides.keys() == other.insides.keys()
            and {space.name: space.width for space in self.growable}
            == {space.name: space.width for space in other.growable}
        )

    def layer_widths(self) -> dict[str, int]:
        """Output width of every producing layer, for tables."""
        widths = self.widths
        return {
            weight.name.rsplit("/", 1)[0]: size(use.layout, widths)
            for weight in self.weights
            for use in weight.axes
            if use.role == "produced"
        }

    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Prints what may grow, as `keras.Model.summary` prints layers.

        Args:
            print_fn: called with the text in place of `print`.

        Example:
            >>> tf_splitting.trace(model).summary()
        """
        rows = [("Channel space", "Width", "Produced by", "Consumed by", "May grow")]
        rows += [
            (
                space.name,
                str(space.width),
                _listed(space.producers),
                _listed(space.consumers),
                "yes" if space.frozen is None else f"no: {space.frozen}",
            )
            for space in self.spaces
        ]
        grow = self.growable
        (print_fn or print)(
            f'Channels of model "{self.name}"\n{format_table(rows, longest=22)}\n'
            f"{len(grow)} of {len(self.spaces)} spaces may grow, with "
            f"{sum(space.width for space in grow)} neurons"
        )

    def __repr__(self) -> str:
        return (
            f"<ChannelGraph of model {self.name!r}: {len(self.spaces)} spaces, "
            f"{len(self.growable)} of which may grow>"
        )

    def __str__(self) -> str:
        rows = [("space", "width", "producers", "consumers", "frozen because")]
        rows += [
            (
                space.name,
                str(space.width),
                ", ".join(space.producers) or "-",
                ", ".join(space.consumers) or "-",
                space.frozen or "",
            )
            for space in self.spaces
        ]
        return format_table(rows)


def _listed(names: tuple[str, ...]) -> str:
    """The first of some names, and how many more there are."""
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else "-"
