"""Carries an optimizer's state over to a rebuilt model.

Each slot variable scales as some power of the gradient; a copy of a neuron sees 1/m of
the gradient (`Gathering.gradient_like`), so at ε = 0 a first moment is divided by m and
copied, a second moment by m². After one step of the grown model:

    SGD, with or without momentum: an entry's update is its parent's over the number
        of copies of the neuron it belongs to;
    Adam and other scale-free methods: an entry's update is its parent's.

State may also be carried for the neurons that were there only, or reset: moments that
describe another network hold back one whose learning rate starts anew.

Which slot belongs to which variable is found by building a twin optimizer on variables
with recognisable names: Keras names a slot after its variable, and slots come in an
order that depends on the list of variables only.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import keras
import numpy as np

from tf_splitting.errors import SplittingWarning
from tf_splitting.rebuilding.gathering import Gathering
from tf_splitting.support import assign_copy, fresh_optimizer, has_own_schedule
from tf_splitting.tracing import WeightUse

_ADAM = {"momentum": 1, "velocity": 2, "velocity_hat": 2}
# The power of the gradient that each slot scales with, by optimizer and slot name.
_DEGREES: dict[type, dict[str, int]] = {
    keras.optimizers.SGD: {"momentum": 1},
    keras.optimizers.Adam: _ADAM,
    keras.optimizers.AdamW: _ADAM,
    keras.optimizers.Nadam: _ADAM,
    keras.optimizers.Lamb: _ADAM,
    keras.optimizers.Adamax: {"momentum": 1, "norm": 1},
    keras.optimizers.RMSprop: {"velocity": 2, "momentum": 0, "average_gradient": 1},
    keras.optimizers.Adagrad: {"accumulator": 2},
    keras.optimizers.Adadelta: {"accumulated_grad": 2, "accumulated_delta_var": 0},
    keras.optimizers.Lion: {"momentum": 1},
}
_PROBE = re.compile(r"probe(\d+)x_(\w+)$")


OptimizerState = Literal["carry", "old", "reset"]
OPTIMIZER_STATES = ("carry", "old", "reset")


def carry_optimizer_state(
    old: keras.Model,
    new: keras.Model,
    pairs: Iterable[tuple[Any, Any]],
    gathering: Gathering,
    weights: Mapping[int, WeightUse],
    state: OptimizerState = "carry",
) -> None:
    """Builds the new model's optimizer and fills in the state.

    Args:
        old: the model before, compiled.
        new: the rebuilt model, compiled alike.
        pairs: every variable of the old model with its own in the new one.
        gathering: the plan, worked out.
        weights: uses of the old model's variables, by `id` of the variable.
        state: "carry" all of it; that of "old" neurons only, so that slots of added
            ones begin anew, where they read and where they are read; or "reset" it: as
            if no step had been taken, but for the steps that a `LearningRateSchedule`
            counts.

    Slots of optimizers that are not listed here start at their initial value again,
    with a warning that names them.
    """
    if not old.optimizer.built:
        return
    new.optimizer.build(new.trainable_variables)
    if state == "reset":
        if has_own_schedule(old.optimizer):
            assign_copy(new.optimizer.iterations, old.optimizer.iterations)
        return
    slots = _slots(old, new, pairs)
    inner = getattr(old.optimizer, "inner_optimizer", old.optimizer)
    degrees = _DEGREES.get(type(inner), {})
    unknown = []
    for source, target, owner in slots:
        if owner is None:
            if tuple(source.shape) == tuple(target.shape):
                assign_copy(target, source)
            else:
                unknown.append(source.path)
            continue
        variable, slot = owner
        weight = weights.get(id(variable))
        if weight is None:
            assign_copy(target, source)
        elif slot == "average":
            assign_copy(target, gathering.weight(source.numpy(), weight))
        elif slot == "gradient_accumulator" or slot in degrees:
            degree = degrees.get(slot, 1)
            value = gathering.gradient_like(source.numpy(), weight, degree)
            if state == "old":
                fresh = target.numpy().reshape(value.shape)
                value = np.where(gathering.among_old(weight), value, fresh)
            assign_copy(target, value)
        elif gathering.new_widths == gathering.widths:
            assign_copy(target, source)
        else:
            unknown.append(source.path)
    if unknown:
        warnings.warn(
            f"Optimizer {type(inner).__name__} has state of which nobody knows what "
            "becomes of it at other widths; these slots start anew: "
            + ", ".join(unknown[:3])
            + (f" and {len(unknown) - 3} more." if len(unknown) > 3 else "."),
            SplittingWarning,
            stacklevel=3,
        )


def _slots(
    old: keras.Model, new: keras.Model, pairs: Iterable[tuple[Any, Any]]
) -> list[tuple[Any, Any, tuple[Any, str] | None]]:
    """Each variable of the old optimizer, its own in the new, and what it belongs to.

    That is a variable of the old model and a slot's name, or nothing.
    """
    before, after = old.trainable_variables, new.trainable_variables
    own = {id(one): other for one, other in pairs}
    # Where a layer has become a model of what was in it, they stand in another order.
    places = {id(variable): place for place, variable in enumerate(after)}
    place_of = [places[id(own[id(variable)])] for variable in before]
    theirs = owners = _slot_owners(old.optimizer, before)
    if place_of != sorted(place_of):
        theirs = _slot_owners(new.optimizer, after)
    targets: dict[Any, list[Any]] = {}
    for owner, target in zip(theirs, new.optimizer.variables, strict=True):
        targets.setdefault(owner, []).append(target)
    found: list[tuple[Any, Any, tuple[Any, str] | None]] = []
    for owner, source in zip(owners, old.optimizer.variables, strict=True):
        if owner is None:
            found.append((source, targets[None].pop(0), None))
        else:
            place, slot = owner
            target = targets[place_of[place], slot].pop(0)
            found.append((source, target, (before[place], slot)))
    return found


def _slot_owners(
    optimizer: keras.Optimizer, variables: list[Any]
) -> list[tuple[int, str] | None]:
    """For each optimizer variable which model variable and slot it is of, or None."""
    twin = fresh_optimizer(optimizer)
    probes = [
        keras.Variable(
            np.zeros(v.shape), dtype=v.dtype, trainable=True, name=f"probe{i}x"
        )
        for i, v in enumerate(variables)
    ]
    twin.build(probes)
    matches = [_PROBE.search(slot.path) for slot in twin.variables]
    return [(int(match[1]), match[2]) if match else None for match in matches]
