"""PyTorch's `DataLoader` by epochs, whose random draws are functions of a seed.

A loader draws from generators that go on from epoch to epoch. A job that resumes needs
epoch 7 as it was: so what the loader draws from begins each epoch at a seed of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tf_splitting.data.in_turn import InTurn
from tf_splitting.errors import DataError

tree = keras.tree


def is_torch_loader(dataset: Any) -> bool:
    """Whether it is a `torch.utils.data.DataLoader`, without importing PyTorch."""
    return any(
        kind.__name__ == "DataLoader" and kind.__module__.startswith("torch.utils.data")
        for kind in type(dataset).__mro__
    )


class LoaderEpochs:
    """A `DataLoader` whose epoch k is a function of `(seed, k)`.

    That holds for what is drawn from PyTorch's generators: the order of
    `shuffle=True`, the loader's `generator` (epochs are functions of its initial seed
    then), transforms in this process, seeds of workers. The caller's own random
    state stays as it is, but for that `generator`.

    Args:
        loader: yields `(x, y)` or `(x, y, sample_weight)`, tensors or NumPy arrays,
            alone or in lists, tuples and dicts.
        seed: of the epochs.

    Attributes:
        name: what descriptions call it.
        steps: batches in an epoch, None where nobody knows.
        train_size: examples in an epoch, None where nobody knows.
        last_batch: examples in the smallest batch, None where nobody knows.

    Raises:
        DataError: it holds no batch.

    Example:

        >>> source = LoaderEpochs(DataLoader(dataset, batch_size=32, shuffle=True))
        >>> x, y = source.epoch_dataset(7, first_batch=120)[0]
    """

    def __init__(self, loader: Any, seed: int = 0) -> None:
        self._loader = loader
        self._seed = (
            seed if loader.generator is None else loader.generator.initial_seed()
        )
        self.name = type(loader).__name__
        try:
            self.steps: int | None = len(loader)
        # Of a set without a length.
        except TypeError:
            self.steps = None
        if self.steps == 0:
            raise DataError(
                "The DataLoader has no batches. Give it more examples than drop_last "
                "leaves out, or a smaller batch_size."
            )

        self.train_size, self.last_batch = _sizes(loader, self.steps)

    def epoch_dataset(self, epoch: int, first_batch: int = 0) -> Any:
        """One epoch from a batch on, as NumPy arrays; batches before are read too.

        A PyDataset, or a generator where the length is not known.
        """

        def left() -> Iterator[Any]:
            yield from itertools.islice(self._epoch(epoch), first_batch, None)

        return left() if self.steps is None else InTurn(left, self.steps - first_batch)

    def epochs(self, first: int = 0) -> None:
        """None: Keras would go on where the loader's generators are."""

    def _epoch(self, epoch: int) -> Iterator[Any]:
        import torch

        words = np.random.SeedSequence([self._seed, epoch]).generate_state(2)
        seed = int(words[0]) << 31 | int(words[1])
        if self._loader.generator is not None:
            self._loader.generator.manual_seed(seed)
        own = torch.Generator().manual_seed(seed).get_state()
        batches = None
        while True:
            # Transforms draw while a batch is made, the caller in between.
            callers = torch.get_rng_state()
            torch.set_rng_state(own)
            try:
                batches = iter(self._loader) if batches is None else batches
                batch = next(batches)
            except StopIteration:
                return
            finally:
                own = torch.get_rng_state()
                torch.set_rng_state(callers)
            yield _as_numpy(batch)


def _sizes(loader: Any, steps: int | None) -> tuple[int | None, int | None]:
    """Examples in an epoch, and in its last batch."""
    batch_size = loader.batch_size
    # Batch samplers of one's own make batches of any size.
    if steps is None or batch_size is None:
        return None, None
    size = steps * batch_size if loader.drop_last else len(loader.sampler)
    return size, size - (steps - 1) * batch_size


def _as_numpy(batch: Any) -> Any:
    batch = tree.map_structure(_array, batch)
    # Loaders make a list of what examples hold; Keras and samples take a tuple.
    return tuple(batch) if isinstance(batch, list) else batch


def _array(part: Any) -> Any:
    return part.detach().cpu().numpy() if hasattr(part, "detach") else np.asarray(part)
