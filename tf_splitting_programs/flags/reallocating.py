"""How the model's neurons are exchanged."""

from tf_splitting_programs.flags.parsers import define_number

MOVED = define_number(
    "moved",
    0.25,
    "Share of the cost that is moved in a round, at most.",
    above=0,
    at_most=1,
)
GAIN_STEP = define_number(
    "gain_step",
    0.1,
    "Relative step that gains are predicted for: a larger one moves more.",
    above=0,
)
REALLOCATING_SHARE = define_number(
    "reallocating_share",
    0.5,
    "Share of --training_epochs that is spent before the last exchange.",
    at_least=0,
    at_most=0.99,
)
