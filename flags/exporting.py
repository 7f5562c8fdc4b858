"""What `export.py` writes."""

from absl import flags

FORMAT = flags.DEFINE_list("format", "saved_model", "saved_model, tflite, or both.")
OUTPUT = flags.DEFINE_string("output", None, "Folder that the results appear in.")
