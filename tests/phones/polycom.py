"""Polycom phones for the tests: a practice with one phone of a model, its files, and the schema of what they hold."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from typing import Any

import msgspec
from lxml import etree

from provisioner.paths import shipped
from provisioner.phones.boot import file_asked
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.identity import Identity
from provisioner.phones.render import Renderer
from provisioner.store.records import Credential, Key, Line, LineCredential, Phone, PhoneSettings
from tests.phones.samples import ADDRESSES, snapshot

MAC = "0004f2000101"
NAMES = {
    "phone": f"{MAC}.cfg",
    "line": f"{MAC}-line.cfg",
    "keys": f"{MAC}-keys.cfg",
    "site": f"{MAC}-site.cfg",
    "directory": f"{MAC}-directory.xml",
    "common-directory": "000000000000-directory.xml",
    "waiting": "waiting.cfg",
}
CATALOGUE = Catalogue()
VENDOR = CATALOGUE.vendors["polycom"]
MODELS = VENDOR.models
UCS = ("vvx", "trio", "ccx", "edge")

# Every setting that Polycom has a parameter for, away from its default.
OTHERWISE: dict[str, Any] = {
    "registrar_host": "sip.example.net",
    "registrar_port": 5071,
    "registrar_2_host": "192.0.2.11",
    "registrar_2_port": 5072,
    "transport": "tls",
    "srtp": "required",
    "register_seconds": 300,
    "subscribe_seconds": 1800,
    "codecs": ["Opus", "G722", "PCMU", "G729", "PCMA"],
    "dtmf": "info",
    "dtmf_payload": 97,
    "digit_map_pause_seconds": 5,
    "emergency_numbers": ["911", "988", "5555"],
    "call_waiting": False,
    "phone_do_not_disturb": True,
    "phone_forward": True,
    "auto_answer": True,
    "voicemail_number": "*97",
    "directory": False,
    "ring_tones": {"urgent": "emergency", "quiet": "silent", "info=x": "group"},
    "time_zone": "America/St_Johns",
    "ntp_server": "192.0.2.1",
    "time_format": "24",
    "date_format": "ymd",
    "language": "es",
    "call_history": True,
    "redial_list": True,
    "show_caller": False,
    "screen_saver": 0,
    "phone_web_page": True,
    "vlan_id": 20,
    "vlan_priority": 6,
    "lldp": False,
    "cdp": False,
    "dhcp_vlan": False,
    "qos_signalling": 40,
    "qos_audio": 34,
    "syslog_host": "192.0.2.9",
    "syslog_level": "debug",
    "provisioning_scheme": "https",
    "provisioning_host": "phones.example.net",
    "provisioning_port": 8443,
    "poll_seconds": 86400,
    "provisioning_auth": False,
    "vendor_clouds": True,
    "dhcp_provisioning": True,
    "firmware_server": "http://192.0.2.5/firmware",
}
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n"
KEYS = (
    Key(position=1, function="line", value="1"),
    Key(position=2, function="blf", value="102", label="Bob"),
    Key(position=4, function="speed_dial", value="4155550123", label="Lab"),
    Key(position=6, function="blf", value="103"),
)


def renderer(
    model: Model,
    *,
    values: dict[str, Any] | None = None,
    keys: tuple[Key, ...] = KEYS,
    lines: int = 1,
    name: str = "Room 101",
    secret: str = "s3cret",
    version: str = "",
) -> Renderer:
    """A practice with one adopted phone of this model, whose every own value holds `name` or `secret`."""
    phone = Phone(
        id=MAC,
        vendor="polycom",
        model=model.name,
        lines=tuple(Line(extension=str(101 + index), name=name) for index in range(lines)),
        keys=tuple(
            msgspec.structs.replace(key, label=name if name != "Room 101" else key.label) for key in keys
        ),
        modules=model.modules[:1] * model.module_count,
    )
    credential = Credential(
        id=MAC,
        lines=tuple(
            LineCredential(auth_user=f"u{secret}", password=f"{secret}{index}") for index in range(lines)
        ),
        admin_password=f"a{secret}",
        user_password=f"p{secret}",
        http_user=f"h{secret}",
        http_password=f"w{secret}",
        path_secret="folder",
    )
    settings = {"site": PhoneSettings(id="site", values=values or {})}
    whole = msgspec.structs.replace(
        snapshot(), phones={MAC: phone}, credentials={MAC: credential}, phone_settings=settings
    )
    addresses = msgspec.structs.replace(ADDRESSES, authority=AUTHORITY)
    return Renderer(whole, addresses, CATALOGUE, {MAC: version} if version else None)


def file(of: Renderer, kind: str) -> bytes:
    """The file of this kind as the front gives it to the phone."""
    asked = file_asked(NAMES[kind])
    assert asked
    model = of.snapshot.phones[MAC].model
    data = of.file(asked, Identity("polycom", model, of._versions.get(MAC, ""), MAC, "Application", "phone"))
    assert data
    return data


def attributes(data: bytes) -> dict[str, str]:
    """Every parameter of a file. None is there twice in one file: which one a phone takes would be its guess."""
    found: dict[str, str] = {}
    for element in etree.fromstring(data).iter():
        for name, value in element.attrib.items():
            assert name not in found, name
            found[str(name)] = str(value)
    return found


def parameters(of: Renderer) -> dict[str, str]:
    """All that the phone is set to; of a parameter in two files the first wins, and they must agree."""
    found: dict[str, str] = {}
    for kind in ("line", "keys", "site"):
        for name, value in attributes(file(of, kind)).items():
            assert found.setdefault(name, value) == value, name
    return found


@lru_cache(maxsize=1)
def schema() -> dict[str, dict[str, dict[str, Any]]]:
    return tomllib.loads((shipped("phone_templates") / "polycom" / "parameters.toml").read_text())


@lru_cache(maxsize=4096)
def row(name: str, section: str = "parameters") -> dict[str, Any] | None:
    """The row of parameters.toml for a parameter, None when it may not be used."""
    rows = schema()[section]
    numbered = re.sub(r"(?<=\.)\d+(?=\.|$)", "N", name)
    if name.endswith(".set") and name.startswith("device.") and name[:-4] in rows:
        return rows["device.NAME.set"]
    return rows.get(name) or rows.get(numbered)


def fault(name: str, value: str, section: str = "parameters") -> str:
    """What is wrong with a parameter, "" when nothing is."""
    about = row(name, section)
    if about is None:
        return f"{name} is not a parameter that we know"
    kind = about["type"]
    if kind == "flag":
        good = value in ("0", "1")
    elif kind == "number":
        good = bool(re.fullmatch(r"-?\d+", value)) and about["low"] <= int(value) <= about["high"]
    elif kind == "word":
        good = value in about["words"]
    else:
        good = len(value) <= about["most"] and bool(
            re.fullmatch(about.get("pattern", ".*"), value, re.DOTALL)
        )
    return "" if good else f"{name} cannot be {value!r}"
