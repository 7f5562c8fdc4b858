"""The manifest of a checkpoint: which files it has, and what is in them.

`{"files": {name: {"sha256", "size"}}, "format", "number", "sha256"}`, where the last is
the SHA-256 of all the rest. Every format ends in such a `sha256` and is rendered alike,
so that a newer format can be told from a damaged file.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

NAME = "manifest.json"
FORMAT = 1


class FileRecord(NamedTuple):
    """Size in bytes and SHA-256, in hexadecimal, of a file."""

    size: int
    sha256: str


class DamagedError(Exception):
    """A checkpoint is not what was written.

    Attributes:
        whole: names of the files that are.
    """

    def __init__(self, reason: str, whole: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.whole = whole


def encode(number: int, files: Mapping[str, FileRecord]) -> bytes:
    """The manifest of checkpoint `number`, as it stands in the file."""
    records = {name: record._asdict() for name, record in files.items()}
    return _render({"format": FORMAT, "number": number, "files": records})


def decode(data: bytes, number: int) -> dict[str, FileRecord]:
    """The files that belong to checkpoint `number`.

    Raises:
        DamagedError: any bit differs from what was written, or it belongs to another
            number, or is of a format that this version does not know.
    """
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise DamagedError(f"{NAME} is not JSON") from None
    if not isinstance(body, dict) or body.pop("sha256", None) is None:
        raise DamagedError(f"{NAME} is not a manifest")
    # Comparing all bytes, and not the digest alone, minds the spaces too.
    if _render(body) != data:
        raise DamagedError(f"{NAME} has changed since it was written")
    if body["format"] != FORMAT:
        raise DamagedError(
            f"it was written by a newer version of tf_splitting (format "
            f"{body['format']}; this version reads format {FORMAT})"
        )
    if body["number"] != number:
        raise DamagedError(f"{NAME} belongs to checkpoint {body['number']}")
    return {name: FileRecord(**record) for name, record in body["files"].items()}


def _render(body: Mapping[str, Any]) -> bytes:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(canonical).hexdigest()
    return json.dumps({**body, "sha256": digest}, indent=1, sort_keys=True).encode()
