"""A Yealink T46S: boot file or common file, then its own; files that did not change are not applied again."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator

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
    Reply,
    Settings,
    get,
    integer,
)

MODEL, VERSION, COMMON = "T46S", "66.85.0.5", "y000000000066.cfg"
HEADER = "#!version:1.0.0.1"
TRANSPORTS = {"1": "TCP"}
END_KEYS = {"0": "", "1": "#", "2": "*"}
_INCLUDE = re.compile(r"^\s*(?:\[(?P<models>[^\]]*)\]\s*)?include:config\s+[\"<]?(?P<file>[^\">\s]+)", re.M)
_OVERWRITE = re.compile(r"^\s*overwrite_mode\s*=\s*1\s*$", re.M)

_log = logging.getLogger(__name__)


def _agent(flash: Flash) -> str:
    pairs = [flash.mac[at : at + 2] for at in range(0, 12, 2)]
    return f"Yealink SIP-{MODEL} {VERSION} {':'.join(pairs)}"


def _lines(flash: Flash, path: str, body: bytes) -> Settings:
    """`key = value` lines. A file without the version line at its head is not taken."""
    first, *rest = body.decode("utf-8", "replace").splitlines() or [""]
    if first.strip() != HEADER:
        flash.faults.append(f"{path} does not begin with {HEADER}")
        return {}
    pairs = (line.partition("=") for line in rest if not line.lstrip().startswith(("#", "[")))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals and name.strip()}


def _boot_file(flash: Flash, agent: str) -> Generator[Ask, Reply, tuple[list[str], bool]]:
    """The files to ask for, and whether what they leave out falls back to the factory's values."""
    for path in (f"{flash.mac}.boot", "y000000000000.boot"):
        body = yield from get(path, agent)
        if body is not None:
            text = body.decode("utf-8", "replace")
            found = [match for match in _INCLUDE.finditer(text) if _for_us(match["models"])]
            return [match["file"] for match in found], bool(_OVERWRITE.search(text))
    return [COMMON, f"{flash.mac}.cfg"], False


def _for_us(models: str | None) -> bool:
    return models is None or MODEL in [model.strip() for model in models.split(",")]


def boot(flash: Flash) -> Boot:
    """Boot files, then the files to take, in order; a later one beats an earlier one."""
    agent = _agent(flash)
    paths, overwrite = yield from _boot_file(flash, agent)
    bodies: list[tuple[str, bytes]] = []
    for path in paths:
        body = yield from get(path, agent)
        if body is not None:
            bodies.append((path, body))
    changed = [flash.changed(path, body) for path, body in bodies]
    settings = dict(flash.settings)
    if any(changed):
        fresh: Settings = {}
        for path, body in bodies:
            fresh |= _lines(flash, path, body)
        settings = fresh if overwrite else settings | fresh
        settings = {name: value for name, value in settings.items() if value != "%NULL%"}
    if settings.get("static.auto_provision.custom.sync") == "1":
        yield from get(f"{flash.mac}-local.cfg", agent)
    return settings


def read(settings: Settings) -> Configuration:
    """What the parameters mean to the phone."""
    minutes = integer(settings.get("static.auto_provision.repeat.minutes"), 1440, 1, 43200)
    polls = settings.get("static.auto_provision.repeat.enable") == "1"
    return Configuration(_account(settings), _plan(settings), minutes * 60 if polls else None)


def _account(settings: Settings) -> Account | None:
    own = {name.removeprefix("account.1."): value for name, value in settings.items()}
    user, host = own.get("user_name", ""), own.get("sip_server.1.address", "")
    if own.get("enable") != "1" or not user or not host:
        return None
    return Account(
        user,
        own.get("auth_name") or user,
        own.get("password", ""),
        host,
        integer(own.get("sip_server.1.port"), 5060, 1, 65535),
        TRANSPORTS.get(own.get("sip_server.1.transport_type", "0"), "UDP"),
        integer(own.get("sip_server.1.expires"), 3600, 10),
        own.get("display_name", ""),
        integer(own.get("dtmf.dtmf_payload"), 101, 96, 127),
    )


def _plan(settings: Settings) -> DialPlan:
    end_key = settings.get("features.key_as_send", settings.get("features.pound_key.mode", "1"))
    if settings.get("dialplan.digitmap.enable") == "1":
        text = settings.get("dialplan.digitmap.string", "")
    else:
        names = [name for name in settings if name.startswith("dialplan.dialnow.rule.")]
        text = "|".join(settings[name] for name in names)
    try:
        rules = digits.rfc3435(text)
    except PeerError as error:
        _log.warning("%s; every number waits for a pause", error)
        rules = ()
    return DialPlan(rules, end_key=END_KEYS.get(end_key, "#"))


MAKER = Maker("yealink", f"SIP-{MODEL}", boot, read, f"Yealink SIP-{MODEL} {VERSION}")
