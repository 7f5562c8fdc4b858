"""What the result may cost."""

from flags.parsers import define_number

TARGET_MACS = define_number(
    "target_macs",
    None,
    "Multiply-accumulates per image that the result may have, such as 0.2e9.",
    above=0,
)
