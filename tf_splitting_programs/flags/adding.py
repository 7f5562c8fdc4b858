"""What becomes of added neurons."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_choice

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
