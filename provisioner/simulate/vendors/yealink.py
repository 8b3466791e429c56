"""Yealink phones: boot files or the common file, then their own; a file that did not change is not applied again."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from provisioner.errors import OperatorError, PeerError
from provisioner.phones import yealink_aes
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
    digest,
    families,
    get,
    integer,
    newer,
    xml_of,
)

HEADER = "#!version:1.0.0.1"
NULL = "%NULL%"
TRANSPORTS = {"1": "TCP", "2": "TLS"}
END_KEYS = {"0": "", "1": "#", "2": "*"}
NO_MATCH: dict[str, digits.Impossible] = {"0": "send", "1": "refuse", "2": "collect"}
FACTORY_MAP = (
    "[2-9]11|0T|011xxx.T|[0-1][2-9]xxxxxxxxx|[2-9]xxxxxxxxx|[2-9]xxxT|**x.T|+x.T|00x.T"  # T2/T4 guide
)
ENCRYPTION = yealink_aes.Encryption(files=())  # facts 5.3: neither mode nor padding is documented
_INCLUDE = re.compile(r"^\s*(?:\[(?P<models>[^\]]*)\]\s*)?include:config\s+[\"<]?(?P<file>[^\">\s]+)", re.M)
_OVERWRITE = re.compile(r"^\s*overwrite_mode\s*=\s*1\s*$", re.M)

Step = Generator[Ask, Reply, None]


class _Pass:
    """One pass over the files: what its steps found so far."""

    def __init__(self, flash: Flash, kind: PhoneType, starting: bool) -> None:
        self.flash, self.kind, self.starting = flash, kind, starting
        self.paths = [f"y{int(kind.common or 0):012d}.cfg", f"{flash.mac}.cfg"]
        self.overwrite = False
        self.bodies: dict[str, bytes] = {}
        self.fresh: Settings = {}
        self.restart: Restart | None = None

    @property
    def agent(self) -> str:
        """Facts 4.1."""
        return self.kind.agent(self.flash, self.kind.family.agent, self.flash.version)

    def step_boot_files(self) -> Step:
        """A boot file names the files to ask for, and may make what they leave out fall back (facts 3.2)."""
        for path in (f"{self.flash.mac}.boot", "y000000000000.boot"):
            body = yield from get(path, self.agent)
            if body is not None:
                text = body.decode("utf-8", "replace")
                self.bodies[path] = body
                found = [match["file"] for match in _INCLUDE.finditer(text) if self.ours(match["models"])]
                self.paths = [
                    name.replace("$MAC", self.flash.mac).replace("$mac", self.flash.mac) for name in found
                ]
                self.overwrite = bool(_OVERWRITE.search(text))
                return

    def ours(self, models: str | None) -> bool:
        """Whether an include's models are for this phone."""
        return models is None or self.kind.name in [model.strip() for model in models.split(",")]

    def step_files(self) -> Step:
        """New firmware is taken before the next file is asked for (facts 3.2)."""
        for path in self.paths:
            body = yield from get(path, self.agent)
            yield from self.keys(path)
            if body is None:
                continue
            self.bodies[path] = body
            found = self.lines(path, body)
            self.fresh |= found
            if self.starting or not self.flash.same(path, body):
                yield from self.firmware(found)
            if self.restart:
                return

    def keys(self, path: str) -> Step:
        """The key of an encrypted file lies beside it, in either of two forms (facts 5.3)."""
        if _provision(self.flash.settings).get("aes_key_in_file") == "1":
            stem = path.removesuffix(".cfg")
            if (yield from get(f"{stem}.enc", self.agent)) is None:
                yield from get(f"{stem}_Security.enc", self.agent)

    def firmware(self, found: Settings) -> Step:
        """Facts 8.2; of an image in the same version the head alone is read."""
        url = found.get("static.firmware.url") or found.get("firmware.url") or ""
        if not url or url == NULL:
            return
        version = yield from newer(self.flash, url, self.agent, self.flash.version)
        if version and version.split(".")[0] != self.flash.version.split(".")[0]:
            self.flash.faults.append(f"{urlsplit(url).path} is for other hardware")  # facts 8.1
        elif version:
            self.restart = self.flash.upgrade(version)

    def step_handsets(self) -> Step:
        """Handsets are upgraded over the air, which does not restart the base (facts 3.2)."""
        for name, running in self.flash.handsets.items():
            url = {**self.flash.settings, **self.fresh}.get(f"over_the_air.url.{name}", "")
            if url and url != NULL:
                self.flash.handsets[name] = (
                    yield from newer(self.flash, url, self.agent, running)
                ) or running

    def step_local(self) -> Step:
        """What was changed on the phone comes back from the server where it is kept there (facts 3.2)."""
        if _provision({**self.flash.settings, **self.fresh}).get("custom.sync") == "1":
            body = yield from get(f"{self.flash.mac}-local.cfg", self.agent)
            if body is not None:
                self.bodies["local"] = body
                self.fresh |= self.lines("local", body)

    def plain(self, path: str, body: bytes) -> bytes:
        """An encrypted file in the clear, by the key that the phone holds for such files (facts 5.3)."""
        if body.startswith(HEADER.encode()):
            return body
        own = _provision(self.flash.settings)
        key = (own.get("aes_key_16.mac") if self.flash.mac in path else "") or own.get("aes_key_16.com")
        try:
            return yealink_aes.decrypt(body, key, ENCRYPTION) if key else body
        except (OperatorError, ValueError):
            return body

    def step_phonebook(self) -> Step:
        """The remote directory (facts 6.6)."""
        url = {**self.flash.settings, **self.fresh}.get("remote_phonebook.data.1.url", NULL)
        if url and url != NULL:
            body = yield from get(url, self.agent)
            if body is not None and xml_of(body) is None:
                self.flash.faults.append("the phonebook is not XML")

    def lines(self, path: str, body: bytes) -> Settings:
        """`key = value` lines. A file without the version line at its head is not taken."""
        first, *rest = self.plain(path, body).decode("utf-8", "replace").splitlines() or [""]
        if first.strip() != HEADER:
            self.flash.faults.append(f"{path} does not begin with {HEADER}")
            return {}
        pairs = (line.partition("=") for line in rest if not line.lstrip().startswith(("#", "[")))
        return {name.strip(): value.strip() for name, equals, value in pairs if equals and name.strip()}

    def settings(self) -> Settings:
        """What is in force now: the same files as last time change nothing (facts 3.2: MD5)."""
        old = self.flash.digests
        new = {path: digest(body) for path, body in self.bodies.items()}
        if all(old.get(path) == value for path, value in new.items()):
            return self.flash.settings
        self.flash.digests = {**old, **new}
        settings = self.fresh if self.overwrite else self.flash.settings | self.fresh
        if _provision(settings).get("custom.protect") == "1":
            settings = settings | self.flash.local
        return {name: value for name, value in settings.items() if value != NULL}


STEPS: dict[str, Callable[[_Pass], Step]] = {
    name.removeprefix("step_").replace("_", "-"): step
    for name, step in vars(_Pass).items()
    if name.startswith("step_")
}


def play(flash: Flash, kind: PhoneType, starting: bool) -> Pass:
    """Boot files, then the files to take, in order; a later one beats an earlier one (facts 3.2)."""
    run = _Pass(flash, kind, starting)
    for name in kind.family.files:
        yield from STEPS[name](run)
        if run.restart:
            return Outcome(flash.settings, run.restart)
    settings = run.settings()
    return Outcome(settings, kind.restart_for(flash.settings, settings, not starting))


def upload(flash: Flash, kind: PhoneType) -> Iterable[Ask]:
    """What was changed on the phone goes to the server where it is protected and kept there (facts 3.2)."""
    own = _provision(flash.settings)
    if own.get("custom.protect") != "1" or own.get("custom.sync") != "1":
        return []
    body = "\n".join([HEADER, *(f"{name} = {value}" for name, value in flash.local.items()), ""]).encode()
    return [Ask("PUT", f"{flash.mac}-local.cfg", _Pass(flash, kind, False).agent, body)]


def notified(event: str, settings: Settings) -> Action:
    """Facts 7: `reboot=false` is heeded only where sip.notify_reboot_enable is 0; 1 is the factory's, 2 ignores."""
    if not event.startswith("check-sync"):
        return ""
    mode = settings.get("sip.notify_reboot_enable", "1")
    if mode == "2":
        return ""
    return "check" if mode == "0" and "reboot=true" not in event.replace(" ", "") else "restart"


def _provision(settings: Settings) -> Settings:
    """The keys of auto provisioning, spelled with `static.` or, before V80, without (facts 3.2)."""
    names = {name: name.removeprefix("static.") for name in settings}
    return {
        short.removeprefix("auto_provision."): settings[name]
        for name, short in names.items()
        if short.startswith("auto_provision.")
    }


def read(settings: Settings, family: Family) -> Configuration:
    """What the parameters mean to the phone."""
    provision = _provision(settings)
    minutes = integer(provision.get("repeat.minutes"), 1440, 1, 43200)
    return Configuration(
        _account(settings),
        _plan(settings, family),
        minutes * 60 if provision.get("repeat.enable") == "1" else None,
        server=provision.get("server.url", ""),
        user=provision.get("server.username", ""),
        password=provision.get("server.password", ""),
        attempts=integer(provision.get("attempt_before_failed"), 1, 1, 10),
        attempt_pause=float(integer(provision.get("retry_delay_after_file_transfer_failed"), 5, 0, 300)),
        pnp=provision.get("pnp_enable", "1") == "1",
    )


def _account(settings: Settings) -> Account | None:
    own = {name.removeprefix("account.1."): value for name, value in settings.items()}
    user, host = own.get("user_name", ""), own.get("sip_server.1.address", "")
    if own.get("enable") != "1" or not user or not host:
        return None
    second = own.get("sip_server.2.address", "")
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
        (second, integer(own.get("sip_server.2.port"), 5060, 1, 65535)) if second else None,
    )


def _plan(settings: Settings, family: Family) -> DialPlan:
    end_key = settings.get("features.key_as_send", settings.get("features.pound_key.mode", "1"))
    by_map = _map_setting(settings, "enable") == "1"
    made = _digit_map(settings, family) if by_map else _dial_now(settings)
    return replace(made, end_key=END_KEYS.get(end_key, "#"))


def _map_setting(settings: Settings, name: str) -> str | None:
    """A line's own wins over that of all lines."""
    return settings.get(f"account.1.dialplan.digitmap.{name}") or settings.get(f"dialplan.digitmap.{name}")


def _digit_map(settings: Settings, family: Family) -> DialPlan:
    """T2/T4/T5 guides, dial plan by digit map: any match leaves at once; T waits for the short timer.

    What matches in part leaves after the long timer, 0: never by itself; what cannot match by no_match_action.
    """
    pauses = digits.seconds(_map_setting(settings, "interdigit_short_timer")) or (3.0,)
    text = _map_setting(settings, "string") or FACTORY_MAP
    try:
        rules, _ = digits.read(text, "yealink", pauses, family.digit_map)
    except PeerError:
        rules = ()
    long = integer(_map_setting(settings, "interdigit_long_timer"), 10, 0, 255)
    action = NO_MATCH.get(_map_setting(settings, "no_match_action") or "0", "send")
    return DialPlan(rules, impossible=action, partial=float(long) if long else None)


def _dial_now(settings: Settings) -> DialPlan:
    """Facts 6.1: a dial-now rule sends after its delay (1 s when it is not set), all else after inter_digit_time."""
    names = [name for name in settings if name.startswith("dialplan.dialnow.rule.")]
    blocked = [name for name in settings if name.startswith("dialplan.block_out.number.")]
    text = "|".join(
        [settings[name] for name in names] + [f"{settings[name]}!" for name in blocked if settings[name]]
    )
    rules, _ = digits.read(text, "yealink")
    delay = integer(settings.get("phone_setting.dialnow_delay"), 1, 0, 14)
    partial = integer(settings.get("phone_setting.inter_digit_time"), 4, 1, 14)
    return DialPlan(rules, delay=float(delay), partial=float(partial))


def token(model: Model) -> str:
    """`T19P E2` calls itself T19P_E2 (facts 4.1)."""
    return re.sub(r"\s+", "_", model.name)


MAKER = Maker("yealink", families("yealink"), play, read, notified, token, upload, "Yealink")
