"""A Grandstream GXP2170: a binary file, its XML, and the XML of model and site while those are missing."""

from __future__ import annotations

import logging
import re
import struct
from urllib.parse import unquote_plus

from provisioner.errors import PeerError
from provisioner.simulate import digits
from provisioner.simulate.digits import DialPlan
from provisioner.simulate.vendors.base import (
    Account,
    Boot,
    Configuration,
    Flash,
    Maker,
    Settings,
    get,
    integer,
    xml_of,
)

MODEL, VERSION = "GXP2170", "1.0.11.64"
FACTORY_MAP = r"{ x+ | \+x+ | *x+ | *xx*x+ }"
TRANSPORTS = {"1": "TCP"}
END_KEYS = {"0": "", "1": "#", "2": "*"}
SWITCH = {"No": "0", "Yes": "1"}
TRUE = ("1", "Yes")

# Configuration version 2 names of the P-codes that this phone uses, with its words for their values.
ALIASES: dict[str, tuple[str, dict[str, str]]] = {
    "account.1.enable": ("P271", SWITCH),
    "account.1.name": ("P270", {}),
    "account.1.sip.server.1.address": ("P47", {}),
    "account.1.sip.userid": ("P35", {}),
    "account.1.sip.subscriber.userid": ("P36", {}),
    "account.1.sip.subscriber.password": ("P34", {}),
    "account.1.sip.subscriber.name": ("P3", {}),
    "account.1.sip.transport": ("P130", {"UDP": "0", "TCP": "1", "TlsOrTcp": "2"}),
    "account.1.sip.registerExpiration": ("P32", {}),
    "account.1.call.dialplan": ("P290", {}),
    "account.1.call.keyAsSend": ("P72", {"Disabled": "0", "Pound": "1", "Star": "2"}),
    "provisioning.config.processAll.enable": ("P8467", SWITCH),
}
_P_CODE = re.compile(r"P\d+\Z")

_log = logging.getLogger(__name__)


def unpack(body: bytes, mac: str) -> Settings | None:
    """The settings of a binary file; None when its length, sum or MAC is wrong."""
    if len(body) < 16 or len(body) % 2 or body[6:12].hex() != mac:
        return None
    words = struct.unpack(f">{len(body) // 2}H", body)
    if sum(words) % 65536 or int.from_bytes(body[:4], "big") != len(words):
        return None
    pairs = (pair.partition("=") for pair in body[16:].rstrip(b"\0").decode("latin-1").split("&"))
    return {name: unquote_plus(value) for name, _, value in pairs if _P_CODE.match(name)}


def _xml(flash: Flash, path: str, body: bytes) -> Settings | None:
    """P-codes (version 1) and named items (version 2); None when the file is not for this phone."""
    root = xml_of(body)
    if root is None:
        flash.faults.append(f"{path} is not XML")
        return None
    mac = re.sub("[:-]", "", root.findtext("mac") or "").strip().lower()
    if mac and mac != flash.mac:
        flash.faults.append(f"{path} is for another phone")
        return None
    found: Settings = {}
    for element in root.iter():
        if isinstance(element.tag, str) and _P_CODE.match(element.tag):
            found[element.tag] = (element.text or "").strip()
    for item in root.iter("item"):
        name = item.get("name", "")
        parts = [(f"{name}.{part.get('name', '')}", part.text) for part in item.iter("part")]
        for alias, text in parts or [(name, item.text)]:
            code, words = ALIASES.get(alias, ("", {}))
            value = (text or "").strip()
            found |= {code: words.get(value, value)} if code else {}
    return found


def boot(flash: Flash) -> Boot:
    """The binary file first; each further XML only while the one before was missing, or all with P8467."""
    mac, agent = flash.mac, f"Grandstream Model HW {MODEL} SW {VERSION} DevId {flash.mac}"
    settings = dict(flash.settings)
    binary = yield from get(f"cfg{mac}", agent)
    if binary is not None:
        unpacked = unpack(binary, mac)
        if unpacked is None:
            flash.faults.append(f"cfg{mac} is not a configuration")
        settings |= unpacked or {}
    for path in (f"cfg{mac}.xml", f"cfg{MODEL.lower()}.xml", "cfg.xml"):
        body = yield from get(path, agent)
        found = _xml(flash, path, body) if body is not None else None
        settings |= found or {}
        if found is not None and settings.get("P8467") not in TRUE:
            break
    return settings


def read(settings: Settings) -> Configuration:
    """What the P-codes mean to the phone; P193 is in minutes and at least 60, P32 in minutes."""
    minutes = integer(settings.get("P193"), 10080, 60)
    polls = settings.get("P194") == "1"
    return Configuration(_account(settings), _plan(settings), minutes * 60 if polls else None)


def _account(settings: Settings) -> Account | None:
    user = settings.get("P35", "")
    host, _, port = settings.get("P47", "").partition(":")
    if settings.get("P271", "1") not in TRUE or not user or not host:
        return None
    return Account(
        user,
        settings.get("P36") or user,
        settings.get("P34", ""),
        host,
        integer(port, 5060, 1, 65535),
        TRANSPORTS.get(settings.get("P130", "0"), "UDP"),
        integer(settings.get("P32"), 60, 1) * 60,
        settings.get("P3", ""),
        integer(settings.get("P79"), 101, 96, 127),
    )


def _plan(settings: Settings) -> DialPlan:
    try:
        rules = digits.grandstream(settings.get("P290") or FACTORY_MAP)
    except PeerError as error:
        _log.warning("%s; the factory map is used", error)
        rules = digits.grandstream(FACTORY_MAP)
    end_key = END_KEYS.get(settings.get("P72", "1"), "#")
    return DialPlan(rules, eager=False, impossible="refuse", end_key=end_key)


MAKER = Maker("grandstream", MODEL, boot, read, f"Grandstream {MODEL} {VERSION}", challenges=True)
