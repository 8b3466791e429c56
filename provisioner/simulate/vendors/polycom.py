"""Polycom and Poly phones: a master file, the files that it names, the phone's own overrides above them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from xml.sax.saxutils import quoteattr

from provisioner.errors import PeerError
from provisioner.phones.catalogue import Model
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

FACTORY_MAP = "[2-9]11|0T|011xxx.T|[0-1][2-9]xxxxxxxxx|[2-9]xxxxxxxxx|[2-9]xxxT"  # facts 6.1
FACTORY_USER = "PlcmSpIp"  # facts 5.1: user and password
IMPOSSIBLE: dict[str, digits.Impossible] = {"0": "send", "1": "refuse", "2": "collect"}
TRANSPORTS = {"TCPOnly": "TCP", "TCPpreferred": "TCP", "TLS": "TLS"}
SCHEMES = {"0": "ftp", "1": "tftp", "2": "http", "3": "https", "4": "ftps"}  # facts 2.1
LOG = b"0101000000|so   |4|00|started\n"
OVERRIDES = ("MAC-phone.cfg", "MAC-web.cfg")
DIRECTORIES = {  # of optional files by the end of their names: the master's attribute
    "-phone.cfg": "OVERRIDES_DIRECTORY",
    "-web.cfg": "OVERRIDES_DIRECTORY",
    "-license.cfg": "LICENSE_DIRECTORY",
    "-calls.xml": "CALL_LISTS_DIRECTORY",
    "-directory.xml": "CONTACTS_DIRECTORY",
    ".log": "LOG_FILE_DIRECTORY",
}

Step = Generator[Ask, Reply, None]


class _Pass:
    """One pass over the files: what its steps found so far."""

    def __init__(self, flash: Flash, kind: PhoneType, starting: bool) -> None:
        self.flash, self.kind, self.starting = flash, kind, starting
        self.stage = "Application"
        self.master: Settings | None = None
        self.found: Settings = {}
        self.own: Settings = {}  # overrides
        self.restart: Restart | None = None

    @property
    def agent(self) -> str:
        """Facts 4.1; the MAC only after tagSerialNo was applied."""
        version = self.flash.version if self.stage == "Application" else self.flash.boot_version
        tagged = self.flash.settings.get("device.prov.tagSerialNo") == "1"
        serial = f" (SN:{self.flash.mac})" if tagged else ""
        return self.kind.agent(self.flash, self.kind.family.agent, version, serial=serial, stage=self.stage)

    def at(self, name: str) -> str:
        """The path of an optional file below the directory that the master names."""
        directory = next(value for suffix, value in DIRECTORIES.items() if name.endswith(suffix))
        folder = (self.master or {}).get(directory, "").strip("/")
        return f"{folder}/{name}" if folder else name

    def listed(self, name: str) -> str:
        """An attribute of the master, that of the model before the common one."""
        master = self.master or {}
        own = self.kind.token.replace("_", "")
        return master.get(f"{name}_{own}") or master.get(name) or ""

    def read(self, path: str, body: bytes | None) -> Settings:
        """All attributes of a file: the names matter, the elements around them do not (facts 1)."""
        if not body:
            return {}
        root = xml_of(body)
        if root is None:
            self.flash.faults.append(f"{path} is not XML")
            return {}
        return {str(name): str(value) for element in root.iter() for name, value in element.attrib.items()}

    def step_bootrom(self) -> Step:
        path = f"{self.kind.part}.bootrom.ld" if self.kind.part else "bootrom.ld"
        version = yield from newer(self.flash, path, self.agent, self.flash.boot_version)
        if version:
            self.restart = Restart("firmware", f"bootROM {self.flash.boot_version} to {version}")
            self.flash.boot_version = version

    def step_master(self) -> Step:
        for path in (f"{self.flash.mac}.cfg", "000000000000.cfg"):
            if (body := (yield from get(path, self.agent))) is not None:
                self.master = self.read(path, body)
                return

    def step_image(self) -> Step:
        """The part number is put before the base name, then the name is tried as it stands (facts 3.1)."""
        path = self.listed("APP_FILE_PATH")
        if not path:
            return
        folder, slash, base = path.rpartition("/")
        names = [f"{folder}{slash}{self.kind.part}.{base}"] if self.kind.part else []
        for name in [*names, path]:
            version = yield from newer(self.flash, name, self.agent, self.flash.version)
            if version:
                self.restart = self.flash.upgrade(version)
            if version is not None:
                self.flash.images.add(f"{path} {self.flash.version}")
                return

    def step_image_once(self) -> Step:
        """Not for what was found to be the running one (facts 3.1: CCX)."""
        if f"{self.listed('APP_FILE_PATH')} {self.flash.version}" not in self.flash.images:
            yield from self.step_image()

    def step_settings(self) -> Step:
        if self.master is None:
            return
        if not any(name.startswith("CONFIG_FILES") for name in self.master):
            self.found = self.master  # a file that is no master is taken as settings
            return
        for name in self.listed("CONFIG_FILES").split(","):
            if path := name.strip().replace("[PHONE_MAC_ADDRESS]", self.flash.mac):
                body = yield from get(path, self.agent)
                self.found = {**self.read(path, body), **self.found}  # what is named first wins

    def file(self, name: str) -> Step:
        """An optional file. What was changed on the phone beats what its web page changed; both beat the server."""
        path = self.at(name.replace("MAC", self.flash.mac))
        body = yield from get(path, self.agent)
        if name in OVERRIDES:
            self.own = {**self.read(path, body), **self.own}

    def step_boot_log(self) -> Step:
        yield Ask("PUT", self.at(f"{self.flash.mac}-boot.log"), self.agent, LOG)

    def step_app_log(self) -> Step:
        yield Ask("PUT", self.at(f"{self.flash.mac}-app.log"), self.agent, LOG)

    def step_app_log_head(self) -> Step:
        yield Ask("HEAD", self.at(f"{self.flash.mac}-app.log"), self.agent)

    def step_dictionary(self) -> Step:
        language = self.found.get("lcl.ml.lang")
        if language:
            yield from get(f"SoundPointIPLocalization/{language}/SoundPointIP-dictionary.xml", self.agent)


STEPS: dict[str, Callable[[_Pass], Step]] = {
    name.removeprefix("step_").replace("_", "-"): step
    for name, step in vars(_Pass).items()
    if name.startswith("step_")
}


def play(flash: Flash, kind: PhoneType, starting: bool) -> Pass:
    """The steps of a start (facts 3.1): first what starts the phone, then its software; a check is the latter alone."""
    run = _Pass(flash, kind, starting)
    for stage, steps in (
        ("Updater", kind.family.boot if starting else ()),
        ("Application", kind.family.files),
    ):
        run.stage = stage
        for name in steps:
            yield from STEPS[name](run) if name in STEPS else run.file(name)
            if run.restart:
                return Outcome(flash.settings, run.restart)
    if run.master is None:
        return Outcome(flash.settings)
    kept = {name: value for name, value in flash.settings.items() if name.startswith("device.")}
    settings = {**kept, **_obeyed({**run.found, **run.own, **flash.local})}
    return Outcome(settings, kind.restart_for(_values(flash.settings), _values(settings), not starting))


def _values(settings: Settings) -> Settings:
    return {name: value for name, value in settings.items() if not name.endswith(".set")}


def _obeyed(settings: Settings) -> Settings:
    """Without the `device.*` parameters that their `.set` does not release (facts 6, 10.4)."""
    open_ = settings.get("device.set") == "1"
    return {
        name: value
        for name, value in settings.items()
        if not name.startswith("device.")
        or name.endswith(".set")
        or (open_ and settings.get(f"{name}.set") == "1")
    }


def upload(flash: Flash, kind: PhoneType) -> Iterable[Ask]:
    """What was changed on the phone goes to the server as overrides, unless that is switched off (facts 3.1)."""
    if flash.settings.get("prov.autoConfigUpload.enabled", "1") == "0":
        return []
    pairs = " ".join(f"{name}={quoteattr(value)}" for name, value in flash.local.items())
    body = f'<?xml version="1.0"?>\n<PHONE_CONFIG><OVERRIDES {pairs}/></PHONE_CONFIG>\n'.encode()
    return [Ask("PUT", f"{flash.mac}-phone.cfg", _Pass(flash, kind, False).agent, body)]


def notified(event: str, settings: Settings) -> Action:
    """Facts 7: check-sync asks again, and restarts only for a change unless alwaysReboot is set."""
    if not event.startswith("check-sync"):
        return ""
    always = settings.get("voIpProt.SIP.specialEvent.checkSync.alwaysReboot") == "1"
    return "restart" if always else "check"


def read(settings: Settings, family: Family) -> Configuration:
    """What the parameters mean to the phone."""
    period = integer(settings.get("prov.polling.period"), 86400)
    return Configuration(
        _account(settings),
        _plan(settings, family),
        period if settings.get("prov.polling.enabled") == "1" else None,
        _emergency(settings),
        server=_server(settings),
        user=settings.get("device.prov.user", FACTORY_USER),
        password=settings.get("device.prov.password", FACTORY_USER),
    )


def _server(settings: Settings) -> str:
    name = settings.get("device.prov.serverName", "")
    scheme = SCHEMES.get(settings.get("device.prov.serverType", "0"), "")
    return name if "://" in name else f"{scheme}://{name}" if name and scheme else ""


def _account(settings: Settings) -> Account | None:
    user, _, domain = settings.get("reg.1.address", "").partition("@")
    host = settings.get("reg.1.server.1.address") or settings.get("voIpProt.server.1.address") or domain
    if not user or not host:
        return None
    second = settings.get("reg.1.server.2.address", "")
    return Account(
        user,
        settings.get("reg.1.auth.userId") or user,
        settings.get("reg.1.auth.password", ""),
        host,
        integer(settings.get("reg.1.server.1.port"), 5060, 1, 65535),
        TRANSPORTS.get(settings.get("reg.1.server.1.transport", ""), "UDP"),
        integer(settings.get("reg.1.server.1.expires"), 3600, 10),
        settings.get("reg.1.displayName", ""),
        integer(settings.get("tone.dtmf.rfc2833Payload"), 127, 96, 127),  # facts 6: default 127
        (second, integer(settings.get("reg.1.server.2.port"), 5060, 1, 65535)) if second else None,
    )


def _plan(settings: Settings, family: Family) -> DialPlan:
    """Facts 6.1: the shortest match leaves; T by its place in the list; the rest by impossibleMatchHandling.

    A partial match waits for the Send key. A map over the limit is not taken.
    """
    pauses = digits.seconds(settings.get("dialplan.digitmap.timeOut")) or (3.0,)
    text = settings.get("dialplan.digitmap", FACTORY_MAP)
    try:
        rules, _ = digits.read(text, "polycom", pauses, family.digit_map)
    except PeerError:
        rules, _ = digits.read(FACTORY_MAP, "polycom", (3.0,))
    impossible = settings.get("dialplan.impossibleMatchHandling", "0")
    return DialPlan(
        rules,
        eager=settings.get("dialplan.1.conflictMatchHandling") != "1",
        impossible=IMPOSSIBLE.get(impossible, "send"),
        strip="" if settings.get("dialplan.removeEndOfDial", "1") == "0" else "#",
    )


def _emergency(settings: Settings) -> dict[str, tuple[str, int]]:
    routes: dict[str, tuple[str, int]] = {}
    for name, value in settings.items():
        if name.startswith("dialplan.routing.emergency.") and name.endswith(".value"):
            number = settings.get(name.removesuffix("value") + "server.1", "1")
            host = settings.get(f"dialplan.routing.server.{number}.address", "")
            port = integer(settings.get(f"dialplan.routing.server.{number}.port"), 5060, 1, 65535)
            routes |= {each.strip(): (host, port) for each in value.split(",") if host}
    return routes


def token(model: Model) -> str:
    """`VVX 411` calls itself VVX_411, `SoundPoint IP 450` SPIP_450 (facts 4.1)."""
    if model.agents:
        return re.sub(r"\s+", "_", model.agents[0])
    name = model.name.replace("SoundPoint IP", "SPIP").replace("SoundStation IP", "SSIP")
    return re.sub(r"\s+", "_", name)


MAKER = Maker("polycom", families("polycom"), play, read, notified, token, upload)
