"""What the files say, and that a skeleton says the same as its template."""

from __future__ import annotations

import msgspec
import pytest
from lxml import etree

from provisioner.phones.boot import file_asked
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.digit_map import digit_map, spell
from provisioner.phones.formats import escape_line, escape_xml
from provisioner.phones.identity import Identity, identify
from provisioner.phones.render import Renderer
from provisioner.store.records import Line, LineCredential, Snapshot
from tests.phones.samples import ADDRESSES, AGENTS, MODELS, password, renderer, snapshot

POLYCOM, YEALINK, GRANDSTREAM = MODELS
NASTY = 'Anna & <Bob> "O\'Hara" é ✓'


def file(of: Renderer, path: str, agent: str = "") -> bytes | None:
    asked, who = file_asked(path), identify(path, agent)
    assert asked
    assert isinstance(who, Identity)
    return of.file(asked, who)


def attributes(data: bytes | None) -> dict[str, str]:
    assert data
    return {
        name: value for element in etree.fromstring(data).iter() for name, value in element.attrib.items()
    }


def pairs(data: bytes | None) -> dict[str, str]:
    assert data
    first, *lines = data.decode().splitlines()
    assert first == "#!version:1.0.0.1"
    return {key: value for line in lines if line for key, _, value in [line.partition(" = ")]}


def codes(data: bytes | None) -> dict[str, str]:
    assert data
    root = etree.fromstring(data)
    assert (root.tag, root.get("version")) == ("gs_provision", "1")
    return {element.tag: element.text or "" for element in root.iter() if len(element) == 0}


def with_names(name: str) -> Snapshot:
    plain = snapshot()
    phones = {
        mac: msgspec.structs.replace(phone, lines=(msgspec.structs.replace(phone.lines[0], name=name),))
        for mac, phone in plain.phones.items()
    }
    return msgspec.structs.replace(plain, phones=phones)


def test_yealink_phone() -> None:
    found = pairs(file(renderer(), f"/{YEALINK}.cfg"))
    expected = {
        "account.1.enable": "1",
        "account.1.label": "102 Room 102",
        "account.1.display_name": "Room 102",
        "account.1.user_name": "102",
        "account.1.auth_name": YEALINK,
        "account.1.password": password(YEALINK),
        "account.1.sip_server.1.address": "192.0.2.10",
        "account.1.sip_server.1.port": "5060",
        "account.1.sip_server.1.transport_type": "0",
        "account.1.sip_server.1.expires": "600",
        "account.1.dtmf.type": "1",
        "account.1.dtmf.dtmf_payload": "101",
        "account.1.codec.pcmu.priority": "1",
        "account.1.codec.pcma.priority": "2",
        "account.1.codec.g722.enable": "0",
        "account.2.enable": "0",
        "account.16.enable": "0",
        "static.auto_provision.repeat.minutes": "120",
    }
    assert {name: found.get(name) for name in expected} == expected
    text = file(renderer(), f"/{YEALINK}.cfg")
    assert text
    assert f"static.security.user_password = admin:admin{YEALINK}\n".encode() in text
    assert f"static.security.user_password = user:user{YEALINK}\n".encode() in text


def test_yealink_settings() -> None:
    found = pairs(file(renderer(), f"/{YEALINK}.cfg"))
    expected = {
        "dialplan.digitmap.enable": "1",
        "dialplan.digitmap.string": spell(digit_map(3, ["101", "102", "103"]), "rfc3435"),
        "features.save_call_history": "0",
        "features.dnd.allow": "0",
        "features.fwd.allow": "0",
        "static.auto_provision.server.url": "http://192.0.2.10:8080/",
        "static.auto_provision.pnp_enable": "0",
        "static.zero_touch.enable": "0",
        "local_time.time_zone": "-8",
        "local_time.time_zone_name": "United States-Pacific Time",
        "phone_setting.emergency.number": "911,933,988,112",
    }
    assert {name: found.get(name) for name in expected} == expected


def test_yealink_common_holds_nothing_that_a_setting_could_change() -> None:
    assert pairs(file(renderer(), "/y000000000066.cfg", AGENTS[YEALINK])) == {
        "sip.notify_reboot_enable": "0",
        "features.action_uri.enable": "0",
        "features.key_as_send": "0",
        "features.pound_key.mode": "0",
        "features.dtmf.replace_tran": "0",
    }


def test_yealink_common_by_number_alone() -> None:
    by_number = file(renderer(), "/y000000000066.cfg")
    assert by_number == file(renderer(), "/y000000000066.cfg", AGENTS[YEALINK])
    assert by_number is not None
    assert file(renderer(), "/y000000000099.cfg") is None


def test_grandstream() -> None:
    found = codes(file(renderer(), f"/cfg{GRANDSTREAM}.xml"))
    expected = {
        "mac": GRANDSTREAM,
        "P271": "1",
        "P47": "192.0.2.10:5060",
        "P35": "103",
        "P36": GRANDSTREAM,
        "P34": password(GRANDSTREAM),
        "P3": "Room 103",
        "P270": "103 Room 103",
        "P130": "0",
        "P32": "10",
        "P57": "0",
        "P58": "8",
        "P98": "8",
        "P79": "101",
        "P2301": "0",
        "P2302": "1",
        "P2303": "0",
        "P290": spell(digit_map(3, ["101", "102", "103"]), "grandstream"),
        "P72": "0",
        "P182": "2",
        "P8446": "0",
        "P191": "0",
        "P2": f"admin{GRANDSTREAM}",
        "P196": f"user{GRANDSTREAM}",
        "P64": "PST8PDT",
        "P212": "1",
        "P237": "192.0.2.10:8080/",
        "P194": "1",
        "P193": "120",
        "P1414": "0",
        "P1409": "0",
        "P401": "0",
    }
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("lines", [0, 1, 3])
@pytest.mark.parametrize("name", ["Room 5", NASTY, "{{ 7*7 }}", "line\nend\r\n\x00\x85\u2028\ue0001\ue001"])
@pytest.mark.parametrize(("vendor", "model"), [(vendor, model) for vendor, model, _ in MODELS.values()])
def test_a_skeleton_equals_its_template_byte_for_byte(vendor: str, model: str, name: str, lines: int) -> None:
    mac = next(mac for mac, each in MODELS.items() if each[0] == vendor)
    plain = snapshot()
    phone = msgspec.structs.replace(
        plain.phones[mac], lines=tuple(Line(extension=f"10{index}", name=name) for index in range(lines))
    )
    credential = msgspec.structs.replace(
        plain.credentials[mac],
        lines=tuple(LineCredential(auth_user=name, password=f"{name}{index}") for index in range(lines)),
        admin_password=name,
    )
    of = Renderer(
        msgspec.structs.replace(plain, phones={mac: phone}, credentials={mac: credential}), ADDRESSES
    )
    model = of.catalogue.model(vendor, model)
    paths = {"phone": f"/{mac}.cfg", "line": f"/{mac}-line.cfg", "config": f"/cfg{mac}.xml"}
    device = of.device(phone)
    for kind, row in of.catalogue.kit(vendor, model).files.items():
        if kind in paths:
            expected = of.plain(of.like(vendor, model, phone, ""), row, device)
            assert file(of, paths[kind]) == expected == file(of, paths[kind])


def test_every_model_has_every_file() -> None:
    catalogue = Catalogue()
    made = 0
    for vendor, about in catalogue.vendors.items():
        for model in about.models:
            mac = next(mac for mac, each in MODELS.items() if each[0] == vendor)
            phone = msgspec.structs.replace(snapshot().phones[mac], model=model.name)
            of = Renderer(msgspec.structs.replace(snapshot(), phones={mac: phone}), ADDRESSES, catalogue)
            kit = catalogue.kit(vendor, model)
            for row in (*kit.files.values(), *kit.waiting.values()):
                data = of.plain(of.like(vendor, model, phone, ""), row, of.device(phone))
                if row.encoding:
                    assert data
                elif row.format == "xml":
                    etree.fromstring(data)
                else:
                    pairs(data)
                made += 1
    assert made >= 10


@pytest.mark.parametrize("mac", MODELS)
def test_values_are_escaped_for_their_format(mac: str) -> None:
    of = Renderer(with_names(NASTY), ADDRESSES)
    if mac == POLYCOM:
        assert attributes(file(of, f"/{mac}-line.cfg"))["reg.1.displayName"] == NASTY
    elif mac == YEALINK:
        assert pairs(file(of, f"/{mac}.cfg"))["account.1.display_name"] == NASTY
    else:
        assert codes(file(of, f"/cfg{mac}.xml"))["P3"] == NASTY


def test_no_line_can_be_smuggled_into_a_yealink_file() -> None:
    of = Renderer(with_names("Room\naccount.1.password = x\r\u2028\x0b\x00end"), ADDRESSES)
    found = pairs(file(of, f"/{YEALINK}.cfg"))
    assert found["account.1.display_name"] == "Room account.1.password = x end"
    assert found["account.1.password"] == password(YEALINK)


def test_escapes() -> None:
    assert escape_xml("a<b>&\"'\n\t\x00\ue000") == "a&lt;b&gt;&amp;&quot;&#39;&#10;&#9;"
    assert escape_line(" a\r\n b\x00c ") == "a b c"
    assert escape_line(5) == "5"


@pytest.mark.parametrize(
    ("zone", "polycom", "yealink", "grandstream"),
    [
        ("America/New_York", "-18000", "-5", "EST5EDT"),
        ("America/Detroit", "-18000", "-5", "EST5EDT"),
        ("America/Phoenix", "-25200", "-7", "MST7"),
        ("Pacific/Honolulu", "-36000", "-10", "HAW10"),
        ("America/St_Johns", "-12600", "-3:30", "customize"),
    ],
)
def test_time_zones(zone: str, polycom: str, yealink: str, grandstream: str) -> None:
    of = renderer(time_zone=zone)
    site = attributes(file(of, f"/{POLYCOM}-site.cfg"))
    assert site["tcpIpApp.sntp.gmtOffset"] == polycom
    assert site["tcpIpApp.sntp.daylightSavings.enable"] == ("0" if zone.endswith(("ix", "lu")) else "1")
    assert pairs(file(of, f"/{YEALINK}.cfg"))["local_time.time_zone"] == yealink
    found = codes(file(of, f"/cfg{GRANDSTREAM}.xml"))
    assert found["P64"] == grandstream
    assert ("P246" in found) == (grandstream == "customize")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Africa/Casablanca", "../etc/passwd"])
def test_an_unknown_time_zone_leaves_the_clock_alone(zone: str, caplog: pytest.LogCaptureFixture) -> None:
    of = renderer(time_zone=zone)
    assert "tcpIpApp.sntp.gmtOffset" not in attributes(file(of, f"/{POLYCOM}-site.cfg"))
    assert "local_time.time_zone" not in pairs(file(of, f"/{YEALINK}.cfg"))
    assert "P64" not in codes(file(of, f"/cfg{GRANDSTREAM}.xml"))
    assert "choose another one" in caplog.text


def test_a_waiting_phone_gets_no_account_and_asks_again() -> None:
    of = renderer()
    master = attributes(file(of, "/0004f2000199.cfg"))
    assert master["CONFIG_FILES"] == "waiting.cfg"
    assert attributes(file(of, "/waiting.cfg"))["prov.polling.period"] == "3601"
    assert file(of, "/0004f2000199-line.cfg") is None
    assert pairs(file(of, "/001565000199.cfg"))["static.auto_provision.repeat.minutes"] == "1"
    assert codes(file(of, "/cfg000b82000199.xml")) == {"P194": "1", "P193": "60"}
    for path in ("/0004f2000199.cfg", "/waiting.cfg", "/001565000199.cfg", "/cfg000b82000199.xml"):
        text = file(of, path) or b""
        assert not any(word in text for word in (b"reg.", b"account.", b"P35", b"assword", b"secret"))


def test_a_phone_without_credentials_has_an_empty_password() -> None:
    of = Renderer(msgspec.structs.replace(snapshot(), credentials={}), ADDRESSES)
    assert attributes(file(of, f"/{POLYCOM}-line.cfg"))["reg.1.auth.password"] == ""


def test_warming_changes_nothing() -> None:
    warm, cold = renderer(), renderer()
    warm.warm()
    for path in (f"/{POLYCOM}-line.cfg", f"/{YEALINK}.cfg", f"/cfg{GRANDSTREAM}.xml"):
        assert file(warm, path) == file(cold, path)
