"""How the model grows."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_choice, define_number

GROW = flags.DEFINE_bool(
    "grow",
    True,
    "--nogrow trains the model as it is, for --final_epochs or --training_epochs: the "
    "baselines' jobs.",
)
METHOD = define_choice(
    "method",
    "splitting",
    (
        "splitting",
        "candidates",
        "firefly",
        "gradmax",
        "signed",
        "tiny",
        "uniform",
    ),
    "splitting chooses neurons by their splitting indices; candidates scores random "
    "fresh neurons by the gradient at their outgoing weights, gradmax those turned to "
    "where it is largest, tiny by what they add to the existing ones and to each "
    "other; uniform, the baseline, takes random ones of every layer.",
)
EPSILON = define_number(
    "epsilon",
    None,
    "fresh: added neurons start at random incoming weights and zero outgoing ones; a "
    "number: copies move by this relative step along the eigenvectors; descent: "
    "by the largest step that does not raise the loss on the estimation sample. "
    "Default: fresh.",
    above=0,
    words=("fresh", "descent"),
)
GROWING_SHARE = define_number(
    "growing_share",
    0.5,
    "Share of --training_epochs that is spent before the last split.",
    at_least=0,
    at_most=0.99,
)
REALLOCATIONS = flags.DEFINE_integer(
    "reallocations",
    0,
    "Rounds after the last split, in which neurons are moved to where they gain more.",
    lower_bound=0,
    upper_bound=1000,
)
BASELINES = flags.DEFINE_bool(
    "baselines",
    False,
    "With several --target_macs: also train the seed scaled by width to each of them, "
    "with as much compute as went into the member, to compare with.",
)
