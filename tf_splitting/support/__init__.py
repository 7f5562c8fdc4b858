"""What every room stands on: arguments checked, files that appear whole, progress.

In: what users pass; models and processes.
Out: checked values, files, progress lines and tables; where a model is placed, how it
was compiled, and whether somebody has asked to stop.
Imports from: no other room.
"""

from tf_splitting.support import arguments
from tf_splitting.support.arguments import (
    DISK_TROUBLE,
    behaving,
    class_weights,
    in_a_line,
    instance,
    number,
    one_of,
    path,
    refused,
    shown,
    truth,
    verbosity,
    whole,
)
from tf_splitting.support.compile_settings import (
    compiled_loss,
    copy_compile_settings,
    fresh_optimizer,
    has_own_loss,
    has_own_schedule,
)
from tf_splitting.support.files import (
    appearing,
    beside,
    discard,
    flush_directory,
    make_directory,
    move,
    remove_leftovers,
    write_text_atomically,
)
from tf_splitting.support.interruption import request_stop, stop_on_signals
from tf_splitting.support.placement import (
    Placement,
    alone,
    placement_of,
    rows_of,
    scope_of,
)
from tf_splitting.support.progress import Bar, format_count, format_seconds
from tf_splitting.support.stopping import Looks, raise_if_requested, to_stop
from tf_splitting.support.stopwatch import Stopwatch
from tf_splitting.support.tables import format_table
from tf_splitting.support.terminal import Piece, Style, line_of, styled, wrapped
from tf_splitting.support.variables import assign_copy
from tf_splitting.support.version import VERSION

__all__ = [
    "DISK_TROUBLE",
    "VERSION",
    "Bar",
    "Looks",
    "Piece",
    "Placement",
    "Stopwatch",
    "Style",
    "alone",
    "appearing",
    "arguments",
    "assign_copy",
    "behaving",
    "beside",
    "class_weights",
    "compiled_loss",
    "copy_compile_settings",
    "discard",
    "flush_directory",
    "format_count",
    "format_seconds",
    "format_table",
    "fresh_optimizer",
    "has_own_loss",
    "has_own_schedule",
    "in_a_line",
    "instance",
    "line_of",
    "make_directory",
    "move",
    "number",
    "one_of",
    "path",
    "placement_of",
    "raise_if_requested",
    "refused",
    "remove_leftovers",
    "request_stop",
    "rows_of",
    "scope_of",
    "shown",
    "stop_on_signals",
    "styled",
    "to_stop",
    "truth",
    "verbosity",
    "whole",
    "wrapped",
    "write_text_atomically",
]
