"""Where a job's results go, and how it is saved."""

from absl import flags

from tf_splitting_programs.flags.parsers import define_text

WORKDIR = define_text(
    "workdir", None, "Folder for the results. Default: a fresh runs/<model>-<time>."
)
EXPORT = flags.DEFINE_bool("export", True, "Write a SavedModel too.")
LITERT = flags.DEFINE_bool("litert", False, "Write a LiteRT model, model.tflite, too.")
SAVE_STEPS = flags.DEFINE_integer(
    "save_steps",
    None,
    "Save the job after every so many training steps too, not only after epochs.",
    lower_bound=1,
)
RESTART = flags.DEFINE_bool(
    "restart",
    False,
    "Start over in a --workdir that holds a job; what is there moves to previous-1/.",
)
DETERMINISTIC = flags.DEFINE_bool(
    "deterministic",
    True,
    "Operations that give the same bits every time, so that a job that was interrupted "
    "ends exactly as it would have. Slower on a GPU.",
)
