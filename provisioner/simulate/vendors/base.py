"""What the makes share: a boot as a generator of requests, and what a phone understood of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import NamedTuple

from lxml import etree

from provisioner.simulate.digits import DialPlan

Settings = dict[str, str]
"""Parameters by the maker's own names."""


class Ask(NamedTuple):
    """One HTTP request of a booting phone; `path` is relative to the provisioning server, or a whole URL."""

    method: str
    path: str
    agent: str
    body: bytes = b""


class Reply(NamedTuple):
    """Its answer."""

    status: int
    body: bytes = b""


Boot = Generator[Ask, Reply, Settings]
"""A boot: yields what the phone asks for, is sent the replies, returns the settings in force afterwards."""


@dataclass
class Flash:
    """What one phone keeps over a restart. `faults`: files that it could not use, and why."""

    mac: str
    settings: Settings = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def changed(self, path: str, body: bytes) -> bool:
        """Whether a file differs from the one of that name last time (MD5, as Yealink compares)."""
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        before, self.digests[path] = self.digests.get(path), digest
        return digest != before


@dataclass(frozen=True)
class Account:
    """Line 1 as the phone's settings give it. `expires` in seconds; `event_payload`: of telephone-event."""

    user: str
    auth_user: str
    password: str = field(repr=False)
    host: str
    port: int = 5060
    transport: str = "UDP"
    expires: int = 3600
    display: str = ""
    event_payload: int = 101


@dataclass(frozen=True)
class Configuration:
    """What a phone works with. `account` None: it waits.

    `poll`: seconds until it asks for its files again, None: never by itself.
    `emergency`: numbers that go to a server of their own, whether registered or not.
    """

    account: Account | None = None
    dial_plan: DialPlan = field(default_factory=DialPlan)
    poll: float | None = None
    emergency: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Maker:
    """One make and model: how it boots, what it understands, what it calls itself in SIP.

    `challenges`: it asks for a digest before it obeys a NOTIFY.
    """

    name: str
    model: str
    boot: Callable[[Flash], Boot]
    read: Callable[[Settings], Configuration]
    sip_agent: str
    challenges: bool = False


def get(path: str, agent: str) -> Generator[Ask, Reply, bytes | None]:
    """GET a file; None when it is not there, which is normal for optional ones."""
    reply = yield Ask("GET", path, agent)
    return reply.body if reply.status == 200 else None


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
