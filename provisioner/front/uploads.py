"""What phones upload: a few files a phone, each bounded, the one before kept, and all of them together bounded."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from provisioner.errors import PeerError
from provisioner.paths import write_atomically
from provisioner.phones import overrides
from provisioner.phones.boot import POLYCOM, Asked, vendors_of
from provisioner.phones.trust import Verdict

MAX_FILE = 1 << 20  # `log.render.file.size` of 256 KiB is common, and a log may pass it
# Of one phone, in bytes: its logs, the changes made on it, its directory and call lists, each twice.
MAX_PHONE = 4 << 20
MAX_FILES = 40  # of one phone
MAX_ALL = 1 << 30
BEFORE = ".1"  # the end of the name of the version before


def _checked(data: bytes, check: Callable[[bytes], None]) -> bytes:
    check(data)
    return data


# What a Polycom reads back, once it has been made harmless; the rest is for people only.
READ_BACK: dict[str, Callable[[bytes, frozenset[str]], bytes | None]] = {
    "override": overrides.stripped,
    "directory": lambda data, _owned: _checked(data, overrides.check_directory),
    "call-list": lambda data, _owned: _checked(data, overrides.check_call_list),
}

_log = logging.getLogger(__name__)


class FullError(Exception):
    """There is no room for an upload within the quotas."""


class Uploads:
    """Files in `folder/<mac>/`. `owned`: the parameters that our own files for a phone set, which it must not change.

    When a phone's files are too large together, its oldest logs go; nothing else is ever dropped.
    """

    def __init__(
        self,
        folder: Path,
        owned: Callable[[str], frozenset[str]] = lambda _mac: frozenset(),
        most: int = MAX_ALL,
    ) -> None:
        self._folder = folder
        self._owned = owned
        self._most = most
        self._all = -1  # bytes in the folder; -1: not counted yet
        self._lock = asyncio.Lock()

    async def keep(self, verdict: Verdict, data: bytes) -> Verdict:
        """Keep what a verdict of rule `upload` lets in; the verdict, by another rule when it cannot be kept."""
        assert verdict.asked
        if len(data) > MAX_FILE:
            return verdict.because("too-large")
        try:
            async with self._lock:
                await asyncio.to_thread(self._keep, verdict.asked, data)
        except PeerError:
            return verdict.because("not-readable")
        except FullError:
            _log.warning(
                "no room for an upload of %s: remove what is old in the folder uploads", verdict.asked.mac
            )
            return verdict.because("quota")
        except OSError as error:
            _log.warning("a phone's upload cannot be kept (%s): free some disk space", error.strerror)
            return verdict.because("no-space")
        return verdict

    def read(self, asked: Asked) -> bytes | None:
        """What the phone uploaded under this name, for the kinds that phones read back."""
        if asked.kind not in READ_BACK or POLYCOM not in vendors_of(f"/{asked.name}"):
            return None
        try:
            data = (self._folder / asked.mac / asked.name).read_bytes()
            # The settings may have changed since: what they say now is not to be overruled by what was kept before.
            return (READ_BACK[asked.kind](data, self._owned(asked.mac)) if data else None) or None
        except (OSError, PeerError):
            return None

    def _keep(self, asked: Asked, data: bytes) -> None:
        if asked.kind in READ_BACK and POLYCOM in vendors_of(f"/{asked.name}"):
            data = READ_BACK[asked.kind](data, self._owned(asked.mac)) or b""
        own = self._folder / asked.mac
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = own / asked.name
        if path.exists() and path.read_bytes() == data:
            return
        if self._all < 0:
            self._all = sum(_sizes(self._folder).values())
        before = _sizes(own)
        replaced = before.get(path.with_name(path.name + BEFORE), 0) if path in before else 0
        grows = len(data) - replaced
        if self._all + grows > self._most:
            raise FullError
        dropped = _oldest_logs(
            before, sum(before.values()) + grows - MAX_PHONE, len(before) + 2 - MAX_FILES, path
        )
        _put(path, data)
        for old in dropped:
            old.unlink()
        self._all += grows - sum(before[old] for old in dropped)


def _put(path: Path, data: bytes) -> None:
    """Write `path`, whose version before stays as `<name>.1`; there is a whole `path` at every moment."""
    if path.exists():
        link = path.with_name(f".{path.name}.link")
        with suppress(FileNotFoundError):
            link.unlink()
        os.link(path, link)
        os.replace(link, path.with_name(path.name + BEFORE))
    write_atomically(path, data)


def _sizes(folder: Path) -> dict[Path, int]:
    return {file: file.stat().st_size for file in folder.rglob("*") if file.is_file()}


def _oldest_logs(files: dict[Path, int], bytes_over: int, files_over: int, wanted: Path) -> list[Path]:
    """The logs that must go. Raises FullError when that is not enough."""
    logs = [file for file in files if ".log" in file.suffixes[-2:] and not file.name.startswith(wanted.name)]
    logs.sort(key=lambda file: file.stat().st_mtime_ns)
    dropped = []
    while bytes_over > 0 or files_over > 0:
        if not logs:
            raise FullError
        dropped.append(logs.pop(0))
        bytes_over -= files[dropped[-1]]
        files_over -= 1
    return dropped
