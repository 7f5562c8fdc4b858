"""The order and the augmentation of an epoch, from (seed, epoch) alone. NumPy only.

Nothing is carried from one epoch to the next, so a job that was interrupted can have
epoch k again, and what an image undergoes does not depend on the batch size.
"""

from typing import NamedTuple

import numpy as np


class EpochPlan(NamedTuple):
    """What one epoch does with `n` examples.

    Attributes:
        order: int64 `[n]`, the index of the example at each position.
        draws: float32 `[n, 3]`, for each position three uniform numbers in 0..1:
            row and column of the crop, and whether to flip.
        seed: int64 `[]`, for readers that can only shuffle in a buffer.
    """

    order: np.ndarray
    draws: np.ndarray
    seed: np.ndarray


def plan_epoch(size: int, seed: int, epoch: int, *, shuffle: bool) -> EpochPlan:
    """Draws the plan of epoch `epoch`, counted from 0.

    Each example's draws belong to its index, so shuffling does not change them.

    Example:

        >>> plan_epoch(4, seed=0, epoch=0, shuffle=False).order.tolist()
        [0, 1, 2, 3]
    """
    rng = np.random.default_rng([seed, epoch])
    draws = rng.random((size, 3), dtype=np.float32)
    order = rng.permutation(size) if shuffle else np.arange(size)
    buffer_seed = rng.integers(2**31, dtype=np.int64)
    return EpochPlan(order.astype(np.int64), draws[order], np.asarray(buffer_seed))
