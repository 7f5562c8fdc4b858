"""What `inspect_model.py` shows."""

from absl import flags

SCORES = flags.DEFINE_bool(
    "scores", False, "Estimate splitting indices on training images of --dataset."
)
