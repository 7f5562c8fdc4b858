"""How the model shrinks."""

from tf_splitting_programs.flags.parsers import define_choice, define_number

SCORE = define_choice(
    "score",
    "second_order",
    ("second_order", "taylor", "normalization_scale", "weight_norm"),
    "What removing a neuron costs: the predicted rise of the loss; the square of its "
    "first-order change; the scale of its normalization; the norm of its weights.",
)
SHRINKING_SHARE = define_number(
    "shrinking_share",
    0.5,
    "Share of --training_epochs that is spent before the last removal.",
    at_least=0,
    at_most=0.99,
)
