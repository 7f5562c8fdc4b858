"""TensorBoard events of a job, on any backend.

Not written by tensorboardX's `SummaryWriter`, whose thread dies of a full disk: whoever
flushes then waits forever.
"""

import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from tf_splitting import GrowthHistory, count_macs, count_params


class Events:
    """A run's event file. A full disk does not end the job: what it does not take is
    written with later events.

    Args:
        folder: where it goes.
    """

    def __init__(self, folder: str | Path) -> None:
        name = f"{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._path = Path(folder) / f"events.out.tfevents.{name}"
        self._waiting = _record(Event(file_version="brain.Event:2"))

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes values at a step."""
        values = [
            Summary.Value(tag=name, simple_value=float(value))
            for name, value in scalars.items()
        ]
        self._waiting += _record(Event(step=step, summary=Summary(value=values)))
        with suppress(OSError):
            self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered, so that it is known how much the disk took.
        with self._path.open("ab", buffering=0) as file:
            while self._waiting:
                self._waiting = self._waiting[file.write(self._waiting) :]


class EpochEvents(keras.callbacks.Callback):
    """Writes loss, metrics, MACs, parameters, learning rate and round of every epoch.

    And the training compute spent so far, in MACs times images, and the seconds.

    One object lives through the whole job: `fit` runs once per round, each time with
    another model. The members of a family are runs of their own, in folders inside.

    Args:
        folder: where the event files go.
        history: of the job; knows the round.
        members: names of the members' runs, but for the last.
    """

    def __init__(
        self, folder: str | Path, history: GrowthHistory, members: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._run = Events(folder)
        self._members = [Events(Path(folder) / name) for name in members]
        self._history = history
        self._cost = {"macs": 0, "params": 0}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._cost = {
            "macs": count_macs(self.model),
            "params": count_params(self.model),
        }

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        run, history = self._run, self._history
        if history.branch is not None:
            run, history = self._members[len(history.members)], history.branch
        scalars = {
            **(logs or {}),
            **self._cost,
            "learning_rate": float(np.asarray(self.model.optimizer.learning_rate)),
            "round": len(history.rounds),
            "compute": history.path_compute,
            "seconds": history.path_seconds,
        }
        run.add(epoch + 1, scalars)


def _record(event: Event) -> bytes:
    """An event as it stands in the file: length, data, and a checksum behind each."""
    event.wall_time = time.time()
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return b"".join(
        [
            length,
            struct.pack("<I", masked_crc32c(length)),
            data,
            struct.pack("<I", masked_crc32c(data)),
        ]
    )
