"""Carries notices from the edge's events and the journal to those who are to be told, without the sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from provisioner.emergency import notices
from provisioner.emergency.notices import Outbox
from provisioner.errors import UsageError
from provisioner.notifier.mail import NotDelivered
from provisioner.store.records import Snapshot

Row = dict[str, Any]
Send = Callable[[Row], Awaitable[None]]  # raises NotDelivered

SEND_SECONDS = 60.0  # for one try; a server that hangs holds up only its own notices
MISSED_SECONDS = 3600.0  # calls so old are still told of by a notifier that was away
_log = logging.getLogger(__name__)


class Notifier:
    """`send`: by channel. `record` keeps a row of `notices`. `snapshot` gives the settings as they are now."""

    def __init__(
        self,
        send: Mapping[str, Send],
        record: Callable[[Row], None],
        snapshot: Callable[[], Snapshot],
        now: Callable[[], float],
    ) -> None:
        self._send = send
        self._record = record
        self._snapshot = snapshot
        self._now = now
        self._outbox = Outbox()
        self._tasks: set[asyncio.Task[None]] = set()
        self.changed = asyncio.Event()  # there may be something to send

    def resume(self, rows: list[Row]) -> None:
        """What the journal holds from before a restart."""
        self._outbox.know([row for row in rows if row["channel"] in self._send])
        self.changed.set()

    def heard(self, call: Row) -> None:
        """A call, as the edge says it is now; notices of it that are known are not made again."""
        snapshot = self._snapshot()
        made = notices.wanted(call, snapshot.notifying, snapshot.practice, self._now())
        self._keep(self._outbox.add(made))

    def missed(self, calls: list[Row]) -> None:
        """The calls of the journal: those of the last hour that no event told of."""
        for call in calls:
            if call["at"] >= self._now() - MISSED_SECONDS:
                self.heard(call)

    def trial(self, name: str) -> list[str]:
        """A test notice to all targets; `name`: of this test. The notices' ids. Raises UsageError without targets."""
        snapshot, now = self._snapshot(), self._now()
        call = {
            "id": name, "kind": "emergency-test", "at": now, "mac": "", "extension": "", "outcome": "",
            "number": snapshot.practice.main_number, "answered": None, "ended": None, "body": {"known": True},
        }  # fmt: skip
        made = notices.notices(call, "trial", snapshot.notifying, snapshot.practice, now)
        if not made:
            raise UsageError("Nobody is to be told by e-mail or webhook: set an address first")
        self._keep(self._outbox.add(made))
        return [row["id"] for row in made]

    def _keep(self, rows: list[Row]) -> None:
        for row in rows:
            self._record(row)
        if rows:
            self.changed.set()

    def begin(self) -> float | None:
        """Send what is due, each beside the others; when the next is due (since 1970), None: nothing waits."""
        self.changed.clear()
        for row in self._outbox.due(self._now()):
            task = asyncio.get_running_loop().create_task(self._deliver(row))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._outbox.waiting

    async def _deliver(self, row: Row) -> None:
        problem = ""
        try:
            await asyncio.wait_for(self._send[row["channel"]](row), SEND_SECONDS)
        except NotDelivered as error:
            problem = str(error)
        except TimeoutError:
            problem = f"no answer in {SEND_SECONDS:g} s"
        except Exception as error:
            problem = f"a fault of ours ({type(error).__name__})"
            _log.exception("a notice could not be sent")
        settled = self._outbox.settle(row["id"], problem, self._now())
        self._record(settled)
        if problem:
            _log.warning(
                "%s %s: %s (%s)", row["channel"], settled["state"], problem, f"try {settled['tries']}"
            )
        self.changed.set()

    async def close(self) -> None:
        """Let go; what is under way is sent again after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
