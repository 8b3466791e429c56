"""Keeps the newest inventory in memory: read in a thread, swapped whole, kept while there is no better."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from provisioner.emergency import references
from provisioner.errors import OperatorError
from provisioner.paths import StateDir
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.render import Renderer
from provisioner.phones.settings import Addresses
from provisioner.store.records import Snapshot

if TYPE_CHECKING:
    from provisioner.store.inventory import Inventory

POLL_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Watch:
    """Calls `swap` with a renderer of each new snapshot, on the event loop, and of the same one each new day.

    `versions`: what phones run, as Renderer takes it.
    """

    def __init__(
        self,
        state: StateDir,
        addresses: Addresses,
        swap: Callable[[Renderer], None],
        versions: Mapping[str, str] | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._state = state
        self._addresses = addresses
        self._swap = swap
        self._versions = versions
        self._today = today
        self._day: date | None = None
        self._inventory: Inventory | None = None
        self._catalogue: Catalogue | None = None
        self._lock = asyncio.Lock()
        self._broken = ""
        self.revision = -1

    async def reload(self) -> int:
        """Read the inventory if it has changed; the revision that is now in use (-1: none was ever read)."""
        async with self._lock:
            try:
                renderer = await asyncio.to_thread(self._read)
                self._broken = ""
            except OperatorError as error:
                if str(error) != self._broken:
                    _log.error("%s; phones get what was last read", error)
                self._broken = str(error)
                renderer = None if self.revision >= 0 else await asyncio.to_thread(self._read_copy)
            if renderer:
                self.revision = renderer.snapshot.revision
                self._swap(renderer)
        return self.revision

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.reload()

    def reference_key(self) -> bytes:
        """The key of location URIs, b"" when the inventory cannot be read. Blocks on the disk."""
        from provisioner.store.inventory import Inventory

        try:
            if self._inventory is None:
                self._inventory = Inventory.open(self._state.inventory)
            return self._inventory.secret(references.KEY_NAME)
        except OperatorError as error:
            _log.error("%s; phones get no location URIs", error)
            return b""

    def _read(self) -> Renderer | None:
        from provisioner.store.inventory import Inventory

        if self._inventory is None:
            self._inventory = Inventory.open(self._state.inventory)
        same_day = self._today() == self._day  # the rules of a time zone may change with a year
        if same_day and self._inventory.snapshot_revision() == self.revision:
            return None
        return self._renderer(self._inventory.snapshot())

    def _read_copy(self) -> Renderer | None:
        """From the copy that is kept for a start with a broken database."""
        try:
            snapshot = msgspec.json.decode(self._state.snapshot.read_bytes(), type=Snapshot)
        except (OSError, msgspec.MsgspecError):
            return None
        return self._renderer(snapshot)

    def _renderer(self, snapshot: Snapshot) -> Renderer:
        if self._catalogue is None:
            root = self._state.root
            self._catalogue = Catalogue([root / "phone_templates"], [root / "firmware_rules"])
        self._day = self._today()
        renderer = Renderer(snapshot, self._addresses, self._catalogue, self._versions, self._day)
        renderer.warm()
        return renderer
