"""A Polycom VVX 411 with UCS 5.9: a master file, the files that it names, its own overrides above them."""

from __future__ import annotations

import logging

from provisioner.errors import PeerError
from provisioner.simulate import digits
from provisioner.simulate.digits import DialPlan
from provisioner.simulate.vendors.base import (
    Account,
    Ask,
    Boot,
    Configuration,
    Flash,
    Maker,
    Settings,
    get,
    integer,
    xml_of,
)

PART = "3111-48450-001"
UPDATER, APPLICATION = "5.9.7.47435", "5.9.7.4477"
FACTORY_MAP = "[2-9]11|0T|011xxx.T|[0-1][2-9]xxxxxxxxx|[2-9]xxxxxxxxx|[2-9]xxxT"
IMPOSSIBLE: dict[str, digits.Impossible] = {"0": "send", "1": "refuse", "2": "collect"}
TRANSPORTS = {"TCPOnly": "TCP", "TCPpreferred": "TCP"}

_log = logging.getLogger(__name__)


def _agent(flash: Flash, stage: str) -> str:
    version = UPDATER if stage == "Updater" else APPLICATION
    serial = f" (SN:{flash.mac})" if flash.settings.get("device.prov.tagSerialNo") == "1" else ""
    return f"FileTransport PolycomVVX-VVX_411-UA/{version}{serial} Type/{stage}"


def _attributes(flash: Flash, path: str, body: bytes | None) -> Settings:
    """All attributes of a file: the names matter, the elements around them do not."""
    if not body:
        return {}
    root = xml_of(body)
    if root is None:
        flash.faults.append(f"{path} is not XML")
        return {}
    return {str(name): str(value) for element in root.iter() for name, value in element.attrib.items()}


def _obeyed(settings: Settings) -> Settings:
    """Without the `device.*` parameters that their `.set` does not release."""
    open_ = settings.get("device.set") == "1"
    return {
        name: value
        for name, value in settings.items()
        if not name.startswith("device.")
        or name.endswith(".set")
        or (open_ and settings.get(f"{name}.set") == "1")
    }


def _names(master: Settings, mac: str) -> list[str]:
    listed = master.get("CONFIG_FILES_VVX411") or master.get("CONFIG_FILES") or ""
    files = [name.strip() for name in listed.split(",") if name.strip()]
    return [name.replace("[PHONE_MAC_ADDRESS]", mac) for name in files]


def boot(flash: Flash) -> Boot:
    """The Updater leaves its log; the Application asks for the master, firmware, settings, optional files."""
    mac = flash.mac
    yield Ask("PUT", f"{mac}-boot.log", _agent(flash, "Updater"), b"0101000000|so   |4|00|booted\n")
    agent = _agent(flash, "Application")
    master = yield from get(f"{mac}.cfg", agent)
    if master is None:
        master = yield from get("000000000000.cfg", agent)
    if master is None:
        return flash.settings
    names = _attributes(flash, f"{mac}.cfg", master)
    firmware = names.get("APP_FILE_PATH_VVX411") or names.get("APP_FILE_PATH") or ""
    if firmware:
        folder, slash, base = firmware.rpartition("/")
        if (yield from get(f"{folder}{slash}{PART}.{base}", agent)) is None:
            yield from get(firmware, agent)
    settings: Settings = {}
    for name in _names(names, mac):
        body = yield from get(name, agent)
        settings = {**_attributes(flash, name, body), **settings}  # the first file to name a parameter wins
    if "CONFIG_FILES" not in names:
        settings = names  # a file that is no master is taken as settings
    return _obeyed({**settings, **(yield from _optional(flash, names, agent))})


def _optional(flash: Flash, names: Settings, agent: str) -> Boot:
    """Overrides, licences, lists and logs; what was changed on the phone beats what the web page changed."""
    mac = flash.mac

    def at(directory: str, name: str) -> str:
        folder = names.get(directory, "").strip("/")
        return f"{folder}/{name}" if folder else name

    found: list[Settings] = []
    for name in (f"{mac}-phone.cfg", f"{mac}-web.cfg"):
        path = at("OVERRIDES_DIRECTORY", name)
        found.append(_attributes(flash, path, (yield from get(path, agent))))
    for name in ("000000000000-license.cfg", f"{mac}-license.cfg"):
        yield from get(at("LICENSE_DIRECTORY", name), agent)
    yield from get(at("CALL_LISTS_DIRECTORY", f"{mac}-calls.xml"), agent)
    for name in (f"{mac}-directory.xml", "000000000000-directory.xml"):
        yield from get(at("CONTACTS_DIRECTORY", name), agent)
    log = at("LOG_FILE_DIRECTORY", f"{mac}-app.log")
    yield Ask("HEAD", log, agent)
    yield Ask("PUT", log, agent, b"0101000000|app1 |4|00|started\n")
    return {**found[1], **found[0]}


def read(settings: Settings) -> Configuration:
    """What the parameters mean to the phone."""
    period = integer(settings.get("prov.polling.period"), 86400)
    polls = settings.get("prov.polling.enabled") == "1"
    return Configuration(_account(settings), _plan(settings), period if polls else None, _emergency(settings))


def _account(settings: Settings) -> Account | None:
    user, _, domain = settings.get("reg.1.address", "").partition("@")
    host = settings.get("reg.1.server.1.address") or settings.get("voIpProt.server.1.address") or domain
    if not user or not host:
        return None
    return Account(
        user,
        settings.get("reg.1.auth.userId") or user,
        settings.get("reg.1.auth.password", ""),
        host,
        integer(settings.get("reg.1.server.1.port"), 5060, 1, 65535),
        TRANSPORTS.get(settings.get("reg.1.server.1.transport", ""), "UDP"),
        integer(settings.get("reg.1.server.1.expires"), 3600, 10),
        settings.get("reg.1.displayName", ""),
        integer(settings.get("tone.dtmf.rfc2833Payload"), 127, 96, 127),
    )


def _plan(settings: Settings) -> DialPlan:
    text = settings.get("dialplan.digitmap", FACTORY_MAP)
    try:
        rules = digits.rfc3435(text)
    except PeerError as error:
        _log.warning("%s; the factory map is used", error)
        rules = digits.rfc3435(FACTORY_MAP)
    impossible = settings.get("dialplan.impossibleMatchHandling", "0")
    return DialPlan(rules, impossible=IMPOSSIBLE.get(impossible, "send"))


def _emergency(settings: Settings) -> dict[str, tuple[str, int]]:
    routes: dict[str, tuple[str, int]] = {}
    for name, value in settings.items():
        if name.startswith("dialplan.routing.emergency.") and name.endswith(".value"):
            number = settings.get(name.removesuffix("value") + "server.1", "1")
            host = settings.get(f"dialplan.routing.server.{number}.address", "")
            port = integer(settings.get(f"dialplan.routing.server.{number}.port"), 5060, 1, 65535)
            routes |= {each.strip(): (host, port) for each in value.split(",") if host}
    return routes


MAKER = Maker("polycom", "VVX 411", boot, read, f"PolycomVVX-VVX_411-UA/{APPLICATION}")
