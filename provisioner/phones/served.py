"""What is remembered of the files that phones fetched, without secrets, so that it can be told what has changed."""

from __future__ import annotations

import hashlib
from typing import Any

from provisioner.phones import settings
from provisioner.phones.identity import Identity
from provisioner.phones.render import Rendered

TOLD_AGAIN_SECONDS = 1800  # the journal drops a skeleton that nothing refers to an hour after it was told

Row = dict[str, Any]


class Memory:
    """Makes rows for the journal's `served` and `skeletons`: none for a file that was fetched of this revision before.

    Of a newer revision a row is written though the file says the same: who has fetched since a change is told by it.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, int]] = {}
        self._told: dict[str, float] = {}

    def rows(self, name: str, made: Rendered, who: Identity, at: float) -> list[tuple[str, Row]]:
        """What to write when an adopted phone has got the file `name`, in this order."""
        mac = made.mac
        mark = (hash((made.skeleton.id, *made.own)), made.revision)
        if self._last.get((mac, name)) == mark:
            return []
        self._last[mac, name] = mark
        skeleton = made.skeleton
        rows: list[tuple[str, Row]] = []
        if at - self._told.get(skeleton.id, -TOLD_AGAIN_SECONDS) >= TOLD_AGAIN_SECONDS:
            self._told[skeleton.id] = at
            rows.append(
                (
                    "skeletons",
                    {
                        "id": skeleton.id,
                        "at": at,
                        "format": skeleton.file.format,
                        "text": skeleton.text,
                        "settings": skeleton.settings,
                    },
                )
            )
        rows.append(("served", _served(name, made, who, at)))
        return rows


def _served(name: str, made: Rendered, who: Identity, at: float) -> Row:
    return {
        "mac": made.mac,
        "name": name,
        "at": at,
        "revision": made.revision,
        "digest": digest(made.data),
        "firmware": who.version if who.stage != "Updater" else "",
        "skeleton": made.skeleton.id,
        "own": settings.masked(made.own, made.accounts),
    }


def digest(data: bytes) -> str:
    """Tells two versions of a file apart; too short to find a password by."""
    return hashlib.sha256(data).hexdigest()[:8]
