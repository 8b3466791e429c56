"""The one protocol between the processes: JSON lines over Unix sockets.

    request   {"id": 7, "call": "status", "args": {...}}
    reply     {"id": 7, "ok": {...}}     or     {"id": 7, "error": "what, and what to do"}
    event     {"event": "call", "data": {...}}       pushed by the server at any time

A request without an id gets no reply. Order is kept in both directions. Docs: docs/internals.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket as socketlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from provisioner.errors import PeerError, ProvisionerError

MAX_LINE = 4 << 20  # a full status of a few hundred phones is under 1 MiB
MAX_BACKLOG = 8 << 20  # a subscriber that does not read is dropped, so that it cannot fill our memory

Json = dict[str, Any]
Method = Callable[[Json], Awaitable[Json] | Json]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(type=Json).decode
_log = logging.getLogger(__name__)


class Gone(ProvisionerError):  # noqa: N818  a state of the other process, not a fault
    """The process at the other end is not there (it may be restarting)."""


class Refused(ProvisionerError):  # noqa: N818
    """The process at the other end answered with an error."""


def encode(message: Json) -> bytes:
    """One message as one line; what is not UTF-8 in text from a wire becomes a question mark."""
    try:
        return _encode(message) + b"\n"
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(message), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


class Lines:
    """Bytes in, messages out; holds what is not yet a whole line. Raises PeerError on junk."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[Json]:
        """All messages that `data` completes."""
        *lines, self._held = (self._held + data).split(b"\n")
        if len(self._held) > MAX_LINE:
            raise PeerError("a line on a control socket is too long")
        try:
            return [_decode(line) for line in lines if line]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise PeerError("a line on a control socket is not JSON") from None


def _address(path: Path) -> tuple[str, int]:
    """A name for `path` that fits into sockaddr_un (108 bytes) however deep it is; close the second."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    return f"/proc/self/fd/{directory}/{path.name}", directory


def listen_unix(path: Path) -> socketlib.socket:
    """A listening socket at `path`, readable by this user only; what lay there is replaced."""
    with suppress(FileNotFoundError):
        path.unlink()
    name, directory = _address(path)
    sock = socketlib.socket(socketlib.AF_UNIX)
    try:
        sock.bind(name)
    except OSError:
        sock.close()
        raise
    finally:
        os.close(directory)
    path.chmod(0o600)
    sock.listen(64)
    sock.setblocking(False)
    return sock


def connect_unix(path: Path, timeout: float | None = 5.0) -> socketlib.socket:
    """A connected socket. Raises Gone when nobody listens at `path`."""
    sock = socketlib.socket(socketlib.AF_UNIX)
    sock.settimeout(timeout)
    try:
        name, directory = _address(path)
        try:
            sock.connect(name)
        finally:
            os.close(directory)
    except PermissionError:
        sock.close()
        raise Gone(f"the {path.stem} process is another user's; ask as the user that started it") from None
    except OSError:
        sock.close()
        raise Gone(
            f"the {path.stem} process does not answer; it may be starting, try again in a second"
        ) from None
    return sock


def _subscribed(_args: Json) -> Json:
    return {}


class Server:
    """Answers requests from a table of methods and pushes events to those who called `subscribe`."""

    def __init__(self, methods: dict[str, Method]) -> None:
        self._methods = {**methods, "subscribe": _subscribed}
        self._subscribers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.AbstractServer | None = None
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, path: Path) -> None:
        """Listen at `path`."""
        self._server = await asyncio.start_unix_server(self._serve, sock=listen_unix(path), limit=MAX_LINE)

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        self._closed = True  # also for a client that was accepted and is not served yet
        if self._server:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def publish(self, event: str, data: Json) -> None:
        """Push an event to every subscriber; never waits. A subscriber that does not read is dropped."""
        if not self._subscribers:
            return
        line = encode({"event": event, "data": data})
        for writer in list(self._subscribers):
            if writer.transport.get_write_buffer_size() > MAX_BACKLOG:
                self._subscribers.discard(writer)
                writer.transport.abort()
            else:
                writer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        lines = Lines()
        try:
            while not self._closed and (data := await reader.read(65536)):
                for message in lines.feed(data):
                    await self._answer(message, writer)
                await writer.drain()
        except (PeerError, ConnectionError) as error:
            _log.info("control connection ended: %s", error)
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            self._subscribers.discard(writer)
            writer.close()

    async def _answer(self, message: Json, writer: asyncio.StreamWriter) -> None:
        name = str(message.get("call", ""))
        reply: Json = {"id": message.get("id")}
        method = self._methods.get(name)
        try:
            if method is None:
                raise ProvisionerError(f"there is no call {name!r} here")
            result = method(message.get("args") or {})
            reply["ok"] = result if isinstance(result, dict) else await result
        except ProvisionerError as error:
            reply["error"] = str(error)
        except Exception as error:
            _log.exception("control call %s failed", name)
            reply["error"] = f"{name} failed ({type(error).__name__}); see the log"
        if reply["id"] is not None:
            writer.write(_reply(reply))
        if name == "subscribe":
            self._subscribers.add(writer)


def _reply(reply: Json) -> bytes:
    try:
        return encode(reply)
    except (TypeError, ValueError, RecursionError):
        _log.exception("a reply could not be written as JSON")
        return encode({"id": reply["id"], "error": "the reply could not be written as JSON; see the log"})


class Client:
    """An asyncio client that stays connected: reconnects for ever, and says when it is (again) connected."""

    def __init__(
        self,
        path: Path,
        on_event: Callable[[str, Json], None] | None = None,
        on_connect: Callable[[], None] | None = None,
        retry: float = 0.1,
    ) -> None:
        self._path = path
        self._on_event = on_event
        self._on_connect = on_connect
        self._retry = retry
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._last_id = 0
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Disconnect for good."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def tell(self, call: str, args: Json) -> bool:
        """Send without waiting for a reply; False when not connected."""
        if self._writer is None:
            return False
        self._write({"call": call, "args": args})
        return True

    def ask_for(
        self, call: str, args: Json, then: Callable[[Json | None], None], timeout: float = 5.0
    ) -> None:
        """Send now, wait for nobody; `then` gets the reply, None when there is none."""

        def done(future: asyncio.Future[Json]) -> None:
            limit.cancel()
            self._waiting.pop(number, None)
            then(None if future.cancelled() or future.exception() else future.result())

        if self._writer is None:
            then(None)
            return
        self._last_id += 1
        number = self._last_id
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Json] = loop.create_future()
        self._waiting[number] = future
        limit = loop.call_later(timeout, future.cancel)
        future.add_done_callback(done)
        self._write({"id": number, "call": call, "args": args})

    def _write(self, message: Json) -> None:
        assert self._writer
        if self._writer.transport.get_write_buffer_size() > MAX_BACKLOG:
            self._writer.transport.abort()  # the server hangs: better without it than without memory
        else:
            self._writer.write(encode(message))

    async def ask(self, call: str, args: Json | None = None, timeout: float = 5.0) -> Json:  # noqa: ASYNC109
        """Send and wait for the reply, `timeout` seconds at most. Raises Gone or Refused."""
        if self._writer is None:
            raise Gone(f"the {self._path.stem} process does not answer; try again in a second")
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._write({"id": number, "call": call, "args": args or {}})
            return await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise Gone(f"the {self._path.stem} process did not answer in {timeout:g} s") from None
        finally:
            self._waiting.pop(number, None)

    async def _run(self) -> None:
        while True:
            try:
                sock = connect_unix(self._path, timeout=0)  # waits for nobody: our loop has calls to carry
            except Gone:
                await asyncio.sleep(self._retry)
                continue
            reader, writer = await asyncio.open_unix_connection(sock=sock, limit=MAX_LINE)
            try:
                await self._read(reader, writer)
            except (PeerError, OSError) as error:
                _log.warning("lost the %s process: %s", self._path.stem, error)
            finally:
                self._writer = None
                self.connected.clear()
                for future in self._waiting.values():
                    if not future.done():
                        future.set_exception(Gone(f"the {self._path.stem} process went away; try again"))
                writer.close()
            await asyncio.sleep(self._retry)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        if self._on_event:
            writer.write(encode({"call": "subscribe", "args": {}}))
        if self._on_connect:
            try:
                self._on_connect()
            except Exception:
                _log.exception("what follows a connection to %s failed", self._path.stem)
        self.connected.set()
        lines = Lines()
        while data := await reader.read(65536):
            for message in lines.feed(data):
                self._dispatch(message)

    def _dispatch(self, message: Json) -> None:
        if "event" in message:
            try:
                if self._on_event:
                    self._on_event(str(message["event"]), message.get("data") or {})
            except Exception:
                _log.exception("event %s of %s failed", message["event"], self._path.stem)
            return
        number = message.get("id")
        future = self._waiting.get(number) if isinstance(number, int) else None
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(Refused(str(message["error"])))
        else:
            future.set_result(message.get("ok") or {})


def ask(path: Path, call: str, args: Json | None = None, timeout: float = 5.0) -> Json:
    """One blocking request, for the command line and the web process. Raises Gone or Refused."""
    lines = Lines()
    with connect_unix(path, timeout) as sock:
        try:
            sock.sendall(encode({"id": 1, "call": call, "args": args or {}}))
            while data := sock.recv(65536):
                for message in lines.feed(data):
                    if "event" in message:
                        continue
                    if "error" in message:
                        raise Refused(str(message["error"]))
                    if isinstance(answer := message.get("ok") or {}, dict):
                        return answer
                    raise PeerError("a reply on a control socket is no object")
        except (OSError, PeerError):
            pass
    raise Gone(f"the {path.stem} process did not answer; try again in a second")
