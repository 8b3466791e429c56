"""The stand-in core's control calls, the real ones, behind a Unix socket that misbehaves."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from provisioner import ipc
from provisioner.core.process import Control
from provisioner.core.providers.account import Behaviour

BEHAVIOURS = {  # those that HTTP has too are called as there
    "good": Behaviour("answers as it should"),
    "slow": Behaviour("takes longer than anybody waits, having done it", "writes"),
    "slow-reads": Behaviour("takes longer than anybody waits", "all"),
    "error-after": Behaviour("an error after having done it", "writes"),
    "error-before": Behaviour("an error without having done it", "writes"),
    "error-always": Behaviour("refuses everything", "all"),
    "vanishes": Behaviour("says yes and does nothing", "writes"),
    "duplicate": Behaviour("says that what it is asked for is there already, having done it", "writes"),
    "truncated": Behaviour("an answer that ends in the middle, having done it", "all"),
    "reset": Behaviour("resets the connection in the middle of the answer, having done it", "all"),
    "closes": Behaviour("closes at once", "all"),
    "junk": Behaviour("a line that is not JSON, having done it", "all"),
    "not-an-object": Behaviour("JSON of another shape, having done it", "all"),
    "other-fields": Behaviour("an object with other fields than anybody knows, having done it", "all"),
    "chatty": Behaviour("pushes events before its answer", "all"),
    "restarts": Behaviour("does it, says so, restarts and has forgotten everything", "writes"),
}
_NOT_DONE = frozenset({"slow-reads", "error-before", "error-always", "vanishes", "closes"})
_SAYS: dict[str, Callable[[bytes], bytes]] = {  # what is sent in place of the right answer
    "error-after": lambda _line: b'{"id":1,"error":"it failed; see the log"}\n',
    "error-before": lambda _line: b'{"id":1,"error":"try later"}\n',
    "error-always": lambda _line: b'{"id":1,"error":"there is no such call here"}\n',
    "vanishes": lambda _line: b'{"id":1,"ok":{}}\n',
    "duplicate": lambda _line: b'{"id":1,"error":"a duplicate of this is there already"}\n',
    "truncated": lambda line: line[: len(line) // 2],
    "reset": lambda line: line[: len(line) // 2],
    "closes": lambda _line: b"",
    "junk": lambda _line: b"<!DOCTYPE html>\n",
    "not-an-object": lambda _line: b'{"id":1,"ok":["+14155550101"]}\n',
    "other-fields": lambda _line: b'{"id":1,"ok":{"+14155550101":{"street":7}}}\n',
    "chatty": lambda line: b'{"event":"call","data":{}}\n' * 3 + line,
}


class CoreSocket:
    """`times`: requests that `behaviour` spoils; `clock`: seconds, by which the core's uptime goes."""

    def __init__(self, root: Path, behaviour: str, times: int, clock: Callable[[], float]) -> None:
        self.behaviour, self.left = behaviour, times
        self.asked: list[tuple[str, str]] = []
        self.path, self._core = root / "core.sock", root / "real.sock"
        self._clock, self._started = clock, clock()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._control: Control | None = None
        self.restart()
        self._started = clock() - 3600

    @property
    def addresses(self) -> dict[str, Any]:
        """What the core has in memory."""
        assert self._control
        return self._control.core.addresses

    def restart(self) -> None:
        """The core ends, and another starts that knows nothing."""
        asyncio.run_coroutine_threadsafe(self._restart(), self._loop).result()
        self._started = self._clock()

    async def _restart(self) -> None:
        if self._control:
            await self._control.server.close()
        self._control = Control(Random(7), None)
        await self._control.server.start(self._core)

    def serve(self) -> str:
        """Listen; "": it has no URL."""
        self._listener = ipc.listen_unix(self.path)
        self._listener.setblocking(True)
        self._run(self._accept, self._listener)
        return ""

    def leave(self) -> None:
        """Nobody listens until `serve`."""
        assert self._listener
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink()

    def close(self) -> None:
        """End; what was slow is over."""
        self._over.set()
        self.leave()
        for thread in self._threads:
            thread.join()
        assert self._control
        asyncio.run_coroutine_threadsafe(self._control.server.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, target: Callable[[socket.socket], None], sock: socket.socket) -> None:
        self._threads.append(threading.Thread(target=target, args=(sock,)))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                self._run(self._serve, listener.accept()[0])

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            line = b""
            while not line.endswith(b"\n"):  # it stays unread: who closes then resets
                line = client.recv(1 << 20, socket.MSG_PEEK)
                if not line:
                    return
            (message,) = ipc.Lines().feed(line)
            call = message["call"]
            writes = "register" in call
            self.asked.append(("POST" if writes else "GET", call))
            spoilt = self._spoils(writes)
            if spoilt != "reset":
                client.recv(len(line))
            done = b"" if spoilt in _NOT_DONE else self._forward(call, message["args"])
            if spoilt.startswith("slow"):
                self._over.wait(20.0)
            if spoilt == "restarts":
                self.restart()
            client.sendall(_SAYS.get(spoilt, bytes)(done))

    def _spoils(self, writes: bool) -> str:
        """The behaviour, if it spoils this request."""
        on = BEHAVIOURS[self.behaviour].on
        if not (on == "all" or (on == "writes" and writes)):
            return ""
        if self.left <= 0 and self.behaviour != "error-always":
            return ""
        self.left -= 1
        return self.behaviour

    def _forward(self, call: str, args: ipc.Json) -> bytes:
        try:
            answer = ipc.ask(self._core, call, args, timeout=30.0)
        except ipc.Refused as error:
            return ipc.encode({"id": 1, "error": str(error)})
        if call == "ping":
            answer["uptime"] = self._clock() - self._started
        return ipc.encode({"id": 1, "ok": answer})
