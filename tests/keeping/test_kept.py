"""Backups that are kept: names, how many stay, the plan, and when it is time."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import appliance
import pytest
from appliance import NOW, PASSPHRASE

from provisioner.errors import Invalid, OperatorError
from provisioner.keeping import kept, making, restoring, seal
from provisioner.keeping.kept import Last
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import BackupPlan, Practice


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    real = seal.lock
    monkeypatch.setattr(making.seal, "lock", lambda word, salt, _cost: real(word, salt, 2))


def plan(state: StateDir, passphrase: str | None = None, **what: object) -> Inventory:
    inventory = Inventory.open(state.inventory, clock=lambda: NOW)
    kept.set_plan(inventory, BackupPlan(id="backups", daily=True, **what), passphrase, "ann")  # type: ignore[arg-type]
    return inventory


def test_by_hand_and_before_a_restore(new: StateDir) -> None:
    path = kept.by_hand(new, appliance.wanted(), now=lambda: NOW)
    assert path.name == f"provisioner-new-practice-{datetime.fromtimestamp(NOW, UTC):%Y%m%d-%H%M%S}-hand.zip"
    own = kept.before_restore(new, "ann", lambda: NOW + 1)
    found = kept.listing(kept.folder(new))
    assert [(each.name, each.occasion, each.sealed, each.own) for each in found] == [
        (own.name, "restore", True, True),
        (path.name, "hand", True, False),
    ]
    backup = restoring.unpack(own, new.root / "opened", kept.own_key(new))
    assert "secrets" in backup.manifest.parts
    backup.close()
    assert (kept.folder(new) / "key").stat().st_mode & 0o777 == 0o600
    assert kept.path_of(kept.folder(new), own.name) == own
    assert kept.path_of(kept.folder(new), "../inventory.db") is None
    assert kept.path_of(kept.folder(new), "key") is None


def test_only_so_many_stay_and_only_ones_own_go(new: StateDir, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    others = [
        "provisioner-new-practice-two-20200101-000000-daily.zip",
        "letter.zip",
        "provisioner-new-practice-20200101-000000-hand.zip",
    ]
    for name in others:
        (share / name).write_bytes(b"x")
    inventory = plan(new, PASSPHRASE, keep=2, folder=str(share))
    made = [kept.daily(new, inventory, now=lambda at=NOW + day * 86_400: at).name for day in range(3)]
    assert {path.name for path in share.iterdir()} == {*others, *made[1:]}
    assert kept.last(new) == Last(at=NOW + 2 * 86_400, good=NOW + 2 * 86_400, name=made[2])
    assert [each.sealed for each in kept.listing(share)] == [True, True]
    inventory.close()


def test_failure_is_kept_and_the_last_good_one_is_known(new: StateDir, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    inventory = plan(new, folder=str(share))
    kept.daily(new, inventory, now=lambda: NOW)
    for path in share.iterdir():
        path.unlink()
    share.rmdir()
    with pytest.raises(OperatorError, match="mount the share first"):
        kept.daily(new, inventory, now=lambda: NOW + 86_400)
    told = kept.last(new)
    assert told
    assert (told.at, told.good) == (NOW + 86_400, NOW)
    assert "there is no such folder" in told.error
    inventory.close()


def at(text: str) -> float:
    return datetime.fromisoformat(text + "+00:00").timestamp()


@pytest.mark.parametrize(
    ("now", "last", "wanted"),
    [
        ("2026-03-01T12:00", None, True),  # the first one shows at once that it works
        ("2026-03-02T10:29", Last(at=at("2026-03-01T12:00"), good=1), False),  # 02:29 in Los Angeles
        ("2026-03-02T10:30", Last(at=at("2026-03-01T12:00"), good=1), True),
        ("2026-03-02T10:31", Last(at=at("2026-03-02T10:30"), good=1), False),
        ("2026-03-09T05:00", Last(at=at("2026-03-02T10:30"), good=1), True),  # it was off for days
        ("2026-03-02T11:29", Last(at=at("2026-03-02T10:30"), good=1, error="disk"), False),
        ("2026-03-02T11:30", Last(at=at("2026-03-02T10:30"), good=1, error="disk"), True),
    ],
)
def test_when_it_is_time(now: str, last: Last | None, wanted: bool) -> None:
    zone = "America/Los_Angeles"
    assert kept.due(BackupPlan(id="backups", daily=True), last, at(now), zone) is wanted
    assert kept.due(BackupPlan(id="backups", daily=False), last, at(now), zone) is False


@pytest.mark.parametrize(
    ("what", "passphrase", "field"),
    [
        ({"at": "25:00"}, None, "at"),
        ({"keep": 0}, None, "keep"),
        ({"folder": "backups"}, None, "folder"),
        ({"folder": "/nowhere/at/all"}, None, "folder"),
        ({"optional": ("secrets",)}, None, "optional"),
        ({"optional": ("nonsense",)}, None, "optional"),
        ({}, "short", "passphrase"),
    ],
)
def test_plans_that_cannot_work(
    new: StateDir, what: dict[str, object], passphrase: str | None, field: str
) -> None:
    with pytest.raises(Invalid) as error:
        plan(new, passphrase, **what)
    assert list(error.value.errors) == [field]


def test_passphrase_of_the_plan_stays_unless_it_is_told(new: StateDir) -> None:
    for given, has in ((PASSPHRASE, True), (None, True), ("", False)):
        inventory = plan(new, given)
        assert kept.has_passphrase(inventory) is has
        assert PASSPHRASE not in str(inventory.audit(10))
        inventory.close()


def test_a_copy_is_kept_before_the_schema_changes(new: StateDir) -> None:
    inventory = Inventory.open(new.inventory)
    connection = inventory._connections.get()
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = '4'")
    inventory.close()
    Inventory.open(new.inventory).close()
    (copy,) = kept.folder(new).glob("before-update-*-inventory.db")
    assert copy.stat().st_mode & 0o777 == 0o600
    was = Inventory.open(copy)
    assert was.all(Practice)[0].name == "New practice"
    was.close()
    Inventory.open(new.inventory).close()
    assert len(list(kept.folder(new).glob("before-update-*-inventory.db"))) <= 2


def test_no_right_to_write(new: StateDir, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        assert kept._unusable(tmp_path) == ""
        return
    tmp_path.chmod(0o500)
    assert "may not write" in kept._unusable(tmp_path)
