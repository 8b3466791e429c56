"""The settings as one TOML file: the same out and in, no secret, everything wrong is told, all or nothing."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from appliance import NOW, SECRETS, YEALINK
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from provisioner.keeping import settings_file
from provisioner.keeping.settings_file import Faulty
from provisioner.paths import StateDir
from provisioner.phones.catalogue import Catalogue
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    Credential,
    Key,
    LineFeatures,
    Location,
    Number,
    Phone,
    PhoneGroup,
    PhoneSettings,
    Practice,
    RetiredPhone,
    RingGroup,
    Trunk,
    User,
)

CATALOGUE = Catalogue()


@pytest.fixture
def here(new: StateDir) -> Iterator[Inventory]:
    inventory = Inventory.open(new.inventory, clock=lambda: NOW)
    yield inventory
    inventory.close()


@pytest.fixture
def there(used: StateDir) -> Iterator[Inventory]:
    inventory = Inventory.open(used.inventory, clock=lambda: NOW)
    yield inventory
    inventory.close()


def apply(inventory: Inventory, text: str) -> list[tuple[str, int, int, int]]:
    wanted = settings_file.parse(text.encode())
    counts = settings_file.apply(inventory, wanted, "ann", CATALOGUE, lambda: NOW)
    return [(each.kind, each.added, each.changed, each.removed) for each in counts]


def test_on_a_new_appliance_and_back(here: Inventory, there: Inventory) -> None:
    text = settings_file.export(there)
    counts = {kind: added for kind, added, *_ in apply(here, text)}
    assert (counts["phone"], counts["location"]) == (3, len(there.all(Location)))
    assert settings_file.export(here) == text
    assert here.all(Phone) == there.all(Phone)
    assert {each.id for each in here.all(Credential)} == {each.id for each in here.all(Phone)}
    assert apply(here, text) == []
    assert {entry.who for entry in here.audit(1)} == {"ann"}


def test_no_secret_and_no_user(there: Inventory) -> None:
    text = settings_file.export(there)
    held = [text_of for each in there.all(Credential) for text_of in (each.admin_password, each.path_secret)]
    assert all(held)
    for secret in (*SECRETS, *held, "Ann", there.secret("location-references").hex()):
        assert secret not in text
    assert tomllib.loads(text)["kinds"] == list(settings_file.KIND)
    assert (
        not {"user", "credential", "registration", "trunk_secret", "backup_secret"}
        & settings_file.KIND.keys()
    )


def test_nobody_registers_an_address_by_a_file(here: Inventory, there: Inventory) -> None:
    text = settings_file.export(there)
    assert "address_status" not in text
    apply(here, text)
    assert {each.address_status for each in here.all(Number)} == {"unregistered"}
    with here.change("test") as change:
        change.put(replace(here.all(Number)[0], address_status="registered"))
    apply(here, text.replace("Main number", "Reception"))
    assert here.all(Number)[0].address_status == "registered"
    wrong = text.replace('label = "Main number"', 'label = "Main number"\naddress_status = "registered"')
    apply(here, wrong)
    assert [each.address_status for each in here.all(Number)][1:] == ["unregistered"] * (
        len(here.all(Number)) - 1
    )


def test_only_the_kinds_that_it_names(here: Inventory, there: Inventory) -> None:
    apply(here, settings_file.export(there))
    small = 'format = 1\nkinds = ["phone_group"]\n[phone_group."lab"]\nname = "Lab"\n'
    assert apply(here, small) == [("phone_group", 1, 0, 0)]
    assert len(here.all(Phone)) == 3
    assert apply(here, 'format = 1\nkinds = ["phone_group"]\n') == [("phone_group", 0, 0, 1)]
    assert here.all(PhoneGroup) == []


def test_phones_that_are_not_in_it_are_retired(here: Inventory, there: Inventory) -> None:
    text = settings_file.export(there)
    apply(here, text)
    document = tomllib.loads(text)
    del document["phone"][YEALINK]
    document["ring_group"]["main"]["members"] = ["101", "103"]
    for number in document["number"].values():
        if number["extension"] == "102":
            number["extension"] = ""
    counts = apply(here, settings_file.tomli_w.dumps(document))
    assert ("phone", 0, 0, 1) in counts
    assert [each.id for each in here.all(RetiredPhone)] == [YEALINK]
    assert YEALINK not in {each.id for each in here.all(Credential)}
    assert settings_file.export(here).count("102") < text.count("102")


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "", "no file of settings"),
        ("format = 2", "", "newer version"),
        ('format = "1"', "", "no file of settings"),
        ("a = = 1", "", "This is no TOML"),
        ("format = 1\nkinds = ['phon']", "phon", "no such kind"),
        ("format = 1\nkinds = ['credential']", "credential", "no such kind"),
        (
            "format = 1\n[phone.'001565000102']\nvendor='yealink'\nmodel='T46S'",
            "phone",
            "not named in `kinds`",
        ),
        ("format = 1\nkinds = ['phone']\nphone = 3", "phone", "for each"),
        ("format = 1\nkinds = ['phone']\nphone.x = 3", "phone x", "must be a table"),
        (
            "format = 1\nkinds = ['phone_group']\n[phone_group.a]\nname='a'\ncolour='red'",
            "phone_group a",
            "It has no colour",
        ),
        ("format = 1\nkinds = ['phone_group']\n[phone_group.a]\nname=7", "phone_group a", "Expected `str`"),
        ("format = 1\nkinds = ['phone_group']\n[phone_group.a]", "phone_group a", "missing required field"),
    ],
)
def test_files_that_cannot_be_read(text: str, where: str, what: str) -> None:
    with pytest.raises(Faulty) as error:
        settings_file.parse(text.encode())
    assert [each for each in error.value.faults if each.where == where and what in each.what]


def test_bytes_that_are_no_text() -> None:
    for data in (b"\xff\xfe", b"x" * (settings_file.MAX_BYTES + 1), b"a=" + b"[" * 100_000):
        with pytest.raises(Faulty):
            settings_file.parse(data)


@pytest.mark.parametrize(
    ("old", "put", "where"),
    [
        ('model = "T46S"', 'model = "T99"', f"phone {YEALINK}"),
        ('location = "nurses"', 'location = "moon"', f"phone {YEALINK}"),
        ('extension = "102"', 'extension = "911"', "extensions"),
        ('extension = "102"', 'extension = "101"', "extensions"),
        ('time_zone = "America/Denver"', 'time_zone = "Mars/North"', "phone_setting site"),
        ("max_calls = 200", "max_calls = 0", "practice practice"),
        ("[practice.practice]", "[practice.other]", "practice"),
        ('uri = "sip:127.0.0.1:5070"', 'uri = "http://x"', "trunk core"),
        ('parent = ""', 'parent = "gone"', "location"),
        ('members = [\n    "101",', 'members = [\n    "999",', "ring_group main"),
        ('ring_group = "main"', 'ring_group = "other"', "number +14155550100"),
        ("keys = []", 'keys = [{ position = 1, function = "speed_dial", value = "911" }]', "phone"),
        (
            "[ring_group.main]",
            '[line_feature.102]\nforward_busy = "911"\n\n[ring_group.main]',
            "line_feature 102",
        ),
    ],
)
def test_everything_is_checked_and_nothing_is_changed(
    here: Inventory, there: Inventory, old: str, put: str, where: str
) -> None:
    text = settings_file.export(there)
    assert old in text
    before = here.snapshot()
    wrong = settings_file.parse(text.replace(old, put).encode())
    faults = settings_file.plan(here, wrong, CATALOGUE).faults
    assert [each for each in faults if each.where.startswith(where)], faults
    with pytest.raises(Faulty):
        settings_file.apply(here, wrong, "ann", CATALOGUE, lambda: NOW)
    assert here.snapshot() == before


def test_all_that_is_wrong_is_told_at_once(here: Inventory, there: Inventory) -> None:
    text = settings_file.export(there).replace('"T46S"', '"T99"').replace("max_calls = 200", "max_calls = 0")
    faults = settings_file.plan(here, settings_file.parse(text.encode()), CATALOGUE).faults
    assert {each.where for each in faults} >= {f"phone {YEALINK}", "practice practice"}


words = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20)
names = st.text("abcdefgh-0123456789", min_size=1, max_size=12)


@st.composite
def records(draw: st.DrawFn) -> list[Any]:
    """Records of many kinds with any words in them."""
    found: list[Any] = [
        Practice(id="practice", name=draw(words), main_number="", max_calls=draw(st.integers(2, 99)),
                 extension_quarantine_days=draw(st.floats(0, 900)), click_auto_answer=draw(st.booleans())),
    ]  # fmt: skip
    groups = draw(st.lists(names, unique=True, max_size=3))
    found += [
        PhoneGroup(
            id=each, name=draw(words), keys=(Key(position=2, function="blf", value="101", label=draw(words)),)
        )
        for each in groups
    ]
    found += [
        LineFeatures(id=str(number), forward_busy="102") for number in draw(st.sets(st.integers(100, 105)))
    ]
    found.append(PhoneSettings(id="site", values={"time_zone": "America/Denver"}))
    found += [
        Location(id=each, name="x" + draw(words), civic={"LOC": draw(words)}) for each in draw(st.sets(names))
    ]
    return found


@settings(max_examples=40, deadline=None)
@given(records())
def test_round_trip(many: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inventory = Inventory.open(Path(folder) / "inventory.db", clock=lambda: NOW)
        with inventory.change("test") as change:
            for record in many:
                change.put(record)
        text = settings_file.export(inventory)
        held = settings_file.parse(text.encode())
        inventory.close()
    found = [record for rows in held.values() for record in rows.values()]
    key = lambda record: (type(record).__name__, record.id)  # noqa: E731
    assert sorted(found, key=key) == sorted(many, key=key)


def test_kinds_that_are_shown(used: StateDir) -> None:
    assert {Practice, Phone, Number, Trunk, RingGroup, Location} <= set(settings_file.KIND.values())
    assert User not in settings_file.KIND.values()
