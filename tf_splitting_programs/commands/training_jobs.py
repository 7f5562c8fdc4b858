"""What `grow`, `shrink` and `reallocate` have in common."""

from tf_splitting_programs.flags import devices, job
from tf_splitting_programs.running import require

# How a job ends before its time, and goes on.
GOING_ON = """
A job that was killed goes on with the same command and its --workdir. SIGTERM and
SIGINT stop it after the step it is at, saved, with exit code 75; a second one at
once.
"""


def writes(result: str) -> str:
    """What is said of the results, by the name of the model's file."""
    return f"""
Writes to --workdir: {result}, saved_model/ (unless --noexport),
history.json, growth.png, report.html (all of the job, for a browser), flags.txt,
checkpoints/, and TensorBoard events under logs/.
{GOING_ON}"""


def check_folder() -> None:
    """Raises `UsageError` unless processes that share a job know where it is."""
    if devices.PROCESSES.value > 1:
        require(job.WORKDIR, "the folder that all processes share")
