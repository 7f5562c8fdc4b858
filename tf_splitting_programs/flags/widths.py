"""How widths change, whichever way they do."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_choice

ROUNDS = flags.DEFINE_integer(
    "rounds",
    2,
    "Number of changes; to grow or shrink, 0 is for as many as the ratio of a round "
    "takes: 2 or 1.5. To grow to several targets, on the way to each; default then: 0.",
    lower_bound=0,
    upper_bound=1000,
)
OPTIMIZER_STATE = define_choice(
    "optimizer_state",
    None,
    ("reset", "carry", "old"),
    "After a change: reset the optimizer's state, carry it over, or carry that of old "
    "neurons only. Default: carry where neurons are removed alone, reset otherwise.",
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
