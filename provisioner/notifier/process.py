"""The notifier as a process: hears the edge, reads journal and settings, and sends in threads of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import msgspec

from provisioner import ipc
from provisioner.errors import OperatorError
from provisioner.notifier import mail, webhook
from provisioner.notifier.notifier import MISSED_SECONDS, Notifier, Row
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import NoticeSecret, Practice, Snapshot

LOOK_SECONDS = 10.0  # between two looks for calls that no event told of, and for other settings
THREADS = 16  # as many servers may hang at once
PENDING_SECONDS = 2 * 86_400.0
_log = logging.getLogger(__name__)
_NOBODY = Snapshot(revision=-1, practice=Practice(id="practice", name="", main_number=""))


class Process:
    """Wires the notifier to its sockets and files. Whatever is broken, what it heard is told."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._started = time.monotonic()
        self._snapshot = _NOBODY
        self._secret = NoticeSecret(id="notices")
        self._inventory: Inventory | None = None
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="notice")
        self._early: list[Row] = []

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._journal = await asyncio.to_thread(Journal.open, self._state.journal)
        self._notifier = Notifier(
            {"mail": self._mail, "webhook": self._webhook},
            lambda row: self._journal.write("notices", row),
            lambda: self._snapshot,
            time.time,
        )
        await asyncio.to_thread(self._read_settings)
        await self._resume()
        edge = ipc.Client(self._state.socket("edge"), self._on_event)
        edge.start()
        server = ipc.Server({"ping": self._ping, "test": self._test})
        await server.start(self._state.socket("notifier"))
        tasks = [loop.create_task(self._send()), loop.create_task(self._look())]
        await stop.wait()
        for task in tasks:
            task.cancel()
        await edge.close()
        await server.close()
        await self._notifier.close()
        await asyncio.to_thread(self._journal.close)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_event(self, name: str, data: ipc.Json) -> None:
        if name == "emergency-row":
            self._notifier.heard(data)

    async def _resume(self) -> None:
        with suppress(OperatorError):
            since = time.time() - PENDING_SECONDS
            self._notifier.resume(await asyncio.to_thread(self._journal.notices, since))

    async def _send(self) -> None:
        while True:
            due = self._notifier.begin()
            with suppress(TimeoutError):
                wait = None if due is None else max(0.0, due - time.time())
                await asyncio.wait_for(self._notifier.changed.wait(), wait)

    async def _look(self) -> None:
        """Calls that no event told of (the notifier was away), and changed settings."""
        while True:
            await asyncio.to_thread(self._read_settings)
            with suppress(OperatorError):
                since = time.time() - MISSED_SECONDS
                self._notifier.missed(await asyncio.to_thread(self._journal.emergencies, since))
            await asyncio.sleep(LOOK_SECONDS)

    def _read_settings(self) -> None:
        """The settings now; those of before, or of the edge's last good copy, where they cannot be read."""
        try:
            if not self._state.inventory.exists():
                raise OperatorError("the inventory is gone", "restore it from a backup")
            self._inventory = self._inventory or Inventory.open(self._state.inventory)
            if self._inventory.snapshot_revision() != self._snapshot.revision:
                kept = self._inventory.get(NoticeSecret, "notices")
                self._secret = kept[0] if kept else NoticeSecret(id="notices")
                self._snapshot = self._inventory.snapshot()
        except OperatorError as error:
            self._inventory = None
            if self._snapshot is _NOBODY:
                _log.error("%s (notices go by the last good settings)", error)
                with suppress(OSError, msgspec.MsgspecError):
                    self._snapshot = msgspec.json.decode(self._state.snapshot.read_bytes(), type=Snapshot)

    async def _mail(self, row: Row) -> None:
        settings, password = self._snapshot.notifying, self._secret.mail_password
        if not (settings.mail_host and settings.mail_to):
            raise mail.NotDelivered("no mail server is set any more")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, mail.send, row, settings, password, time.time())

    async def _webhook(self, row: Row) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._pool, webhook.send, row, self._secret.webhook_key, time.time())

    async def _test(self, _args: ipc.Json) -> ipc.Json:
        """A test notice. Raises UsageError when nobody is to be told."""
        await asyncio.to_thread(self._read_settings)
        return {"notices": self._notifier.trial(f"trial-{secrets.token_hex(6)}")}

    def _ping(self, _args: ipc.Json) -> ipc.Json:
        return {"pid": os.getpid(), "uptime": round(time.monotonic() - self._started, 1)}


def main(state: StateDir) -> None:
    """Run the notifier until it is told to stop."""
    asyncio.run(Process(state).run())
    os._exit(0)  # a thread that waits for a server that hangs holds nothing up
