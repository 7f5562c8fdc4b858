"""How neurons are removed, for good or in exchange."""

from absl import flags

FOLD = flags.DEFINE_bool(
    "fold",
    True,
    "Mean outputs of removed neurons are added to the biases behind, or taken from the "
    "batch statistics.",
)
MIN_WIDTH = flags.DEFINE_integer(
    "min_width", 1, "Smallest width of any layer that loses neurons.", lower_bound=1
)
