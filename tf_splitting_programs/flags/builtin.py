"""How the built-in models are built. None of these flags goes with a saved model."""

from absl import flags

from tf_splitting_programs.flags.parsers import (
    define_choice,
    define_number,
    define_text,
)

WIDTHS = define_choice(
    "widths",
    "seed",
    ("seed", "full", "cifar_seed"),
    "Widths of a built-in model: the paper's seed, the original network, or (V1) the "
    "seed of the paper's CIFAR-100 runs.",
)
WIDTH_MULTIPLIER = define_number(
    "width_multiplier",
    1.0,
    "Scales the widths of a built-in model.",
    above=0,
    at_most=1000,
)
ACTIVATION = define_text(
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
BN_MOMENTUM = define_number(
    "bn_momentum",
    0.9,
    "Momentum of a built-in model's moving statistics. Short rounds need a low one.",
    at_least=0,
    at_most=1,
)

SYNCHRONIZED_BN = flags.DEFINE_bool(
    "synchronized_bn",
    False,
    "Batch statistics of a built-in model over all replicas of --distribute=mirrored.",
)

ALL = (WIDTHS, WIDTH_MULTIPLIER, ACTIVATION, SHORTCUT, BN_MOMENTUM, SYNCHRONIZED_BN)
