"""A model once more."""

from __future__ import annotations

import keras

from tf_splitting.rebuilding.splitting import Splitting
from tf_splitting.selecting import SplitPlan
from tf_splitting.support import assign_copy, scope_of


def copied(model: keras.Model, *, split_untrainable: bool = False) -> keras.Model:
    """A model that goes on exactly as this one would, and leaves it alone.

    Not only weights are alike but every variable: what layers draw random numbers from,
    and the optimizer's.

    Args:
        model: compiled.
        split_untrainable: as the job's.

    Raises:
        ModelError: it has no graph.
    """
    copy = Splitting(model, SplitPlan(), split_untrainable=split_untrainable).build(0.0)
    old, new = model.optimizer, copy.optimizer
    if len(old.variables) > len(new.variables):
        with scope_of(copy):
            new.build(copy.trainable_variables)
    for theirs, own in zip(model.variables, copy.variables, strict=True):
        assign_copy(own, theirs)
    # An optimizer that has not made a step yet has fewer.
    for theirs, own in zip(old.variables, new.variables):
        assign_copy(own, theirs)
    return copy
