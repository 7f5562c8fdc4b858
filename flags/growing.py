"""How the model grows."""

from absl import flags

from flags.parsers import define_choice, define_number

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
CARRIED_KERNELS = define_choice(
    "carried_kernels",
    "copy",
    ("copy", "draw"),
    "Depthwise, grouped and separable kernels of fresh neurons: their parents' or "
    "random ones.",
)
CARRIED_SCALES = define_choice(
    "carried_scales",
    "copy",
    ("copy", "draw"),
    "Normalization, bias, PReLU and LayerScale of fresh neurons: their parents' or the "
    "initial values.",
)
MAX_WIDTH = flags.DEFINE_integer(
    "max_width", None, "Largest width of any layer that grows.", lower_bound=1
)
GROWING_SHARE = define_number(
    "growing_share",
    0.5,
    "Share of --training_epochs that is spent before the last split.",
    at_least=0,
    at_most=0.99,
)
