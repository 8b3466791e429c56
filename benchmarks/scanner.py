"""What a SIP scanner does to everybody else, on loopback: `scanner.py [--seconds N] [--rate N] [--sources N]`.

Sweeps of OPTIONS, REGISTER and INVITE, in the manner of sipvicious, come from 127.0.0.2 and up, while a phone on
127.0.0.1 sets up calls. Half of the sources say who they are; the others pass for phones and try passwords.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import re
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from provisioner import ipc
from provisioner.paths import StateDir
from provisioner.sip import digest
from provisioner.sip.agent import Agent
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import MessageError, Response, parse
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import Answered, Event, Session
from provisioner.sip.transaction import ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport
from provisioner.store.inventory import Inventory
from provisioner.store.records import Credential, Line, LineCredential, Phone, Practice

ROOT = Path(__file__).parent.parent
EXTENSIONS = ("101", "102")
PASSWORD = "not-to-be-guessed-123456"
METHODS = ("OPTIONS", "REGISTER", "INVITE")
CALLS_A_SECOND = 5
Shape = tuple[int, str]


# the appliance


def fill(state: StateDir) -> None:
    """Two phones whose account names are their extensions: the easiest to find out."""
    inventory = Inventory.open(state.inventory)
    with inventory.change(who="benchmark") as change:
        change.put(Practice(id="practice", name="Benchmark", main_number="+14155550100"))
        for extension in EXTENSIONS:
            mac = f"0004f2000{extension}"
            change.put(Phone(id=mac, vendor="polycom", model="VVX 411", lines=(Line(extension=extension),)))
            account = LineCredential(auth_user=extension, password=PASSWORD)
            change.put(Credential(id=mac, lines=(account,)))
    inventory.close()


@contextmanager
def appliance() -> Iterator[tuple[StateDir, psutil.Process]]:
    """Edge and media, running; the state directory and the edge's process."""
    with tempfile.TemporaryDirectory() as folder:
        state = StateDir.create(Path(folder))
        fill(state)
        base = [sys.executable, "-m", "provisioner"]
        more = {"media": [], "edge": ["--bind", "127.0.0.1", "--sip-port", "0"]}
        running = [
            subprocess.Popen([*base, name, "--state", folder, *options], cwd=ROOT, stderr=subprocess.DEVNULL)
            for name, options in more.items()
        ]
        try:
            for name in more:
                _wait_for(state.socket(name))
            yield state, psutil.Process(running[1].pid)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()


def _wait_for(path: Path) -> None:
    for _ in range(300):
        try:
            ipc.ask(path, "ping")
            return
        except ipc.Gone:
            time.sleep(0.05)
    raise SystemExit(f"the {path.stem} process does not come up")


# the scanner


@dataclass
class Sweep:
    """What a scanner saw: the forms of the answers about extensions that exist, and about others."""

    sent: int = 0
    answered: int = 0
    shapes: dict[str, dict[bool, Counter[Shape]]] = field(default_factory=dict)

    def differences(self) -> list[str]:
        """Kinds of request whose answers tell an extension that exists from one that does not."""
        return [kind for kind, by in self.shapes.items() if set(by[True]) != set(by[False])]


class Source:
    """One address that scans."""

    def __init__(self, number: int, edge: tuple[str, int]) -> None:
        self.open = number % 2 == 0  # says who it is
        self.edge = edge
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((f"127.0.{(number + 2) >> 8}.{(number + 2) & 255}", 0))
        self.socket.setblocking(False)
        self.host, self.port = self.socket.getsockname()
        self.rng = random.Random(number)
        self.asked: dict[str, tuple[str, str]] = {}  # Call-ID → kind, target

    def send(self, kind: str, target: str, authorization: str = "") -> None:
        """One request about `target`; `kind` is its method, with a mark when it carries credentials."""
        method = kind.partition(" ")[0]
        call_id = f"{self.rng.getrandbits(64):016x}"
        if len(self.asked) > 20000:
            self.asked.clear()
        self.asked[call_id] = (kind, target)
        agent = "friendly-scanner" if self.open else "Yealink SIP-T46S 66.86.0.15"
        lines = [
            f"{method} sip:{target}@{self.edge[0]}:{self.edge[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK-{call_id};rport",
            f"From: <sip:{target}@{self.edge[0]}>;tag={call_id}",
            f"To: <sip:{target}@{self.edge[0]}>",
            f"Call-ID: {call_id}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:{target}@{self.host}:{self.port}>",
            "Max-Forwards: 70",
            f"User-Agent: {agent}",
            *([f"Authorization: {authorization}"] if authorization else []),
            "Content-Length: 0",
        ]
        self.socket.sendto("\r\n".join([*lines, "", ""]).encode(), self.edge)

    def receive(self, sweep: Sweep) -> None:
        """Note the form of each answer; try a password where one is asked for."""
        while True:
            try:
                data = self.socket.recv(65535)
            except BlockingIOError:
                return
            try:
                response = parse(data)
            except MessageError:
                continue
            kind, target = self.asked.get(response.call_id, ("", ""))
            if not isinstance(response, Response) or not kind:
                continue
            sweep.answered += 1
            by = sweep.shapes.setdefault(kind, {True: Counter(), False: Counter()})
            by[target in EXTENSIONS][_shape(response, target)] += 1
            challenge = response.get("www-authenticate")
            if kind == "REGISTER" and challenge and not self.open:
                uri = f"sip:{target}@{self.edge[0]}:{self.edge[1]}"
                value = digest.answer(challenge, target, "guess", "REGISTER", uri, "cnonce")
                self.send("REGISTER with a password", target, value or "")


def _shape(response: Response, target: str) -> Shape:
    """An answer with all that is random or an echo taken out, but for its length."""
    if response.status == 503:
        response.remove("retry-after")
    text = response.encode().decode().replace(f"sip:{target}@", "")
    text = re.sub(r"127\.0\.\d+\.\d+(:\d+)?|rport=\d+", "", text)
    return response.status, re.sub(r"[0-9a-f]{16,}", lambda found: "#" * len(found[0]), text)


def scan(edge: tuple[str, int], rate: float, seconds: float, count: int) -> Sweep:
    """Sweep at `rate` requests a second; every other target is an extension that exists."""
    sources = [Source(number, edge) for number in range(count)]
    sweep, rng = Sweep(), random.Random(1)
    poll = select.poll()
    for source in sources:
        poll.register(source.socket, select.POLLIN)
    by_descriptor = {source.socket.fileno(): source for source in sources}
    begin = time.monotonic()
    while (now := time.monotonic()) < begin + seconds + 1:
        while sweep.sent < min(now - begin, seconds) * rate:
            source = sources[sweep.sent % count]
            known = rng.random() < 0.5
            target = rng.choice(EXTENSIONS) if known else str(rng.randrange(200, 900))  # no 911 among them
            source.send(METHODS[sweep.sent // count % 3], target)
            sweep.sent += 1
        for descriptor, _ in poll.poll(2):
            by_descriptor[descriptor].receive(sweep)
    for source in sources:
        source.socket.close()
    return sweep


def _scan(edge: tuple[str, int], rate: float, seconds: float, count: int, results: Any) -> None:
    results.put(scan(edge, rate, seconds, count))


# the others


class Desk:
    """A phone that registers, answers what rings and places calls."""

    def __init__(self, extension: str) -> None:
        self.extension = extension
        self._transport = SipTransport()
        self._rng = random.Random(extension)

    async def begin(self, edge: tuple[str, int]) -> None:
        """Register."""
        await self._transport.open("127.0.0.1", 0)
        timers = LoopTimers(asyncio.get_running_loop())
        send, connect = self._transport.send, self._transport.connect
        self.agent = self._transport.agent = Agent(
            self, timers, self._rng, send, connect, "Desk", self.extension
        )
        self.flow = connect("UDP", edge)
        me = NameAddr(Uri("sip", edge[0], edge[1], self.extension))
        request = self.agent.new_request("REGISTER", f"sip:{edge[0]}", me, me, [("expires", "3600")])
        done: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        self.agent.request(request, self.flow, done.set_result, lambda _realm: (self.extension, PASSWORD))
        answer = await done
        if answer is None or answer.status != 200:
            raise SystemExit("a phone cannot register")

    def on_invite(self, session: Session) -> None:
        session.accept(MediaSession("127.0.0.1", 4000, 1).answer(session.offer))

    def on_request(self, transaction: ServerTransaction) -> None:
        transaction.reply(200)

    async def call(self, extension: str) -> float:
        """Call and hang up; seconds from our INVITE to the answer."""
        host, port = self.flow.remote
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def heard(_session: Session, event: Event) -> None:
            if not done.done() and type(event).__name__ in ("Answered", "Failed", "Ended"):
                done.set_result(isinstance(event, Answered))

        uri = Uri("sip", host, port, extension)
        me = NameAddr(Uri("sip", host, port, self.extension))
        begin = time.perf_counter()
        offer = MediaSession("127.0.0.1", 4002, 1).offer()
        session = self.agent.invite(
            str(uri), self.flow, me, NameAddr(uri), offer, heard,
            credentials=lambda _realm: (self.extension, PASSWORD),
        )  # fmt: skip
        if not await done:
            raise SystemExit("a call failed")
        taken = time.perf_counter() - begin
        session.hangup()
        return taken

    def close(self) -> None:
        self._transport.close()


async def calls(edge: tuple[str, int], seconds: float) -> list[float]:
    """Set-up times of extension calls, one after the other, for so long."""
    caller, callee = Desk(EXTENSIONS[0]), Desk(EXTENSIONS[1])
    await callee.begin(edge)
    await caller.begin(edge)
    end, taken = time.monotonic() + seconds, []
    while time.monotonic() < end:
        taken.append(await caller.call(callee.extension))
        await asyncio.sleep(1 / CALLS_A_SECOND)
    await asyncio.sleep(0.5)  # for the answers to the last BYEs
    caller.close()
    callee.close()
    return taken


@dataclass
class Report:
    """What one run found; times in seconds (`cpu` of the edge), memory in bytes."""

    quiet: list[float]
    scanned: list[float]
    sweep: Sweep
    before: int
    after: int
    cpu: float
    status: ipc.Json


def run(seconds: float, rate: float, count: int) -> Report:
    """Calls without, then with a scan of `seconds` from `count` addresses."""
    context = multiprocessing.get_context("spawn")
    with appliance() as (state, process):
        host, _, port = ipc.ask(state.socket("edge"), "status")["sip"].rpartition(":")
        edge = (host, int(port))
        quiet = asyncio.run(calls(edge, max(2.0, seconds / 3)))
        before, used = process.memory_info().rss, sum(process.cpu_times()[:2])
        results = context.Queue()
        scanner = context.Process(target=_scan, args=(edge, rate, seconds, count, results))
        scanner.start()
        scanned = asyncio.run(calls(edge, seconds))
        sweep = results.get(timeout=30)
        scanner.join()
        status = ipc.ask(state.socket("edge"), "status")
        used = sum(process.cpu_times()[:2]) - used
        return Report(quiet, scanned, sweep, before, process.memory_info().rss, used, status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--sources", type=int, default=8, help="addresses that it comes from")
    options = parser.parse_args()
    report = run(options.seconds, options.rate, options.sources)
    without, with_scan = statistics.median(report.quiet), statistics.median(report.scanned)
    print(f"{report.sweep.sent} requests in {options.seconds:g} s, {report.sweep.answered} answered")
    print(
        f"call set-up, median: {without * 1000:.1f} ms without ({len(report.quiet)} calls), "
        f"{with_scan * 1000:.1f} ms with the scan ({len(report.scanned)}): {with_scan / without:.2f} times; "
        f"the slowest {max(report.scanned) * 1000:.1f} ms"
    )
    grown = (report.after - report.before) / 2**20
    print(
        f"the edge's memory: {report.before / 2**20:.1f} MB, grown by {grown:.1f} MB; its CPU time: {report.cpu:.1f} s"
    )
    for kind, by in report.sweep.shapes.items():
        print(
            f"  {kind}: {sum(by[True].values())} answers about extensions, {sum(by[False].values())} others"
        )
    different = report.sweep.differences()
    print("answers that differ:", ", ".join(different) if different else "none")
    print("bans:", dict(Counter(ban["reason"] for ban in report.status["bans"])))
    print("counters:", report.status["counters"])


if __name__ == "__main__":
    main()
