"""What each neutral setting becomes in a Yealink phone's file, and what keys and quirks become."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from provisioner.phones.render import Renderer
from provisioner.phones.vocabulary import SETTINGS
from provisioner.store.records import Key, Snapshot
from tests.phones import yealink_files as files
from tests.phones.samples import ADDRESSES
from tests.phones.test_yealink import CATALOGUE, MAC, MODELS, fetch, practice, settings

T46S = MODELS["T46S"]
# There is no parameter for these (docs/phones.md).
WITHOUT = {"show_caller", "redial_list"}


def of(values: dict[str, object] | None = None, model: str = "T46S", lines: int | None = None) -> Renderer:
    return Renderer(practice(MODELS[model], values=values, lines=lines), ADDRESSES, CATALOGUE)


def changed(values: dict[str, object], model: str = "T46S", version: str = "") -> dict[str, str]:
    """The settings that these values make different from the default ones'."""
    before = settings(of(model=model), MODELS[model], version)
    after = settings(of(values, model), MODELS[model], version)
    return {name: value for name, value in after.items() if before.get(name) != value}


def other(name: str) -> object:
    """A value of a setting that is not its default."""
    row = SETTINGS[name]
    samples = {
        "host": "192.0.2.99",
        "url": "http://192.0.2.5/firmware",
        "zone": "America/Phoenix",
        "map": {"urgent": "emergency"},
    }
    if row.type == "bool":
        return not row.default
    if row.type == "int":
        return row.low if row.default != row.low else row.high
    if row.type == "choice":
        return row.choices[-1]
    if row.type == "list":
        return ["G722"] if row.choices else ["911"]
    return samples.get(row.type, "*97")


@pytest.mark.parametrize("name", SETTINGS)
def test_the_whole_vocabulary_reaches_the_file(name: str) -> None:
    if name.startswith("registrar_2_"):
        base: dict[str, object] = {"registrar_2_host": "192.0.2.1", "registrar_2_port": 5062}
    else:
        base = {"vlan_id": 20} if name == "vlan_priority" else {}
    before = settings(of(base), T46S)
    after = settings(of({**base, name: other(name)}), T46S)
    assert (before != after) == (name not in WITHOUT)


def test_what_has_no_parameter_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "phones.md").read_text("utf-8")
    section = text[text.index("## Yealink") :]
    for name in WITHOUT:
        assert f"`{name}`" in section, name


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"registrar_2_host": "192.0.2.11", "registrar_2_port": 5070},
            {
                "account.1.sip_server.2.address": "192.0.2.11",
                "account.1.sip_server.2.port": "5070",
                "account.1.sip_server.2.transport_type": "0",
                "account.1.sip_server.2.expires": "600",
            },
        ),
        (
            {"transport": "tls", "srtp": "required"},
            {
                "account.1.sip_server.1.transport_type": "2",
                "account.1.sip_server.1.port": "5061",
                "account.1.srtp_encryption": "2",
            },
        ),
        (
            {"codecs": ["G722", "Opus", "PCMU"]},
            {
                "account.1.codec.g722.enable": "1",
                "account.1.codec.g722.priority": "1",
                "account.1.codec.opus.priority": "2",
                "account.1.codec.pcmu.priority": "3",
                "account.1.codec.pcma.enable": "0",
                "account.1.codec.pcma.priority": "0",
            },
        ),
        (
            {"dtmf": "inband", "dtmf_payload": 97},
            {"account.1.dtmf.type": "0", "account.1.dtmf.dtmf_payload": "97"},
        ),
        (
            {"voicemail_number": "*97"},
            {
                "voice_mail.number.1": "*97",
                "account.1.subscribe_mwi": "1",
                "features.voice_mail_popup.enable": "1",
            },
        ),
        (
            {"ring_tones": {"urgent": "emergency", "quiet": "silent", "a;b=c": "group"}},
            {
                "distinctive_ring_tones.alert_info.1.text": "urgent",
                "distinctive_ring_tones.alert_info.1.ringer": "4",
                "distinctive_ring_tones.alert_info.2.text": "a;b=c",
                "distinctive_ring_tones.alert_info.2.ringer": "3",
                "distinctive_ring_tones.alert_info.3.text": files.NULL,
            },
        ),
        (
            {"time_zone": "America/Denver", "time_format": "24", "date_format": "ymd"},
            {
                "local_time.time_zone": "-7",
                "local_time.time_format": "1",
                "local_time.date_format": "2",
                "local_time.time_zone_name": "United States-Mountain Time",
            },
        ),
        (
            {"vlan_id": 20, "vlan_priority": 6, "pc_vlan_id": 30, "qos_audio": 34},
            {
                "static.network.vlan.internet_port_enable": "1",
                "static.network.vlan.internet_port_vid": "20",
                "static.network.vlan.internet_port_priority": "6",
                "static.network.vlan.pc_port_enable": "1",
                "static.network.vlan.pc_port_vid": "30",
                "static.network.qos.audiotos": "34",
            },
        ),
        (
            {"syslog_host": "192.0.2.9", "syslog_level": "error"},
            {"static.syslog.enable": "1", "static.syslog.server": "192.0.2.9", "static.syslog.level": "3"},
        ),
        (
            {"provisioning_scheme": "https", "provisioning_host": "phones.example.net", "poll_seconds": 3600},
            {
                "static.auto_provision.server.url": "https://phones.example.net:443/folder/",
                "static.auto_provision.repeat.minutes": "60",
            },
        ),
        ({"provisioning_auth": False}, {"static.auto_provision.server.username": files.NULL}),
        (
            {"vendor_clouds": True, "pnp": True, "dhcp_provisioning": True},
            {
                "static.zero_touch.enable": "1",
                "static.auto_provision.pnp_enable": "1",
                "static.auto_provision.dhcp_option.enable": "1",
            },
        ),
        (
            {"directory": False},
            {"remote_phonebook.data.1.url": files.NULL, "features.remote_phonebook.enable": "0"},
        ),
        (
            {"firmware_server": "http://192.0.2.5/fw/"},
            {"static.firmware.url": "http://192.0.2.5/fw/T46S(T48S,T42S,T41S)-66.86.0.15.rom"},
        ),
        ({"call_history": True}, {"features.save_call_history": "1", "account.1.missed_calllog": "1"}),
        ({"redial_list": True}, {}),  # it would bring the callers back with it
    ],
)
def test_values(values: dict[str, object], expected: dict[str, str]) -> None:
    found = changed(values)
    assert {name: found.get(name) for name in expected} == expected
    assert bool(found) == bool(expected)


@pytest.mark.parametrize("values", [{"transport": "tls"}, {"provisioning_scheme": "https"}])
def test_a_phone_is_told_to_trust_our_authority_where_it_meets_it(values: dict[str, object]) -> None:
    found = changed(values)
    assert found["static.trusted_certificates.url"] == "http://192.0.2.10:8080/ca.pem"
    assert (found["static.security.trust_certificates"], found["static.security.ca_cert"]) == ("1", "2")
    assert "static.trusted_certificates.url" not in settings(of(), T46S)


def test_a_phone_is_told_to_keep_no_changes_of_its_own() -> None:
    found = settings(of(), T46S)
    assert found["static.auto_provision.custom.protect"] == found["static.auto_provision.custom.sync"] == "0"


def test_old_firmware_has_names_without_static_in_front_and_new_has_not() -> None:
    model = MODELS["T42G"]
    old, new = (
        settings(of(model="T42G"), model, "29.80.0.95"),
        settings(of(model="T42G"), model, "29.81.0.110"),
    )
    assert not [name for name in old if name.startswith("static.")]
    assert {name for name in old if f"static.{name}" in new} >= {
        "auto_provision.server.url",
        "zero_touch.enable",
    }
    assert (old["network.qos.rtptos"], new["static.network.qos.audiotos"]) == ("46", "46")
    assert old["account.1.codec.1.payload_type"] == "PCMU"
    assert "account.1.codec.1.payload_type" not in new


def test_v7x() -> None:
    found = settings(of({"codecs": ["G722", "Opus"], "srtp": "required"}, "T28P"), MODELS["T28P"])
    expected = {
        "account.1.sip_server_host": "192.0.2.10",
        "account.1.transport": "0",
        "account.1.expires": "600",
        "account.1.srtp_encryption": "1",
        "account.1.codec.6.payload_type": "G722",
        "account.1.codec.6.enable": "1",
        "account.1.codec.1.enable": "0",
        "network.web_server_type": "0",
        "auto_provision.mode": "1",
        "dialplan.dialnow.rule.1": "911",
        "dialplan.dialnow.rule.4": "[1,9]911",
        "phone_setting.dialnow_delay": "0",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert not [name for name in found if name.startswith("dialplan.digitmap")]


def test_a_phone_that_has_none_of_the_codecs_keeps_two_that_it_has() -> None:
    found = settings(of({"codecs": ["Opus"]}, "T28P"), MODELS["T28P"])
    on = [number for number in range(1, 7) if found[f"account.1.codec.{number}.enable"] == "1"]
    assert on == [1, 2]


@pytest.mark.parametrize(("model", "version"), [("T28P", ""), ("T46S", "66.81.0.110")])
def test_rules_to_dial_at_once_are_what_the_digit_map_sends_at_once(model: str, version: str) -> None:
    """By the maker's description: `x` is a digit, a class has commas and ranges; at most twenty rules."""
    found = settings(of(model=model), MODELS[model], version)
    rules = [found[f"dialplan.dialnow.rule.{n}"] for n in range(1, 21)]
    patterns = [
        re.compile(rule.replace("x", "[0-9]").replace(",", "").replace("*", r"\*"))
        for rule in rules
        if rule != files.NULL
    ]

    def leaves(digits: str) -> int | None:
        return next(
            (n for n in range(1, len(digits) + 1) if any(p.fullmatch(digits[:n]) for p in patterns)), None
        )

    for digits in ("911", "933", "988", "112", "101", "2155550123", "12155550123", "411"):
        assert leaves(digits) == len(digits), digits
    for digits in ("201", "9155550123", "0114420"):
        assert leaves(digits) is None, digits


def keyed(model: str, *keys: Key, modules: tuple[str, ...] = ()) -> dict[str, str]:
    whole = practice(MODELS[model], lines=2)
    phone = msgspec.structs.replace(whole.phones[MAC], keys=keys, modules=modules)
    snapshot: Snapshot = msgspec.structs.replace(whole, phones={MAC: phone})
    return settings(Renderer(snapshot, ADDRESSES, CATALOGUE), MODELS[model])


def key(found: dict[str, str], name: str) -> tuple[str, str, str, str]:
    return found[f"{name}.type"], found[f"{name}.line"], found[f"{name}.value"], found[f"{name}.label"]


def lamp(position: int) -> Key:
    return Key(position=position, function="blf", value="105", label="Lab")


def test_keys() -> None:
    found = keyed(
        "T46S",
        Key(position=2, function="line", value="2"),
        Key(position=3, function="blf", value="105", label="Lab"),
        Key(position=4, function="speed_dial", value="+14155550199"),
        lamp(28),
        modules=("EXP40",),
    )
    null = files.NULL
    assert key(found, "linekey.1") == ("15", "1", null, null)
    assert key(found, "linekey.2") == ("15", "2", null, null)
    assert key(found, "linekey.3") == ("16", "1", "105", "Lab")
    assert key(found, "linekey.4") == ("13", "1", "+14155550199", "+14155550199")
    assert key(found, "linekey.27") == ("0", null, null, null)
    assert key(found, "expansion_module.1.key.1") == ("16", "1", "105", "Lab")
    assert key(found, "expansion_module.1.key.40") == ("0", null, null, null)
    assert "expansion_module.1.key.41.type" not in found
    assert "expansion_module.2.key.1.type" not in found


def test_memory_keys_come_after_the_lines() -> None:
    found = keyed("T28P", lamp(7), lamp(17), modules=("EXP39",))
    assert key(found, "memorykey.1")[:3] == ("16", "1", "105")
    assert "linekey.7.type" not in found
    assert "memorykey.11.type" not in found
    assert key(found, "expansion_module.1.key.1")[:3] == ("16", "1", "105")


def test_key_21_of_an_exp20_turns_its_page() -> None:
    found = keyed("T29G", lamp(27 + 20), lamp(27 + 21), modules=("EXP20",))
    assert key(found, "expansion_module.1.key.20")[0] == key(found, "expansion_module.1.key.22")[0] == "16"
    assert "expansion_module.1.key.21.type" not in found
    assert "expansion_module.1.key.40.type" in found


@pytest.mark.parametrize(("model", "line"), [("T38G", "0"), ("T32G", "0"), ("T28P", "1")])
def test_lamps_of_some_count_their_line_from_0(model: str, line: str) -> None:
    found = keyed(model, lamp(3), Key(position=2, function="speed_dial", value="105"))
    assert key(found, "linekey.3")[1] == line
    assert key(found, "linekey.2")[1] == "1"


@pytest.mark.parametrize("model", [name for name, each in MODELS.items() if each.family == "dect"])
def test_each_line_of_a_base_is_one_handsets(model: str) -> None:
    found = settings(of({"firmware_server": "http://192.0.2.5"}, model, lines=2), MODELS[model])
    for n in ("1", "2"):
        assert found[f"handset.{n}.incoming_lines"] == n
        assert found[f"handset.{n}.dial_out_lines"] == n
        assert found[f"handset.{n}.dial_out_default_line"] == n
        assert found[f"handset.{n}.name"] == found[f"account.{n}.display_name"]
    assert "handset.3.name" not in found
    assert found["account.3.enable"] == "0"
    assert [name for name in found if name.startswith("over_the_air.url.")]
    assert "lang.gui" not in found
    many = model[:3] in ("W75", "W80", "W90")
    assert (found.get("account.2.sip_server.template") == "2") == many
    assert (found.get("template.2.sip_server.1.address") == "192.0.2.10") == many


def test_a_group_of_phones_may_differ_and_the_common_file_does_not_say_otherwise() -> None:
    own = set(files.parse(fetch(of(), f"{MAC}.cfg", T46S) or b""))
    common = set(files.parse(fetch(of(), "y000000000066.cfg", T46S) or b""))
    assert not {each.name for each in own} & {each.name for each in common}
