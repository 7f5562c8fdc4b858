"""The data set that the flags name, as a model wants it."""

from tf_splitting import data
from tf_splitting.errors import DataError
from tf_splitting_programs.flags import data as data_flags
from tf_splitting_programs.flags import program


def load(
    shape: tuple[int, int, int],
    *,
    train_limit: int | None = None,
    augment: bool = False,
) -> data.ImageData:
    """Loads the set for images of shape (height, width, channels)."""
    height, width, channels = shape
    return data.load(
        data_flags.DATASET.value,
        data_dir=data_flags.DATA_DIR.value,
        image_size=(height, width),
        channels=channels,
        batch_size=data_flags.BATCH_SIZE.value,
        augment=augment,
        seed=program.SEED.value,
        train_limit=train_limit,
        test_limit=data_flags.test_limit(),
        download=data_flags.DOWNLOAD.value,
    )


def check_classes(outputs: int, images: data.ImageData) -> None:
    """Raises if a model has fewer outputs than the set has classes.

    Raises:
        DataError: it has.
    """
    if outputs < images.classes:
        raise DataError(
            f"The model has {outputs} outputs, but {images.name!r} has "
            f"{images.classes} classes. Use another set, or a model for this one."
        )
