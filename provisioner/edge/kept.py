"""A small JSON file that outlives a restart of the edge; written beside the calls, never waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from provisioner.paths import write_atomically

_log = logging.getLogger(__name__)


class Kept:
    """`content()` is what is written after each `changed()`; writes do not overtake each other."""

    def __init__(self, path: Path, content: Callable[[], object]) -> None:
        self._path = path
        self._content = content
        self._task: asyncio.Task[None] | None = None
        self._dirty = False

    def load(self) -> object:
        """What was kept; None when there is nothing that can be read. Blocks on the disk."""
        try:
            return msgspec.json.decode(self._path.read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    def changed(self) -> None:
        """Write soon."""
        self._dirty = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._dirty:
            self._dirty = False
            data = msgspec.json.encode(self._content())
            try:
                await asyncio.to_thread(write_atomically, self._path, data)
            except OSError as error:
                _log.warning("%s cannot be kept (%s)", self._path.name, error.strerror)

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._task:
            await self._task
