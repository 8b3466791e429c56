"""Grandstream phones: a binary file, its XML, and the XML of model and site while those are missing."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from urllib.parse import unquote_plus

from provisioner.errors import PeerError
from provisioner.phones.catalogue import Model
from provisioner.phones.grandstream_encryption import DIGESTS, decrypt
from provisioner.simulate import digits
from provisioner.simulate.digits import DialPlan
from provisioner.simulate.vendors.base import (
    Account,
    Action,
    Ask,
    Configuration,
    Family,
    Flash,
    Maker,
    Outcome,
    Pass,
    PhoneType,
    Reply,
    Restart,
    Settings,
    families,
    get,
    integer,
    newer,
    xml_of,
)

FACTORY_MAP = r"{ x+ | \+x+ | *x+ | *xx*x+ }"  # facts 6.1: of GRP
TRANSPORTS = {"1": "TCP", "2": "TLS"}
SCHEMES = {"0": "tftp", "1": "http", "2": "https", "3": "ftp", "4": "ftps"}  # facts 2.1
PROTOCOLS = {name.upper(): number for number, name in SCHEMES.items()}
END_KEYS = {"0": "", "1": "#", "2": "*"}
SWITCH = {"No": "0", "Yes": "1"}
TRUE = ("1", "Yes")

# Configuration version 2 names of the P codes that these phones use, with its words for their values (facts 6).
# Families spell them in different cases.
ALIASES: dict[str, tuple[str, dict[str, str]]] = {
    "account.1.enable": ("P271", SWITCH),
    "account.1.name": ("P270", {}),
    "account.1.sip.server.1.address": ("P47", {}),
    "account.1.sip.server.2.address": ("P2312", {}),
    "account.1.sip.userid": ("P35", {}),
    "account.1.sip.subscriber.userid": ("P36", {}),
    "account.1.sip.subscriber.password": ("P34", {}),
    "account.1.sip.subscriber.name": ("P3", {}),
    "account.1.sip.transport": ("P130", {"UDP": "0", "TCP": "1", "TlsOrTcp": "2", "Tls Or Tcp": "2"}),
    "account.1.sip.registerExpiration": ("P32", {}),
    "account.1.call.dialplan": ("P290", {}),
    "account.1.call.keyAsSend": ("P72", {"No": "0", "Disabled": "0", "Pound": "1", "Star": "2"}),
    "account.1.call.noKeyEntryTimeout": ("P85", {}),
    "account.1.codec.payloadType.dtmf": ("P79", {}),
    "provisioning.config.protocol": ("P212", PROTOCOLS),
    "provisioning.config.serverPath": ("P237", {}),
    "provisioning.config.filePassword": ("P1359", {}),
    "provisioning.firmware.protocol": ("P6767", PROTOCOLS),
    "provisioning.firmware.serverPath": ("P192", {}),
    "provisioning.firmware.checkCondition": ("P238", {"AlwaysCheck": "0", "SkipCheck": "2"}),
    "phonebook.download.mode": ("P330", {"Disabled": "0"}),
    "phonebook.download.server": ("P331", {}),
    "provisioning.auto.mode": ("P194", {"YesUpgradeMin": "1"}),
    "provisioning.auto.minute": ("P193", {}),
    "provisioning.config.processAll.enable": ("P8467", SWITCH),
    "provisioning.config.username": ("P1360", {}),
    "provisioning.config.password": ("P1361", {}),
    "provisioning.3cxAutoProvision": ("P1414", SWITCH),
    "sip.notify.challenge": ("P4428", {"No": "1", "Yes": "0"}),
}
_LOWER = {name.lower(): row for name, row in ALIASES.items()}
_P_CODE = re.compile(r"P\d+\Z")

Step = Generator[Ask, Reply, None]


def unpack(body: bytes, mac: str) -> Settings | None:
    """The settings of a binary file (facts 5.4); None when its length, sum or MAC is wrong."""
    if len(body) < 16 or len(body) % 2 or body[6:12].hex() != mac:
        return None
    words = struct.unpack(f">{len(body) // 2}H", body)
    if sum(words) % 65536 or int.from_bytes(body[:4], "big") != len(words):
        return None
    pairs = (pair.partition("=") for pair in body[16:].rstrip(b"\0").decode("latin-1").split("&"))
    return {name: unquote_plus(value) for name, _, value in pairs if _P_CODE.match(name)}


def parse(flash: Flash, path: str, body: bytes) -> Settings | None:
    """P codes (version 1) and named items (version 2); None when the file is not for this phone (facts 3.3)."""
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
            code, words = _LOWER.get(alias.lower(), (alias, {}))
            value = (text or "").strip()
            found[code] = words.get(value, value)
    return found


class _Pass:
    """One pass over the files: what its steps found so far."""

    def __init__(self, flash: Flash, kind: PhoneType) -> None:
        self.flash, self.kind = flash, kind
        self.settings = dict(flash.settings)
        self.base = ""  # of another server, which a binary file named
        self.answered = False  # an XML was there
        self.restart: Restart | None = None

    @property
    def agent(self) -> str:
        """Facts 4.1."""
        return self.kind.agent(self.flash, self.kind.family.agent, self.flash.version)

    def step_binary(self) -> Step:
        """It is in force before the next file is asked for, so that it may lead to another server (facts 3.3)."""
        path = f"cfg{self.flash.mac}"
        body = yield from get(self.base + path, self.agent)
        if body is None:
            return
        unpacked = unpack(body, self.flash.mac)
        if unpacked is None:
            self.flash.faults.append(f"{path} is not a configuration")
            return
        before = server(self.settings)
        self.settings |= unpacked
        if server(self.settings) != before:
            self.base = server(self.settings)

    def xml(self, path: str) -> Step:
        """An XML file, unless an earlier one sufficed."""
        if self.answered and self.settings.get("P8467") not in TRUE:
            return
        body = yield from get(self.base + path, self.agent)
        found = parse(self.flash, path, self.plain(body)) if body is not None else None
        self.settings |= found or {}
        self.answered |= found is not None

    def plain(self, body: bytes) -> bytes:
        """An encrypted file in the clear, by P1359 (facts 5.4); the digest is not documented."""
        for digest in DIGESTS if body.startswith(b"Salted__") else ():
            with suppress(PeerError):
                return decrypt(body, self.settings.get("P1359", ""), digest)
        return body

    def step_phonebook(self) -> Step:
        """`phonebook.xml` below P331, unless P330 is off (facts 3.3)."""
        if self.settings.get("P330", "0") == "0" or not self.settings.get("P331"):
            return
        url = _url(self.settings.get("P212", "1"), self.settings["P331"]) + "phonebook.xml"
        body = yield from get(url, self.agent)
        if body is not None and xml_of(body) is None:
            self.flash.faults.append("the phonebook is not XML")

    def step_xml(self) -> Step:
        yield from self.xml(f"cfg{self.flash.mac}.xml")

    def step_model(self) -> Step:
        yield from self.xml(f"cfg{self.kind.token.lower()}.xml")

    def step_common(self) -> Step:
        yield from self.xml("cfg.xml")

    def step_device(self) -> Step:
        yield from self.xml(f"dev{self.flash.mac}.cfg")

    def step_firmware(self) -> Step:
        """By fixed names below P192, with P232 before and P233 after them; P238 2: never (facts 3.3, 8.2)."""
        settings = self.settings
        if settings.get("P238") == "2" or not settings.get("P192"):
            return
        base = _url(settings.get("P6767", settings.get("P212", "1")), settings["P192"])
        for name in self.kind.images:
            path = f"{settings.get('P232', '')}{name}{settings.get('P233', '')}"
            where = re.sub(r"(?<=[^:/])/.*", "/", base) if self.kind.family.words.get("root") else base
            version = yield from newer(self.flash, where + path, self.agent, self.flash.version)
            if version:
                self.restart = self.flash.upgrade(version)


STEPS: dict[str, Callable[[_Pass], Step]] = {
    name.removeprefix("step_").replace("_", "-"): step
    for name, step in vars(_Pass).items()
    if name.startswith("step_")
}


def play(flash: Flash, kind: PhoneType, starting: bool) -> Pass:
    """The family's files in their order, then the firmware (facts 3.3)."""
    run = _Pass(flash, kind)
    for name in kind.family.files:
        yield from STEPS[name](run)
    return Outcome(run.settings, run.restart or kind.restart_for(flash.settings, run.settings, not starting))


def upload(_flash: Flash, _kind: PhoneType) -> Iterable[Ask]:
    """These phones put nothing (facts 3.3)."""
    return ()


def notified(event: str, settings: Settings) -> Action:
    """Facts 7: check-sync with reboot=true restarts, resync asks for the files, a reset wants P26015."""
    name, _, rest = event.replace(" ", "").partition(";")
    if name == "check-sync":
        return "restart" if "reboot=true" in rest else "check"
    if name == "resync":
        return "check"
    return "reset" if name == "reset" and settings.get("P26015") in TRUE else ""


def _url(protocol: str, path: str) -> str:
    """Both paths are without a scheme, which has a setting of its own (facts 3.3)."""
    scheme = SCHEMES.get(protocol, "http")
    return (path if "://" in path else f"{scheme}://{path}").rstrip("/") + "/"


def server(settings: Settings) -> str:
    """Where the phone asks for its configuration, "" where it was told nothing."""
    path = settings.get("P237", "")
    return _url(settings.get("P212", "1"), path) if path else ""


def read(settings: Settings, family: Family) -> Configuration:
    """What the P codes mean to the phone; P193 is in minutes and at least 60, P32 in minutes (facts 6)."""
    minutes = integer(settings.get("P193"), 10080, 60)
    return Configuration(
        _account(settings, family),
        _plan(settings, family),
        minutes * 60 if settings.get("P194") in ("1", family.words.get("poll")) else None,
        server=server(settings),
        user=settings.get("P1360", ""),
        password=settings.get("P1361", ""),
        pnp=settings.get("P1414", "1") in TRUE,
        challenges=settings.get("P4428") != "1",
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host, integer(port, 5060, 1, 65535)


def _account(settings: Settings, family: Family) -> Account | None:
    code = {"user": "P35", "auth_user": "P36", "password": "P34", "name": "P3"} | family.words
    user = settings.get(code["user"], "")
    host, port = _address(settings.get("P47", ""))
    if settings.get("P271", "1") not in TRUE or not user or not host:
        return None
    second = settings.get("P2312") or settings.get("P967") or ""
    return Account(
        user,
        settings.get(code["auth_user"]) or user,
        settings.get(code["password"], ""),
        host,
        port,
        TRANSPORTS.get(settings.get("P130", "0"), "UDP"),
        integer(settings.get("P32"), 60, 1) * 60,
        settings.get(code["name"], ""),
        integer(settings.get("P79"), 101, 96, 127),
        _address(second) if second else None,
    )


def _plan(settings: Settings, family: Family) -> DialPlan:
    """Facts 6.1: there is no T. A match that can grow waits for the no-key-entry timeout (P85, 4 s), another is sent.

    What the plan does not allow is refused, at its first impossible key, at the timeout and at the Send key. The
    plan is taken as a whole: one alternative that cannot be read, and the factory's is used.
    """
    text = settings.get(family.words["plan"]) or settings.get("P290") or FACTORY_MAP
    try:
        rules, faults = digits.read(text, "grandstream", (), family.digit_map)
    except PeerError:
        rules, faults = (), ("too long",)
    if faults:
        rules, _ = digits.read(FACTORY_MAP, "grandstream")
    pause = float(integer(settings.get("P85"), 4, 1, 15))
    return DialPlan(
        rules,
        eager=False,
        impossible="refuse",
        end_key=END_KEYS.get(settings.get("P72", "1"), "#"),
        pause=pause,
        partial=pause,
        strict=True,
    )


def token(model: Model) -> str:
    """Its name without spaces (facts 4.1)."""
    return model.name.replace(" ", "")


MAKER = Maker("grandstream", families("grandstream"), play, read, notified, token, upload, "Grandstream")
