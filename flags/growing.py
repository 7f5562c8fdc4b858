"""How the model grows."""

from absl import flags

from flags.parsers import define_choice, define_number

GROW = flags.DEFINE_bool(
    "grow",
    True,
    "--nogrow trains the model as it is, for --final_epochs or --training_epochs: the "
    "baselines' jobs.",
)
TARGET_MACS = define_number(
    "target_macs",
    None,
    "Multiply-accumulates per image that the grown model may have, such as 0.2e9.",
    above=0,
)
ROUNDS = flags.DEFINE_integer(
    "rounds",
    2,
    "Number of splits; 0 for as many as doubling the MACs in each round takes.",
    lower_bound=0,
    upper_bound=1000,
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
OPTIMIZER_STATE = define_choice(
    "optimizer_state",
    "reset",
    ("reset", "carry", "old"),
    "After a split: reset the optimizer's state, carry it over, or carry that of old "
    "neurons only.",
)
MAX_WIDTH = flags.DEFINE_integer(
    "max_width", None, "Largest width of any layer that grows.", lower_bound=1
)
WIDTH_MULTIPLE = flags.DEFINE_integer(
    "width_multiple", 1, "Grow to multiples of this only.", lower_bound=1
)
SPLIT_UNTRAINABLE = flags.DEFINE_bool(
    "split_untrainable",
    False,
    "Also split neurons of layers that are not trainable, such as a frozen backbone.",
)
VERIFY = flags.DEFINE_bool(
    "verify",
    True,
    "After every split check on one batch that the rebuilt model computes the same.",
)
COST = define_choice(
    "cost", "macs", ("macs", "params"), "What the gain of a split is divided by."
)
