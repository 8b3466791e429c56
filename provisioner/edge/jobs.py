"""A job that tells phones something: its phones, what became of each, and how that is written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from provisioner.phones.notify import Mode, Order

Row = dict[str, Any]
State = Literal[
    "planned", "busy", "due", "sent", "fetched", "back", "lost", "refused", "away", "by-hand", "broken-off"
]
WAITING = frozenset({"planned", "busy"})
AWAY = frozenset({"due", "sent", "fetched"})  # told, or about to be: the phone may be restarting
MAX_FILES = 20  # of one phone that are kept


@dataclass
class Task:
    """One phone of a job. Times: `sent`, `registered` and those of `files` since 1970, the rest by the edge's clock.

    `files`: [name, time, HTTP status, revision of the inventory] of what it asked for since then.
    `status`: its answer to the NOTIFY, 0 without one.
    `anew`: it registered as a phone does that has just started. `alive`: it answers, a while after its last file.
    """

    mac: str
    extension: str
    order: Order
    wave: int = 0
    state: State = "planned"
    note: str = ""
    sent: float = 0.0
    status: int = 0
    files: list[list[Any]] = field(default_factory=list)
    registered: float = 0.0
    anew: bool = False
    alive: bool = False
    call_id: str = ""
    heard: float = 0.0
    probe: float = 0.0
    deadline: float = 0.0

    @property
    def back(self) -> bool:
        """It has its files, and is on the air again."""
        if not self.files:
            return False
        again = self.registered >= self.files[0][1]
        return again if self.order.reboots == "always" else self.alive or (again and self.anew)

    @property
    def open(self) -> bool:
        """Whether anything is still to come of it."""
        return self.state in WAITING or self.state in AWAY

    def body(self) -> Row:
        """What is told of it besides the columns of the journal."""
        names = ("extension", "note", "sent", "status", "files", "registered")
        return {name: getattr(self, name) for name in names}

    def missing(self) -> str:
        """Why it counts as lost, and what to do."""
        if self.files:
            what = "It fetched its files and has not been heard of since"
        elif self.status:
            what = "It took the message and did not ask for its files"
        else:
            what = "It neither answered nor asked for its files"
        return f"{what}. {self.order.keys}"


@dataclass
class Job:
    """Phones that are told the same. `at`: since 1970; `waves`: those still to come."""

    id: str
    mode: Mode
    who: str
    at: float
    tasks: dict[str, Task] = field(default_factory=dict)
    waves: list[list[str]] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return any(task.open for task in self.tasks.values())

    @property
    def away(self) -> list[Task]:
        """Those that may be restarting."""
        return [task for task in self.tasks.values() if task.state in AWAY]

    def row(self, task: Task) -> Row:
        """The row of the journal for one of its phones."""
        about = {"job": self.id, "mac": task.mac, "at": self.at, "who": self.who, "mode": self.mode}
        return {**about, "wave": task.wave, "state": task.state, "body": task.body()}

    def view(self) -> Row:
        """What `resync_status` says of it."""
        states: dict[str, int] = {}
        for task in self.tasks.values():
            states[task.state] = states.get(task.state, 0) + 1
        about = {"job": self.id, "mode": self.mode, "who": self.who, "at": self.at}
        return {**about, "open": self.open, "states": states}


def restored(row: Row, order: Order) -> Task:
    """The task of a journal's row. Raises KeyError or TypeError for one that is no good."""
    body = row["body"]
    task = Task(row["mac"], str(body["extension"]), order, int(row["wave"]), cast(State, row["state"]))
    task.note, task.sent, task.status = str(body["note"]), float(body["sent"]), int(body["status"])
    task.files, task.registered = list(body["files"]), float(body["registered"])
    return task


def by_job(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of the journal, by the job that they belong to."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["job"]), []).append(row)
    return found
