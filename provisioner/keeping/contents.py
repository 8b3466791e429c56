"""What a backup can hold, by parts: tables, records and files of the state directory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from provisioner import __version__
from provisioner.paths import StateDir
from provisioner.store.inventory import kind_of
from provisioner.store.records import KINDS, SECRET_KINDS

FORMAT = 1
PRODUCT = __version__


class Part(NamedTuple):
    """`secret`: only under a passphrase. `optional`: only when asked for. `paths`: what of the state directory it is
    (`tls/*`: all that is in there). `tables`: of the journal."""

    secret: bool = False
    optional: bool = False
    paths: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


PARTS = {
    "inventory": Part(),
    "secrets": Part(secret=True),
    "users": Part(secret=True),
    "certificates": Part(secret=True, paths=("tls/*",)),
    "recordings": Part(paths=("audio/*",)),
    "overrides": Part(paths=("phone_templates/*", "firmware_rules/*")),
    "memory": Part(
        paths=(
            "contacts.json",
            "trunks.json",
            "limits.json",
            "callbacks.json",
            "selftests.json",
            "turns.json",
        )
    ),
    "evidence": Part(tables=("emergencies", "notices")),
    "calls": Part(optional=True, tables=("calls",)),
    "requests": Part(
        optional=True, paths=("uploads/*",), tables=("requests", "sightings", "served", "skeletons")
    ),
    "firmware": Part(optional=True, paths=("firmware/*",)),
}
USER_KINDS = frozenset(kind_of(kind) for kind in KINDS) & {"user", "user_secret"}
RECORDS = {
    "inventory": [kind for kind in KINDS if kind_of(kind) not in SECRET_KINDS | USER_KINDS],
    "secrets": [kind for kind in KINDS if kind_of(kind) in SECRET_KINDS - USER_KINDS],
    "users": [kind for kind in KINDS if kind_of(kind) in USER_KINDS],
}
_LEFT_OUT = re.compile(r"(^|/)(\.|lock$)")  # what is being written, and what only says that somebody writes


def wanted(sealed: bool, optional: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The parts of a backup, in their order."""
    return tuple(
        name
        for name, part in PARTS.items()
        if (sealed or not part.secret) and (not part.optional or name in optional)
    )


def files(state: StateDir, part: str) -> Iterator[tuple[str, Path]]:
    """The files of a part that are there: their names below the state directory, and where they are."""
    for pattern in PARTS[part].paths:
        place = state.root / pattern.removesuffix("/*")
        for path in sorted(place.rglob("*")) if pattern.endswith("/*") else [place]:
            name = path.relative_to(state.root).as_posix()
            if path.is_file() and not path.is_symlink() and not _LEFT_OUT.search(name):
                yield name, path


def part_of(name: str) -> str:
    """The part that a file of this name belongs to; "" for none, and for what no file may be called."""
    steps = name.split("/")
    if "\\" in name or "\0" in name or any(step in ("", ".", "..") for step in steps):
        return ""
    for part, about in PARTS.items():
        for pattern in about.paths:
            folder = pattern.removesuffix("/*")
            if name == pattern or (pattern.endswith("/*") and len(steps) > 1 and steps[0] == folder):
                return part
    return ""
