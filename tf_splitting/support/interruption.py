"""Asking a job to stop: at the next step, with everything saved.

One request, three ways to make it: a signal (`stop_on_signals`), a Keras callback that
has heard of a pre-emption (`request_stop`), or any other thread. What a job does about
it is in `stopping.py`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_request: list[str] = []


def request_stop(reason: str) -> None:
    """Asks the job that runs in this process to stop at its next step.

    A job with a `checkpoint_dir` saves first. It then raises `Interrupted`; the same
    call goes on from there.

    Args:
        reason: why, for the message.

    Example:
        >>> class SpotNotice(keras.callbacks.Callback):
        ...     def on_train_batch_end(self, batch, logs=None):
        ...         if notice_file.exists():
        ...             tf_splitting.request_stop("the machine is taken away")
    """
    _request.append(reason)


def stop_requested() -> str | None:
    """The reason of the first request that is still open, if there is one."""
    return _request[0] if _request else None


def request_answered() -> None:
    """Forgets all requests: the job stops."""
    _request.clear()


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """While this lasts SIGTERM and SIGINT ask to stop, and a second one kills at once.

    Python hears of signals between two operations: the same one sent twice while one
    operation runs counts once. Only the main thread hears of them: in others this does
    nothing.

    Example:
        >>> with tf_splitting.stop_on_signals():
        ...     tf_splitting.grow(model, data, target_macs=2e8, checkpoint_dir="run")
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        # The same signal again finds the default handler: no operation can put it off.
        # Another may have come by now and only wait for Python to hear of it, which
        # would drop it if its handler were the default one.
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL if each == number else _die)
        name = signal.Signals(number).name
        request_stop(name)
        # Not print: the main thread may hold its lock.
        os.write(2, f"\n{name}: stopping after this step\n".encode())

    previous = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _die(number: int, frame: FrameType | None) -> None:
    """Ends the process as the signal does by default."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
