"""What `export.py` writes."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_text

FORMAT = flags.DEFINE_list("format", "saved_model", "saved_model, tflite, or both.")
OUTPUT = define_text("output", None, "Folder that the results appear in.")
