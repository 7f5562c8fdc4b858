"""How many images neurons are measured on."""

from absl import flags

SAMPLE_SIZE = flags.DEFINE_integer(
    "sample_size",
    192,
    "Most training images that neurons are measured on; growing stops taking more once "
    "the plan is settled. Removals, which cost less to measure, take 2,048 unless this "
    "is given.",
    lower_bound=1,
)
