"""Image data sets: one that ships, TensorFlow Datasets, folders; samples of any data.

In: the name of a set, or whatever `fit` takes.
Out: `ImageData`, whose epochs are functions of a seed; a fixed `Sample`.
Imports from: support.
"""

from tf_splitting.data.epochs import Epochs
from tf_splitting.data.loading import ImageData, load
from tf_splitting.data.sampling import (
    Batch,
    Sample,
    divided,
    draw_sample,
    first_batch,
    is_arrays,
    take_rows,
    whole_of,
)
from tf_splitting.data.torch_loader import LoaderEpochs, is_torch_loader

__all__ = [
    "Batch",
    "Epochs",
    "ImageData",
    "LoaderEpochs",
    "Sample",
    "divided",
    "draw_sample",
    "first_batch",
    "is_arrays",
    "is_torch_loader",
    "load",
    "take_rows",
    "whole_of",
]
