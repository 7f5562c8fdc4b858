"""From images as they are stored to those of a batch, in NumPy or jax.numpy."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tf_splitting.data.augmenting import augment, to_channels, without_alpha
from tf_splitting.data.resizing import resize


@dataclass(frozen=True)
class Finish:
    """What a batch looks like. Can be hashed, so a jitted function may depend on it.

    Attributes:
        size: (height, width) of the batch.
        channels: 1 or 3.
        augment: whether to crop and flip.
    """

    size: tuple[int, int]
    channels: int
    augment: bool

    def __call__(self, images: Any, draws: Any, xp: ModuleType = np) -> Any:
        """Resizes what is not of the batch's size yet, augments, converts.

        Args:
            images: `[b, h, w, c]`.
            draws: float32 `[b, 3]`, uniform in 0..1.
            xp: `numpy`, or `jax.numpy`.

        Returns:
            float32 `[b, *size, channels]` in 0..255.
        """
        images = without_alpha(images)
        if tuple(images.shape[1:3]) != self.size:
            # The filter changes nothing where images grow, so `pipeline.py` leaves it
            # out there.
            images = resize(images, self.size, antialias=True, xp=xp)
        # While pixels may still be bytes, and grey: a crop only moves them.
        if self.augment:
            images = augment(images, draws, xp)
        return to_channels(images.astype(np.float32), self.channels, xp)
