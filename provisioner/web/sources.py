"""Where the pages get their facts: the store, and what the other processes answer at this moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from provisioner.given import Given, held
from provisioner.ipc import Gone, Json, Refused, ask
from provisioner.keeping import kept
from provisioner.keeping.kept import Last
from provisioner.paths import StateDir
from provisioner.phones.catalogue import Catalogue
from provisioner.store.answers import Answers
from provisioner.store.call_log import Search
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import BackupPlan, Snapshot
from provisioner.web import disk
from provisioner.web.disk import Disk
from provisioner.web.newest import Newest

PATIENCE = 1.0  # seconds that a page waits for another process; longer feels broken, and a thread is held
RECENT_CALLS = 20
ALARMS = 100  # emergency calls of the last half hour
NOTICES_SECONDS = 1800.0  # as long as the banner of an emergency stays


class World(msgspec.Struct, kw_only=True):
    """All that one page is made from. `away`: what to say of each process that gave no answer.
    `backups`: the plan of those made by themselves, and how the last one went."""

    now: float
    snapshot: Snapshot
    edge: Json | None = None
    front: Json | None = None
    away: dict[str, str] = {}
    sightings: list[Json] = []
    calls: list[Json] = []
    alarms: list[Json] = []  # calls of the last half hour to emergency numbers, for the banner
    notices: list[Json] = []
    given: Given | None = None
    disk: Disk | None = None
    backups: tuple[BackupPlan, Last | None] | None = None


class Sources:
    """The appliance as the web process sees it. Safe to use from all threads."""

    def __init__(
        self, state: StateDir, now: Callable[[], float] = time.time, patience: float = PATIENCE
    ) -> None:
        self.state = state
        self.now = now
        self.patience = patience
        self._lock = threading.Lock()
        self._inventory: Inventory | None = None
        self._journal: Journal | None = None
        self._answers: Answers | None = None
        self._snapshot: Snapshot | None = None
        self._catalogue: tuple[object, Catalogue] | None = None
        self._newest: Newest | None = None

    @property
    def inventory(self) -> Inventory:
        """The inventory, opened when first needed. Raises OperatorError."""
        with self._lock:
            if self._inventory is None:
                self._inventory = Inventory.open(self.state.inventory, clock=self.now)
            return self._inventory

    @property
    def journal(self) -> Journal:
        """The journal, opened when first needed. Raises OperatorError."""
        with self._lock:
            if self._journal is None:
                self._journal = Journal.open(self.state.journal, clock=self.now)
            return self._journal

    @property
    def answers(self) -> Answers:
        """The answers that are kept for requests that are sent again. Raises OperatorError."""
        self.journal  # makes the file  # noqa: B018
        with self._lock:
            if self._answers is None:
                self._answers = Answers.open(self.state.journal, self.now)
            return self._answers

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            for store in (self._answers, self._inventory, self._journal):
                if store:
                    store.close()
            self._inventory = self._journal = self._answers = None

    def snapshot(self) -> Snapshot:
        """The inventory now; read again only when its revision moved. Raises OperatorError."""
        held = self._snapshot
        if held is None or held.revision != self.inventory.snapshot_revision():
            held = self._snapshot = self.inventory.snapshot()
        return held

    def catalogue(self) -> Catalogue:
        """The makers and models, the site's own included; read again when those files change."""
        own = [self.state.root / "phone_templates", self.state.root / "firmware_rules"]
        stamp = [
            (str(path), path.stat().st_mtime_ns) for each in own for path in sorted(each.rglob("*.toml"))
        ]
        held = self._catalogue
        if held is None or held[0] != stamp:
            held = self._catalogue = (stamp, Catalogue(own[:1], own[1:]))
        return held[1]

    def newest(self) -> Newest:
        """What firmware phones could run; read again with the catalogue."""
        catalogue, held = self.catalogue(), self._newest
        if held is None or held.catalogue is not catalogue:
            held = self._newest = Newest(catalogue, self.state.root / "firmware_rules")
        return held

    def ask(self, process: str, call: str, args: Json | None = None) -> tuple[Json | None, str]:
        """What `process` answers to `call`, or None and a sentence for people."""
        try:
            return ask(self.state.socket(process), call, args, timeout=self.patience), ""
        except (Gone, Refused) as error:
            return None, str(error)

    def world(self, calls: int = RECENT_CALLS) -> World:
        """Everything at this moment, with the last `calls` calls.

        Raises OperatorError when the store cannot be read.
        """
        world = World(now=self.now(), snapshot=self.snapshot())
        world.given = held(self.state.root / "tls")
        world.sightings = self.journal.sightings()
        world.calls = self.journal.calls(calls)
        recent = Search(direction="emergency", since=world.now - NOTICES_SECONDS)
        world.alarms = self.journal.calls(ALARMS, recent)
        world.notices = self.journal.notices(world.now - NOTICES_SECONDS)
        world.disk = disk.measured(self.state)
        world.backups = kept.plan(self.inventory), kept.last(self.state)
        world.edge, edge_away = self.ask("edge", "status")
        world.front, front_away = self.ask("front", "status")
        world.away = {name: why for name, why in (("edge", edge_away), ("front", front_away)) if why}
        return world

    def reload(self) -> None:
        """Tell those that answer from memory to read the inventory again; who is away will at its start."""
        for process in ("edge", "front"):
            self.ask(process, "reload")
