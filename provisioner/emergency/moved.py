"""Whether a phone is still where somebody put it, by what the network tells of it. Pure.

A phone that seems moved is suspect until a person confirms where it is. Its emergency calls go out all the same, with
the location that is known: it may be the right one still.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from provisioner.store.records import Location, Placement

READ = 4096  # addresses and networks that are not read again: phones register from the same ones each time
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
WORDS = {
    "public-address": "it registers from an address outside of the practice",
    "network": "it registers from another network",
    "neighbour": "it is plugged into another switch port",
}
_PORT = re.compile(r'eth-location="?([^";,]{1,64})"?', re.I)


class Evidence(NamedTuple):
    """What one registration tells: the address it came from, and the switch port, where the phone says it."""

    address: str
    neighbour: str = ""


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one phone (`mac`) while it is placed at `location`, and how that looked when it was.

    `since`: it has been suspect since then, for the reasons `why` (keys of WORDS); None: it is not. `address`,
    `port`: those of the last registration that told anything new; `network`, `neighbour`: the usual ones.
    """

    mac: str
    location: str
    network: str
    neighbour: str = ""
    address: str = ""
    port: str = ""
    since: float | None = None
    why: tuple[str, ...] = ()


_READY = msgspec.json.Decoder(
    Whereabouts
)  # msgspec 0.22 crashes when two threads are the first to convert to a type


def neighbour_of(access_network_info: str) -> str:
    """The switch port in a P-Access-Network-Info (RFC 7315), as some phones learn it by LLDP; "" without one."""
    found = _PORT.search(access_network_info)
    return found[1].strip().lower() if found else ""


def network_of(address: str, known: Iterable[str] = ()) -> str:
    """The smallest of the `known` networks that has the address, else its /24 or /64; "" for what is none."""
    host = _address(address)
    if host is None:
        return ""
    holding = [network for network in _networks(known) if host in network]
    if holding:
        return str(max(holding, key=lambda network: network.prefixlen))
    return str(_network(f"{host}/{24 if host.version == 4 else 64}"))


def within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of the networks; what is no address, and what is no network, is not."""
    host = _address(address)
    return host is not None and any(host in network for network in _networks(networks))


def is_private(address: str) -> bool:
    """Whether an address can be in a building's own network at all."""
    host = _address(address)
    return host is not None and not host.is_global


def doubts(
    place: Location | None, home: Iterable[str], usual: Whereabouts, seen: Evidence
) -> tuple[str, ...]:
    """Why a phone may be elsewhere than at `place` (keys of WORDS). `home`: the practice's own networks."""
    networks = [*(place.networks if place else ()), *([usual.network] if usual.network else [])]
    ports = {port.lower() for port in (*(place.neighbours if place else ()), usual.neighbour) if port}
    found = []
    if not within(seen.address, networks):
        if not is_private(seen.address) and not within(seen.address, home):
            found.append("public-address")
        elif networks:
            found.append("network")
    if seen.neighbour and ports and seen.neighbour not in ports:
        found.append("neighbour")
    return tuple(found)


def judged(
    held: Whereabouts | None,
    mac: str,
    place: Location,
    placement: Placement | None,
    home: Iterable[str],
    seen: Evidence,
    now: float,
) -> Whereabouts:
    """What is to be held of a phone after a registration; `held` itself when nothing is new.

    The first registration at a place is how it usually looks there, unless the place says what its networks are.
    """
    home = tuple(home)
    usual = _usual(held, mac, place, placement)
    if usual is None:
        first = Whereabouts(mac=mac, location=place.id, network="")
        strange = doubts(place, home, first, seen)
        network = "" if strange or place.networks else network_of(seen.address, home)
        usual = msgspec.structs.replace(first, network=network)
    if not usual.neighbour and not usual.since and not doubts(place, home, usual, seen):
        usual = msgspec.structs.replace(usual, neighbour=seen.neighbour)
    why = doubts(place, home, usual, seen)
    if why or usual.since is None:
        since = (usual.since or now) if why else None
        usual = msgspec.structs.replace(usual, since=since, why=why)
    network = network_of(seen.address, home)
    if held and usual == held and network == network_of(held.address, home) and seen.neighbour == held.port:
        return held
    return msgspec.structs.replace(usual, address=seen.address, port=seen.neighbour)


def _usual(
    held: Whereabouts | None, mac: str, place: Location, placement: Placement | None
) -> Whereabouts | None:
    """What is held of the phone at this place, or what somebody has confirmed since; None: it is new there."""
    here = held if held and held.location == place.id else None
    if placement is None or placement.location != place.id:
        return here
    confirmed = Whereabouts(
        mac=mac, location=place.id, network=placement.network, neighbour=placement.neighbour
    )
    if here is None or (here.since is not None and placement.at >= here.since):
        return confirmed
    return here


@lru_cache(READ)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _networks(texts: Iterable[str]) -> list[Network]:
    return [network for text in texts if (network := _network(text))]


@lru_cache(READ)
def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
