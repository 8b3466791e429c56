"""Backups that lie here or on a share: their list, those made by themselves, and how many of them stay."""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from provisioner.errors import Invalid, OperatorError
from provisioner.keeping import archive, making
from provisioner.keeping.contents import PARTS
from provisioner.keeping.making import Tell, Wanted, quiet
from provisioner.paths import StateDir, write_atomically
from provisioner.store.inventory import Inventory
from provisioner.store.records import BackupPlan, BackupSecret, Practice

PLAN = "backups"  # id of the one BackupPlan
KEPT_BY_HAND = 10  # of one occasion, without those that the plan counts
RETRY_SECONDS = 3600.0  # after a failure
LATE_SECONDS = 2 * 86_400.0  # since the last good one, when it is worth a finding
MAX_KEEP = 365
_NAME = re.compile(r"provisioner-[a-z0-9-]{1,60}-\d{8}-\d{6}-(hand|daily|restore)\.zip")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")

_log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A backup in a folder. `own`: sealed under the key of this appliance, which no person knows."""

    name: str
    at: float
    bytes: int
    occasion: Literal["hand", "daily", "restore"]
    practice: str
    product: str
    sealed: bool
    own: bool


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """How the last backup by itself went: `error` "" when well; `good`: when one last went well."""

    at: float
    good: float
    error: str = ""
    name: str = ""


def folder(state: StateDir) -> Path:
    """Where this appliance keeps its backups."""
    return state.root / "backups"


def own_key(state: StateDir) -> str:
    """The passphrase of backups that only this appliance is to open; made once, and in none of them."""
    path = folder(state) / "key"
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(path, secrets.token_hex(32).encode())
        return path.read_text()


def new_name(practice: str, occasion: str, now: float) -> str:
    """What a backup is called."""
    return f"provisioner-{_slug(practice)}-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{occasion}.zip"


def _slug(practice: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", practice.lower()).strip("-")[:40].rstrip("-") or "practice"


def listing(place: Path) -> list[Kept]:
    """The backups in a folder, the newest first; what is none is left out."""
    found = []
    for path in place.glob("provisioner-*.zip"):
        if not (matched := _NAME.fullmatch(path.name)):
            continue
        try:
            cover, about = archive.look(path), path.stat()
        except (OSError, OperatorError):
            continue
        found.append(
            Kept(
                name=path.name,
                at=cover.made,
                bytes=about.st_size,
                occasion=matched.group(1),  # type: ignore[arg-type]
                practice=cover.practice,
                product=cover.product,
                sealed=cover.lock is not None,
                own=matched.group(1) == "restore",
            )
        )
    return sorted(found, key=lambda kept: (-kept.at, kept.name))


def path_of(place: Path, name: str) -> Path | None:
    """The file of that name, None when there is none."""
    path = place / name
    return path if _NAME.fullmatch(name) and path.is_file() else None


def by_hand(
    state: StateDir,
    wanted: Wanted,
    tell: Tell = quiet,
    now: Callable[[], float] = time.time,
) -> Path:
    """A backup into the appliance's own folder; older ones of its occasion go. Raises OperatorError or OSError."""
    place = folder(state)
    target = place / new_name(_practice(state), wanted.occasion, now())
    making.make(state, target, wanted, tell, now)
    _trim(place, wanted.occasion, KEPT_BY_HAND)
    return target


def before_restore(state: StateDir, who: str, now: Callable[[], float] = time.time) -> Path:
    """What is here, with its secrets, before something else takes its place."""
    return by_hand(state, Wanted(own_key(state), frozenset(), who, "restore"), quiet, now)


def _practice(state: StateDir) -> str:
    inventory = Inventory.open(state.inventory)
    try:
        found = inventory.get(Practice, "practice")
        return found[0].name if found else ""
    finally:
        inventory.close()


def _trim(place: Path, occasion: str, keep: int, practice: str = "[a-z0-9-]+") -> None:
    """Only the newest `keep` of an occasion stay (of one practice: a share may be that of several)."""
    ours = re.compile(rf"provisioner-{practice}-(\d{{8}}-\d{{6}})-{occasion}\.zip")
    found = [(matched.group(1), path) for path in place.iterdir() if (matched := ours.fullmatch(path.name))]
    for _stamp, path in sorted(found, reverse=True)[keep:]:
        with suppress(OSError):
            path.unlink()


# By itself


def plan(inventory: Inventory) -> BackupPlan:
    """When backups are made by themselves."""
    found = inventory.get(BackupPlan, PLAN)
    return found[0] if found else BackupPlan(id=PLAN)


def has_passphrase(inventory: Inventory) -> bool:
    """Whether the backups made by themselves are sealed."""
    found = inventory.get(BackupSecret, PLAN)
    return bool(found and found[0].passphrase)


def set_plan(inventory: Inventory, new: BackupPlan, passphrase: str | None, who: str) -> None:
    """Change the plan; `passphrase` None leaves it as it is, "" takes it away. Raises Invalid or OperatorError."""
    errors = faults(new)
    if passphrase and len(passphrase) < making.MIN_PASSPHRASE:
        errors["passphrase"] = f"A passphrase has at least {making.MIN_PASSPHRASE} characters."
    if errors:
        raise Invalid(errors)
    with inventory.change(who=who) as change:
        change.put(msgspec.structs.replace(new, id=PLAN))
        if passphrase is not None:
            change.put(BackupSecret(id=PLAN, passphrase=passphrase))


def faults(new: BackupPlan) -> dict[str, str]:
    """What is wrong with a plan, field by field."""
    errors = {}
    if not _TIME.fullmatch(new.at):
        errors["at"] = "The time of day is written as 02:30."
    if not 1 <= new.keep <= MAX_KEEP:
        errors["keep"] = f"Between 1 and {MAX_KEEP} backups can be kept."
    if new.folder and (problem := _unusable(Path(new.folder))):
        errors["folder"] = problem
    if unknown := {name for name in new.optional if not PARTS.get(name, PARTS["inventory"]).optional}:
        errors["optional"] = f"{sorted(unknown)[0]} is no part that can be chosen."
    return errors


def _unusable(place: Path) -> str:
    if not place.is_absolute():
        return "A folder is named from the root, as /mnt/backups."
    if not place.is_dir():
        return "There is no such folder: mount the share first, or make it."
    if not os.access(place, os.W_OK | os.X_OK):
        return "The appliance may not write into that folder."
    return ""


def last(state: StateDir) -> Last | None:
    """How the last one by itself went; None before the first."""
    try:
        return msgspec.json.decode((folder(state) / "last.json").read_bytes(), type=Last)
    except (OSError, msgspec.MsgspecError):
        return None


def due(wanted: BackupPlan, before: Last | None, now: float, zone: str) -> bool:
    """Whether it is time: none was tried since its hour last came, or that failed an hour ago. The first is at once."""
    if not wanted.daily:
        return False
    here = datetime.fromtimestamp(now, ZoneInfo(zone))
    hour, minute = map(int, wanted.at.split(":"))
    moment = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment > here:
        moment -= timedelta(days=1)
    if before is None or before.at < moment.timestamp():
        return True
    return bool(before.error) and now - before.at >= RETRY_SECONDS


def daily(
    state: StateDir, inventory: Inventory, tell: Tell = quiet, now: Callable[[], float] = time.time
) -> Path:
    """The backup of the plan, kept with how it went. Raises OperatorError or OSError."""
    wanted, secret = plan(inventory), inventory.get(BackupSecret, PLAN)
    before, name = last(state), ""
    error = "it was broken off"
    try:
        place = Path(wanted.folder) if wanted.folder else folder(state)
        if wanted.folder and (problem := _unusable(place)):
            raise OperatorError(f"the backup cannot be put into {place}", problem[0].lower() + problem[1:-1])
        practice = _practice(state)
        name = new_name(practice, "daily", now())
        passphrase = secret[0].passphrase if secret else ""
        making.make(
            state, place / name, Wanted(passphrase, frozenset(wanted.optional), "plan", "daily"), tell, now
        )
        _trim(place, "daily", wanted.keep, _slug(practice))
        error = ""
        return place / name
    except OSError as problem:
        error = str(OperatorError(problem.strerror or "the disk failed", "look at the disk or the share"))
        raise
    except OperatorError as problem:
        error = str(problem)
        raise
    finally:
        good = now() if not error else (before.good if before else 0.0)
        _tell_last(state, Last(at=now(), good=good, error=error, name=name))


def _tell_last(state: StateDir, told: Last) -> None:
    try:
        folder(state).mkdir(mode=0o700, exist_ok=True)
        write_atomically(folder(state) / "last.json", msgspec.json.encode(told))
    except OSError as error:
        _log.error("how the backup went cannot be kept (%s)", error.strerror)
