"""The fault matrix of emergency calls where the fault is in the store, the processes, a restart or TLS: real ones.

In each cell a phone that answers no challenge calls, and one of two centres has an INVITE that it would take: in 4 s
by the first route, in 8 s where that one is no good. The other faults: tests/edge/test_emergency_faults.py.
"""

from __future__ import annotations

import os
import re
import resource
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from provisioner.store.inventory import Inventory
from provisioner.store.records import Trunk
from tests.peers import sipp
from tests.peers.appliance import DEMO, Appliance
from tests.peers.sipp import Party, Tones, leave
from tests.peers.wait import until

pytestmark = pytest.mark.peer("sipp")

CODES = ("911", "933", "988")
FIRST, SECOND = 4.0, 8.0  # seconds
EXTENSION, NUMBER, STREET = "102", "+14155550102", "HNO>"
STORES = ("inventory.db", "journal.db")
_MESSAGE = re.compile(
    r"^-{20,} (\S+ \S+)\n\w+ message (?:received|sent) .*?\n\n(.*?)(?=^-{20,} |\Z)", re.M | re.S
)


def messages(party: Party) -> list[tuple[float, str]]:
    """A sipp's log: when, in seconds since 1970, and what; repeats too."""
    found = [(each[1], each[2].replace("\r", "")) for each in _MESSAGE.finditer(party.messages)]
    return [(datetime.fromisoformat(at).timestamp(), text) for at, text in found]


def invites(party: Party) -> list[tuple[float, str]]:
    """The INVITEs in it."""
    return [each for each in messages(party) if each[1].startswith("INVITE ")]


class Rig:
    """An appliance, a registered phone, and two centres: the first and the second route."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tones = Tones(directory)
        self.appliance = Appliance(directory, core="sip:{core}:5060")
        self.state = self.appliance.state
        self.first, self.second = (
            self._centre(self.appliance.core_host),
            self._centre(self.appliance.new_host()),
        )
        self.phone = self.appliance.new_host()
        self.route(f"sip:{self.first.host}:5060")
        sipp.register(directory, self.appliance, self.appliance.account(DEMO[EXTENSION]), self.phone)

    def _centre(self, host: str) -> Party:
        tone = str(self.tones(700))
        return Party(
            self.directory, "trunk", host, self.appliance, calls=None, seconds=600, TONE=tone
        ).listening()

    def route(self, uri: str, spare: str = "") -> None:
        """Let the first route lead to `uri`, the second to `spare`, or to the second centre."""
        with (
            closing(Inventory.open(self.state / STORES[0])) as inventory,
            inventory.change(who="test") as change,
        ):
            routes = {"core": uri, "spare": spare or f"sip:{self.second.host}:5060"}
            for place, (name, to) in enumerate(routes.items()):
                change.put(Trunk(id=name, uri=to, order=place, profile="stand-in"))
        self.appliance.edge.call("reload")

    def process(self, name: str) -> int:
        """The id of one of the appliance's processes."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if words[1:4] == [b"-m", b"provisioner", name.encode()] and str(self.state).encode() in words:
                return int(path.parent.name)
        raise AssertionError(f"no process {name}\n{self.appliance.tail()}")

    def call(self, code: str, centre: Party) -> tuple[float, str]:
        """The phone calls until `centre` answers; how long the INVITE took to it, and what it said."""
        before = len(invites(centre))
        phone = Party(
            self.directory, "call", self.phone, self.appliance, number=code, seconds=30,
            arguments=("-key", "caller", EXTENSION), STEPS=leave(100), TONE=str(self.tones(440)),
        )  # fmt: skip
        try:
            phone.reached("answered", seconds=20).go()
            phone.finish()
            dialled = invites(phone)[0][0]
        finally:
            phone.stop()
        arrived, invite = invites(centre)[before]
        return arrived - dialled, invite

    def close(self) -> None:
        self.first.stop()
        self.second.stop()
        self.appliance.stop()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("faults"))
    try:
        yield rig
    finally:
        rig.close()


def acceptable(invite: str, code: str, host: str) -> bool:
    """Whether a centre takes it."""
    head, _, body = invite.partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    shown = re.findall(r"sip:([^@]+)@", headers["From"] + headers["P-Asserted-Identity"])
    where = "<presence" in body and STREET in body and "Geolocation" in headers
    return (
        head.startswith(f"INVITE sip:{code}@{host}")
        and shown == [NUMBER] * 2
        and "Privacy" not in headers
        and "m=audio " in body
        and "PCMU/8000" in body
        and where == (code != "988")
    )


# faults, in the order in which they are made; those that cannot be mended come last


@contextmanager
def locked(rig: Rig) -> Iterator[None]:
    with ExitStack() as stack:
        for name in STORES:
            database = stack.enter_context(closing(sqlite3.connect(rig.state / name, timeout=20)))
            database.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def disk_full(rig: Rig) -> Iterator[None]:
    """No process can make a file any longer."""
    limited = [rig.process(name) for name in ("edge", "media", "front", "web", "notifier")]
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in limited]
    for pid, (_, hard) in zip(limited, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    yield
    for pid, limits in zip(limited, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@contextmanager
def read_only(rig: Rig) -> Iterator[None]:
    """The files and their folder cannot be written to; for root a mount has to say so."""
    if os.geteuid():
        paths = [rig.state, *(rig.state / name for name in STORES)]
        modes = [path.stat().st_mode for path in paths]
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode & ~0o222)
        yield
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)
        return
    subprocess.run(["mount", "--bind", rig.state, rig.state], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", rig.state], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", rig.state], check=True)


def hanging(name: str) -> Callable[[Rig], AbstractContextManager[None]]:
    @contextmanager
    def fault(rig: Rig) -> Iterator[None]:
        pid = rig.process(name)
        os.kill(pid, signal.SIGSTOP)
        yield
        os.kill(pid, signal.SIGCONT)

    return fault


@contextmanager
def web_dead(rig: Rig) -> Iterator[None]:
    os.kill(rig.process("web"), signal.SIGKILL)
    os.kill(rig.process("front"), signal.SIGKILL)
    yield


@contextmanager
def tls_silent(rig: Rig) -> Iterator[None]:
    """Whoever is there takes the connection, and says nothing. In the clear nobody is there."""
    with socket.create_server((rig.appliance.new_host(), 0)) as server:
        host, port = server.getsockname()
        rig.route(f"sips:{host}:{port}")
        yield
    rig.route(f"sip:{rig.first.host}:5060")


@contextmanager
def tls_refused(rig: Rig) -> Iterator[None]:
    rig.route(f"sips:{rig.appliance.new_host()}:5061")
    yield
    rig.route(f"sip:{rig.first.host}:5060")


@contextmanager
def tls_broken_everywhere(rig: Rig) -> Iterator[None]:
    """Nobody takes TLS. In the clear, at the usual port, the first centre is there."""
    rig.route(f"sips:{rig.first.host}:5061", f"sips:{rig.appliance.new_host()}:5061")
    yield
    rig.route(f"sip:{rig.first.host}:5060")


@contextmanager
def restarted(rig: Rig) -> Iterator[None]:
    rig.appliance.kill_edge()
    yield


@contextmanager
def corrupt(rig: Rig) -> Iterator[None]:
    for name in STORES:
        for end in ("", "-wal", "-shm"):
            garbage = rig.state / f"{name}{end}.garbage"
            garbage.write_bytes(secrets.token_bytes(65536))
            os.replace(garbage, rig.state / f"{name}{end}")
    rig.appliance.edge.call("reload")
    yield


@contextmanager
def gone(rig: Rig) -> Iterator[None]:
    for path in [each for name in STORES for each in rig.state.glob(f"{name}*")]:
        path.unlink()
    yield


@contextmanager
def state_gone(rig: Rig) -> Iterator[None]:
    """All that was ever kept is gone, while the appliance runs."""
    for path in rig.state.iterdir():
        if path.is_file():
            path.unlink()
        elif path.name != "run":
            shutil.rmtree(path)
    yield


Fault = Callable[[Rig], AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, str, float]] = {  # and: which centre has the call, within how many seconds
    "store-locked": (locked, "first", FIRST),
    "disk-full": (disk_full, "first", FIRST),
    "store-read-only": (read_only, "first", FIRST),
    "web-dead": (web_dead, "first", FIRST),
    "web-hanging": (hanging("web"), "first", FIRST),
    "notifier-hanging": (hanging("notifier"), "first", FIRST),
    "tls-silent": (tls_silent, "second", SECOND),
    "tls-refused": (tls_refused, "second", SECOND),
    "tls-broken-everywhere": (tls_broken_everywhere, "first", SECOND),
    "restarted": (restarted, "first", FIRST),
    "store-corrupt": (corrupt, "first", FIRST),
    "store-corrupt-and-restarted": (restarted, "first", FIRST),
    "store-gone": (gone, "first", FIRST),
    "store-gone-and-restarted": (restarted, "first", FIRST),
    "state-gone": (state_gone, "first", FIRST),
}


@pytest.fixture(scope="module", params=FAULTS)
def fault(request: pytest.FixtureRequest, rig: Rig) -> Iterator[tuple[Party, float]]:
    """The fault is there; the centre that has the calls, and within how many seconds."""
    make, centre, seconds = FAULTS[request.param]
    with make(rig):
        yield getattr(rig, centre), seconds


@pytest.mark.rule("emergency.always")
@pytest.mark.parametrize("code", CODES)
def test_gets_out(rig: Rig, fault: tuple[Party, float], code: str) -> None:
    centre, seconds = fault
    passed, invite = rig.call(code, centre)
    assert acceptable(invite, code, centre.host), invite
    assert passed <= seconds
    until(lambda: not rig.appliance.calls(), "no call is left", tail=rig.appliance.tail)


def test_a_911_call_that_is_up_is_ended_last_and_by_a_bye(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    try:
        phone = Party(
            rig.directory, "call", rig.phone, rig.appliance, number="911", seconds=30,
            arguments=("-key", "caller", EXTENSION), STEPS=leave(), TONE=str(rig.tones(440)),
        )  # fmt: skip
        phone.reached("answered")
        rig.first.reached("answered")
        asked = time.time()
        assert rig.appliance.stop() == 0
        assert time.time() - asked < 5.5  # the contract's 5 s, and the start of a signal on a busy machine
        ends = [at for party in (phone, rig.first) for at, text in messages(party) if text.startswith("BYE ")]
        assert len(ends) == 2
        assert min(ends) - asked >= 1.9
        phone.stop()
    finally:
        rig.close()
