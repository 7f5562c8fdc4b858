"""Image data sets: one that ships, TensorFlow Datasets, folders."""

from tf_splitting.data.loading import ImageData, load

__all__ = ["ImageData", "load"]
