"""Firmware images in `DIR/firmware/<vendor>/`: found by name, read piece by piece, never waited for on the loop."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from provisioner.phones.boot import vendors_of
from provisioner.phones.trust import Verdict


class Image:
    """One open file. Close it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._descriptor).st_size
        self._closed = False

    def close(self) -> None:
        """Once is enough; more does no harm."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)

    def read(self, at: int, count: int) -> bytes:
        """The bytes from `at` on, fewer at the end."""
        return os.pread(self._descriptor, count, at)

    async def piece(self, at: int, count: int) -> bytes:
        """The same, from memory when the kernel has it there, else by a thread that waits for the disk."""
        buffer = bytearray(count)
        try:
            got = os.preadv(self._descriptor, [buffer], at, os.RWF_NOWAIT)
        except OSError:  # not in memory, or a file system that cannot tell
            got = 0
        if got:
            return bytes(memoryview(buffer)[:got])
        return await asyncio.to_thread(self.read, at, count)


class Firmware:
    """The images of one folder, by the maker's folder and the name in any case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def find(self, verdict: Verdict) -> Image | None:
        """The image that a verdict of rule `firmware` lets out; None when there is none."""
        assert verdict.asked
        name = verdict.asked.name
        vendors = vendors_of(f"/{name}")
        if verdict.identity.vendor:
            vendors = tuple(each for each in vendors if each == verdict.identity.vendor)
        return await asyncio.to_thread(self._open, vendors, name)

    def _open(self, vendors: tuple[str, ...], name: str) -> Image | None:
        for vendor in vendors:
            try:
                with os.scandir(self._folder / vendor) as entries:
                    found = [
                        entry.path for entry in entries if entry.name.lower() == name and entry.is_file()
                    ]
                if found:
                    return Image(Path(min(found)))
            except OSError:
                continue
        return None
