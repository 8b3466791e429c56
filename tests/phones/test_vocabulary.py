"""Every setting is typed, checked and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioner.errors import OperatorError
from provisioner.phones.vocabulary import SETTINGS, check

DOCS = (Path(__file__).parents[2] / "docs" / "phones.md").read_text("utf-8")
SECTION = DOCS.partition("## Settings")[2].partition("\n### ")[0]
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", SECTION, re.MULTILINE))


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    row = SETTINGS[name]
    allowed, default, example, meaning = (cell.strip() for cell in ROWS[name].split(" | "))
    assert (allowed, meaning) == (row.allowed, row.help)
    assert default
    if row.type in ("int", "choice"):
        assert default == f"`{row.default}`" or row.name.endswith("_port")
    text = example.strip("`")
    value: object = {"true": True, "false": False}.get(text, text)
    if row.type == "int":
        value = int(text)
    elif row.type in ("list", "map"):
        import json

        value = json.loads(text)
    assert check(name, value) != row.default, "the example is the default"


@pytest.mark.parametrize("name", SETTINGS)
def test_every_default_is_allowed(name: str) -> None:
    row = SETTINGS[name]
    if row.default != "" or row.optional:
        assert check(name, row.default) == row.default


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("register_seconds", 59),
        ("register_seconds", 86401),
        ("register_seconds", "600"),
        ("register_seconds", True),
        ("register_seconds", 600.0),
        ("call_history", 1),
        ("call_history", "no"),
        ("transport", "sctp"),
        ("transport", ["udp"]),
        ("codecs", []),
        ("codecs", ["PCMU", "PCMU"]),
        ("codecs", ["pcmu"]),
        ("codecs", [1]),
        ("codecs", "PCMU"),
        ("emergency_numbers", ["988"]),
        ("emergency_numbers", ["911", "9 1"]),
        ("ring_tones", {"urgent": "loud"}),
        ("ring_tones", {"a b": "internal"}),
        ("ring_tones", {"word\n": "internal"}),
        ("ring_tones", {f"w{n}": "internal" for n in range(11)}),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../etc/passwd"),
        ("time_zone", "America/New_York\n"),
        ("ntp_server", "pool ntp.org"),
        ("ntp_server", "pool.ntp.org\nstatic.x = 1"),
        ("ntp_server", ""),
        ("registrar_2_host", "a" * 254),
        ("firmware_server", "file:///etc"),
        ("firmware_server", 'http://x/"'),
        ("voicemail_number", "*97 "),
        ("voicemail_number", "*97\n"),
        ("vlan_id", 4095),
        ("vlan_id", None),
        ("colour", "red"),
    ],
)
def test_a_wrong_value_is_refused_in_one_clear_line(name: str, value: object) -> None:
    with pytest.raises(OperatorError) as caught:
        check(name, value, "group:nurses")
    text = str(caught.value)
    assert name in text
    assert "group:nurses" in text
    assert "\n" not in text
    assert len(text) < 250
    assert name == "colour" or SETTINGS[name].allowed in text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("codecs", ["G722", "PCMU"], ("G722", "PCMU")),
        ("registrar_2_host", "", ""),
        ("registrar_2_host", "[2001:db8::1]", "[2001:db8::1]"),
        ("firmware_server", "https://fw.example.net/all/", "https://fw.example.net/all/"),
        ("voicemail_number", "*97", "*97"),
        ("time_zone", "America/St_Johns", "America/St_Johns"),
        ("ring_tones", {"info=urgent": "emergency"}, {"info=urgent": "emergency"}),
        ("vlan_id", 0, 0),
    ],
)
def test_right_values(name: str, value: object, expected: object) -> None:
    assert check(name, value) == expected


def test_names_that_a_template_can_say() -> None:
    assert not set(SETTINGS) & set(dir({}))  # s.keys would be the table's own
