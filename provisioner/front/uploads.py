"""The logs that phones upload: a few files a phone, each of a bounded size, read by nobody but people."""

from __future__ import annotations

import os
from pathlib import Path

from provisioner.paths import write_atomically
from provisioner.phones.boot import Asked

MAX_FILE = 256 << 10
MAX_FILES = 4  # a phone: its two logs, and the last version of each


def store(folder: Path, asked: Asked, data: bytes) -> None:
    """Keep an upload as `folder/<mac>/<name>`, the one before as `<name>.1`; beyond the quota the oldest goes

    Raises OSError.
    """
    own = folder / asked.mac
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = own / asked.name
    if path.exists():
        os.replace(path, own / f"{asked.name}.1")
    write_atomically(path, data)
    files = sorted((file for file in own.iterdir()), key=lambda file: file.stat().st_mtime_ns)
    for file in files[:-MAX_FILES]:
        file.unlink()
