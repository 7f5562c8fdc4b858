"""Keeps the backend quiet where the package is run as a program.

`python -m tf_splitting` imports the package, and Keras with it, before its `__main__`.
"""

import sys


def is_run(argv: list[str], command: list[str]) -> bool:
    """Whether Python is about to run this package, and imports it for that.

    Args:
        argv: `sys.argv`, whose first item is "-m" until the module is found.
        command: all that Python was called with.
    """
    if argv[:1] != ["-m"] or "-m" not in command:
        return False
    return command[command.index("-m") + 1 :][:1] == [__package__]


if is_run(sys.argv, sys.orig_argv):
    from tf_splitting_programs.running import import_backend

    import_backend()
