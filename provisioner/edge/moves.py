"""Which phones seem to have been moved, from their registrations; kept in the journal over a restart."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from provisioner.emergency import moved
from provisioner.emergency.moved import Evidence, Whereabouts

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge

_log = logging.getLogger(__name__)


class Moves:
    """What is held of each placed phone, by MAC. Calls never wait for it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._held: dict[str, Whereabouts] = {}

    def load(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take back what the journal held; a row that cannot be read is as if the phone were new."""
        for row in rows:
            try:
                held = msgspec.convert(row["body"], Whereabouts)
            except (msgspec.ValidationError, KeyError):
                continue
            self._held[held.mac] = held

    def heard(self, station: Station, address: str, access_network_info: str) -> None:
        """A phone registered from `address`."""
        self._judge(station.phone.id, Evidence(address, moved.neighbour_of(access_network_info)))

    def swap(self) -> None:
        """The inventory is another: somebody may have placed a phone, or confirmed where it is."""
        phones = self._edge.directory.snapshot.phones
        for mac in [mac for mac in self._held if mac not in phones]:
            del self._held[mac]
        for mac, held in list(self._held.items()):
            self._judge(mac, Evidence(held.address, held.port))

    def doubt(self, mac: str) -> str:
        """Why a phone may not be where it is placed, in words; "" when nothing speaks against it."""
        held = self._held.get(mac)
        return ", and ".join(moved.WORDS[why] for why in held.why) if held else ""

    def suspects(self) -> list[dict[str, Any]]:
        """A row for each phone that is suspect (docs/internals.md)."""
        return [self._row(held) for held in self._held.values() if held.since is not None]

    def _judge(self, mac: str, seen: Evidence) -> None:
        snapshot = self._edge.directory.snapshot
        phone = snapshot.phones.get(mac)
        place = snapshot.place(phone.location) if phone else None
        before = self._held.get(mac)
        if place is None:
            self._held.pop(mac, None)
            return
        placement, home = snapshot.placements.get(mac), snapshot.practice.phone_networks
        held = moved.judged(before, mac, place, placement, home, seen, self._edge.wall_clock())
        if held is before:
            return
        self._held[mac] = held
        self._edge.record("whereabouts", {"mac": mac, "since": held.since, "body": msgspec.to_builtins(held)})
        was, now = before.why if before else (), held.why
        if was != now:
            self._edge.publish("whereabouts", self._row(held))
            if now:
                _log.warning("phone %s may not be at its location: %s", mac, self.doubt(mac))

    def _row(self, held: Whereabouts) -> dict[str, Any]:
        return {
            "mac": held.mac,
            "location": held.location,
            "address": held.address,
            "since": held.since,
            "why": list(held.why),
        }
