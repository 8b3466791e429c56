"""How much room there is where everything is kept."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Literal, NamedTuple

from provisioner.paths import StateDir

LOW, SCARCE = 2 << 30, 500 << 20  # bytes free: time to look, and time to act


class Disk(NamedTuple):
    """Bytes of the file system of the state directory, and of the journal with its write-ahead log."""

    free: int
    total: int
    journal: int

    @property
    def level(self) -> Literal["good", "warn", "bad"]:
        """Whether somebody should look, or act."""
        return "bad" if self.free < SCARCE else "warn" if self.free < LOW else "good"

    @property
    def used(self) -> float:
        """The share that is taken, 0 to 1."""
        return 1 - self.free / self.total if self.total else 0.0


def measured(state: StateDir) -> Disk | None:
    """As it is now; None where it cannot be told."""
    try:
        usage = shutil.disk_usage(state.root)
    except OSError:
        return None
    journal = 0
    for suffix in ("", "-wal"):
        with suppress(OSError):
            journal += os.stat(f"{state.journal}{suffix}").st_size
    return Disk(usage.free, usage.total, journal)
