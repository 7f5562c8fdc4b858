"""Which images, and how they come."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_text

# The set that ships is for jobs that end within minutes on two CPU cores, where a
# MobileNet at 224 pixels trains on 10 to 40 images a second.
SHIPPED = "fashion_mnist_small"
SHIPPED_TRAIN_LIMIT = 1000
SHIPPED_TEST_LIMIT = 400

# Sizes are counted in 32 bits.
MOST_IMAGES = 2**31 - 1

DATASET = define_text(
    "dataset",
    SHIPPED,
    f"{SHIPPED}, which needs no network; the path of an image folder; or a set of "
    "TensorFlow Datasets such as cifar100 or cifar100:coarse_label.",
)
DATA_DIR = define_text(
    "data_dir", None, "Where TensorFlow Datasets keeps its prepared sets."
)
DOWNLOAD = flags.DEFINE_bool(
    "download", False, "Fetch a TensorFlow Datasets set that is not on disk."
)
TRAIN_LIMIT = flags.DEFINE_integer(
    "train_limit",
    None,
    "Use only so many training images; 0 for all. Default: "
    f"{SHIPPED_TRAIN_LIMIT} of {SHIPPED}, all of any other set.",
    lower_bound=0,
    upper_bound=MOST_IMAGES,
)
TEST_LIMIT = flags.DEFINE_integer(
    "test_limit",
    None,
    "Use only so many test images; 0 for all. Default: "
    f"{SHIPPED_TEST_LIMIT} of {SHIPPED}, all of any other set.",
    lower_bound=0,
    upper_bound=MOST_IMAGES,
)
BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "Images per batch.", lower_bound=1, upper_bound=MOST_IMAGES
)


def train_limit() -> int | None:
    """Training images to use, None for all."""
    return _limit(TRAIN_LIMIT.value, SHIPPED_TRAIN_LIMIT)


def test_limit() -> int | None:
    """Test images to use, None for all."""
    return _limit(TEST_LIMIT.value, SHIPPED_TEST_LIMIT)


def is_cut() -> bool:
    """Whether a default, and not the user, leaves out images."""
    given = (TRAIN_LIMIT.value, TEST_LIMIT.value)
    return DATASET.value == SHIPPED and None in given


def _limit(given: int | None, shipped: int) -> int | None:
    if given is None and DATASET.value == SHIPPED:
        return shipped
    return given or None
