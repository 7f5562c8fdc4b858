"""What every command has."""

from absl import flags

SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of everything random.", lower_bound=0, upper_bound=2**32 - 1
)
DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of a user's mistake too.")
