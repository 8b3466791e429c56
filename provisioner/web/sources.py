"""Where the pages get their facts: the store, and what the other processes answer at this moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cached_property

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
from provisioner.store.tries import Tries
from provisioner.web import disk
from provisioner.web.disk import Disk
from provisioner.web.newest import Newest

PATIENCE = 1.0  # seconds that a page waits for another process; longer feels broken, and a thread is held
RECENT_CALLS = 20
ALARMS = 100  # emergency calls of the last half hour
NOTICES_SECONDS = 1800.0  # as long as the banner of an emergency stays


class World:
    """What one page is made from. Each part is read when something first asks for it, and stays so for the page."""

    def __init__(self, sources: Sources, calls: int) -> None:
        self._sources = sources
        self._wanted = calls
        self.now = sources.now()
        self.snapshot = sources.snapshot()

    @cached_property
    def _edge(self) -> tuple[Json | None, str]:
        return self._sources.ask("edge", "status")

    @cached_property
    def _front(self) -> tuple[Json | None, str]:
        return self._sources.ask("front", "status")

    @property
    def edge(self) -> Json | None:
        """What the edge says of itself, None when it does not answer."""
        return self._edge[0]

    @property
    def front(self) -> Json | None:
        """What the front says of itself, None when it does not answer."""
        return self._front[0]

    @cached_property
    def away(self) -> dict[str, str]:
        """What to say of each process that gave no answer, by its name."""
        return {name: why for name, (_, why) in (("edge", self._edge), ("front", self._front)) if why}

    @cached_property
    def sightings(self) -> list[Json]:
        """The phones that asked for files, the last seen first."""
        return self._sources.journal.sightings()

    @cached_property
    def calls(self) -> list[Json]:
        """The last calls of the journal."""
        return self._sources.journal.calls(self._wanted)

    @cached_property
    def alarms(self) -> list[Json]:
        """Calls of the last half hour to emergency numbers, for the banner."""
        recent = Search(direction="emergency", since=self.now - NOTICES_SECONDS)
        return self._sources.journal.calls(ALARMS, recent)

    @cached_property
    def notices(self) -> list[Json]:
        """Who was told of those, or is to be."""
        return self._sources.journal.notices(self.now - NOTICES_SECONDS)

    @cached_property
    def given(self) -> Given | None:
        """The certificate that staff gave."""
        return held(self._sources.state.root / "tls")

    @cached_property
    def disk(self) -> Disk | None:
        """How much room there is."""
        return disk.measured(self._sources.state)

    @cached_property
    def backups(self) -> tuple[BackupPlan, Last | None]:
        """The plan of backups that are made by themselves, and how the last one went."""
        return kept.plan(self._sources.inventory), kept.last(self._sources.state)


class Sources:
    """The appliance as the web process sees it. Safe to use from all threads."""

    def __init__(
        self, state: StateDir, now: Callable[[], float] = time.time, patience: float = PATIENCE
    ) -> None:
        self.state = state
        self.now = now
        self.patience = patience
        self.tries = Tries(state.journal)
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
            for store in (self._answers, self._inventory, self._journal, self.tries):
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
        """Everything at this moment, with the last `calls` calls. Its parts raise OperatorError without a store."""
        return World(self, calls)

    def reload(self) -> None:
        """Tell those that answer from memory to read the inventory again; who is away will at its start."""
        for process in ("edge", "front"):
            self.ask(process, "reload")
