"""The media process: one epoll loop for the RTP sockets of all legs and the control socket."""

from __future__ import annotations

import gc
import logging
import os
import resource
import select
import signal
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random, SystemRandom
from typing import Annotated, Any, Literal

import msgspec

from provisioner.errors import OperatorError, PeerError, ProvisionerError
from provisioner.ipc import MAX_BACKLOG, Lines, encode, listen_unix
from provisioner.media import prompts
from provisioner.media.keys import PRESS_MS
from provisioner.media.leg import Leg, Load
from provisioner.media.plane import Plane
from provisioner.media.recordings import Recordings
from provisioner.paths import StateDir

PORTS = range(20000, 30000, 2)  # below the ephemeral range of Linux, so that nothing else takes one by chance
EXPEDITED = 46 << 2  # DSCP EF (RFC 3246), as the type-of-service byte
MAX_PACKET = 2048
MAX_CLIP = 30 * 8000  # bytes
CLIPS = 64  # the oldest goes
PRIORITY = 10  # of SCHED_FIFO: above everything of ours, below the kernel's own threads

_log = logging.getLogger(__name__)


class Opening(msgspec.Struct, frozen=True):
    """The arguments of `open`."""

    leg: str
    host: str
    port: int = 0


class Pressing(msgspec.Struct, frozen=True):
    """The arguments of `press`."""

    leg: str
    digit: Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#", "A", "B", "C", "D"]
    milliseconds: int = PRESS_MS


class Clip(msgspec.Struct, frozen=True):
    """The arguments of `speak`: audio (mu-law, 8 kHz) that can be played by its name for a while."""

    name: Annotated[str, msgspec.Meta(pattern=r"^said-[0-9a-f]{1,32}$")]
    audio: Annotated[bytes, msgspec.Meta(max_length=MAX_CLIP)]  # base64


class Pair:
    """The RTP and RTCP sockets of one leg."""

    def __init__(self, host: str, port: int) -> None:
        """Bind `port` and the one above; OSError when either is taken."""
        self.host, self.port = host, port
        self.media = self._bind(host, port)
        try:
            self.control = self._bind(host, port + 1)
        except OSError:
            self.media.close()
            raise

    @staticmethod
    def _bind(host: str, port: int) -> socket.socket:
        six = ":" in host
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        try:
            if six:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED)
            else:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        return sock

    def close(self) -> None:
        """Free both ports."""
        self.media.close()
        self.control.close()


class Link:
    """One control connection: what it sent in part, what it has not read yet, and the legs it opened."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.lines = Lines()
        self.unsent = b""
        self.subscribed = False
        self.legs: set[str] = set()


class Process:
    """The loop. `clock` is monotonic seconds, `wall_clock` seconds since 1970."""

    def __init__(
        self,
        listener: socket.socket,
        rng: Random,
        clock: Callable[[], float],
        wall_clock: Callable[[], float] = time.time,
        load: Load = prompts.load,
    ) -> None:
        self._clock, self._rng = clock, rng
        self._started = clock()
        self._clips: OrderedDict[str, bytes] = OrderedDict()
        self._files = load
        self.plane = Plane(self._report, rng, self._started, wall_clock() - self._started, self._load)
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._pairs: dict[str, Pair] = {}
        self._links: dict[int, Link] = {}
        self._owners: dict[str, Link] = {}
        self._listener = listener
        self._running = True
        self._calls: dict[str, Callable[[dict[str, Any], Link], dict[str, Any]]] = {
            "ping": self._ping,
            "open": self._open,
            "put": self._put,
            "drop": self._drop,
            "press": self._press,
            "speak": self._speak,
            "stats": self._stats,
            "subscribe": self._subscribe,
        }
        self.watch(listener, self._accept)

    def run(self) -> None:
        """Serve until `stop`."""
        poll, handlers, clock, plane = self._epoll.poll, self._handlers, self._clock, self.plane
        while self._running:
            due = plane.deadline()
            for descriptor, mask in poll(max(0.0, due - clock())):
                handler = handlers.get(descriptor)
                if handler is None:
                    continue  # closed by a handler before it in this very round
                try:
                    handler(mask)
                except Exception:
                    _log.exception("a packet or a request could not be handled")
            if clock() >= due:
                self._advance()

    def stop(self) -> None:
        """Make `run` return."""
        self._running = False

    def close(self) -> None:
        """Free all sockets."""
        for pair in self._pairs.values():
            pair.close()
        for link in self._links.values():
            link.sock.close()
        self._epoll.close()

    def _advance(self) -> None:
        for leg in self.plane.advance(self._clock()):
            _log.info("leg %s dropped: its edge is gone and nothing is heard", leg)
            self._release(leg)

    def watch(self, sock: socket.socket, handler: Callable[[int], None]) -> None:
        """Call `handler` with the epoll mask whenever `sock` has something."""
        self._handlers[sock.fileno()] = handler
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _forget(self, sock: socket.socket) -> None:
        del self._handlers[sock.fileno()]
        self._epoll.unregister(sock.fileno())

    # packets

    def _watch_leg(self, leg: Leg, pair: Pair) -> None:
        receive, receive_control, clock = self.plane.receive, self.plane.receive_control, self._clock
        read_media, read_control = pair.media.recvfrom, pair.control.recvfrom

        def media(_mask: int) -> None:
            try:
                data, source = read_media(MAX_PACKET)
            except OSError:  # ICMP errors come up here
                return
            receive(leg, data, source[:2], clock())  # IPv6 has four parts

        def control(_mask: int) -> None:
            try:
                data, source = read_control(MAX_PACKET)
            except OSError:
                return
            receive_control(leg, data, source[:2])

        self.watch(pair.media, media)
        self.watch(pair.control, control)

    # the control socket

    def _accept(self, _mask: int) -> None:
        with suppress(BlockingIOError, ConnectionError):
            sock, _ = self._listener.accept()
            sock.setblocking(False)
            link = self._links[sock.fileno()] = Link(sock)
            self.watch(sock, lambda mask: self._serve(link, mask))

    def _serve(self, link: Link, mask: int) -> None:
        if mask & select.EPOLLOUT:
            self._flush(link)
        if not mask & ~select.EPOLLOUT or link.sock.fileno() not in self._links:
            return
        try:
            data = link.sock.recv(65536)
            messages = link.lines.feed(data)
        except BlockingIOError:
            return
        except (PeerError, ConnectionError) as error:
            _log.warning("control connection ended: %s", error)
            self._hang_up(link)
            return
        for message in messages:
            if link.sock.fileno() not in self._links:
                return  # hung up while it was answered; what it still wanted would belong to nobody
            self._answer(link, message)
        if not data:
            self._hang_up(link)

    def _answer(self, link: Link, message: dict[str, Any]) -> None:
        name, number, args = message.get("call"), message.get("id"), message.get("args") or {}
        reply: dict[str, Any] = {"id": number}
        try:
            call = self._calls.get(name) if isinstance(name, str) else None
            if call is None or not isinstance(args, dict):
                raise ProvisionerError(f"there is no call {name!r} here, or its args are not an object")
            reply["ok"] = call(args, link)
        except ProvisionerError as error:
            reply["error"] = str(error)
        except Exception as error:
            _log.exception("control call %s failed", name)
            reply["error"] = f"{name} failed ({type(error).__name__}); see the log of media"
        if number is not None:
            self._write(link, encode(reply))
        elif "error" in reply:
            _log.error("%s: %s", name, reply["error"])

    def _report(self, event: str, data: dict[str, Any]) -> None:
        line = encode({"event": event, "data": data})
        for link in list(self._links.values()):
            if link.subscribed:
                self._write(link, line)

    def _write(self, link: Link, line: bytes) -> None:
        waiting = bool(link.unsent)
        link.unsent += line
        if not waiting:
            self._flush(link)
        elif len(link.unsent) > MAX_BACKLOG:
            _log.warning("a control connection does not read; closed")
            self._hang_up(link)

    def _flush(self, link: Link) -> None:
        try:
            link.unsent = link.unsent[link.sock.send(link.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up(link)
            return
        wanted = select.EPOLLIN | (select.EPOLLOUT if link.unsent else 0)
        self._epoll.modify(link.sock.fileno(), wanted)

    def _hang_up(self, link: Link) -> None:
        if self._links.pop(link.sock.fileno(), None) is None:
            return
        self._forget(link.sock)
        link.sock.close()
        now = self._clock()
        for leg in link.legs:
            del self._owners[leg]
            self.plane.orphan(leg, now)

    # calls

    def _ping(self, _args: dict[str, Any], _link: Link) -> dict[str, Any]:
        return {"pid": os.getpid(), "uptime": round(self._clock() - self._started, 3)}

    def _open(self, args: dict[str, Any], link: Link) -> dict[str, Any]:
        try:
            opening = msgspec.convert(args, Opening)
        except msgspec.ValidationError as error:
            raise ProvisionerError(f"open: {error}") from None
        pair = self._pairs.get(opening.leg)
        if pair is None:  # else the edge lost the connection, and finds its leg again
            pair = self._pairs[opening.leg] = self._bind(opening.host, opening.port)
            leg = self.plane.open(opening.leg, pair.media.sendto, pair.control.sendto, self._clock())
            self._watch_leg(leg, pair)
        self._own(opening.leg, link)
        return {"port": pair.port}

    def _bind(self, host: str, port: int) -> Pair:
        if port and (port % 2 or not 0 < port < 65535):
            raise ProvisionerError(f"open: port {port} is not an even port")
        error: OSError | None = None
        for candidate in (port,) if port else self._candidates():
            try:
                return Pair(host, candidate)
            except OSError as caught:
                error = caught
        reason = error.strerror if error else "none is left"
        raise ProvisionerError(f"cannot open a media port {port or ''} on {host} ({reason})")

    def _candidates(self) -> Iterator[int]:
        """All ports from a random one on, but those that we hold."""
        held = {pair.port for pair in self._pairs.values()}
        start = self._rng.randrange(len(PORTS))
        for index in range(len(PORTS)):
            port = PORTS[(start + index) % len(PORTS)]
            if port not in held:
                yield port

    def _own(self, leg: str, link: Link) -> None:
        if before := self._owners.get(leg):
            before.legs.discard(leg)
        self._owners[leg] = link
        link.legs.add(leg)
        self.plane.leg(leg).orphan = False

    def _put(self, args: dict[str, Any], link: Link) -> dict[str, Any]:
        self._own(self.plane.put(args, self._clock()).id, link)
        return {}

    def _load(self, name: str) -> bytes:
        return self._clips.get(name) or self._files(name)

    def _speak(self, args: dict[str, Any], _link: Link) -> dict[str, Any]:
        try:
            clip = msgspec.convert(args, Clip)
        except msgspec.ValidationError as error:
            raise ProvisionerError(f"speak: {error}") from None
        self._clips[clip.name] = clip.audio
        if len(self._clips) > CLIPS:
            self._clips.popitem(last=False)
        return {}

    def _press(self, args: dict[str, Any], _link: Link) -> dict[str, Any]:
        try:
            pressing = msgspec.convert(args, Pressing)
        except msgspec.ValidationError as error:
            raise ProvisionerError(f"press: {error}") from None
        leg = self.plane.leg(pressing.leg)
        self.plane.press(leg, pressing.digit, pressing.milliseconds, self._clock())
        return {}

    def _drop(self, args: dict[str, Any], _link: Link) -> dict[str, Any]:
        return self._release(str(args.get("leg")))

    def _stats(self, args: dict[str, Any], _link: Link) -> dict[str, Any]:
        return self.plane.leg(str(args.get("leg"))).stats(self._clock())

    def _subscribe(self, _args: dict[str, Any], link: Link) -> dict[str, Any]:
        link.subscribed = True
        return {}

    def _release(self, leg: str) -> dict[str, Any]:
        stats = self.plane.drop(leg, self._clock())
        pair = self._pairs.pop(leg)
        self._forget(pair.media)
        self._forget(pair.control)
        pair.close()
        if owner := self._owners.pop(leg, None):
            owner.legs.discard(leg)
        return stats


def prepare() -> None:
    """Real-time scheduling and enough descriptors, as far as this user may have them."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        _log.info("real-time scheduling is on")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * len(PORTS) if hard == resource.RLIM_INFINITY else min(hard, 4 * len(PORTS))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    gc.freeze()  # what was imported lives for ever: do not look at it in a pause of the audio


def main(state: StateDir, rng: Random | None = None) -> int:
    """Serve until SIGTERM or SIGINT; 0. Raises OperatorError when the control socket cannot be made."""
    path = state.socket("media")
    try:
        listener = listen_unix(path)
    except OSError as error:
        raise OperatorError(
            f"cannot listen at {path} ({error.strerror})", "give this user the right to write there"
        ) from None
    process = Process(listener, rng or SystemRandom(), time.monotonic, load=Recordings(state.audio).load)
    # the wake-up descriptor makes epoll return: a handler alone would wait for the next packet
    wake, woken = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stop())
    process.watch(woken, lambda _mask: None)
    prepare()
    try:
        process.run()
    finally:
        process.close()
        listener.close()
        signal.set_wakeup_fd(-1)
        wake.close()
        woken.close()
    return 0
