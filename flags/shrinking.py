"""How the model shrinks."""

from absl import flags

from flags.parsers import define_choice, define_number

SCORE = define_choice(
    "score",
    "second_order",
    ("second_order", "taylor", "normalization_scale", "weight_norm"),
    "What removing a neuron costs: the predicted rise of the loss; the square of its "
    "first-order change; the scale of its normalization; the norm of its weights.",
)
FOLD = flags.DEFINE_bool(
    "fold",
    True,
    "Mean outputs of removed neurons are added to the biases behind, or taken from the "
    "batch statistics.",
)
MIN_WIDTH = flags.DEFINE_integer(
    "min_width", 1, "Smallest width of any layer that shrinks.", lower_bound=1
)
SHRINKING_SHARE = define_number(
    "shrinking_share",
    0.5,
    "Share of --training_epochs that is spent before the last removal.",
    at_least=0,
    at_most=0.99,
)
