"""Calls through the real edge and media processes on loopback, with sipp at all ends (Debian: sip-tester).

What a registration and a call cost; then 200 calls at once, each with a transfer by keypad: errors, gaps in the audio
at the far ends, CPU and memory. Run: .venv/bin/python benchmarks/calls.py [--calls 200] [--no-audio]

All signalling is sipp's; the audio and the keys are sent from here, to the ports that sipp was told by the edge. Gaps
are between the kernel's receive times of packets of one party (SO_TIMESTAMPNS): that we read them late makes none.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from provisioner import ipc
from provisioner.paths import StateDir
from provisioner.store import records
from provisioner.store.inventory import Inventory

ROOT = Path(__file__).parents[1]
SCENARIOS = ROOT / "tests" / "peers" / "scenarios"
NET = "127.73.0"
EDGE, CORE = f"{NET}.1", f"{NET}.2"
HOSTS = {"caller": CORE, "desk": f"{NET}.3", "target": f"{NET}.4"}
SIP = {"caller": 7000, "desk": 5060, "target": 5060}
RTP = 17000
EVENT = 101
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; `socket` has no name for it
FRAME = 160
EVENTS = {key: code for code, key in enumerate("0123456789*#")}
RAMP = 20  # new calls a second
KEYS_GAP = 0.12  # seconds between two keys
SPREAD = 1.0  # seconds within which all desks press one key
PROCESS = """import sys
from provisioner.{0}.process import main
from provisioner.paths import StateDir
main(StateDir.create(sys.argv[1]){1})
"""


def practice(calls: int) -> Iterator[records.Record]:
    """A desk phone and a target for each call."""
    yield records.Practice(id="practice", name="Bench", main_number="+14155550100", max_calls=1000)
    yield records.Location(id="main", name="Main", civic={"country": "US", "A1": "CA"})
    yield records.Trunk(id="core", uri=f"sip:{CORE}:5060")
    for number, extension in enumerate([*extensions("desk", calls), *extensions("target", calls)]):
        mac = f"0004f2{number:06x}"
        yield records.Phone(
            id=mac,
            vendor="polycom",
            model="VVX 411",
            location="main",
            lines=(records.Line(extension=extension),),
        )
        yield records.Credential(
            id=mac, lines=(records.LineCredential(auth_user=extension, password=f"secret{extension}"),)
        )


def extensions(role: str, calls: int) -> list[str]:
    return [str({"desk": 3000, "target": 4000}[role] + number) for number in range(calls)]


# processes


@contextmanager
def appliance(folder: Path, calls: int) -> Iterator[tuple[StateDir, dict[str, psutil.Process]]]:
    """The edge and media, up, with that practice."""
    state = StateDir.create(folder)
    inventory = Inventory.open(state.inventory)
    with inventory.change(who="bench") as change:
        for record in practice(calls):
            change.put(record)
    inventory.close()
    with ExitStack() as stack:
        found = {}
        for name, arguments in (("media", ""), ("edge", f", {EDGE!r}, 5060")):
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            code = PROCESS.format(name, arguments)
            process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_for(state.socket(name))
            found[name] = psutil.Process(process.pid)
        yield state, found


def wait_for(path: Path) -> None:
    for _ in range(400):
        try:
            ipc.ask(path, "ping")
            return
        except ipc.Gone:
            time.sleep(0.05)
    raise SystemExit(f"{path.stem} does not come up")


class Sipp:
    """One sipp, with a scenario of tests/peers whose audio comes from here."""

    running: ClassVar[list[Sipp]] = []

    def __init__(
        self, folder: Path, role: str, scenario: str, calls: int, rows: Iterable[str] = (), steps: str = "",
        rate: float = RAMP, host: str = "", port: int = 0, status: str = "200",
    ) -> None:  # fmt: skip
        self.folder = folder / f"{role}-{scenario}-{time.monotonic_ns()}"
        self.folder.mkdir()
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        text = re.sub(r'<exec play_pcap_audio="TONE"/>', "", text).replace("STEPS", steps)
        text = text.replace("[media_port]", str(RTP)).replace("[auto_media_port]", str(RTP))
        text = text.replace("STATUS", status).replace("[caller]", "+12125550143")
        port_seen = '<ereg regexp="m=audio [0-9]+" search_in="body" assign_to="audio"/>'
        text = text.replace('assign_to="to"/>', f'assign_to="to"/>{port_seen}', 1)
        if port_seen in text:
            text = text.replace("answered [call_id]", "up [$to] [$audio]")
        rows = list(rows)
        if rows:
            text = text.replace("[service]", "[field0]").replace("[authentication]", "[field1]")
            (self.folder / "rows.csv").write_text("\n".join(["SEQUENTIAL", *rows]) + "\n")
        (self.folder / "scenario.xml").write_text(text)
        host = host or HOSTS.get(role, CORE)
        command = ["sipp", f"{EDGE}:5060", "-sf", "scenario.xml", "-nostdin", "-i", host, "-mi", host]
        command += ["-p", str(port or SIP.get(role, 5060)), "-bind_local", "-timeout", "300", "-l", "10000"]
        command += ["-trace_err", "-error_file", "errors.log", "-trace_logs", "-log_file", "steps.log"]
        command += ["-m", str(calls)] if calls else []
        command += ["-inf", "rows.csv", "-r", str(rate)] if rows else []
        with (self.folder / "screen.log").open("wb") as screen:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=screen, stderr=screen
            )
        self._read = 0
        self.running.append(self)

    def new_lines(self) -> list[str]:
        """What it has logged since the last time."""
        path = self.folder / "steps.log"
        if not path.exists():
            return []
        with path.open("rb") as log:
            log.seek(self._read)
            data = log.read()
        data = data[: data.rfind(b"\n") + 1]
        self._read += len(data)
        return data.decode(errors="replace").splitlines()

    def finish(self) -> int:
        """Its exit code, 0 when all its calls went as its scenario says; what it says else is printed."""
        try:
            code = self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.stop()
            code = -1
        if code:
            errors = self.folder / "errors.log"
            print(
                f"sipp {self.folder.name}: exit {code}",
                errors.read_text(errors="replace")[-800:] if errors.exists() else "",
            )
        return code

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()


def register(folder: Path, role: str, calls: int, rate: float = 60) -> None:
    rows = [
        f"{each};[authentication username={each} password=secret{each}]" for each in extensions(role, calls)
    ]
    if Sipp(folder, role, "register", calls, rows, rate=rate).finish():
        raise SystemExit(f"the phones of {role} could not register")


# audio


@dataclass
class Stream:
    """What one party sends, and the gaps in what it hears (ms)."""

    role: str
    remote: tuple[str, int]
    number: int
    sequence: int = 0
    clock: int = 0
    keys: list[tuple[int, int, bytes]] = field(default_factory=list)  # (timestamp or 0, marker, payload)
    last: int = 0
    gaps: array[float] = field(default_factory=lambda: array("d"))

    def frame(self) -> bytes:
        """The next 20 ms: audio, or a piece of a key."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.clock += FRAME
        kind, stamp, payload = 0, self.clock, _AUDIO
        if self.keys:
            steps, marker, payload = self.keys.pop(0)
            kind, stamp = EVENT | marker, self.clock - steps * FRAME
        return struct.pack("!BBHII", 0x80, kind, self.sequence, stamp & 0xFFFFFFFF, self.number) + payload

    def press(self, key: str) -> None:
        """100 ms of a key, its end three times (RFC 4733 2.5.1.4)."""
        for step in range(5):
            data = struct.pack("!BBH", EVENTS[key], 10, (step + 1) * FRAME)
            self.keys.append((step, 0x80 if step == 0 else 0, data))
        for extra in range(3):
            self.keys.append((5 + extra, 0, struct.pack("!BBH", EVENTS[key], 0x8A, 5 * FRAME)))


_AUDIO = bytes(range(256))[:FRAME]


class Ears:
    """The RTP socket of one role; all its parties share it, and are told apart by the port that the edge sends from."""

    def __init__(self, role: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((HOSTS[role], RTP))
        self.socket.setblocking(False)
        self.by_port: dict[int, Stream] = {}

    def listen(self) -> None:
        """Take all that has come."""
        while True:
            try:
                _, about, _, source = self.socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            stream = self.by_port.get(source[1])
            if stream:
                seconds, nanoseconds = struct.unpack("qq", about[0][2])
                at = seconds * 1_000_000_000 + nanoseconds
                if stream.last:
                    stream.gaps.append((at - stream.last) / 1e6)
                stream.last = at


class Talk:
    """All parties' audio and the desks' keys, on one clock of 1 ms."""

    def __init__(self, calls: int, parties: dict[str, Sipp]) -> None:
        self.calls = calls
        self.parties = parties
        self.ears = {role: Ears(role) for role in HOSTS}
        self.streams: dict[tuple[str, str], Stream] = {}
        self.slots: list[list[Stream]] = [[] for _ in range(20)]
        self.late = array("d")  # ms that a frame was sent after its time
        self._poll = select.epoll()
        for ears in self.ears.values():
            self._poll.register(ears.socket, select.EPOLLIN)
        self._by_descriptor = {ears.socket.fileno(): ears for ears in self.ears.values()}
        self._start = time.monotonic()
        self._tick = 0

    def learn(self) -> None:
        """The parties that are up by now."""
        for role, sipp in self.parties.items():
            for line in sipp.new_lines():
                found = re.search(r"up .*?sip:(\w+)@.*m=audio (\d+)", line)
                if found:
                    self._add(role, found[1], int(found[2]))

    def _add(self, role: str, who: str, port: int) -> None:
        number = len(self.streams)
        stream = Stream(role, (EDGE, port), number)
        self.streams[role, who] = self.ears[role].by_port[port] = stream
        self.slots[number % 20].append(stream)

    def run(self, seconds: float) -> None:
        """Send, hear and learn for a while."""
        end = time.monotonic() + seconds
        learned = 0.0
        while (now := time.monotonic()) < end:
            due = int((now - self._start) * 1000)
            while self._tick <= due:
                self._send(self._tick % 20, now)
                self._tick += 1
            if now > learned + 0.02:
                learned = now
                self.learn()
            for descriptor, _ in self._poll.poll(0.001):
                self._by_descriptor[descriptor].listen()

    def _send(self, slot: int, now: float) -> None:
        self.late.append((now - self._start) * 1000 - self._tick)
        for stream in self.slots[slot]:
            self.ears[stream.role].socket.sendto(stream.frame(), stream.remote)

    def press(self, keys: dict[str, str]) -> None:
        """Each desk presses its keys, one after the other, all desks spread over time."""
        longest = max(len(each) for each in keys.values())
        for place in range(longest):
            for who, each in keys.items():
                self.streams["desk", who].press(each[place])
                self.run(SPREAD / len(keys))
            self.run(8 * 0.02 + KEYS_GAP)

    def close(self) -> None:
        self._poll.close()
        for ears in self.ears.values():
            ears.socket.close()


def percentiles(values: list[float], *shares: float) -> list[float]:
    ordered = sorted(values)
    return [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in shares]


def words_of_gaps(values: list[float]) -> str:
    p50, p99, p999 = percentiles(values, 0.5, 0.99, 0.999)
    over = sum(value > 60 for value in values)
    words = f"p50 {p50:.1f}, p99 {p99:.1f}, p99.9 {p999:.1f}, max {max(values):.1f} ms"
    return f"{words}; {over} of {len(values)} over 60 ms"


# what is measured


class Cost:
    """CPU seconds and memory of the processes since it was made."""

    def __init__(self, processes: dict[str, psutil.Process]) -> None:
        self._processes = processes
        self._at = time.monotonic()
        self._before = {name: self._used(name) for name in processes}

    def _used(self, name: str) -> float:
        return sum(self._processes[name].cpu_times()[:2])

    def seconds(self, name: str) -> float:
        return self._used(name) - self._before[name]

    def __str__(self) -> str:
        passed = time.monotonic() - self._at
        each = (
            f"{name} {100 * self.seconds(name) / passed:.0f} % of a core, {process.memory_info().rss / 2**20:.0f} MB"
            for name, process in self._processes.items()
        )
        return "; ".join(each)


def transfers(folder: Path, state: StateDir, processes: dict[str, psutil.Process], calls: int) -> None:
    """So many calls at once; each desk transfers its caller to its target by the keypad."""
    ramp, keys = calls / RAMP, 35
    stay = f'<pause milliseconds="{int((ramp + keys + 15) * 1000)}"/><nop next="leave"/>'
    desks, targets = extensions("desk", calls), extensions("target", calls)
    parties = {role: Sipp(folder, role, "answer", calls) for role in ("desk", "target")}
    time.sleep(0.5)
    parties["caller"] = Sipp(folder, "caller", "call", calls, desks, stay)
    talk = Talk(calls, parties)
    talk.run(ramp + 3)
    up = sum(role == "desk" for role, _ in talk.streams)
    cost = Cost(processes)
    talk.run(5)
    print(f"{up} calls talk: {cost}")
    cost = Cost(processes)
    for part in ("*", "1"):
        talk.press({desk: part for role, desk in talk.streams if role == "desk"})
        talk.run(0.5)
    talk.press(
        {
            desk: f"{target}#"
            for desk, target in zip(desks, targets, strict=True)
            if ("desk", desk) in talk.streams
        }
    )
    talk.run(3)
    for part in ("*", "1"):
        talk.press({desk: part for role, desk in talk.streams if role == "desk"})
        talk.run(1)
    print(f"all are transferred at once: {cost}")
    states = [call["state"] for call in ipc.ask(state.socket("edge"), "status")["calls"]]
    print(f"{states.count('joined')} of {calls} transfers done, calls are {dict(Counter(states))}")
    while parties["caller"].process.poll() is None:
        talk.run(0.5)
    talk.run(3)
    failed = {role: sipp.finish() for role, sipp in parties.items()}
    print(f"sipp at the ends: {'no error' if not any(failed.values()) else failed}")
    for role in HOSTS:
        gaps = [gap for (each, _), stream in talk.streams.items() if each == role for gap in stream.gaps]
        print(f"gaps at the {role}s: {words_of_gaps(gaps)}")
    print(f"our own sending was late: {words_of_gaps(list(talk.late))}")
    talk.close()


def call_cost(folder: Path, processes: dict[str, psutil.Process], calls: int, rate: int, total: int) -> None:
    """Calls in which nobody speaks: INVITE, 180, 200, ACK, BYE, 200 on both sides."""
    desk = Sipp(folder, "desk", "answer", total)
    time.sleep(0.5)
    cost = Cost(processes)
    stay = '<pause milliseconds="500"/><nop next="leave"/>'
    rows = extensions("desk", calls)
    caller = Sipp(folder, "caller", "call", total, rows, stay, rate=rate)
    failed = caller.finish() or desk.finish()
    each = {name: 1000 * cost.seconds(name) / total for name in processes}
    print(
        f"{total} calls, {rate} a second: {'no error' if not failed else 'FAILED'}; "
        f"CPU a call: edge {each['edge']:.2f} ms, media {each['media']:.2f} ms"
    )


def register_cost(folder: Path, processes: dict[str, psutil.Process], calls: int) -> None:
    """REGISTER, 401, REGISTER with its digest, 200."""
    cost = Cost(processes)
    register(folder, "desk", calls)
    print(f"{calls} registrations: edge {1000 * cost.seconds('edge') / calls:.2f} ms CPU each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--no-audio", action="store_true", help="only what calls and registrations cost")
    options = parser.parse_args()
    if not shutil.which("sipp"):
        raise SystemExit("install sipp (Debian: sip-tester)")
    print(f"load before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with appliance(folder / "state", options.calls) as (state, processes):
            Sipp(folder, "core", "trunk", 0)
            try:
                register_cost(folder, processes, options.calls)
                call_cost(folder, processes, options.calls, options.rate, 10 * options.rate)
                if not options.no_audio:
                    for role in ("desk", "target"):
                        register(folder, role, options.calls)
                    transfers(folder, state, processes, options.calls)
            finally:
                for sipp in Sipp.running:
                    sipp.stop()
            for each in ("edge", "media"):
                print((folder / "state" / f"{each}.log").read_text(errors="replace")[-1000:], end="")
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
