"""Layers: who wins, what is remembered, and what a bad value does."""

from __future__ import annotations

import msgspec
import pytest

from provisioner.errors import OperatorError
from provisioner.phones.layers import Layers, Origin, Resolved, check_layer
from provisioner.phones.render import Renderer
from provisioner.phones.vocabulary import Stored
from provisioner.store.records import Key, PhoneGroup, PhoneSettings, Snapshot
from tests.phones.samples import ADDRESSES, MODELS, snapshot

POLYCOM, YEALINK, GRANDSTREAM = MODELS


def with_layers(layers: dict[str, dict[str, Stored]], group: str = "", **practice: object) -> Snapshot:
    plain = snapshot(**practice)
    phones = {mac: msgspec.structs.replace(phone, group=group) for mac, phone in plain.phones.items()}
    records = {name: PhoneSettings(id=name, values=values) for name, values in layers.items()}
    return msgspec.structs.replace(plain, phones=phones, phone_settings=records)


def resolved(snapshot: Snapshot, mac: str) -> Resolved:
    of = Renderer(snapshot, ADDRESSES)
    phone = snapshot.phones[mac]
    return of.resolved(phone.vendor, of.catalogue.model(phone.vendor, phone.model), phone)


ORDER = ["vendor:yealink", "model:yealink/T46S", "site", "group:desk", f"phone:{YEALINK}"]


@pytest.mark.parametrize("count", range(1, len(ORDER) + 1))
def test_the_later_layer_wins_and_all_are_remembered(count: int) -> None:
    layers: dict[str, dict[str, Stored]] = {
        name: {"poll_seconds": 1000 + at} for at, name in enumerate(ORDER[:count])
    }
    found = resolved(with_layers(layers, group="desk"), YEALINK)
    assert found.values["poll_seconds"] == 999 + count
    assert found.origins("poll_seconds") == (
        Origin("built-in", 7200),
        *(Origin(name, 1000 + at) for at, name in enumerate(ORDER[:count])),
    )
    assert resolved(with_layers(layers), POLYCOM).values["poll_seconds"] == (1002 if count > 2 else 7200)


def test_the_practices_time_zone_is_a_layer() -> None:
    site: dict[str, dict[str, Stored]] = {
        "vendor:yealink": {"time_zone": "America/Denver"},
        "group:desk": {"time_zone": "America/Phoenix"},
    }
    found = resolved(with_layers(site, time_zone="America/Chicago"), YEALINK)
    assert found.values["time_zone"] == "America/Chicago"
    assert [each.layer for each in found.origins("time_zone")] == ["built-in", "vendor:yealink", "practice"]
    assert resolved(with_layers(site, "desk"), YEALINK).values["time_zone"] == "America/Phoenix"


def test_a_bad_value_or_name_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    bad: dict[str, dict[str, Stored]] = {
        "site": {"poll_seconds": 5, "colour": "red", "call_history": True},
        "group:desk": {"transport": "pigeon\n"},
    }
    snapshot = with_layers(bad, "desk", time_zone="Mars/Olympus")
    found = resolved(snapshot, YEALINK)
    assert found.values["poll_seconds"] == 7200
    assert found.values["transport"] == "udp"
    assert found.values["time_zone"] == ""
    assert found.values["call_history"] is True
    warnings = Layers(snapshot, ADDRESSES).warnings
    assert len(warnings) == 4
    for layer, name in (("site", "poll_seconds"), ("site", "colour"), ("group:desk", "transport")):
        assert any(layer in each and name in each for each in warnings)
    assert all("\n" not in each for each in warnings)
    assert "phones do without it" in caplog.text


@pytest.mark.parametrize("name", [*ORDER, "site", "model:polycom/VVX 411", "vendor:grandstream"])
def test_a_sound_layer_may_be_stored(name: str) -> None:
    check_layer(PhoneSettings(id=name, values={"codecs": ["G722", "PCMU"], "poll_seconds": 3600}))


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("sites", {}, "'sites' is no layer"),
        ("phone:00:15:65:00:01:02", {}, "phone:MAC"),
        ("model:yealink", {}, "model:yealink/T46S"),
        (
            "group:desk",
            {"poll_seconds": 1},
            "poll_seconds cannot be 1 (in group:desk): it takes 60 to 604800",
        ),
        ("site", {"colour": "red"}, "no setting 'colour'"),
    ],
)
def test_a_wrong_layer_is_refused(name: str, values: dict[str, Stored], words: str) -> None:
    with pytest.raises(OperatorError) as caught:
        check_layer(PhoneSettings(id=name, values=values))
    assert words in str(caught.value)
    found = with_layers({name: values})
    assert Layers(found, ADDRESSES).warnings
    assert resolved(found, YEALINK).values["poll_seconds"] == 7200


def test_ports_follow_transport_and_scheme_unless_a_layer_names_them() -> None:
    plain = resolved(with_layers({}), YEALINK).values
    assert (plain["registrar_port"], plain["provisioning_port"]) == (5060, 8080)
    layers: dict[str, dict[str, Stored]] = {"site": {"transport": "tls", "provisioning_scheme": "https"}}
    secure = resolved(with_layers(layers), YEALINK)
    assert (secure.values["registrar_port"], secure.values["provisioning_port"]) == (5061, 443)
    assert secure.origins("registrar_port") == (Origin("built-in", 5061),)
    layers["group:desk"] = {"registrar_port": 5071, "provisioning_port": 4443}
    own = resolved(with_layers(layers, "desk"), YEALINK).values
    assert (own["registrar_port"], own["provisioning_port"]) == (5071, 4443)


def test_keys_of_the_group_with_the_phones_own_in_their_place() -> None:
    plain = snapshot()
    keys = (
        Key(position=2, function="blf", value="102"),
        Key(position=3, function="speed_dial", value="4155550100", label="Lab"),
    )
    group = PhoneGroup(id="desk", name="Desk", keys=(*keys, Key(position=999, function="blf", value="103")))
    phone = msgspec.structs.replace(
        plain.phones[YEALINK],
        group="desk",
        keys=(
            Key(position=2, function="blf", value="103", label="Anna"),
            Key(position=1, function="line", value="1"),
            Key(position=4, function="line", value="2"),
        ),
    )
    whole = msgspec.structs.replace(plain, phones={YEALINK: phone}, phone_groups={"desk": group})
    of = Renderer(whole, ADDRESSES)
    catalogue = of.catalogue
    known = catalogue.model("yealink", "T46S")
    assert known
    if known.keys < 4:
        catalogue._models["yealink", "t46s"] = msgspec.structs.replace(known, keys=27)
    found = of.device(phone).keys
    assert [(key.position, key.function, key.line, key.value, key.label) for key in found] == [
        (1, "line", 1, "1", ""),
        (2, "blf", 1, "103", "Anna"),
        (3, "speed_dial", 1, "4155550100", "Lab"),
    ]
    assert of.device(phone).key_at(2) == found[1]
    assert of.device(phone).key_at(2, 1) is None
