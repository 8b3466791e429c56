"""Trunk profiles, and the page that explains them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from provisioner.errors import OperatorError
from provisioner.store.records import KINDS, SECRET_KINDS, Trunk, TrunkSecret
from provisioner.trunks.profile import Profile, formatted, profile_of, profiles

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/trunks.md").read_text()
RAW = tomllib.loads((ROOT / "provisioner/trunks/trunk_profiles.toml").read_text())


def table(heading: str) -> dict[str, list[str]]:
    """Rows of the first table under a heading, by their first cell."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip()[1:-1].split("|") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): [cell.strip() for cell in row] for row in rows}


def shown(default: object) -> str:
    """A default as the page writes it."""
    if default == {} or default == "" or default == ():
        return "none"
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"`{json.dumps(default)}`" if isinstance(default, tuple | dict) else f"`{default}`"


def test_the_profiles_that_ship() -> None:
    assert list(profiles()) == [
        "generic",
        "stand-in",
        "twilio",
        "telnyx",
        "telnyx-dynamic",
        "bandwidth",
        "bandwidth-dlr",
        "asterisk",
        "freeswitch",
        "kamailio",
        "ng911",
        "chime",
        "redsky",
    ]
    assert profiles()["generic"] == Profile(label="Any SIP core")


@pytest.mark.parametrize("field", msgspec.structs.fields(Profile), ids=lambda field: field.name)
def test_every_key_is_explained_with_its_default_and_an_example(field: msgspec.structs.FieldInfo) -> None:
    row = table("Keys of a profile")[field.name]
    assert len(row) == 5
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    assert row[2] == ("all four" if field.name == "called" else shown(default))
    example = row[3].strip("`")
    value = {"yes": True, "no": False}.get(example, example)
    if isinstance(value, str) and re.match(r"[\[{0-9]", value):
        value = json.loads(value)
    assert msgspec.convert({field.name: value}, Profile) != Profile()


def test_no_key_is_explained_that_is_not_there() -> None:
    assert list(table("Keys of a profile")) == [field.name for field in msgspec.structs.fields(Profile)]


@pytest.mark.parametrize("field", msgspec.structs.fields(Trunk), ids=lambda field: field.name)
def test_every_key_of_the_record_is_explained(field: msgspec.structs.FieldInfo) -> None:
    row = table("The record")[field.name]
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory
    if default is msgspec.NODEFAULT:
        assert row[2] == ""
    else:
        assert row[2] == shown(default() if callable(default) else default)


def test_every_profile_stands_in_the_table_with_what_it_differs_in() -> None:
    rows = table("Profiles")
    assert list(rows) == list(RAW)
    for name, keys in RAW.items():
        differs = {key: value for key, value in keys.items() if key != "label"}
        words = " · ".join(f"`{key} = {json.dumps(value)}`" for key, value in differs.items()) or "nothing"
        assert rows[name][1:] == [keys["label"], words]


def test_a_profile_says_only_what_differs() -> None:
    for keys in RAW.values():
        for key, value in keys.items():
            assert getattr(msgspec.convert({key: value}, Profile), key) != getattr(Profile(), key)


@pytest.mark.parametrize(
    ("number", "form", "written"),
    [
        ("+12125550100", "+e164", "+12125550100"),
        ("+12125550100", "e164", "12125550100"),
        ("+12125550100", "national", "2125550100"),
        ("+525512345678", "national", "+525512345678"),
        ("911", "national", "911"),
        ("988", "e164", "988"),
    ],
)
def test_numbers(number: str, form: str, written: str) -> None:
    assert formatted(number, form) == written


def test_settings_lie_over_the_profile() -> None:
    trunk = Trunk(id="t", uri="sip:x", profile="asterisk", settings={"expires": 60, "refer": False})
    assert profile_of(trunk) == msgspec.structs.replace(profiles()["asterisk"], expires=60, refer=False)


@pytest.mark.parametrize("settings", [{"expires": "x"}, {"srtp": "maybe"}, {"called": ["from"]}, {"nope": 1}])
def test_a_wrong_setting_says_where_to_look(settings: dict) -> None:
    with pytest.raises(OperatorError, match=r"a setting of trunk t is wrong .*docs/trunks.md"):
        profile_of(Trunk(id="t", uri="sip:x", settings=settings))


def test_records_from_before_decode_with_all_defaults() -> None:
    old = b'{"kind":"trunk","id":"core","uri":"sip:192.0.2.1","order":10,"transfer":"edge","pidf_lo":true,"sources":[]}'
    assert msgspec.json.decode(old, type=Trunk) == Trunk(id="core", uri="sip:192.0.2.1")


def test_a_trunks_secret_is_a_secret_kind() -> None:
    assert TrunkSecret in KINDS
    assert "trunk_secret" in SECRET_KINDS
