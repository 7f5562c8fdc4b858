"""How splitting indices are estimated."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_choice

ESTIMATOR = define_choice(
    "estimator",
    "rayleigh",
    ("rayleigh", "rmsprop", "exact"),
    "rayleigh iterates on a fixed sample; rmsprop is the paper's stochastic descent; "
    "exact materialises the matrices: small models only.",
)
PASSES = flags.DEFINE_integer(
    "passes",
    4,
    "Passes over the sample; each costs about one training epoch of it.",
    lower_bound=1,
)
