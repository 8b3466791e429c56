"""The inventory: records, revisions, audit, secrets and tokens, and what is said when the file is bad."""

import sqlite3
import stat
import threading
import time
from contextlib import closing

import msgspec
import pytest

from provisioner.errors import OperatorError
from provisioner.store import database
from provisioner.store.inventory import Conflict, Inventory
from provisioner.store.records import (
    Credential,
    Line,
    LineCredential,
    LineFeatures,
    Location,
    Member,
    Phone,
    Practice,
    RingGroup,
    Snapshot,
)

PHONE = Phone(id="0004f2000101", vendor="polycom", model="VVX_411", lines=(Line(extension="101"),))


class Clock:
    """Seconds since 1970 that stand still until moved."""

    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "inventory.db"


@pytest.fixture
def inventory(path, clock):
    opened = Inventory.open(path, clock=clock, busy_seconds=0.01)
    yield opened
    opened.close()


def test_a_record_comes_back_as_it_was_put(inventory):
    with inventory.change("test") as change:
        assert change.put(PHONE) == 1
        assert change.get(Phone, PHONE.id) == (PHONE, 1)
        assert change.all(Phone) == [PHONE]
    assert inventory.get(Phone, PHONE.id) == (PHONE, 1)
    assert inventory.get(Phone, "none") is None
    assert inventory.all(Phone) == [PHONE]
    assert inventory.all(Location) == []


def test_the_revision_grows_once_a_change(inventory):
    with inventory.change("test") as change:
        change.put(PHONE)
        change.put(Location(id="a", name="A", civic={}))
    with inventory.change("test") as change:
        change.put(Location(id="b", name="B", civic={}))
    assert inventory.snapshot_revision() == 2
    assert inventory.get(Location, "a")[1] == 1
    assert inventory.get(Location, "b")[1] == 2


def test_putting_the_same_again_changes_nothing(inventory):
    for _ in range(2):
        with inventory.change("test") as change:
            assert change.put(PHONE) == 1
    assert inventory.snapshot_revision() == 1
    assert len(inventory.audit()) == 1


def test_an_exception_undoes_the_whole_change(inventory):
    def change_two():
        with inventory.change("test") as change:
            change.put(PHONE)
            change.put(Location(id="a", name="A", civic={}), revision=7)

    with pytest.raises(Conflict):
        change_two()
    assert inventory.all(Phone) == []
    assert inventory.audit() == []
    assert inventory.snapshot_revision() == 0


def test_a_revision_that_is_not_the_stored_one_is_a_conflict(inventory):
    with inventory.change("test") as change:
        change.put(PHONE, revision=0)
    with pytest.raises(Conflict, match="changed by someone else"), inventory.change("test") as change:
        change.put(PHONE, revision=0)
    with pytest.raises(Conflict), inventory.change("test") as change:
        change.delete(Phone, PHONE.id, revision=7)
    with inventory.change("test") as change:
        change.delete(Phone, PHONE.id, revision=1)
    assert inventory.all(Phone) == []


def test_deleting_what_is_not_there_is_no_change(inventory):
    with inventory.change("test") as change:
        assert change.delete(Phone, "none") is False
    assert inventory.snapshot_revision() == 0


def test_the_audit_names_who_when_and_what(inventory, clock):
    room = Location(id="a", name="A", civic={})
    with inventory.change("console") as change:
        change.put(room)
    clock.now += 60
    with inventory.change("api") as change:
        change.delete(Location, "a")
    deleted, made = inventory.audit()
    body = msgspec.json.encode(room).decode()
    assert (made.at, made.who) == (clock.now - 60, "console")
    assert (made.kind, made.id, made.revision) == ("location", "a", 1)
    assert (made.before, made.after) == (None, body)
    assert (deleted.at, deleted.who, deleted.before, deleted.after) == (clock.now, "api", body, None)


def test_the_audit_never_holds_a_credential(inventory):
    for password in ("first-secret", "second-secret"):
        credential = Credential(id=PHONE.id, lines=(LineCredential(auth_user="u", password=password),))
        with inventory.change("test") as change:
            change.put(credential)
    with inventory.change("test") as change:
        change.delete(Credential, PHONE.id)
    assert [(row.before, row.after) for row in inventory.audit()] == [
        ('"changed"', None),
        ('"changed"', '"changed"'),
        (None, '"changed"'),
    ]


def test_the_snapshot_holds_everything_by_id(inventory):
    practice = Practice(id="practice", name="Harbor", main_number="+14155550100")
    group = RingGroup(id="main", name="Main", members=("101",))
    with inventory.change("test") as change:
        for record in (practice, group, PHONE):
            change.put(record)
    snapshot = inventory.snapshot()
    assert (snapshot.revision, snapshot.practice) == (1, practice)
    assert (snapshot.phones, snapshot.ring_groups) == ({PHONE.id: PHONE}, {"main": group})
    assert snapshot.line("101") == (PHONE, 0)


def test_members_of_a_ring_group_have_their_own_seconds_or_are_the_strings_of_before(inventory):
    known = '{"kind": "ring_group", "id": "old", "name": "Old", "members": ["101"], "seconds": 30}'
    own = (Member(target="101", seconds=5), Member(target="+12125550143"), "102")
    with inventory.change("test") as change:
        change.put(msgspec.json.decode(known, type=RingGroup))
        change.put(RingGroup(id="new", name="New", members=own, screening=True))
    groups = inventory.snapshot().ring_groups
    assert groups["old"].each == (Member(target="101"),)
    assert groups["old"].seconds == 30
    assert groups["new"].members == own
    assert groups["new"].each[2] == Member(target="102")
    assert msgspec.json.decode(msgspec.json.encode(inventory.snapshot()), type=Snapshot).ring_groups == groups


def test_features_of_an_extension(inventory):
    features = LineFeatures(id="101", do_not_disturb=True, forward_busy="102")
    with inventory.change("test") as change:
        change.put(features)
    assert inventory.snapshot().line_features == {"101": features}


def test_an_empty_inventory_has_a_snapshot_too(inventory):
    snapshot = inventory.snapshot()
    assert (snapshot.revision, snapshot.practice.main_number, snapshot.phones) == (0, "", {})


def test_a_secret_is_made_once_and_kept(inventory, path):
    first = inventory.secret("flask")
    assert len(first) == 32
    assert inventory.secret("flask") == first
    assert inventory.secret("nonce") != first
    other = Inventory.open(path)
    assert other.secret("flask") == first
    other.close()


def test_a_token_lasts_as_long_as_it_says(inventory, clock):
    token = inventory.new_token("api", 60, "administrator")
    assert inventory.check_token("api", token) == "administrator"
    assert inventory.check_token("api", token) == "administrator"
    assert inventory.check_token("session", token) is None
    assert inventory.check_token("api", token + "x") is None
    clock.now += 60
    assert inventory.check_token("api", token) is None


def test_a_sign_in_token_is_good_once(inventory):
    token = inventory.new_token("sign-in", 60, "administrator")
    assert inventory.check_token("sign-in", token) == "administrator"
    assert inventory.check_token("sign-in", token) is None


def test_of_two_who_use_a_sign_in_token_at_once_one_wins(inventory):
    token = inventory.new_token("sign-in", 60, "administrator")
    assert [inventory.tokens._use(token, 1.0), inventory.tokens._use(token, 1.0)] == [True, False]


def test_a_revoked_token_is_worthless(inventory):
    token = inventory.new_token("session", 60, "administrator")
    inventory.revoke_token("session", token)
    assert inventory.check_token("session", token) is None


def test_only_hashes_of_tokens_are_stored(inventory, path):
    token = inventory.new_token("api", 60, "administrator")
    inventory.close()
    assert token.encode() not in path.read_bytes()


def test_outlived_tokens_are_deleted(inventory, path, clock):
    inventory.new_token("session", 1, "administrator")
    clock.now += 2
    inventory.new_token("session", 1, "administrator")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM tokens").fetchone() == (1,)
    connection.close()


def test_the_files_are_for_this_user_only(inventory, path):
    with inventory.change("test") as change:
        change.put(PHONE)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"inventory.db": 0o600, "inventory.db-wal": 0o600, "inventory.db-shm": 0o600}


def test_threads_have_connections_of_their_own(inventory):
    seen = []
    with inventory.change("test") as change:
        change.put(PHONE)
        reader = threading.Thread(target=lambda: seen.append(inventory.snapshot_revision()))
        reader.start()
        reader.join()
    assert seen == [0]  # it did not see into the open transaction


def test_a_backup_put_back_is_seen_without_a_restart(inventory, path, tmp_path):
    backup = Inventory.open(tmp_path / "backup.db")
    with backup.change("test") as change:
        change.put(PHONE)
    backup.close()
    assert inventory.all(Phone) == []
    (tmp_path / "backup.db").replace(path)
    assert inventory.all(Phone) == [PHONE]


def test_garbage_is_told_at_opening(path):
    path.write_bytes(b"garbage, " * 1000)
    with pytest.raises(OperatorError, match=r"inventory\.db is not a database: stop the appliance"):
        Inventory.open(path)


def test_garbage_is_told_after_opening(inventory, path):
    inventory.snapshot()
    path.write_bytes(b"garbage, " * 1000)
    with pytest.raises(OperatorError, match=r"inventory\.db (is|cannot)"):
        inventory.snapshot()


def test_a_file_that_went_away_is_told(inventory, path):
    path.unlink()
    with pytest.raises(OperatorError, match=r"inventory\.db cannot be opened \(No such file"):
        inventory.snapshot_revision()


def test_a_locked_file_is_told(inventory, path):
    holder = database.connect(path)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperatorError, match="is locked by another program"), inventory.change("test"):
        pass
    holder.close()


def test_a_read_only_file_is_told(inventory):
    inventory._connections.get().execute("PRAGMA query_only = 1")
    with pytest.raises(OperatorError, match="cannot be written: give"), inventory.change("test") as change:
        change.put(PHONE)
    assert inventory.all(Phone) == []


def test_a_full_disk_is_told_and_loses_nothing(inventory):
    with inventory.change("test") as change:
        change.put(PHONE)
    connection = inventory._connections.get()
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    big = Location(id="a", name="x" * 100_000, civic={})
    with pytest.raises(OperatorError, match="disk is full: free"), inventory.change("test") as change:
        change.put(big)
    assert inventory.all(Phone) == [PHONE]
    assert inventory.snapshot_revision() == 1


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OperatorError, match=r"cannot be opened \(No such file"):
        Inventory.open(tmp_path / "none" / "inventory.db")


def test_a_record_that_cannot_be_read_is_named(inventory):
    inventory._connections.get().execute("INSERT INTO records VALUES ('phone', 'x', 1, '{}')")
    with pytest.raises(OperatorError, match="phone x cannot be read"):
        inventory.snapshot()


def test_phones_of_the_first_version_get_what_they_prove_themselves_with(inventory, path):
    mac = "0004f2000101"
    with inventory.change(who="test") as change:
        change.put(Credential(id=mac, admin_password="kept"))
    inventory.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = '2'")
        old = (f'{{"kind":"credential","id":"{mac}","admin_password":"kept"}}', "credential")
        db.execute("UPDATE records SET body = ? WHERE kind = ?", old)
        closed = '{"kind":"practice","id":"practice","name":"x","main_number":"","adoption":"closed"}'
        db.execute("INSERT INTO records VALUES (?, ?, 1, ?)", ("practice", "practice", closed))
    with closing(Inventory.open(path)) as again:
        snapshot = again.snapshot()
    held = snapshot.credentials[mac]
    assert (held.http_user, held.admin_password, snapshot.practice.adoption) == (mac, "kept", "adopted")
    assert len(held.path_secret) == 32
    assert len(held.http_password) == 24
    assert held.welcome_until > time.time() + 86400


def test_a_database_of_a_newer_version_is_left_alone(inventory, path):
    inventory._connections.get().execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('inventory', '999', '')"
    )
    with pytest.raises(OperatorError, match="newer version"):
        Inventory.open(path)


def test_flat_locations_become_rooms_of_one_building(inventory, path):
    street = {"country": "US", "A1": "CA", "RD": "Main", "HNO": "1"}
    civics = {
        "desk": {**street, "ROOM": "101", "FLR": "1"},
        "lab": {**street, "FLR": "2"},
        "shed": {**street, "HNO": "3"},
        "attic": {**street, "HNO": "3", "LOC": "Attic"},
        "nowhere": {},
    }
    inventory.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = '3'")
        for name, civic in civics.items():
            body = msgspec.json.encode(
                {"kind": "location", "id": name, "name": name, "civic": civic}
            ).decode()
            db.execute("INSERT INTO records VALUES ('location', ?, 1, ?)", (name, body))
    with closing(Inventory.open(path)) as again:
        snapshot = again.snapshot()
    assert {name: snapshot.place(name).civic for name in civics} == civics
    tree = {name: (each.parent, each.level, each.civic) for name, each in snapshot.locations.items()}
    assert tree == {
        "building-1": ("", "building", street),
        "desk": ("building-1", "room", {"ROOM": "101", "FLR": "1"}),
        "lab": ("building-1", "floor", {"FLR": "2"}),
        "shed": ("", "building", civics["shed"]),
        "attic": ("shed", "room", {"LOC": "Attic"}),
        "nowhere": ("", "building", {}),
    }
    assert snapshot.locations["building-1"].name == "1 Main"


def test_a_trunk_that_was_sent_locations_is_sent_them_still(inventory, path):
    trunks = {
        "a": {},
        "b": {"profile": "twilio"},
        "c": {"settings": {"pidf_lo": False}},
        "d": {"profile": "telnyx", "settings": {"pidf_lo": True, "expires": 60}},
    }
    inventory.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = '4'")
        for name, more in trunks.items():
            body = msgspec.json.encode({"kind": "trunk", "id": name, "uri": "sip:x", **more}).decode()
            db.execute("INSERT INTO records VALUES ('trunk', ?, 1, ?)", (name, body))
    with closing(Inventory.open(path)) as again:
        settings = {name: trunk.settings for name, trunk in again.snapshot().trunks.items()}
    assert settings == {
        "a": {"location": "value"},
        "b": {},
        "c": {},
        "d": {"location": "value", "expires": 60},
    }


def test_tokens_from_before_there_were_roles_may_do_all(inventory, path):
    tokens = [inventory.new_token("api", 60, role) for role in ("staff", "admin", "viewer")]
    inventory.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = '5'")
        db.execute("DROP INDEX idx_tokens_user")
        for column in ("user", "name", "scopes", "address", "agent", "seen"):
            db.execute(f"ALTER TABLE tokens DROP COLUMN {column}")
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'idx_audit%'").fetchall():
            db.execute(f"DROP INDEX {name}")
    with closing(Inventory.open(path, clock=lambda: 1.0)) as again:
        assert [again.check_token("api", token) for token in tokens] == [
            "administrator",
            "administrator",
            "viewer",
        ]
