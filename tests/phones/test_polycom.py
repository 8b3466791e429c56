"""Polycom phones: every model gets every file, and each file holds only what its phone knows."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from provisioner.firmware.rules import load
from provisioner.paths import shipped
from provisioner.phones.catalogue import Model
from provisioner.phones.identity import of_agent
from provisioner.phones.vocabulary import SETTINGS
from provisioner.store.records import Key, Line, Phone
from tests.phones.polycom import (
    AUTHORITY,
    CATALOGUE,
    KEYS,
    MAC,
    MODELS,
    NAMES,
    OTHERWISE,
    UCS,
    VENDOR,
    attributes,
    fault,
    file,
    parameters,
    renderer,
    row,
    schema,
)

OLD = tuple(model for model in MODELS if model.family not in UCS)
EACH = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def named(name: str) -> Model:
    model = CATALOGUE.model("polycom", name)
    assert model
    return model


VVX, OLDEST = named("VVX 450"), named("SoundPoint IP 300")


@EACH
@pytest.mark.parametrize("values", [{}, OTHERWISE], ids=["defaults", "otherwise"])
def test_every_file_holds_only_what_the_schema_allows(model: Model, values: dict[str, object]) -> None:
    of = renderer(model, values=values, lines=2)
    for name, value in parameters(of).items():
        assert not fault(name, value)
        assert model in OLD or not (row(name) or {}).get("old"), name
    for name, value in attributes(file(of, "phone")).items():
        assert not fault(name, value, "master")
    for name, value in attributes(file(of, "waiting")).items():
        assert not fault(name, value)


@EACH
def test_directories_have_their_form(model: Model) -> None:
    form = etree.RelaxNG(etree.parse(str(shipped("phone_templates") / "polycom" / "directory.rng")))
    for values in ({}, {"directory": False}):
        of = renderer(model, values=values)
        for kind in ("directory", "common-directory"):
            form.assertValid(etree.fromstring(file(of, kind)))


@EACH
def test_a_skeleton_equals_its_template(model: Model) -> None:
    of = renderer(model, lines=2, name='Anna & <Bob> "O\'Hara" é\r\n{{ 1 }}', secret="]]>")
    phone = of.snapshot.phones[MAC]
    for kind, about in CATALOGUE.kit("polycom", model).files.items():
        if kind not in ("waiting", "common-directory"):
            plain = of.plain(of.like("polycom", model, phone, ""), about, of.device(phone))
            assert file(of, kind) == plain == file(of, kind)


@EACH
def test_a_device_parameter_comes_with_its_switch(model: Model) -> None:
    found = parameters(renderer(model, values=OTHERWISE))
    assert found["device.set"] == "1"
    gated = {name for name in found if name.startswith("device.") and name != "device.set"}
    for name in gated:
        assert found[name] == "1" if name.endswith(".set") else f"{name}.set" in gated


HOSTILE = (
    '" reg.2.address="666',
    "'/><x dialplan.digitmap='x",
    "<!-- ",
    "]]>",
    "%NULL%",
    'a\nreg.1.server.1.address="203.0.113.66"\r\n',
    "&#34; x=&quot;1&quot;",
    "\x00\x1b\x7f\x85\u2028\ufffe\ue000\ue0011\ue000",
    "x" * 10240,
    "{{ device.admin_password }}{% raw %}",
    "\U0001f600é",
)
ANY = st.sampled_from(HOSTILE) | st.text(max_size=60)


def shape(data: bytes) -> list[tuple[str, tuple[str, ...]]]:
    """The elements and the names of their attributes: what a value must not add to."""
    return [(str(each.tag), tuple(map(str, each.attrib))) for each in etree.fromstring(data).iter()]


@settings(deadline=None, max_examples=40)
@given(model=st.sampled_from(MODELS), name=ANY, secret=ANY)
def test_no_value_adds_a_setting(model: Model, name: str, secret: str) -> None:
    plain = renderer(model, lines=2)
    # An empty name shows the extension instead, and an empty secret leaves parameters out: neither is hostile.
    nasty = renderer(model, lines=2, name=f"n{name}", secret=f"s{secret}")
    for kind in NAMES:
        assert shape(file(nasty, kind)) == shape(file(plain, kind)), kind


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_arrives_as_it_is(text: str) -> None:
    found = parameters(renderer(VVX, name=f"n{text}", secret=f"s{text}"))
    printable = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ue000\ue001\ufffe]", "", text)
    assert found["reg.1.displayName"] == f"n{printable}"
    assert found["reg.1.auth.password"] == f"s{printable}0"
    assert found["attendant.resourceList.1.label"] == f"n{printable}"


# --- what each setting becomes -------------------------------------------------------------------------------------

# Settings without a parameter of their own (docs/phones.md says what happens instead).
NONE = {"encrypt_files", "phone_conference", "hide_digits", "pc_vlan_id", "pnp"}
ONLY_OLD = {"redial_list"}


def everything(model: Model, values: dict[str, object]) -> list[bytes]:
    of = renderer(model, values=values, lines=2)
    return [file(of, kind) for kind in NAMES]


@pytest.mark.parametrize("model", [VVX, named("SoundPoint IP 650"), named("CCX 600"), named("Trio 8800")])
def test_every_setting_reaches_the_phone_or_is_known_not_to(model: Model) -> None:
    assert set(OTHERWISE) | NONE == set(SETTINGS)
    plain = everything(model, {})
    silent = {name for name, value in OTHERWISE.items() if everything(model, {name: value}) == plain}
    if "blf" not in model.capabilities and "line_keys" not in model.capabilities:
        silent -= {"show_caller"}
    # A second port without its server means nothing.
    assert silent - {"registrar_2_port"} == (set() if model in OLD else ONLY_OLD)


SPELLED = [
    ({}, "reg.1.server.1.transport", "UDPOnly"),
    ({"transport": "tcp"}, "reg.1.server.1.transport", "TCPOnly"),
    ({"transport": "tls"}, "reg.1.server.1.transport", "TLS"),
    ({"transport": "tls"}, "reg.1.server.1.port", "5061"),
    ({"transport": "tls"}, "dialplan.routing.server.1.port", "5061"),
    ({"transport": "tls"}, "dialplan.routing.server.1.transport", "TLS"),
    ({"registrar_2_host": "192.0.2.11"}, "reg.1.server.2.address", "192.0.2.11"),
    ({"registrar_2_host": "192.0.2.11"}, "reg.1.server.2.port", "5060"),
    ({"registrar_2_host": "192.0.2.11"}, "dialplan.routing.emergency.1.server.2", "2"),
    ({"registrar_2_host": "192.0.2.11"}, "voIpProt.server.1.failOver.failBack.mode", "registration"),
    ({"srtp": "optional"}, "sec.srtp.offer", "1"),
    ({"srtp": "optional"}, "sec.srtp.require", "0"),
    ({"srtp": "required"}, "sec.srtp.require", "1"),
    ({"register_seconds": 300}, "reg.1.server.1.expires", "300"),
    ({"subscribe_seconds": 60}, "reg.1.server.1.subscribe.expires", "60"),
    ({"codecs": ["G722", "PCMU"]}, "voice.codecPref.G722", "1"),
    ({"codecs": ["G722", "PCMU"]}, "voice.codecPref.G711_Mu", "2"),
    ({"codecs": ["G722", "PCMU"]}, "voice.codecPref.G711_A", "0"),
    ({}, "voice.codecPref.Siren22.64kbps", "0"),
    ({"dtmf": "info"}, "voIpProt.SIP.dtmfViaSignaling.rfc2976", "1"),
    ({"dtmf": "info"}, "tone.dtmf.viaRtp", "0"),
    ({"dtmf": "inband"}, "tone.dtmf.viaRtp", "1"),
    ({"dtmf": "inband"}, "tone.dtmf.rfc2833Control", "0"),
    ({}, "tone.dtmf.rfc2833Payload", "101"),
    ({}, "dialplan.routing.emergency.1.value", "911"),
    ({}, "dialplan.impossibleMatchHandling", "2"),
    ({}, "dialplan.removeEndOfDial", "0"),
    ({"voicemail_number": "*97"}, "msg.mwi.1.callBack", "*97"),
    ({"voicemail_number": "*97"}, "msg.mwi.1.subscribe", "101"),
    ({}, "msg.mwi.1.callBackMode", "disabled"),
    ({"auto_answer": True}, "voIpProt.SIP.alertInfo.1.class", "ringAutoAnswer"),
    ({"auto_answer": True}, "voIpProt.SIP.alertInfo.3.value", "internal"),
    ({"ring_tones": {"quiet": "silent"}}, "voIpProt.SIP.alertInfo.1.class", "visual"),
    ({}, "tcpIpApp.sntp.gmtOffset", "-28800"),
    ({"time_zone": "America/Phoenix"}, "tcpIpApp.sntp.daylightSavings.enable", "0"),
    ({"time_zone": "America/St_Johns"}, "tcpIpApp.sntp.gmtOffset", "-12600"),
    ({}, "tcpIpApp.sntp.daylightSavings.start.date", "8"),
    ({}, "tcpIpApp.sntp.daylightSavings.start.dayOfWeek", "1"),
    ({}, "tcpIpApp.sntp.daylightSavings.stop.date", "1"),
    ({"date_format": "dmy"}, "lcl.datetime.date.format", "D,dM"),
    ({"language": "fr"}, "lcl.ml.lang", "French_France"),
    ({}, "feature.callList.enabled", "0"),
    ({}, "feature.doNotDisturb.enable", "0"),
    ({}, "feature.forward.enable", "0"),
    ({}, "httpd.enabled", "0"),
    ({"screen_saver": 30}, "up.screenSaver.waitTime", "1"),
    ({"screen_saver": 600}, "up.screenSaver.waitTime", "10"),
    ({"vlan_id": 20}, "device.net.vlanId", "20"),
    ({}, "device.dhcp.dhcpVlanDiscUseOpt", "Fixed"),
    ({}, "qos.ip.callControl.dscp", "26"),
    ({"syslog_host": "192.0.2.9"}, "device.syslog.transport", "1"),
    ({}, "device.syslog.transport", "0"),
    ({}, "device.prov.serverName", "192.0.2.10:8080/folder/"),
    ({}, "device.prov.serverType", "2"),
    ({"provisioning_scheme": "https"}, "device.prov.serverType", "3"),
    ({"provisioning_scheme": "https"}, "device.prov.serverName", "192.0.2.10:443/folder/"),
    ({"provisioning_scheme": "tftp"}, "device.prov.serverName", "192.0.2.10/folder/"),
    ({}, "device.prov.user", "hs3cret"),
    ({}, "device.prov.password", "ws3cret"),
    ({"poll_seconds": 60}, "prov.polling.period", "3601"),
    ({}, "prov.autoConfigUpload.enabled", "1"),
    ({}, "device.prov.ztpEnabled", "0"),
    ({}, "feature.lens.enabled", "0"),
    ({"vendor_clouds": True}, "feature.pcc.enabled", "1"),
    ({}, "device.dhcp.bootSrvUseOpt", "Static"),
    ({}, "voIpProt.SIP.specialEvent.checkSync.alwaysReboot", "0"),
]


@pytest.mark.parametrize(("values", "name", "expected"), SPELLED)
def test_spelling(values: dict[str, object], name: str, expected: str) -> None:
    assert parameters(renderer(VVX, values=values))[name] == expected


@pytest.mark.parametrize(
    ("values", "absent"),
    [
        ({}, "reg.1.server.2.address"),
        ({}, "device.net.vlanId"),
        ({}, "voIpProt.server.1.failOver.failBack.mode"),
        ({"provisioning_auth": False}, "device.prov.user"),
        ({"time_zone": ""}, "tcpIpApp.sntp.gmtOffset"),
        ({"time_zone": "America/Phoenix"}, "tcpIpApp.sntp.daylightSavings.start.month"),
    ],
)
def test_what_is_left_out(values: dict[str, object], absent: str) -> None:
    assert absent not in parameters(renderer(VVX, values=values))


def test_the_master_names_the_other_files() -> None:
    found = attributes(file(renderer(VVX), "phone"))
    assert found.pop("APP_FILE_PATH") == "sip.ld"
    assert found.pop("CONFIG_FILES") == f"{MAC}-line.cfg, {MAC}-keys.cfg, {MAC}-site.cfg"
    assert set(found.values()) == {""}
    with_firmware = renderer(VVX, values={"firmware_server": "http://192.0.2.5/fw/"})
    assert attributes(file(with_firmware, "phone"))["APP_FILE_PATH"] == "http://192.0.2.5/fw/sip.ld"


@pytest.mark.parametrize("values", [{"transport": "tls"}, {"provisioning_scheme": "https"}])
def test_a_phone_that_uses_tls_gets_the_authority(values: dict[str, object]) -> None:
    found = parameters(renderer(VVX, values=values))
    assert found["device.sec.TLS.customCaCert1"] == AUTHORITY
    assert found["sec.TLS.profileSelection.SIP"] == "PlatformProfile1"
    assert not any("TLS" in name for name in parameters(renderer(VVX)))


def test_secrets_are_in_one_file_alone() -> None:
    of = renderer(VVX)
    assert b"s3cret" in file(of, "line")
    for kind in set(NAMES) - {"line"}:
        assert b"s3cret" not in file(of, kind)


def test_each_line_of_a_phone_has_its_registration() -> None:
    found = parameters(renderer(named("SoundPoint IP 650"), lines=6))
    assert [found[f"reg.{n}.address"] for n in range(1, 7)] == ["101", "102", "103", "104", "105", "106"]
    # One that holds fewer gets no more than it holds.
    assert "reg.3.address" not in parameters(renderer(OLDEST, lines=3))


# --- keys -----------------------------------------------------------------------------------------------------------


def test_keys_in_their_places() -> None:
    found = attributes(file(renderer(VVX), "keys"))
    expected = {
        "lineKey.reassignment.enabled": "1",
        "lineKey.1.category": "Line",
        "lineKey.1.index": "1",
        "lineKey.2.category": "BLF",
        "lineKey.2.index": "0",
        "lineKey.4.category": "SpeedDial",
        "lineKey.4.index": "1",
        "lineKey.6.category": "BLF",
        "lineKey.6.index": "0",
        "attendant.resourceList.1.address": "102",
        "attendant.resourceList.1.label": "Bob",
        "attendant.resourceList.1.type": "normal",
        "attendant.resourceList.2.address": "103",
        "attendant.resourceList.2.label": "103",
        "attendant.resourceList.2.type": "normal",
    }
    assert {name: value for name, value in found.items() if "behaviors" not in name} == expected


def test_a_module_goes_on_counting() -> None:
    keys = (Key(position=13, function="blf", value="102"), Key(position=12 + 30, function="blf", value="103"))
    found = attributes(file(renderer(VVX, keys=keys), "keys"))
    assert (found["lineKey.13.category"], found["lineKey.42.category"]) == ("BLF", "BLF")


def test_a_line_without_a_key_takes_the_first_free_one() -> None:
    keys = (Key(position=1, function="blf", value="102"), Key(position=3, function="line", value="2"))
    found = attributes(file(renderer(VVX, keys=keys, lines=3), "keys"))
    placed = {n: found[f"lineKey.{n}.index"] for n in (2, 3, 4) if found[f"lineKey.{n}.category"] == "Line"}
    assert placed == {2: "1", 3: "2", 4: "3"}


def test_without_keys_the_phone_places_its_lines() -> None:
    found = attributes(file(renderer(VVX, keys=()), "keys"))
    assert found["lineKey.reassignment.enabled"] == "0"
    assert not any(name.startswith(("lineKey.1", "attendant.resourceList")) for name in found)


def test_a_phone_without_lamps_dials_instead() -> None:
    of = renderer(named("SoundPoint IP 331"), keys=KEYS[:2])
    assert not any(name.startswith("attendant.resourceList") for name in parameters(of))
    items = [
        [str(field.text) for field in item] for item in etree.fromstring(file(of, "directory")).iter("item")
    ]
    assert items == [["Bob", "102", "1"], ["Room 101", "101"]]


def test_speed_dials_come_first_and_in_the_order_of_their_keys() -> None:
    keys = tuple(Key(position=n, function="speed_dial", value=f"41555501{n:02}") for n in (9, 3, 7))
    root = etree.fromstring(file(renderer(VVX, keys=keys), "directory"))
    dials = [
        (item.findtext("ct"), item.findtext("sd"))
        for item in root.iter("item")
        if item.find("sd") is not None
    ]
    assert dials == [("4155550103", "1"), ("4155550107", "2"), ("4155550109", "3")]


def test_directories_hold_the_practices_extensions() -> None:
    of = renderer(VVX, keys=())
    for kind in ("directory", "common-directory"):
        root = etree.fromstring(file(of, kind))
        assert [(item.findtext("fn"), item.findtext("ct")) for item in root.iter("item")] == [
            ("Room 101", "101")
        ]
    without = renderer(VVX, keys=(), values={"directory": False})
    assert not list(etree.fromstring(file(without, "directory")).iter("item"))


# --- old phones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", OLD, ids=lambda model: model.name)
def test_sip_3_spelling_goes_beside_the_new_one(model: Model) -> None:
    found = parameters(renderer(model, values={"codecs": ["PCMA", "G729"], "redial_list": True}))
    for prefix in ("", "IP_650.", "IP_6000."):
        assert (found[f"voice.codecPref.{prefix}G711A"], found[f"voice.codecPref.{prefix}G711Mu"]) == (
            "1",
            "0",
        )
        assert found[f"voice.codecPref.{prefix}G729AB"] == "2"
    lists = {found[f"feature.{n}.name"]: found[f"feature.{n}.enabled"] for n in (4, 6, 7, 8)}
    assert lists == {
        "calllist": "1",
        "calllist-received": "0",
        "calllist-placed": "1",
        "calllist-missed": "0",
    }


@pytest.mark.parametrize(
    ("name", "version", "internal", "silent"),
    [
        ("SoundPoint IP 301", "", "5", "2"),
        ("SoundPoint IP 650", "3.2.3.1734", "5", "2"),
        ("SoundPoint IP 650", "4.0.15.1009", "internal", "visual"),
        ("SoundPoint IP 650", "", "internal", "visual"),
        ("SoundStation IP 6000", "3.2.0.0157", "5", "2"),
        ("VVX 1500", "3.2.4.0000", "internal", "visual"),
    ],
)
def test_ring_classes_have_numbers_before_uc_software(
    name: str, version: str, internal: str, silent: str
) -> None:
    values = {"ring_tones": {"internal": "internal", "quiet": "silent"}}
    found = parameters(renderer(named(name), version=version, values=values))
    assert found["voIpProt.SIP.alertInfo.1.class"] == internal
    assert found["voIpProt.SIP.alertInfo.2.class"] == silent
    assert found[f"se.rt.{internal}.ringer"].endswith("2")


@pytest.mark.parametrize("slow", [0, 3, 12, 150])
@pytest.mark.parametrize("model", [OLDEST, named("SoundPoint IP 650"), named("SoundStation IP 6000")])
def test_the_digit_map_fits_an_old_phone(model: Model, slow: int) -> None:
    of = renderer(model)
    others = {
        f"0004f20002{n:02x}": Phone(
            id=f"0004f20002{n:02x}", vendor="polycom", model="VVX 450", lines=(Line(extension=str(200 + n)),)
        )
        for n in range(slow)
    }
    of = type(of)(
        msgspec.structs.replace(of.snapshot, phones={**of.snapshot.phones, **others}), of.addresses, CATALOGUE
    )
    found = parameters(of)
    parts = found["dialplan.digitmap"].split("|")
    assert len(parts) <= 30
    assert len(found["dialplan.digitmap"]) <= 768
    assert len(found["dialplan.digitmap.timeOut"].split("|")) == len(parts)
    assert {"911", "933", "988", "1[01]x", "011xxx.T"} <= set(parts)
    assert not any(part.startswith(("911", "933", "988")) and len(part) > 3 for part in parts)
    waiting = [part.removesuffix("T").replace("x", "[0-9]") for part in parts if part.endswith("T")]
    for n in range(slow):
        assert any(re.fullmatch(part, str(200 + n)) for part in waiting)


def test_newer_phones_have_the_whole_map() -> None:
    found = parameters(renderer(VVX))
    assert found["dialplan.digitmap.timeOut"].count("|") == found["dialplan.digitmap"].count("|")


# --- the data ---------------------------------------------------------------------------------------------------------

EXPECTED = """
SoundPoint IP: 300 301 320 321 330 331 335 430 450 500 501 550 560 600 601 650 670
SoundStation IP: 4000 5000 6000 7000
SoundStation: Duo
VVX: 101 150 200 201 250 300 301 310 311 350 400 401 410 411 450 500 501 600 601 1500
Trio: 8300 8500 8800 C60
CCX: 350 400 500 505 600 700
Edge: E100 E220 E300 E320 E350 E400 E450 E500 E550
"""


def test_every_model_is_there() -> None:
    wanted = [
        f"{line} {model}"
        for line, _, models in (row.partition(": ") for row in EXPECTED.strip().splitlines())
        for model in models.split()
    ]
    assert [model.name for model in MODELS] == wanted


@EACH
def test_the_data_of_a_model_holds_together(model: Model) -> None:
    assert re.fullmatch(r"(\d{4}-\d{5}-\d{3})?", model.part)
    assert model.family in VENDOR.families
    assert 1 <= model.accounts <= 34
    assert {*model.modules} <= {module.name for module in VENDOR.modules}
    assert bool(model.modules) == bool(model.module_count)
    assert "conference" in model.capabilities or model.keys
    assert model.keys or not {"blf", "line_keys"} & {*model.capabilities}
    table = model.firmware or VENDOR.families[model.family].firmware
    assert table in load("polycom").families
    for agent in model.agents:
        assert CATALOGUE.model("polycom", agent) is model


def test_a_part_or_an_agent_names_one_model() -> None:
    parts = [model.part for model in MODELS if model.part]
    agents = [agent for model in MODELS for agent in model.agents]
    assert len(parts) == len(set(parts))
    assert len(agents) == len(set(agents))


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("PolycomSoundPointIP-SPIP_335-UA/3.2.1.0078", "SoundPoint IP 335"),
        ("PolycomSoundPointIP-SPIP_600-UA/3.1.3.0439", "SoundPoint IP 600"),
        ("PolycomSoundStationIP-SSIP_6000-UA/4.0.4.2906 Type/Application", "SoundStation IP 6000"),
        ("PolycomVVX-VVX_101-UA/5.4.3.1014 Type/Application", "VVX 101"),
        ("PolycomRealPresenceTrio-Trio_8800-UA/5.4.3.2007 Type/Application", "Trio 8800"),
        ("PolyCCX-CCX_500-UA/9.4.1.0508 (SN:64167f9f4c90) Type/Application", "CCX 500"),
        ("PolyEdge-Edge_E450-UA/8.0.0.15602 Type/Application", "Edge E450"),
    ],
)
def test_agents_name_their_model(agent: str, name: str) -> None:
    assert CATALOGUE.model("polycom", of_agent(f"FileTransport {agent}").model) is named(name)


def test_firmware_lines_are_in_order() -> None:
    for name, family in load("polycom").families.items():
        known = [tuple(map(int, re.findall(r"\d+", each.version))) for each in family.known]
        assert known, name
        assert all(one < other for one, other in pairwise(known)), name


def test_the_schema_is_itself_sound() -> None:
    used = {row(name) and re.sub(r"(?<=\.)\d+(?=\.|$)", "N", name) for m in MODELS for name in _all(m)}
    unused = {name for name in schema()["parameters"] if name not in used} - {"device.NAME.set"}
    assert unused == set()
    for section in schema().values():
        for about in section.values():
            assert about["type"] in ("flag", "number", "word", "text")
            assert about["confidence"] in ("high", "medium", "low")
    tomllib.loads((shipped("firmware_rules") / "polycom.toml").read_text())


def _all(model: Model) -> set[str]:
    both = (renderer(model), renderer(model, values=OTHERWISE))
    return {name for of in both for name in (*parameters(of), *attributes(file(of, "waiting")))}
