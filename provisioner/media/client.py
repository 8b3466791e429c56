"""The edge's view of the media process: legs that are taken and changed without waiting."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from provisioner import ipc

Document = dict[str, Any]

REFILL_RETRY = 1.0  # seconds between tries to open more legs when media refuses

_log = logging.getLogger(__name__)


class MediaLeg:
    """One open leg. Nothing here waits; what cannot be sent now is sent when media is back."""

    def __init__(self, client: MediaClient, leg: str, port: int) -> None:
        self.id, self.port = leg, port
        self._client = client
        self.document: Document = {"leg": leg}
        self.dropped = False

    def put(self, **changes: Any) -> None:
        """Change parts of the document, which are those of `put` in docs/internals.md.

        Sent only when something changed. Use `source={"leg": id}` or `source={"play": [names], "token": n}`.
        """
        document = {**self.document, **changes}
        if self.dropped or document == self.document:
            return
        self.document = document
        self._client._tell("put", document)

    def press(self, digit: str, milliseconds: int) -> None:
        """This party pressed a key, as signalling said."""
        if not self.dropped:
            self._client._tell("press", {"leg": self.id, "digit": digit, "milliseconds": milliseconds})

    def drop(self, then: Callable[[dict[str, Any] | None], None] | None = None) -> None:
        """Free the leg; may be called twice. `then` gets its statistics, None when they cannot be had."""
        if not self.dropped:
            self.dropped = True
            self._client._dropped(self, then)

    async def stats(self) -> dict[str, Any]:
        """The leg's statistics (docs/internals.md). Raises ipc.Gone or ipc.Refused."""
        return await self._client._ask("stats", {"leg": self.id})


class MediaClient:
    """Keeps `pool` legs open ahead, so that a call never waits for one.

    `boot` makes the ids of the legs unlike those of the edge before. `on_event(name, data)` gets `digit`,
    `press`, `played` and `silent` of the legs taken here.
    """

    def __init__(
        self,
        path: Path,
        host: str,
        boot: str,
        on_event: Callable[[str, dict[str, Any]], None] = lambda _name, _data: None,
        pool: int = 128,
        retry: float = 0.1,
    ) -> None:
        self._host, self._boot, self._size, self._retry = host, boot, pool, retry
        self._on_event = on_event
        self._ipc = ipc.Client(path, self._event, self._connected, retry)
        self._pool: deque[MediaLeg] = deque()
        self._taken: dict[str, MediaLeg] = {}
        self._last_id = 0
        self._closed = False
        self._short = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.filled = asyncio.Event()  # the pool is full

    def start(self) -> None:
        """Connect and fill the pool, in the background."""
        self._ipc.start()
        self._short.set()
        self._task = asyncio.get_running_loop().create_task(self._refill())

    async def close(self) -> None:
        """Drop every leg and disconnect."""
        self._closed = True
        for leg in [*self._taken.values(), *self._pool]:
            leg.drop()
        self._pool.clear()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._ipc.close()

    def speak(self, name: str, audio: bytes) -> None:
        """Have media keep a clip (mu-law, 8 kHz) that can be played by its name for a while."""
        self._tell("speak", {"name": name, "audio": b64encode(audio).decode()})

    @property
    def connected(self) -> bool:
        """Whether the media process is there."""
        return self._ipc.connected.is_set()

    def take(self) -> MediaLeg | None:
        """An open leg, at once; None when the pool is empty (media is gone, or its ports are)."""
        self.filled.clear()
        self._short.set()
        if not self._pool:
            return None
        leg = self._pool.popleft()
        self._taken[leg.id] = leg
        return leg

    def _tell(self, call: str, args: Document) -> None:
        self._ipc.tell(call, args)

    async def _ask(self, call: str, args: Document) -> dict[str, Any]:
        return await self._ipc.ask(call, args)

    def _dropped(self, leg: MediaLeg, then: Callable[[dict[str, Any] | None], None] | None) -> None:
        self._taken.pop(leg.id, None)
        if then is None:
            self._tell("drop", {"leg": leg.id})
        else:
            self._ipc.ask_for("drop", {"leg": leg.id}, then)

    def _event(self, name: str, data: dict[str, Any]) -> None:
        if data.get("leg") in self._taken:
            self._on_event(name, data)

    def _connected(self) -> None:
        # order is kept on the socket: whatever is put from here on comes after this
        for leg in [*self._taken.values(), *self._pool]:
            self._tell("open", {"leg": leg.id, "host": self._host, "port": leg.port})
        for leg in self._taken.values():
            self._tell("put", leg.document)
        self._short.set()

    async def _refill(self) -> None:
        # asked at each turn: before Python 3.12 wait_for swallows a cancellation that comes with the reply
        while not self._closed:
            await self._short.wait()
            self._short.clear()
            await self._ipc.connected.wait()
            try:
                while (missing := self._size - len(self._pool)) > 0 and not self._closed:
                    await self._open(missing)
                self.filled.set()
            except ipc.Refused as error:
                _log.error("no more media legs: %s", error)
                self._short.set()
                await asyncio.sleep(REFILL_RETRY)
            except ipc.Gone:
                self._short.set()
                await asyncio.sleep(self._retry)

    async def _open(self, count: int) -> None:
        """Ask for so many at once: one by one, a burst of calls would find the pool empty."""
        names = [f"{self._boot}-{self._last_id + number}" for number in range(1, count + 1)]
        self._last_id += count
        args = [{"leg": name, "host": self._host, "port": 0} for name in names]
        replies = await asyncio.gather(
            *(self._ipc.ask("open", each) for each in args), return_exceptions=True
        )
        for name, reply in zip(names, replies, strict=True):
            if not isinstance(reply, BaseException):
                self._pool.append(MediaLeg(self, name, int(reply["port"])))
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
