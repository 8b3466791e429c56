"""What the makes share: a start as a generator of requests, families as data, what a phone keeps and understood."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal, NamedTuple

import msgspec
from lxml import etree

from provisioner.errors import ProvisionerError, UsageError
from provisioner.phones.catalogue import Model
from provisioner.simulate.digits import NO_LIMIT, DialPlan, Limit

Settings = dict[str, str]
"""Parameters by the maker's own names."""

IMAGE_HEAD = (
    4096  # bytes of a firmware image that a phone reads before it decides (facts 3.2: header check only)
)
_VERSION = re.compile(rb"(?<![\d.])\d{1,4}(?:\.\d{1,6}){3}[A-Z]?(?![\d.])")


class UnreachableError(ProvisionerError):
    """The provisioning server did not answer."""


class Ask(NamedTuple):
    """One HTTP request of a phone; `path` is relative to the provisioning server, or a whole URL.

    `running`: of a firmware image, the version that runs: only the head of an image with the same one is read.
    """

    method: str
    path: str
    agent: str
    body: bytes = b""
    running: str | None = None


class Reply(NamedTuple):
    """Its answer; of a firmware image the body is the head alone. `size`: bytes of the body that were read."""

    status: int
    body: bytes = b""
    size: int = 0


class Restart(NamedTuple):
    """Why a phone restarts: `firmware` or `settings` (of the reboot class), with words for a report."""

    cause: Literal["firmware", "settings"]
    words: str


class Outcome(NamedTuple):
    """What a pass over the files came to: the settings in force, and whether the phone must restart now."""

    settings: Settings
    restart: Restart | None = None


Pass = Generator[Ask, Reply, Outcome]
"""One pass over the files: yields what the phone asks for, is sent the replies."""


class Upgrade(NamedTuple):
    """A change of firmware."""

    before: str
    after: str


@dataclass
class Flash:
    """What one phone keeps over a restart. `faults`: files that it could not use, and why.

    `version`, `boot_version`: of its firmware and, where it has one of its own, of what starts that; `handsets`: of the
    cordless ones. `local`: what was changed on the phone itself. `images`: those found to be the running one.
    """

    mac: str
    settings: Settings = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    version: str = ""
    boot_version: str = ""
    handsets: dict[str, str] = field(default_factory=dict)
    local: Settings = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    upgrades: list[Upgrade] = field(default_factory=list)

    def same(self, path: str, body: bytes) -> bool:
        """Whether a file is the one that was applied under that name (MD5, facts 3.2)."""
        return self.digests.get(path) == digest(body)

    def upgrade(self, version: str) -> Restart:
        """Take new firmware."""
        self.upgrades.append(Upgrade(self.version, version))
        self.version = version
        return Restart("firmware", f"firmware {self.upgrades[-1].before} to {version}")


def digest(body: bytes) -> str:
    """What Yealink phones compare files by."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the phones of one family behave (vendors/<maker>.toml; the facts' section is beside each row).

    `models`: which they are, as a pattern of names in the catalogue. `agent`, `sip_agent`: their user agents, with
    `{token}`, `{version}`, `{mac}`, `{colons}`, `{serial}` and `{stage}` to be filled in; `tokens`: what models call
    themselves in them, where it is not their name. `version`: of new phones, `versions` by model; `boot_version`: of
    what starts it. `boot`, `files`: the steps of a start before and after the firmware runs (names of the maker's
    table); a check of a running phone is `files` alone. `reboots`: patterns of settings that only a restart brings
    into force; `reboots_running`: further ones on a phone that was running. `words`: what else the steps ask for.
    """

    models: str
    agent: str
    sip_agent: str
    version: str
    versions: dict[str, str] = {}
    tokens: dict[str, str] = {}
    boot_version: str = ""
    boot: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    reboots: tuple[str, ...] = ()
    reboots_running: tuple[str, ...] = ()
    handsets: dict[str, str] = {}
    words: dict[str, str] = {}
    digit_map: Limit = NO_LIMIT


def families(maker: str) -> dict[str, Family]:
    """A maker's families by name, in the order in which they claim models."""
    text = resources.files(__package__).joinpath(f"{maker}.toml").read_text("utf-8")
    tables: dict[str, Any] = tomllib.loads(text)
    shared: Mapping[str, Any] = tables.pop("all", {})
    return {name: msgspec.convert({**shared, **table}, Family) for name, table in tables.items()}


@dataclass(frozen=True)
class Account:
    """Line 1 as the phone's settings give it. `expires` in seconds; `event_payload`: of telephone-event.

    `backup`: the registrar that is tried when the first does not answer.
    """

    user: str
    auth_user: str
    password: str = field(repr=False)
    host: str
    port: int = 5060
    transport: str = "UDP"
    expires: int = 3600
    display: str = ""
    event_payload: int = 101
    backup: tuple[str, int] | None = None


@dataclass(frozen=True)
class Configuration:
    """What a phone works with. `account` None: it waits.

    `poll`: seconds until it asks for its files again, None: never by itself.
    `emergency`: numbers that go to a server of their own, whether registered or not.
    `server`: where it asks next, "" where it was told nothing; `user`, `password`: what it answers a 401 with.
    `attempts`: how often it asks for a file that does not come; `attempt_pause` in seconds. `pnp`: it asks by multicast
    when it starts. `challenges`: it wants a digest before it obeys a NOTIFY.
    """

    account: Account | None = None
    dial_plan: DialPlan = field(default_factory=DialPlan)
    poll: float | None = None
    emergency: dict[str, tuple[str, int]] = field(default_factory=dict)
    server: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    attempts: int = 1
    attempt_pause: float = 0.0
    pnp: bool = False
    challenges: bool = False


Action = Literal["", "check", "restart", "reset"]
"""What a phone does at a NOTIFY: nothing, ask for its files, restart, or forget everything and restart."""


@dataclass(frozen=True, eq=False)
class PhoneType:
    """One model as it stands on a desk: its maker, its family, its name in the catalogue and in user agents."""

    maker: Maker
    family: Family
    name: str
    token: str
    part: str = ""
    common: str = ""
    images: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The firmware of a new one."""
        return self.family.versions.get(self.name, self.family.version)

    def new(self, mac: str) -> Flash:
        """A new phone."""
        boot, handsets = self.family.boot_version, dict(self.family.handsets)
        return Flash(mac, version=self.version, boot_version=boot, handsets=handsets)

    def agent(self, flash: Flash, pattern: str, version: str, **more: str) -> str:
        """A user agent by its pattern."""
        colons = ":".join(flash.mac[at : at + 2] for at in range(0, 12, 2))
        return pattern.format(token=self.token, version=version, mac=flash.mac, colons=colons, **more)

    def sip_agent(self, flash: Flash) -> str:
        """What it calls itself in SIP."""
        return self.agent(flash, self.family.sip_agent, flash.version)

    def read(self, settings: Settings) -> Configuration:
        """What the settings mean to it."""
        return self.maker.read(settings, self.family)

    def start(self, flash: Flash) -> Pass:
        """The requests of a start."""
        return self.maker.play(flash, self, True)

    def check(self, flash: Flash) -> Pass:
        """The requests of a running phone that asks again."""
        return self.maker.play(flash, self, False)

    def restart_for(self, before: Settings, after: Settings, running: bool) -> Restart | None:
        """Whether a change of settings takes a restart to come into force."""
        patterns = self.family.reboots + (self.family.reboots_running if running else ())
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        changed = [name for name in names if any(_like(pattern, name) for pattern in patterns)]
        return Restart("settings", "changed " + ", ".join(changed[:3])) if changed else None


def _like(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


@dataclass(frozen=True, eq=False)
class Maker:
    """One maker's ways. `play`: a pass over the files, of a start or of a check; `notified`: what a NOTIFY makes it do;
    `upload`: what it puts after a change on the phone itself; `vendor`: as PnP names it, "" without PnP.
    """

    name: str
    families: dict[str, Family]
    play: Callable[[Flash, PhoneType, bool], Pass]
    read: Callable[[Settings, Family], Configuration]
    notified: Callable[[str, Settings], Action]
    token: Callable[[Model], str]
    upload: Callable[[Flash, PhoneType], Iterable[Ask]]
    vendor: str = ""

    def type_of(self, model: Model) -> PhoneType:
        """A model of the catalogue. Raises UsageError when no family has it."""
        for family in self.families.values():
            if re.fullmatch(family.models, model.name):
                token = family.tokens.get(model.name) or self.token(model)
                return PhoneType(self, family, model.name, token, model.part, model.common, model.images)
        raise UsageError(
            f"no family of {self.name} phones in provisioner/simulate/vendors has {model.name!r}; add it"
        )


def get(path: str, agent: str) -> Generator[Ask, Reply, bytes | None]:
    """GET a file; None when it is not there, which is normal for optional ones."""
    reply = yield Ask("GET", path, agent)
    return reply.body if reply.status == 200 else None


def newer(flash: Flash, path: str, agent: str, running: str) -> Generator[Ask, Reply, str | None]:
    """Ask for an image: its version when it is another than `running`, "" when it is the same, None: not there."""
    reply = yield Ask("GET", path, agent, running=running)
    if reply.status not in (200, 206):
        return None
    version = version_of(reply.body)
    if not version:
        flash.faults.append(f"{path} is no firmware")
        return None
    return "" if version == running else version


def version_of(head: bytes) -> str:
    """The version that the head of a firmware image names, "" when there is none."""
    found = _VERSION.search(head[:IMAGE_HEAD])
    return found[0].decode() if found else ""


def xml_of(body: bytes) -> etree._Element | None:
    """The root of an XML file, None when it cannot be read. Nothing outside the file is looked at."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return None


def integer(text: str | None, default: int, least: int = 0, most: int = 1 << 31) -> int:
    """A whole number within its limits, else `default`."""
    value = int(text) if text and text.strip().isdecimal() else default
    return value if least <= value <= most else default
