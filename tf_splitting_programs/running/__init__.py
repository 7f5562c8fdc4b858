"""How a command is run: flags parsed, help given, mistakes told, the backend quiet.

In: a `Program`, and how it was called.
Out: an exit code.
Imports from: flags. The library only once the flags are known to go together.
"""

from tf_splitting_programs.running.execution import USER_ERROR, run, run_tool
from tf_splitting_programs.running.help import WIDTH
from tf_splitting_programs.running.program import (
    Call,
    Example,
    Program,
    UsageError,
    require,
)
from tf_splitting_programs.running.quiet import import_backend, stderr_held_back
from tf_splitting_programs.running.spelling import nearest

__all__ = [
    "USER_ERROR",
    "WIDTH",
    "Call",
    "Example",
    "Program",
    "UsageError",
    "import_backend",
    "nearest",
    "require",
    "run",
    "run_tool",
    "stderr_held_back",
]
