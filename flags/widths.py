"""How widths change, whether they grow or shrink."""

from absl import flags

from flags.parsers import define_choice, define_number

TARGET_MACS = define_number(
    "target_macs",
    None,
    "Multiply-accumulates per image that the result may have, such as 0.2e9.",
    above=0,
)
ROUNDS = flags.DEFINE_integer(
    "rounds",
    2,
    "Number of changes; 0 for as many as the ratio of a round takes: 2 to grow, 1.5 to "
    "shrink.",
    lower_bound=0,
    upper_bound=1000,
)
OPTIMIZER_STATE = define_choice(
    "optimizer_state",
    "reset",
    ("reset", "carry", "old"),
    "After a change: reset the optimizer's state, carry it over, or carry that of old "
    "neurons only.",
)
WIDTH_MULTIPLE = flags.DEFINE_integer(
    "width_multiple",
    1,
    "Spaces change to multiples of this only.",
    lower_bound=1,
)
SPLIT_UNTRAINABLE = flags.DEFINE_bool(
    "split_untrainable",
    False,
    "Also change layers that are not trainable, such as a frozen backbone.",
)
VERIFY = flags.DEFINE_bool(
    "verify",
    True,
    "After every change check on one batch that the rebuilt model computes the same.",
)
COST = define_choice(
    "cost", "macs", ("macs", "params"), "What gains and losses are divided by."
)
