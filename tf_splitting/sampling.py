"""Draws a fixed sample from whatever `model.fit` takes, and checks that it fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import DataError

tree = keras.tree


@dataclass(frozen=True)
class Batch:
    """One batch: inputs, targets and, if there are any, sample weights."""

    x: Any
    y: Any
    sample_weight: Any = None

    @property
    def size(self) -> int:
        """Number of examples."""
        return int(np.shape(tree.flatten(self.x)[0])[0])


@dataclass(frozen=True)
class Sample:
    """A fixed sample of a dataset, in batches of NumPy arrays."""

    batches: tuple[Batch, ...]

    @property
    def size(self) -> int:
        """Number of examples."""
        return sum(batch.size for batch in self.batches)


def is_arrays(dataset: Any) -> bool:
    """Whether a dataset is a tuple of arrays: (x, y) or (x, y, sample_weight)."""
    return isinstance(dataset, (tuple, list))


def draw_sample(
    dataset: Any, *, size: int, batch_size: int | None = None, seed: int = 0
) -> Sample:
    """Draws a sample and reads the dataset no further than it needs.

    Arrays are sampled at random; a `PyDataset` gives random batches; a stream (such
    as `tf.data`) gives its first examples, so shuffle it if it is sorted.

    Args:
        dataset: `(x, y)` or `(x, y, sample_weight)` arrays, a `keras.utils.PyDataset`,
            or an iterable of such batches.
        size: number of examples; fewer if the dataset is smaller.
        batch_size: examples per batch; default: 32 for arrays, else the dataset's.
        seed: seed of the draw.

    Raises:
        DataError: the dataset is empty, has no targets, or is of another kind.
    """
    if size < 1 or (batch_size is not None and batch_size < 1):
        raise DataError(
            f"Got sample_size={size}, batch_size={batch_size}; expected at least 1."
        )
    generator = np.random.default_rng(seed)
    if is_arrays(dataset):
        batches = _from_arrays(dataset, size, batch_size or 32, generator)
    elif isinstance(dataset, keras.utils.PyDataset):
        order = generator.permutation(dataset.num_batches or 0)
        batches = (_unpack(dataset[int(index)]) for index in order)
    elif hasattr(dataset, "__iter__") and not hasattr(dataset, "__next__"):
        batches = (_unpack(element) for element in dataset)
    else:
        raise DataError(
            f"Got a dataset of type {type(dataset).__name__}; expected arrays "
            "(x, y), a tf.data.Dataset or a keras.utils.PyDataset. A generator can be "
            "read only once: wrap it in a PyDataset."
        )
    taken = list(_take(batches, size))
    if not taken:
        raise DataError("The dataset is empty: it yielded no batch.")
    if batch_size is not None and not is_arrays(dataset):
        whole = _concatenate(taken)
        taken = [
            _rows(whole, slice(start, start + batch_size))
            for start in range(0, whole.size, batch_size)
        ]
    return Sample(tuple(taken))


def _from_arrays(
    dataset: Any, size: int, batch_size: int, generator: np.random.Generator
) -> Iterator[Batch]:
    whole = _unpack(tuple(dataset))
    lengths = {len(array) for array in tree.flatten((whole.x, whole.y))}
    if len(lengths) > 1:
        raise DataError(f"Got arrays of different lengths: {sorted(lengths)}.")
    rows = np.sort(generator.permutation(whole.size)[:size])
    generator.shuffle(rows)
    for start in range(0, len(rows), batch_size):
        yield _rows(whole, rows[start : start + batch_size])


def _unpack(element: Any) -> Batch:
    if not isinstance(element, (tuple, list)) or len(element) not in (2, 3):
        kind = type(element).__name__
        raise DataError(
            f"Got dataset elements of type {kind}"
            + (f" and length {len(element)}" if isinstance(element, tuple) else "")
            + "; expected (x, y) or (x, y, sample_weight)."
        )
    batch = Batch(*(_as_arrays(part) for part in element))
    if batch.y is None:
        raise DataError("The dataset has no targets; expected (x, y).")
    return batch


def _as_arrays(part: Any) -> Any:
    # Tuples, because tf.data takes a list for an array.
    part = tree.lists_to_tuples(part)
    return None if part is None else tree.map_structure(np.asarray, part)


def _take(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    left = size
    for batch in batches:
        if batch.size == 0:
            continue
        yield batch if batch.size <= left else _rows(batch, slice(0, left))
        left -= batch.size
        if left <= 0:
            return


def _rows(batch: Batch, rows: Any) -> Batch:
    x, y, weight = tree.map_structure(
        lambda array: array[rows],
        (batch.x, batch.y, batch.sample_weight if _weighted(batch) else ()),
    )
    return Batch(x, y, weight if _weighted(batch) else None)


def _weighted(batch: Batch) -> bool:
    return batch.sample_weight is not None


def _concatenate(batches: list[Batch]) -> Batch:
    def join(*arrays: np.ndarray) -> np.ndarray:
        return np.concatenate(arrays)

    first = batches[0]
    return Batch(
        tree.map_structure(join, *[b.x for b in batches]),
        tree.map_structure(join, *[b.y for b in batches]),
        tree.map_structure(join, *[b.sample_weight for b in batches])
        if _weighted(first)
        else None,
    )
