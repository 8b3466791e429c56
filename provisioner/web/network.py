"""What phones are told of this appliance's place in the network, and whether its ports are the usual ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from provisioner.interfaces import holder, interfaces
from provisioner.ipc import Json
from provisioner.store.records import PhoneSettings
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.sources import World
from provisioner.web.views import Level

HOSTS = ("provisioning_host", "registrar_host")  # settings of the site that say where phones find us


class Way(NamedTuple):
    """An address that phones may be told, and the interface that has it."""

    address: str
    interface: str
    loopback: bool


class Port(NamedTuple):
    """One service with the port that it has: how that stands, and what to do."""

    name: str
    what_for: str
    port: str
    level: Level
    state: str
    remedy: str


class Usual(NamedTuple):
    """A service: which process says where it is, under which name, the port that phones expect, and what it is for."""

    process: str
    key: str
    port: int
    datagram: bool
    name: str
    what_for: str
    otherwise: str


USUAL = (
    Usual(
        "front", "http", 80, False, N_("HTTP"), N_("Phones read their files"),
        N_("Phones are told the port, so this works. Those that are given a bare address by DHCP need port 80."),
    ),
    Usual(
        "front", "https", 443, False, N_("HTTPS"), N_("This page, and files encrypted"),
        N_("The page's address has the port in it; all else works."),
    ),
    Usual(
        "front", "tftp", 69, True, N_("TFTP"), N_("Old phones read their files"),
        N_("Old phones that know TFTP only ask at port 69 and nowhere else."),
    ),
    Usual(
        "edge", "sip", 5060, True, N_("SIP"), N_("Phones register, and calls"),
        N_("Phones are told the port, so this works. A firewall's rule for port 5060 is not enough."),
    ),
    Usual(
        "edge", "sips", 5061, False, N_("SIP over TLS"), N_("Calls encrypted"),
        N_("Phones are told the port, so this works."),
    ),
)  # fmt: skip


def ways() -> list[Way]:
    """The addresses of this machine, those of its networks before loopback."""
    found = [
        Way(address, each.name, address.startswith("127.")) for each in interfaces() for address in each.ipv4
    ]
    return sorted(found, key=lambda way: way.loopback)


def told(world: World) -> str:
    """The address that phones are told now."""
    site = world.snapshot.phone_settings.get("site") or PhoneSettings(id="site", values={})
    own = site.values.get(HOSTS[0])
    return str(own or _host(str((world.front or {}).get("phones", ""))))


def _host(url: str) -> str:
    return url.partition("://")[2].rpartition(":")[0].strip("[]")


def ports(world: World) -> Iterator[Port]:
    """Each service with its port, the conflicts named."""
    for usual in USUAL:
        status: Json | None = world.edge if usual.process == "edge" else world.front
        number = str((status or {}).get(usual.key, "")).rpartition(":")[2].rstrip("/")
        yield _port(usual, number, status is not None)


def _port(usual: Usual, number: str, there: bool) -> Port:
    name, what_for = _(usual.name), _(usual.what_for)
    if not number.isdecimal() or number == "0":
        words = _("Closed") if there else _("Not known")
        remedy = "" if there else _("The process that has it does not answer. It is started again by itself.")
        return Port(name, what_for, "", "warn" if there else "bad", words, remedy)
    if int(number) == usual.port:
        return Port(name, what_for, number, "good", _("Open"), "")
    held = holder(usual.port, usual.datagram)
    if held:
        state = _("Open, but not at {port}: {program} has that").format(port=usual.port, program=held)
        remedy = _("Stop that program, then start this appliance again, to have the usual port.")
        return Port(name, what_for, number, "warn", state, f"{_(usual.otherwise)} {remedy}")
    state = _("Open, not at the usual {port}").format(port=usual.port)
    return Port(name, what_for, number, "warn", state, _(usual.otherwise))
