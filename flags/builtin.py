"""How the built-in models are built. None of these flags goes with a saved model."""

from absl import flags

from flags.parsers import define_choice

WIDTHS = define_choice(
    "widths",
    "seed",
    ("seed", "full", "cifar_seed"),
    "Widths of a built-in model: the paper's seed, the original network, or (V1) the "
    "seed of the paper's CIFAR-100 runs.",
)
WIDTH_MULTIPLIER = flags.DEFINE_float(
    "width_multiplier", 1.0, "Scales the widths of a built-in model.", lower_bound=0.0
)
ACTIVATION = flags.DEFINE_string(
    "activation",
    "swish",
    "Activation of a built-in model: swish, the paper's choice, or relu6, the original "
    "networks', or any other that Keras knows.",
)
SHORTCUT = define_choice(
    "shortcut",
    "identity",
    ("identity", "conv"),
    "Shortcuts of mobilenet_v2: identity, or a learned 1x1 convolution as in the "
    "paper, which lets every block grow on its own.",
)
BN_MOMENTUM = flags.DEFINE_float(
    "bn_momentum",
    0.9,
    "Momentum of a built-in model's moving statistics. Short rounds need a low one.",
    lower_bound=0.0,
    upper_bound=1.0,
)

ALL = (WIDTHS, WIDTH_MULTIPLIER, ACTIVATION, SHORTCUT, BN_MOMENTUM)
