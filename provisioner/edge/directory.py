"""What the edge knows: one immutable snapshot of the inventory with its look-ups, swapped whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from provisioner.dialing.classify import URGENT, Destination, Plan
from provisioner.emergency import references
from provisioner.emergency.calling import calling_number, local_number
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.paths import StateDir, write_atomically
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    Line,
    LineCredential,
    LineFeatures,
    Location,
    Number,
    Phone,
    RingGroup,
    Snapshot,
    Trunk,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Station:
    """One line of a desk phone, with all that a call needs of it."""

    phone: Phone
    line: Line
    credential: LineCredential | None
    location: Location | None

    @property
    def extension(self) -> str:
        return self.line.extension

    def same_account(self, other: Station | None) -> bool:
        """Whether this line is still of the same phone, with the same password."""
        return other is not None and (self.phone.id, self.credential) == (other.phone.id, other.credential)


class Directory:
    """Look-ups over one snapshot; never changed, only replaced."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.stations: dict[str, Station] = {}
        self._accounts: dict[str, Station] = {}
        for phone in snapshot.phones.values():
            secrets = snapshot.credentials.get(phone.id)
            for index, line in enumerate(phone.lines):
                credential = secrets.lines[index] if secrets and index < len(secrets.lines) else None
                location = snapshot.place(phone.location)
                station = Station(phone, line, credential, location)
                self.stations[line.extension] = station
                if credential:
                    self._accounts[credential.auth_user] = station
        self._extensions = frozenset(self.stations)

    def account(self, auth_user: str) -> Station | None:
        """The line that registers as `auth_user`."""
        return self._accounts.get(auth_user)

    def password(self, auth_user: str) -> str | None:
        """Password of `auth_user`, for the digest check."""
        station = self._accounts.get(auth_user)
        return station.credential.password if station and station.credential else None

    def plan(self, station: Station | None) -> Plan:
        """What a line may dial; None: a leg without extensions of its own."""
        practice = self.snapshot.practice
        extensions = self._extensions if station else frozenset()
        own = station.extension if station else ""
        abroad = practice.international_calls_per_day > 0
        return Plan(extensions, own, practice.extension_length, frozenset(practice.services), abroad)

    def calling_number(self, destination: Destination, station: Station) -> str:
        """What `station` shows whom it calls: a number of the practice, its extension inside; "" when refused."""
        if destination.kind in URGENT:
            return self.emergency_number(station, destination.kind)
        if destination.kind == "extension":
            return station.extension
        return "" if destination.kind == "refused" else self.outside_number(station)

    def with_features(self, extension: str, values: Mapping[str, str | bool]) -> Directory:
        """The same with other features of one extension; the inventory's revision stays."""
        changed = msgspec.structs.replace(self.features(extension), **values)
        features = {**self.snapshot.line_features, extension: changed}
        return Directory(msgspec.structs.replace(self.snapshot, line_features=features))

    @property
    def practice_plan(self) -> Plan:
        """What the practice itself may be forwarded to: from no line of its own."""
        return Plan(self._extensions, "", self.snapshot.practice.extension_length)

    def features(self, extension: str) -> LineFeatures:
        """What the edge does with calls to an extension."""
        return self.snapshot.line_features.get(extension) or LineFeatures(id=extension)

    def number(self, number: str) -> Number | None:
        return self.snapshot.numbers.get(number)

    def group(self, name: str) -> RingGroup | None:
        return self.snapshot.ring_groups.get(name)

    @property
    def trunks(self) -> list[Trunk]:
        return sorted(self.snapshot.trunks.values(), key=lambda trunk: (trunk.order, trunk.id))

    def outside_number(self, station: Station) -> str:
        """The number that a line shows outside: its own, else the practice's main number; always one of its numbers."""
        return self.number_shown(station.line.number)

    def number_shown(self, wanted: str) -> str:
        """`wanted` when it is a number of the practice, else the main number, else any that it has."""
        numbers, main = self.snapshot.numbers, self.snapshot.practice.main_number
        if wanted in numbers or wanted == main:
            return wanted
        return main or min(numbers, default="")

    def emergency_number(self, station: Station | None, kind: str = "emergency") -> str:
        """The calling number of an emergency, test or crisis call."""
        phone, own = (station.phone, station.line.number) if station else (None, "")
        if kind == "crisis":
            return local_number(self.snapshot, phone, own)
        return calling_number(self.snapshot, phone, own).number


class Source:
    """Reads the inventory; keeps the last good snapshot in a file, for a start with a broken database."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._inventory: Inventory | None = None
        self._inode = 0

    def load(self) -> Directory:
        """The inventory now, else the last good snapshot. Blocks on the disk. Raises OperatorError."""
        try:
            snapshot = self._open().snapshot()
            if snapshot.revision == 0:  # a new, empty file where a practice was: not what anybody wants
                raise OperatorError("the inventory is empty", "restore it, or set the practice up")
        except ProvisionerError as error:
            self._inventory = None
            _log.error("%s (calls go on with the last good inventory)", error)
            return Directory(self._saved(error))
        try:
            write_atomically(self._state.snapshot, msgspec.json.encode(snapshot))
        except OSError as problem:
            _log.error("the snapshot for emergencies cannot be written: %s", problem.strerror)
        return Directory(snapshot)

    def set_features(self, extension: str, values: Mapping[str, str | bool]) -> None:
        """Keep what a phone has changed. Blocks on the disk. Raises ProvisionerError."""
        with self._open().change(f"phone {extension}") as change:
            stored = change.get(LineFeatures, extension)
            features = stored[0] if stored else LineFeatures(id=extension)
            change.put(msgspec.structs.replace(features, **values))

    def revision(self) -> int | None:
        """Revision of the inventory on disk; None when that cannot be told or nothing was ever written."""
        try:
            return self._open().snapshot_revision() or None
        except ProvisionerError:
            self._inventory = None
            return None

    def reference_key(self) -> bytes:
        """The key of location URIs, b"" when it cannot be read. Blocks on the disk."""
        try:
            return self._open().secret(references.KEY_NAME)
        except ProvisionerError as error:
            _log.error("%s (calls carry no location by reference)", error)
            return b""

    def _open(self) -> Inventory:
        try:
            inode = self._state.inventory.stat().st_ino
        except OSError:
            raise OperatorError("the inventory is gone", "restore it from a backup") from None
        if self._inventory is None or inode != self._inode:
            self._inventory = Inventory.open(self._state.inventory)
            self._inode = inode
        return self._inventory

    def _saved(self, error: ProvisionerError) -> Snapshot:
        try:
            return msgspec.json.decode(self._state.snapshot.read_bytes(), type=Snapshot)
        except (OSError, msgspec.MsgspecError):
            raise OperatorError("there is no inventory to answer calls from", str(error)) from None
