"""Every Grandstream model's files: known parameters with values of their type, and what the settings come to."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from provisioner.firmware.rules import load
from provisioner.paths import shipped
from provisioner.phones.boot import Asked, file_asked
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.grandstream_binary import decode
from provisioner.phones.grandstream_encryption import decrypt
from provisioner.phones.identity import Identity
from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Trust
from provisioner.phones.vocabulary import SETTINGS
from provisioner.simulate.vendors.grandstream import unpack
from provisioner.store.records import Credential, Key, Line, LineCredential, Phone, PhoneSettings, Snapshot
from tests.phones.samples import ADDRESSES, PRACTICE

FOLDER = shipped("phone_templates") / "grandstream"
CATALOGUE = Catalogue()
MAKER = CATALOGUE.vendors["grandstream"]
MODELS = {model.name: model for model in MAKER.models}
PARAMETERS = [
    (re.compile(row["name"]), row)
    for row in tomllib.loads((FOLDER / "parameters.toml").read_text())["parameters"]
]
SCHEMA = etree.RelaxNG(etree.parse(FOLDER / "gs_provision.rng"))
MAC = "000b82000103"
FULL: dict[str, object] = {
    "registrar_host": "sip.example.net",
    "registrar_2_host": "192.0.2.11",
    "registrar_2_port": 5070,
    "transport": "tls",
    "srtp": "required",
    "register_seconds": 300,
    "codecs": ["G722", "PCMU", "G729", "Opus"],
    "dtmf": "info",
    "dtmf_payload": 97,
    "digit_map_pause_seconds": 5,
    "call_waiting": False,
    "phone_do_not_disturb": True,
    "phone_forward": True,
    "phone_conference": False,
    "auto_answer": True,
    "voicemail_number": "*97",
    "ring_tones": {"urgent": "emergency", "quiet": "silent"},
    "time_zone": "America/St_Johns",
    "time_format": "24",
    "date_format": "dmy",
    "language": "fr",
    "call_history": True,
    "redial_list": True,
    "show_caller": False,
    "hide_digits": True,
    "screen_saver": 0,
    "phone_web_page": True,
    "vlan_id": 20,
    "pc_vlan_id": 30,
    "lldp": False,
    "cdp": False,
    "dhcp_vlan": False,
    "qos_signalling": 40,
    "qos_audio": 34,
    "syslog_host": "192.0.2.9",
    "syslog_level": "debug",
    "provisioning_scheme": "https",
    "poll_seconds": 86400,
    "vendor_clouds": True,
    "pnp": True,
    "dhcp_provisioning": True,
    "firmware_server": "https://192.0.2.5/firmware",
}


def practice(
    model: Model, name: str = "Room", lines: int | None = None, values: dict[str, object] | None = None
) -> Snapshot:
    count = model.accounts if lines is None else lines
    modules = model.modules[:1] * model.module_count
    places = model.keys + sum(CATALOGUE.module_keys("grandstream", module) for module in modules)
    keys = [
        Key(position=place, function="blf", value=f"1{place:02}", label=name) for place in (1, places - 1)
    ]
    keys += [Key(position=places, function="speed_dial", value=name, label=name)]
    phone = Phone(
        id=MAC,
        vendor="grandstream",
        model=model.name,
        lines=tuple(Line(extension=f"1{index:02}", name=name) for index in range(count)),
        keys=tuple(keys) if places > 2 else (),
        modules=modules,
    )
    credential = Credential(
        id=MAC,
        lines=tuple(
            LineCredential(auth_user=f"u{index}", password=f"secret{name}") for index in range(count)
        ),
        admin_password=f"admin-secret{name}",
        user_password="user-secret",
        http_user=MAC,
        http_password="http-secret",
        path_secret="folder",
        file_key="0123456789abcdEF",
    )
    record = {"id": "site", "values": values or {}, "kind": "phone_setting"}
    return Snapshot(
        revision=1,
        practice=PRACTICE,
        phones={MAC: phone},
        credentials={MAC: credential},
        phone_settings={"site": msgspec.convert(record, PhoneSettings)},
    )


def fetch(of: Renderer, name: str, model: Model, version: str = "", agent: str = "phone") -> bytes | None:
    asked = file_asked(f"/{name}")
    assert asked
    return of.file(
        asked, Identity("grandstream", model.name if agent == "phone" else "", version, MAC, agent=agent)
    )


PEM = "-----BEGIN CERTIFICATE-----\nMIIB+/8=\n-----END CERTIFICATE-----\n"


def renderer(model: Model, **more: object) -> Renderer:
    addresses = msgspec.structs.replace(ADDRESSES, authority=PEM)
    return Renderer(practice(model, **more), addresses, CATALOGUE)  # type: ignore[arg-type]


def pairs(data: bytes | None) -> list[tuple[str, str]]:
    """All settings of a file, in their order, from whichever of the three forms it has."""
    assert data
    if not data.startswith(b"<?xml"):
        mac, found = decode(data)
        assert (mac, unpack(data, MAC)) == (MAC, found)
        return list(found.items())
    root = etree.fromstring(data)
    SCHEMA.assertValid(root)
    config = root.find("config")
    assert config is not None
    return [(each.get("name") or each.tag, each.text or "") for each in config]


def own_file(model: Model) -> str:
    return f"cfg{MAC}" if model.family == "gxp20" else f"cfg{MAC}.xml"


def read(of: Renderer, model: Model) -> dict[str, str]:
    return dict(pairs(fetch(of, own_file(model), model)))


def misfit(name: str, value: str) -> str:
    """What is wrong with a setting by parameters.toml; "" when nothing is."""
    rows = [row for pattern, row in PARAMETERS if pattern.fullmatch(name)]
    if not rows:
        return f"{name} is not a known parameter"
    for row in rows:
        if "low" in row:
            fits = value.lstrip("-").isdecimal() and row["low"] <= int(value) <= row["high"]
        else:
            fits = bool(re.fullmatch(row["value"], value, re.DOTALL))
        if fits:
            return ""
    return f"{name} cannot be {value!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("P99999", "1"),
        ("P27", "1"),
        ("P271", "2"),
        ("P32", "0"),
        ("P290", "911"),
        ("account.1.enable", "1"),
        ("account.enable", "Yes"),
    ],
)
def test_what_is_no_parameter(name: str, value: str) -> None:
    assert misfit(name, value)


def account_of(found: dict[str, str], codes: str) -> list[str | None]:
    return [found.get(code) for code in codes.split()]


@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_renders_every_file_with_known_parameters_only(
    name: str, values: dict[str, object]
) -> None:
    model = MODELS[name]
    of = renderer(model, values=values)
    files = [own_file(model)]
    if model.family != "gxp20":
        files += [f"cfg{name.lower()}.xml", "cfg.xml"]
    for file in files:
        found = pairs(fetch(of, file, model))
        assert [wrong for each in found if (wrong := misfit(*each))] == []
        assert [code for code, many in Counter(code for code, _ in found).items() if many > 1] == []
    waiting = Renderer(Snapshot(revision=1, practice=PRACTICE), ADDRESSES, CATALOGUE)
    asks_again = pairs(fetch(waiting, own_file(model), model))
    assert [value for _, value in asks_again][-1] == "60"
    assert [wrong for each in asks_again if (wrong := misfit(*each))] == []


def test_the_models_of_the_series() -> None:
    """A model of each series that is sold under one of these names."""
    for names in (
        "GXP1100 GXP1105 GXP1160 GXP1165 GXP1400 GXP1405 GXP1450 GXP1610 GXP1615 GXP1620 GXP1625 GXP1628 GXP1630",
        "GXP1760 GXP1780 GXP1782 GXP2000 GXP2100 GXP2110 GXP2120 GXP2124 GXP2130 GXP2135 GXP2140 GXP2160 GXP2170",
        "GXP2200 GRP2601 GRP2601P GRP2601W GRP2602P GRP2603P GRP2604P GRP2612 GRP2612P GRP2612W GRP2613 GRP2614",
        "GRP2615 GRP2616 GRP2624 GRP2634 GRP2636 GRP2650 GRP2670 GXV3140 GXV3175 GXV3240 GXV3275 GXV3350 GXV3370",
        "GXV3380 GXV3450 GXV3480 DP715 DP750 DP752 HT502 HT503 HT701 HT702 HT704 HT801 HT802 HT801V2 HT802V2 HT812",
        "HT286 HT386 HT486 HT813 HT814 HT818 HT841 HT881 WP810 WP820 WP822 WP825 WP826 GAC2500 GHP621W",
    ):
        for name in names.split():
            assert CATALOGUE.model("grandstream", name), name
    assert all(model.family in MAKER.families and model.images for model in MAKER.models)
    assert all(model.line_keys <= model.virtual_keys <= model.keys for model in MAKER.models)
    lines = load("grandstream").families
    assert all(CATALOGUE.kit("grandstream", model).firmware in lines for model in MAKER.models)


@pytest.mark.parametrize("name", MODELS)
def test_no_secret_is_in_a_shared_file(name: str) -> None:
    of = renderer(MODELS[name])
    for file in (f"cfg{name.lower()}.xml", "cfg.xml", "phonebook.xml"):
        data = fetch(of, file, MODELS[name])
        if data is not None:
            assert b"secret" not in data
            assert MAC.encode() not in data
            for own in (b"<P271>", b"account.1.enable", b"<P237>", b"<P331>"):
                assert own not in data
            assert b"config.serverPath" not in data


def test_the_model_of_a_shared_file_is_its_names() -> None:
    of = renderer(MODELS["HT801"])
    by_agent = fetch(of, "cfgwp826.xml", MODELS["WP826"])
    assert by_agent
    assert b'<config version="2">' in by_agent
    assert fetch(of, "cfgWP826.xml", MODELS["WP826"], agent="none") == by_agent
    assert fetch(of, "cfggrp2601p.xml", MODELS["GRP2601"], agent="none") == fetch(
        of, "cfggrp2601.xml", MODELS["GRP2601"]
    )
    assert fetch(of, "cfggrp26.xml", MODELS["GRP2601"]) == fetch(of, "cfggrp2601.xml", MODELS["GRP2601"])


def test_the_practices_phonebook() -> None:
    data = fetch(renderer(MODELS["GXP2130"], name="Anna & <Bob>"), "phonebook.xml", MODELS["GXP2130"])
    assert data
    root = etree.fromstring(data)
    assert root.tag == "AddressBook"
    contacts = [
        (each.findtext("FirstName"), each.findtext("Phone/phonenumber")) for each in root.iter("Contact")
    ]
    assert contacts == [("Anna & <Bob>", "100"), ("Anna & <Bob>", "101"), ("Anna & <Bob>", "102")]


def test_six_accounts_by_their_codes() -> None:
    found = read(renderer(MODELS["GXP2170"], values={"registrar_2_host": "192.0.2.11"}), MODELS["GXP2170"])
    assert account_of(found, "P271 P401 P501 P601 P1701 P1801") == ["1"] * 6
    assert account_of(found, "P35 P404 P504 P604 P1704 P1804") == ["100", "101", "102", "103", "104", "105"]
    assert account_of(found, "P36 P405 P505 P605 P1705 P1805") == ["u0", "u1", "u2", "u3", "u4", "u5"]
    assert account_of(found, "P47 P402 P502 P602 P1702 P1802") == ["192.0.2.10:5060"] * 6
    assert account_of(found, "P2312 P2412 P2512 P2612 P2712 P2812") == ["192.0.2.11:5060"] * 6
    assert len({found[code] for code in "P290 P459 P559 P659 P1759 P1859".split()}) == 1
    assert account_of(found, "P72 P492 P592 P692 P792 P892") == ["0"] * 6


def test_accounts_that_the_phone_has_no_line_for_are_off() -> None:
    found = read(renderer(MODELS["GXP2170"], lines=2), MODELS["GXP2170"])
    assert account_of(found, "P271 P401 P501 P601 P1701 P1801") == ["1", "1", "0", "0", "0", "0"]
    assert "P504" not in found


def test_sixteen_accounts_by_name() -> None:
    found = read(renderer(MODELS["GXV3370"]), MODELS["GXV3370"])
    users = [found[f"account.{n}.sip.userid"] for n in range(1, 17)]
    assert users == [f"1{index:02}" for index in range(16)]
    assert "account.17.enable" not in found
    assert found["account.16.codec.choice.7"] == "PCMA"
    assert found["provisioning.auto.minute"] == "120"


def test_the_ports_of_adapters() -> None:
    two = read(renderer(MODELS["HT802"], lines=1), MODELS["HT802"])
    assert account_of(two, "P271 P401 P35 P735 P34") == ["1", "0", "100", None, "secretRoom"]
    both = read(renderer(MODELS["HT802"]), MODELS["HT802"])
    assert account_of(both, "P47 P747 P35 P735 P36 P736 P4200") == [
        "192.0.2.10:5060", "192.0.2.10:5060", "100", "101", "u0", "u1", both["P4201"],
    ]  # fmt: skip
    eight = read(renderer(MODELS["HT818"], lines=3), MODELS["HT818"])
    assert [eight.get(f"P{code}") for code in range(4060, 4068)] == ["100", "101", "102"] + [None] * 5
    assert [eight[f"P{code}"] for code in range(4595, 4603)] == ["1"] * 3 + ["0"] * 5
    assert (eight["P47"], eight.get("P747"), eight.get("P35")) == ("192.0.2.10:5060", None, None)
    assert eight["P194"] == "3"


def test_the_handsets_of_a_dect_base() -> None:
    found = read(renderer(MODELS["DP750"], lines=2), MODELS["DP750"])
    assert account_of(found, "P4060 P4061 P27020 P27021 P27080 P27081 P4300 P4310 P4320") == [
        "100", "101", "100", "101", "1", "2", "1", "2", None,
    ]  # fmt: skip
    assert (found["P194"], found["P331"]) == ("1", "192.0.2.10:8080/folder/")


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.virtual_keys])
def test_every_virtual_key_is_there(name: str, lines: int) -> None:
    model = MODELS[name]
    found = read(renderer(model, lines=lines), model)
    modes = [f"P{1363 + 2 * k}" for k in range(6)] + [
        f"P{23800 + 4 * k}" for k in range(model.virtual_keys - 6)
    ]
    assert all(found[mode] in ("-1", "0", "1", "10", "11") for mode in modes[: model.virtual_keys])
    assert found["P1363"] == "11"
    assert (found["P1465"], found["P1466"]) == ("Room", "101")
    assert found[f"P{1364 + 2}"] == str(
        lines - 1
    )  # the second line key: the second line, or the first once more


def test_keys_of_every_kind() -> None:
    model = MODELS["GXP2160"]
    keys = (
        Key(position=2, function="line", value="1", label="Front desk"),
        Key(position=7, function="blf", value="107", label="Lab"),
        Key(position=8, function="speed_dial", value="911", label="911"),
        Key(position=9, function="line", value="1"),
        Key(position=25, function="blf", value="125"),
        Key(position=32, function="speed_dial", value="132"),
        Key(position=48, function="blf", value="148"),
    )
    whole = practice(model, lines=1)
    phone = msgspec.structs.replace(whole.phones[MAC], keys=keys)
    found = read(Renderer(msgspec.structs.replace(whole, phones={MAC: phone}), ADDRESSES, CATALOGUE), model)
    assert account_of(found, "P1365 P1366 P1467") == ["0", "0", "Front desk"]
    assert account_of(found, "P23800 P23801 P23802 P23803") == ["1", "0", "Lab", "107"]
    assert account_of(found, "P23804 P23807") == ["0", "911"]
    assert account_of(found, "P23808") == ["-1"]  # only a line key can be a line
    assert account_of(found, "P323 P301 P302 P303") == ["1", "0", "125", "125"]
    assert account_of(found, "P353 P356") == ["0", "132"]
    assert account_of(found, "P1460 P1463") == ["1", "148"]
    assert account_of(found, "P324 P304 P305 P306") == ["-1", "0", "", ""]


@pytest.mark.parametrize("name", ["GAC2500", "GXV3240", "WP820"])
def test_intercom_of_android_phones(name: str) -> None:
    for wanted, sent in ((True, "2"), (False, "0")):
        found = read(renderer(MODELS[name], values={"auto_answer": wanted}), MODELS[name])
        assert account_of(found, "P90 P425") == [sent, sent]


def test_keys_of_expansion_modules() -> None:
    model = MODELS["GXP2170"]
    keys = (
        Key(position=49, function="blf", value="149"),
        Key(position=89, function="speed_dial", value="189"),
    )
    whole = practice(model, lines=1)
    phone = msgspec.structs.replace(whole.phones[MAC], keys=keys, modules=("GXP2200EXT", "GXP2200EXT"))
    found = read(Renderer(msgspec.structs.replace(whole, phones={MAC: phone}), ADDRESSES, CATALOGUE), model)
    assert account_of(found, "P23000 P23001 P23003 P23005") == ["1", "0", "149", "-1"]
    assert account_of(found, "P23200 P23203 P23395 P23400") == ["0", "189", "-1", None]


def test_all_settings_as_p_codes() -> None:
    found = read(renderer(MODELS["GXP2170"], values=FULL), MODELS["GXP2170"])
    expected = {
        "P47": "sip.example.net:5061", "P2312": "192.0.2.11:5070", "P130": "2", "P2329": "0", "P183": "2",
        "P32": "5", "P57": "9", "P58": "0", "P59": "18", "P60": "123", "P98": "123", "P2301": "0", "P2302": "0",
        "P2303": "1", "P79": "97", "P85": "5", "P91": "1", "P26063": "2", "P8446": "1", "P1565": "0", "P191": "1",
        "P1311": "1", "P298": "1", "P33": "*97", "P99": "1", "P1488": "urgent", "P1489": "3", "P1490": "quiet",
        "P1491": "4", "P1492": "", "P64": "customize", "P122": "1", "P102": "2", "P1362": "fr", "P182": "0",
        "P22126": "1", "P2324": "1", "P338": "1", "P2918": "0", "P1650": "0", "P22174": "1", "P51": "20",
        "P87": "5", "P229": "30", "P1684": "0", "P22119": "0", "P8300": "0", "P1558": "40", "P1559": "34",
        "P207": "192.0.2.9", "P208": "1", "P212": "2", "P193": "1440", "P1409": "1", "P1414": "1", "P145": "1",
        "P6767": "2", "P192": "192.0.2.5/firmware", "P238": "0", "P237": "192.0.2.10:443/folder/", "P1360": MAC,
        "P1361": "http-secret", "P330": "3", "P331": "192.0.2.10:443/folder/", "P2": "admin-secretRoom",
        "P196": "user-secret", "P8385": "911,933,988,112",
    }  # fmt: skip
    assert {code: found.get(code) for code in expected} == expected
    assert found["P246"].startswith("NST+3:30NDT+2:30,M3.2.0")
    assert "P4503" not in found


def test_all_settings_as_names() -> None:
    found = read(renderer(MODELS["GHP621"], values=FULL), MODELS["GHP621"])
    expected = {
        "account.1.sip.server.1.address": "sip.example.net:5061",
        "account.1.sip.server.2.address": "192.0.2.11:5070", "account.1.sip.transport": "Tls Or Tcp",
        "account.1.audio.srtpMode": "EnabledAndForced", "account.1.sip.registerExpiration": "5",
        "account.1.codec.choice.1": "G.722", "account.1.codec.choice.8": "OPUS", "account.1.dtmf.sendInSip": "Yes",
        "account.1.dtmf.sendInRtp": "No", "account.1.call.noKeyEntryTimeout": "5",
        "account.1.call.keyAsSend": "Disabled", "account.1.intercom.allowAutoAnswer": "Yes",
        "account.1.ring.match.1.ringtone": "3", "call.callWaiting.enable": "No", "call.conference.enable": "No",
        "network.port.eth.1.vlan.tag": "20", "network.lldp.enable": "No", "tr069.enable": "Yes",
        "provisioning.firmware.serverPath": "192.0.2.5/firmware",
        "provisioning.config.serverPath": "192.0.2.10:443/folder/", "dateTime.timezone": "customize",
        "security.webAccessMode": "HTTPS", "pks.mpk.1.keyMode": "BLF", "pks.mpk.2.keyMode": "None",
        "pks.mpk.16.keyMode": "SpeedDial",
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("values", "sent"), [({}, False), ({"transport": "tls"}, True), ({"provisioning_scheme": "https"}, True)]
)
@pytest.mark.parametrize("family", MAKER.families)
def test_the_authority_goes_with_tls(family: str, values: dict[str, object], sent: bool) -> None:
    model = next(model for model in MAKER.models if model.family == family)
    found = read(renderer(model, values=values), model)
    assert (PEM in found.values()) == sent


@pytest.mark.parametrize("name", ["GXP2170", "GRP2614", "HT802", "GXV3370"])
def test_a_phone_that_has_its_password_gets_its_file_encrypted(name: str) -> None:
    model = MODELS[name]
    of = renderer(model, values={"encrypt_files": True})
    asked, who = Asked("config", MAC, own_file(model)), Identity("grandstream", name, "", MAC, agent="phone")
    plain, sealed = of.file(asked, who), of.rendered(asked, who, sealed=True)
    assert plain
    assert sealed
    assert decrypt(sealed.data, "0123456789abcdEF", "md5") == plain
    found = dict(pairs(plain))
    place, password = ("P237", "P1359") if "P237" in found else (
        "provisioning.config.serverPath", "provisioning.config.filePassword"
    )  # fmt: skip
    assert found[place].endswith(":8080/folder/sealed/")
    assert found[password] == "0123456789abcdEF"
    open_practice = renderer(model)
    unsealed = open_practice.rendered(asked, who, sealed=True)
    assert unsealed
    assert unsealed.data == open_practice.file(asked, who)
    found = dict(pairs(open_practice.file(asked, who)))
    assert found[place].endswith(":8080/folder/")
    assert found[password] == ""


@pytest.mark.peer("openssl")
def test_the_file_of_its_sealed_folder_is_what_openssl_reads(tmp_path: Path) -> None:
    model = MODELS["GRP2614"]
    whole = practice(model, values={"encrypt_files": True})
    credential = msgspec.structs.replace(whole.credentials[MAC], path_secret="f" * 28)
    of = Renderer(msgspec.structs.replace(whole, credentials={MAC: credential}), ADDRESSES, CATALOGUE)
    agent = "Grandstream Model HW GRP2614 SW 1.0.5.15 DevId " + MAC
    trust = Trust(lambda: 1_700_000_000.0, lambda: 1000.0, bytes(32))
    bodies = [
        trust.judge(of, Asker(f"/{folder}/cfg{MAC}.xml", agent, "192.0.2.77", neighbour=MAC)).body
        for folder in ("f" * 28, "f" * 28 + "/sealed")
    ]
    assert bodies[0]
    assert bodies[1]
    (tmp_path / "in").write_bytes(bodies[1])
    command = [
        "openssl",
        "enc",
        "-d",
        "-aes-256-cbc",
        "-md",
        "md5",
        "-k",
        credential.file_key,
        "-in",
        tmp_path / "in",
    ]
    assert subprocess.run(command, capture_output=True, check=True).stdout == bodies[0]


# A value that is not the default, for every setting; the first three are there so that those that belong to them count.
BASE: dict[str, object] = {"registrar_2_host": "192.0.2.11", "vlan_id": 20, "syslog_host": "192.0.2.9"}
CHANGED = FULL | {
    "registrar_2_host": "192.0.2.12",
    "registrar_port": 5070,
    "subscribe_seconds": 1800,
    "emergency_numbers": ["911"],
    "directory": False,
    "ntp_server": "192.0.2.1",
    "vlan_id": 30,
    "vlan_priority": 6,
    "syslog_host": "192.0.2.8",
    "provisioning_host": "phones.example.net",
    "provisioning_port": 8081,
    "provisioning_auth": False,
    "encrypt_files": True,
}
_ADAPTERS = "subscribe_seconds auto_answer emergency_numbers time_format date_format redial_list call_history"
_ADAPTERS += " hide_digits screen_saver phone_do_not_disturb cdp dhcp_vlan pc_vlan_id phone_web_page"
UNREACHED = {  # by family: what docs/phones.md says its phones cannot be told
    "ht": f"{_ADAPTERS} directory lldp language",
    "ht-many": f"{_ADAPTERS} directory lldp language ring_tones",
    "dp": f"{_ADAPTERS} language ring_tones",
    "gxp20": "encrypt_files",
    "gxv": "phone_web_page",
    "ghp": "directory",
}


@pytest.mark.parametrize("family", MAKER.families)
def test_every_setting_reaches_every_family_but_for_those_that_it_lacks(family: str) -> None:
    assert set(CHANGED) == set(SETTINGS)
    model = next(model for model in MAKER.models if model.family == family)
    before = read(renderer(model, values=BASE), model)
    same = {
        setting
        for setting, value in CHANGED.items()
        if read(renderer(model, values=BASE | {setting: value}), model) == before
    }
    assert same == set(UNREACHED.get(family, "").split())


def test_old_firmware_has_numbers_for_time_zones() -> None:
    found = read(renderer(MODELS["GXP2000"]), MODELS["GXP2000"])
    assert (found["P64"], found["P75"]) == ("240", "1")  # 720 - 8 hours
    assert "P246" not in found


@pytest.mark.parametrize("family", MAKER.families)
def test_clouds_and_overrides_are_off_by_default(family: str) -> None:
    model = next(model for model in MAKER.models if model.family == family)
    found = read(renderer(model), model)
    off = {"P1409": "0", "P1414": "0", "P145": "0", "P4503": "", "P26015": "0", "P276": "1", "P238": "2"}
    named = {"tr069.enable": "No", "tr069.url": "", "provisioning.3cxAutoProvision": "No"}
    assert any({code: found.get(code) for code in each} == each for each in (off, named))


HOSTILE = st.text(max_size=60) | st.sampled_from(
    ["</P34><P2>x</P2>", "a&P2=x", "\r\n\0\x1b", "%NULL%", "]]>", "\ue0001\ue001", "{{ 7*7 }}", "n" * 10_000]
)


@settings(max_examples=25, deadline=None)
@given(
    HOSTILE, st.sampled_from(["GXP2000", "GXP2160", "GXV3370", "HT802", "HT814", "DP750", "GHP610", "WP826"])
)
def test_no_value_begins_another_setting(name: str, model_name: str) -> None:
    model = MODELS[model_name]
    plain, hostile = (read(renderer(model, name=each, lines=2), model) for each in ("Room", f"Room{name}"))
    assert hostile.keys() == plain.keys()
    moved = {code for code in plain if hostile[code] != plain[code]}
    assert all("Room" in plain[code] for code in moved)


@pytest.mark.parametrize("lines", [0, 1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_a_skeleton_is_the_plain_file_byte_for_byte(name: str, lines: int) -> None:
    model = MODELS[name]
    of = renderer(model, name='Anna & <Bob> "O\'Hara" é\n', lines=lines)
    phone = of.snapshot.phones[MAC]
    who = Identity("grandstream", name, "", MAC, agent="phone")
    for kind, row in of.catalogue.kit("grandstream", model).files.items():
        asked = Asked(kind, MAC, own_file(model))
        expected = of.plain(of.like("grandstream", model, phone, ""), row, of.device(phone))
        assert of.file(asked, who) == expected == of.file(asked, who)
