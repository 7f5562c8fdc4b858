"""Where a job's results go."""

from absl import flags

WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder for the results. Default: a fresh runs/<model>-<time>."
)
EXPORT = flags.DEFINE_bool("export", True, "Write a SavedModel too.")
