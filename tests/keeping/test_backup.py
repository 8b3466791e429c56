"""Backups: what is in them, what is not, and that they come back the same on another appliance."""

from __future__ import annotations

import os
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import appliance
import msgspec
import pytest
from appliance import NOW, PASSPHRASE, SECRETS, YEALINK

from provisioner.errors import OperatorError
from provisioner.keeping import archive, making, restoring
from provisioner.keeping.contents import PARTS, wanted
from provisioner.keeping.restoring import Backup
from provisioner.paths import StateDir
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.render import Renderer
from provisioner.phones.settings import Addresses
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import KINDS, Credential, Phone, Practice, TrunkSecret, User


def opened(path: Path, tmp_path: Path, passphrase: str = PASSPHRASE) -> Backup:
    return restoring.unpack(path, tmp_path / "opened", passphrase)


def restored(path: Path, state: StateDir, tmp_path: Path, *parts: str, passphrase: str = PASSPHRASE) -> Any:
    backup = opened(path, tmp_path, passphrase)
    try:
        chosen = frozenset(parts or backup.manifest.parts)
        return restoring.restore(state, backup, chosen, "ben", now=lambda: NOW)
    finally:
        backup.close()


def records(state: StateDir) -> dict[str, Any]:
    inventory = Inventory.open(state.inventory)
    try:
        return {kind.__name__: inventory.all(kind) for kind in KINDS}
    finally:
        inventory.close()


def files_of(state: StateDir) -> dict[str, bytes]:
    inventory = Inventory.open(state.inventory)
    try:
        renderer = Renderer(
            inventory.snapshot(), Addresses("192.0.2.10", 5060, "192.0.2.10", 80), Catalogue()
        )
        asked = [each for phone in renderer.snapshot.phones.values() for each in renderer.files(phone)]
        return {f"{each.mac} {each.name}": renderer.file(each, whose) or b"" for each, whose in asked}
    finally:
        inventory.close()


def test_nothing_secret_without_a_passphrase(plain: Path, used: StateDir, tmp_path: Path) -> None:
    with zipfile.ZipFile(plain) as held:
        data = b"".join(held.read(name) for name in held.namelist())
        names = held.namelist()
    assert archive.look(plain).lock is None
    secrets = [*SECRETS]
    for credential in records(used)["Credential"]:
        secrets += [credential.admin_password, credential.path_secret, credential.lines[0].password]
    assert secrets[-1]
    for secret in secrets:
        assert secret.encode() not in data
    assert not [name for name in names if name.startswith("tls/")]
    assert b"PRIVATE KEY" not in data


def test_nothing_can_be_read_under_a_passphrase(whole: Path) -> None:
    data = whole.read_bytes()
    for text in (b"trunk-secret-word", b"SQLite format", b"PRIVATE KEY", b"Front desk"):
        assert text not in data
    cover = archive.look(whole)
    assert (cover.practice, cover.made) == ("Harbor Point Family Clinic", NOW)
    assert cover.lock
    assert whole.stat().st_mode & 0o777 == 0o600


def test_everything_is_the_same_on_a_new_appliance(
    used: StateDir, whole: Path, new: StateDir, tmp_path: Path
) -> None:
    counts = restored(whole, new, tmp_path)
    assert records(new) == records(used)
    assert files_of(new) == files_of(used)
    assert len(files_of(new)) > 3
    for name in ("tls/ca.pem", "tls/server.pem", "audio/hold.ulaw", "phone_templates/yealink/extra.cfg",
                 "firmware/yealink/big.rom", "uploads/001565000102/phone.cfg", "trunks.json"):  # fmt: skip
        assert (new.root / name).read_bytes() == (used.root / name).read_bytes()
    ours, theirs = (Inventory.open(each.inventory, clock=lambda: NOW) for each in (new, used))
    assert ours.secret("location-references") == theirs.secret("location-references")
    assert len(ours.tokens.listing("api")) == 1
    assert {entry.who for entry in ours.audit(1)} == {"ben"}
    ours.close()
    theirs.close()
    added = {(count.part, count.kind): count.added for count in counts}
    assert added["evidence", "emergencies"] == 3
    assert added["inventory", "phone"] == 3
    journal = Journal.open(new.journal, clock=lambda: NOW)
    assert len(journal.emergencies()) == 3
    assert {row["id"]: row["state"] for row in journal.notices()} == {"n0": "given up", "n1": "delivered"}
    assert [row["id"] for row in journal.calls()] == ["call0", "call1", "call2"]
    journal.close()
    assert not list(new.root.glob(".work-*"))


def test_again_changes_nothing(whole: Path, new: StateDir, tmp_path: Path) -> None:
    restored(whole, new, tmp_path / "first")
    assert restored(whole, new, tmp_path / "again") == []


def test_without_secrets_phones_get_new_ones_and_keep_what_they_have(
    used: StateDir, plain: Path, new: StateDir, tmp_path: Path
) -> None:
    kept = records(used)["Credential"][0]
    inventory = Inventory.open(new.inventory)
    with inventory.change("test") as change:
        change.put(msgspec.structs.replace(kept, admin_password="own"))
        change.put(Credential(id="001565999999"))
        change.put(TrunkSecret(id="gone", user="u", password="p"))
    inventory.close()
    restored(plain, new, tmp_path, passphrase="")
    found = records(new)
    assert found["Phone"] == records(used)["Phone"]
    credentials = {each.id: each for each in found["Credential"]}
    assert credentials.keys() == {phone.id for phone in found["Phone"]}
    assert credentials[kept.id].admin_password == "own"
    other = next(each for each in credentials.values() if each.id != kept.id)
    assert other.lines[0].password
    assert other.welcome_until > NOW
    assert other not in records(used)["Credential"]
    assert found["TrunkSecret"] == []
    assert found["User"] == []


def test_preview_says_what_would_change_and_changes_nothing(
    whole: Path, new: StateDir, tmp_path: Path
) -> None:
    before = new.inventory.read_bytes(), records(new)
    backup = opened(whole, tmp_path)
    inventory = Inventory.open(new.inventory)
    found = restoring.preview(new, backup, NOW + 40 * 86_400, inventory)
    counts = {(count.part, count.kind): (count.added, count.changed, count.removed) for count in found.counts}
    assert counts["inventory", "phone"] == (3, 0, 0)
    assert counts["inventory", "practice"] == (0, 1, 0)
    assert counts["secrets", "credential"] == (3, 0, 0)
    assert counts["users", "user"] == (1, 0, 0)
    assert counts["recordings", "files"] == (1, 0, 0)
    assert counts["calls", "calls"] == (3, 0, 0)
    assert [each.kind for each in found.warnings] == ["users", "old"]
    with inventory.change("test") as change:
        change.put(Practice(id="practice", name="Other", main_number="+14155550100"))
    warned = {each.kind: each.values for each in restoring.preview(new, backup, NOW, inventory).warnings}
    assert warned["practice"] == {"there": "Harbor Point Family Clinic", "here": "Other"}
    inventory.close()
    backup.close()
    assert before[1]["Phone"] == records(new)["Phone"] == []


def test_preview_tells_files_apart_without_holding_them(
    whole: Path, new: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that phones uploaded may be some gigabytes."""
    path = new.root / "uploads/001565000102/phone.cfg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"else")
    backup, inventory = opened(whole, tmp_path), Inventory.open(new.inventory)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read as a whole"))
    counts = {
        (count.part, count.kind): count for count in restoring.preview(new, backup, NOW, inventory).counts
    }
    inventory.close()
    backup.close()
    assert counts["requests", "files"].changed == 1
    assert counts["recordings", "files"].added == 1


def test_only_what_was_ticked(whole: Path, new: StateDir, tmp_path: Path) -> None:
    restored(whole, new, tmp_path, "recordings", "evidence")
    found = records(new)
    assert found["Phone"] == found["User"] == []
    assert (new.root / "audio/hold.ulaw").exists()
    assert not (new.root / "tls/ca.pem").exists()
    with pytest.raises(OperatorError, match="not in this backup"):
        restored(whole, new, tmp_path / "2", "nonsense")


def test_what_is_here_and_not_there_goes(whole: Path, new: StateDir, tmp_path: Path) -> None:
    inventory = Inventory.open(new.inventory)
    with inventory.change("test") as change:
        change.put(Phone(id="001565999999", vendor="yealink", model="T46S"))
        change.put(User(id="eve", role="viewer"))
    inventory.close()
    for name in ("audio/other.ulaw", "firmware/yealink/newer.rom"):
        (new.root / name).parent.mkdir(parents=True, exist_ok=True)
        (new.root / name).write_bytes(b"x")
    restored(whole, new, tmp_path)
    assert {phone.id for phone in records(new)["Phone"]} == {"0004f2000101", YEALINK, "000b82000103"}
    assert [user.id for user in records(new)["User"]] == ["ann"]
    assert not (new.root / "audio/other.ulaw").exists()
    assert (new.root / "firmware/yealink/newer.rom").exists()  # what can be fetched again is not taken away


def test_a_failure_on_the_way_changes_nothing(
    whole: Path, new: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (new.root / "audio").mkdir()
    (new.root / "audio/mine.ulaw").write_bytes(b"mine")
    before = records(new)
    real = restoring._move

    def full(source: Path, target: Path, undo: Any) -> None:
        if target.name == "trunks.json":
            raise OSError(28, "No space left on device")
        real(source, target, undo)

    monkeypatch.setattr(restoring, "_move", full)
    with pytest.raises(OSError, match="No space"):
        restored(whole, new, tmp_path)
    assert records(new) == before
    assert (new.root / "audio/mine.ulaw").read_bytes() == b"mine"
    assert not (new.root / "audio/hold.ulaw").exists()
    assert not list(new.root.glob(".work-*"))


def test_cancelled_on_the_way_changes_nothing(whole: Path, new: StateDir, tmp_path: Path) -> None:
    backup, before = opened(whole, tmp_path), records(new)

    def tell(_done: int, _total: int, what: str) -> None:
        if what == restoring.RECORDS:
            raise OperatorError("stop", "here")

    with pytest.raises(OperatorError, match="stop"):
        restoring.restore(new, backup, frozenset(backup.manifest.parts), "ben", tell, lambda: NOW)
    backup.close()
    assert records(new) == before
    assert not (new.root / "tls/ca.pem").exists()


# Files that are no good


def test_wrong_passphrase(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="not the passphrase of this backup"):
        opened(whole, tmp_path, "wrong passphrase")


@pytest.mark.parametrize("kind", ["whole", "plain"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(kind: str, share: float, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    data = request.getfixturevalue(kind).read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(OperatorError, match="damaged or not whole"):
        opened(path, tmp_path)


@pytest.mark.parametrize("data", [b"", b"hello", b"SQLite format 3\0" * 100, b"\x89PNG\r\n" + bytes(500)])
def test_another_file(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(data)
    with pytest.raises(OperatorError, match="this is no backup"):
        opened(path, tmp_path)


def test_another_zip(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("letter.txt", "hello")
    with pytest.raises(OperatorError, match="this is no backup"):
        opened(path, tmp_path)


def changed(plain: Path, path: Path, **about: Any) -> Path:
    """The same backup with another manifest."""
    with zipfile.ZipFile(plain) as held, zipfile.ZipFile(path, "w") as made:
        for name in held.namelist():
            data = held.read(name)
            if name == "manifest.json":
                data = msgspec.json.encode({**msgspec.json.decode(data), **about})
            made.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "about",
    [
        {"format": 2, "product": "9.9"},
        {"format": 2, "product": "9.9", "parts": 7},
        {"product": "9.9", "schema": {"inventory": ["1", "from the future"]}},
    ],
)
def test_newer_version(plain: Path, tmp_path: Path, about: dict[str, Any]) -> None:
    path = changed(plain, tmp_path / "newer.zip", **about)
    with pytest.raises(OperatorError, match=r"of version 9\.9, newer than this appliance"):
        opened(path, tmp_path)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "run/web.sock", "tls/../../evil", "jobs/x.json"])
def test_names_that_lead_elsewhere(plain: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(plain) as held, zipfile.ZipFile(path, "w") as made:
        about = msgspec.json.decode(held.read("manifest.json"))
        about["files"][name] = {
            "bytes": 0,
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        }
        for each in held.namelist():
            made.writestr(each, msgspec.json.encode(about) if each == "manifest.json" else held.read(each))
        made.writestr(name, b"")
    with pytest.raises(OperatorError):
        opened(path, tmp_path)
    assert not (tmp_path / "evil").exists()


def test_a_part_that_was_changed(plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "changed.zip"
    with zipfile.ZipFile(plain) as held, zipfile.ZipFile(path, "w") as made:
        for each in held.namelist():
            made.writestr(each, b"other" if each == "audio/hold.ulaw" else held.read(each))
    with pytest.raises(OperatorError, match="damaged"):
        opened(path, tmp_path)


def test_no_room(plain: Path, tmp_path: Path) -> None:
    huge = {"inventory.db": {"bytes": 1 << 60, "sha256": ""}, "journal.db": {"bytes": 1, "sha256": ""}}
    with pytest.raises(OperatorError, match="no room on the disk"):
        opened(changed(plain, tmp_path / "huge.zip", files=huge), tmp_path)


def test_an_older_schema_is_brought_up_to_date(plain: Path, new: StateDir, tmp_path: Path) -> None:
    """A trunk of before migration 4 said by `pidf_lo` whether it takes locations."""
    folder = tmp_path / "old"
    folder.mkdir()
    with zipfile.ZipFile(plain) as held:
        held.extractall(folder)
    with sqlite3.connect(folder / "inventory.db") as old:
        names = [row[0] for row in old.execute("SELECT name FROM _sqlite_migrations ORDER BY rowid")]
        old.execute("DELETE FROM _sqlite_migrations WHERE name = '4'")
        body = '{"kind":"trunk","id":"old","uri":"sip:192.0.2.1","settings":{"pidf_lo":true}}'
        old.execute("INSERT INTO records VALUES ('trunk', 'old', 1, ?)", (body,))
    old.close()
    about = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=archive.Manifest)
    about.schema["inventory"] = [name for name in names if name != "4"]
    kept = {name: folder / name for name in about.files}
    archive.write(folder, kept, tmp_path / "old.zip", about, lambda _: None)
    restored(tmp_path / "old.zip", new, tmp_path, "inventory", passphrase="")
    trunk = next(each for each in records(new)["Trunk"] if each.id == "old")
    assert trunk.settings == {"location": "value"}


def test_progress_comes_to_its_end(used: StateDir, tmp_path: Path) -> None:
    said: list[tuple[int, int, str]] = []
    want = appliance.wanted(PASSPHRASE, "calls")
    making.make(used, tmp_path / "a.zip", want, lambda *told: said.append(told), lambda: NOW, cost=2)
    assert next(what for *_, what in said if what) == making.COPYING
    assert said[-1][0] == said[-1][1] > 0
    assert all(done <= total for done, total, _ in said)


def test_whole_or_not_at_all(used: StateDir, tmp_path: Path) -> None:
    def stop(_done: int, _total: int, what: str) -> None:
        if what == making.SEALING:
            raise OperatorError("stop", "here")

    with pytest.raises(OperatorError, match="stop"):
        making.make(used, tmp_path / "out" / "a.zip", appliance.wanted(), stop, cost=2)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(OperatorError, match="at least 8"):
        making.make(used, tmp_path / "a.zip", appliance.wanted("short"), cost=2)


def test_what_is_no_file_is_not_replaced(used: StateDir, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is no file"):
        making.make(used, tmp_path / "pipe", appliance.wanted(), cost=2)
    assert (tmp_path / "pipe").is_fifo()


def test_made_while_others_write(used: StateDir, tmp_path: Path) -> None:
    """The copy is of one moment: a transaction that is under way is in none of it."""
    state = StateDir.create(tmp_path / "busy")
    for name in ("inventory.db", "journal.db"):
        shutil.copy(used.root / name, state.root / name)
    inventory = Inventory.open(state.inventory)
    with inventory.change("test") as change:
        change.delete(Phone, YEALINK)
        making.make(state, tmp_path / "a.zip", appliance.wanted(""))
        change.delete(Phone, "0004f2000101")
    inventory.close()
    backup = opened(tmp_path / "a.zip", tmp_path, "")
    assert len(backup.records(Phone)) == 3
    backup.close()


def test_every_part_is_known() -> None:
    assert wanted(False) == ("inventory", "recordings", "overrides", "memory", "evidence")
    assert set(wanted(True, frozenset(PARTS))) == set(PARTS)
