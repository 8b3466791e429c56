"""Backups that were uploaded and wait to be restored: kept for an hour, each in a folder of its own."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from provisioner.errors import OperatorError
from provisioner.keeping import archive, kept, restoring, telling
from provisioner.keeping.archive import Cover, Manifest
from provisioner.keeping.restoring import Backup
from provisioner.paths import StateDir
from provisioner.web.jobs import Progress
from provisioner.web.sources import Sources

KEPT_SECONDS = 3600.0
PIECE = 1 << 20
_NAME = re.compile(r"[0-9a-f]{16}")


class Restores:
    """The uploads of one appliance; `now`: seconds since 1970."""

    def __init__(self, state: StateDir, now: Callable[[], float]) -> None:
        self._state = state
        self._now = now
        self._root = state.root / "restores"

    def take(self, source: IO[bytes]) -> str:
        """Keep what is uploaded; its id. Raises OperatorError for what is no backup, and when the disk is full."""
        name = self._new()
        try:
            with (self._root / name / "upload.zip").open("wb") as target:
                while piece := source.read(PIECE):
                    target.write(piece)
            archive.look(self._root / name / "upload.zip")
        except OSError as error:
            self.drop(name)
            raise OperatorError(
                f"the backup cannot be kept here ({error.strerror})", "free space on the disk, then try again"
            ) from None
        except BaseException:
            self.drop(name)
            raise
        return name

    def take_kept(self, path: Path, own: bool) -> str:
        """The same of one that lies here; one that only this appliance can open is opened at once."""
        with path.open("rb") as source:
            name = self.take(source)
        if own:
            self.open(name, kept.own_key(self._state)).close()
        return name

    def _new(self) -> str:
        self._root.mkdir(mode=0o700, exist_ok=True)
        for old in self._root.iterdir():
            if self._now() - old.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        name = secrets.token_hex(8)
        (self._root / name).mkdir(mode=0o700)
        return name

    def cover(self, name: str) -> Cover | None:
        """What is known of an upload without opening it; None when there is none (any more)."""
        path = self._root / name / "upload.zip"
        return archive.look(path) if _NAME.fullmatch(name) and path.is_file() else None

    def is_open(self, name: str) -> bool:
        """Whether it was opened, by its passphrase if it has one."""
        return (self._root / name / "manifest.json").is_file()

    def open(self, name: str, passphrase: str = "") -> Backup:
        """The backup itself; close it. Raises OperatorError."""
        folder = self._root / name
        if self.is_open(name):
            manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
            return restoring.reopened(folder / "content", manifest)
        shutil.rmtree(folder / "content", ignore_errors=True)
        try:
            backup = restoring.unpack(folder / "upload.zip", folder / "content", passphrase)
        except OSError as error:
            raise OperatorError(
                f"the backup cannot be opened here ({error.strerror})", "free space on the disk"
            ) from None
        (folder / "manifest.json").write_bytes(msgspec.json.encode(backup.manifest))
        return backup

    def drop(self, name: str) -> None:
        """Forget an upload."""
        if _NAME.fullmatch(name):
            shutil.rmtree(self._root / name, ignore_errors=True)


def work(
    held: Sources, uploads: Restores, name: str, parts: frozenset[str], who: str
) -> Callable[[Progress], dict[str, object]]:
    """The job of restoring `parts` of an upload: what is here is kept first, and all processes are told after."""

    def do(progress: Progress) -> dict[str, object]:
        backup = uploads.open(name)
        try:
            progress(0, 0, "Keeps what is here")
            before = kept.before_restore(held.state, who, held.now)

            def tell(done: int, total: int, what: str) -> None:
                if what == restoring.RECORDS:
                    progress.final(what)
                progress(done, total, what)

            counts = restoring.restore(held.state, backup, parts, who, tell, held.now)
        finally:
            backup.close()
        progress(1, 1, "Tells all processes")
        left = telling.take_up(held.state, parts)
        uploads.drop(name)
        return {
            "counts": [msgspec.to_builtins(count) for count in counts],
            "before": before.name,
            "left": left,
            "parts": sorted(parts),
        }

    return do
