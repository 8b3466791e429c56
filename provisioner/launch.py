"""What `provisioner run` does: ports, the practice, the table of processes, and the ready file."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
import socket
import sys
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from provisioner import __version__, demo
from provisioner.errors import OperatorError
from provisioner.interfaces import holder, local_addresses
from provisioner.paths import StateDir, check_file, write_atomically
from provisioner.phones import first_start
from provisioner.store.inventory import Inventory
from provisioner.supervisor import Child, NotStartedError, Supervisor, only_one

IN_READY_FILE = "ready file"  # its name, in the list of tokens and in the audit log
DAY = 86_400.0
LOOPBACK = "127.0.0.1"
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - recognised, not bound
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Port:
    """A port of the appliance: its socket types, and its number in the demo and in production."""

    types: tuple[socket.SocketKind, ...]
    demo: int
    production: int


PORTS = {
    "http": Port((socket.SOCK_STREAM,), 8080, 80),
    "https": Port((socket.SOCK_STREAM,), 8443, 443),
    "sip": Port((socket.SOCK_STREAM, socket.SOCK_DGRAM), 5060, 5060),
    "sips": Port((socket.SOCK_STREAM,), 5061, 5061),
    "tftp": Port((socket.SOCK_DGRAM,), 6969, 69),
}
OFF_UNLESS_NAMED = {"legacy-https": Port((socket.SOCK_STREAM,), 0, 0)}  # TLS 1.0 and 1.1, for old phones
_CORE = Port((socket.SOCK_STREAM, socket.SOCK_DGRAM), 0, 0)


@dataclass(frozen=True)
class Options:
    """How to run. `ports`: a number by name of PORTS, 0 for any free one; those left out are the defaults,
    and those of OFF_UNLESS_NAMED closed.

    `core`: the SIP URI that the trunk goes to, "" for the demo's own core (or what the inventory says).
    `transfer`: who plays the menus of a warm transfer on that trunk, "edge" or "core"; "": as before.
    """

    state: StateDir
    demo: bool = False
    bind: str = LOOPBACK
    ports: Mapping[str, int] = field(default_factory=dict)
    ready_file: Path | None = None
    core: str = ""
    transfer: str = ""
    life: bool = True
    log: str = "text"

    @property
    def own_core(self) -> bool:
        """Whether the stand-in core runs."""
        return self.demo and not self.core

    @property
    def host(self) -> str:
        """The address by which the appliance is reached from this machine."""
        return LOOPBACK if self.bind in _WILDCARDS else self.bind

    @property
    def phone_host(self) -> str:
        """The address by which phones reach the appliance."""
        return (local_addresses() or [LOOPBACK])[0] if self.bind in _WILDCARDS else self.bind


def _check_free(bind: str, number: int, types: tuple[socket.SocketKind, ...]) -> None:
    """Raise OSError when the port cannot be opened."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    for kind in types:
        with socket.socket(family, kind) as sock:
            if kind == socket.SOCK_STREAM:  # else connections that ended a moment ago hold the port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((bind, number))


def free_port(
    bind: str, types: tuple[socket.SocketKind, ...], rng: random.Random, spoken_for: Container[int] = ()
) -> int:
    """A port that is free for all `types` and none of those `spoken_for`, below those that the kernel gives to
    anybody: a process that is started again must find its own port free. Raises OperatorError when there is none."""
    with suppress(OSError, ValueError):
        highest = int(_EPHEMERAL.read_text().split()[0]) - 1
        candidates = [port for port in range(10_000, max(highest, 10_001)) if port not in spoken_for]
        for number in rng.sample(candidates, min(100, len(candidates))):
            with suppress(OSError):
                _check_free(bind, number, types)
                return number
    raise OperatorError(
        f"no free port on {bind}",
        "give ports by --http-port, --https-port, --sip-port, --sips-port, --tftp-port",
    )


def choose_ports(options: Options, rng: random.Random) -> dict[str, int]:
    """The port numbers by name. Raises OperatorError when one that was asked for cannot be had."""
    named = {name: port for name, port in OFF_UNLESS_NAMED.items() if name in options.ports}
    chosen: dict[str, int] = {}
    for name, port in {**PORTS, **named}.items():
        chosen[name] = _choose(name, port, options, rng, {*options.ports.values(), *chosen.values()})
    if options.own_core:
        chosen["core"] = free_port(LOOPBACK, _CORE.types, rng, chosen.values())
    return chosen


def _choose(name: str, port: Port, options: Options, rng: random.Random, spoken_for: Container[int]) -> int:
    wanted = options.ports.get(name, port.demo if options.demo else port.production)
    if wanted == 0:
        return free_port(options.bind, port.types, rng, spoken_for)
    try:
        _check_free(options.bind, wanted, port.types)
    except OSError as error:
        if options.demo and name not in options.ports:
            number = free_port(options.bind, port.types, rng, spoken_for)
            print(f"Port {wanted} is taken; {name} is at port {number}.", flush=True)
            return number
        kinds = port.types if error.errno == errno.EADDRINUSE else ()
        held = next((found for kind in kinds if (found := holder(wanted, kind == socket.SOCK_DGRAM))), "")
        raise OperatorError(
            f"port {wanted} on {options.bind} cannot be opened ({held + ' has it' if held else error.strerror})",
            f"choose another with --{name}-port, or stop the program that has it",
        ) from None
    return wanted


def processes(
    options: Options, ports: Mapping[str, int], required: bool = True, menus: bool = False
) -> list[Child]:
    """The table of processes. Without `required` the appliance is ready when calls work; `menus`: of the demo core."""
    state = ("--state", str(options.state.root))
    sip = ("--sip-port", str(ports["sip"]))
    bind = ("--bind", options.bind)
    web_ports = [
        f"--{name}-port={ports[name]}" for name in ("http", "https", "legacy-https", "tftp") if name in ports
    ]

    def child(name: str, *arguments: str, needed: bool = True) -> Child:
        command = (sys.executable, "-m", "provisioner", name, "--log-format", options.log, *arguments)
        return Child(name, command, needed)

    table = [
        child("media", *state),
        child("edge", *state, *bind, *sip, "--sips-port", str(ports["sips"])),
        child("notifier", *state, needed=False),
        child("web", *state, needed=required),
        child("front", *state, *bind, *web_ports, "--sip-host", options.phone_host, *sip, needed=required),
    ]
    if options.own_core:
        where = ("--bind", LOOPBACK, "--sip-port", str(ports["core"]))
        edge = ("--edge-sip", f"{options.host}:{ports['sip']}")
        life = ("--life",) if options.life else ()
        way = ("--menus",) if menus else ()
        table.append(child("core", *state, *where, *edge, *life, *way))
    if options.demo and options.life:
        table.append(child("simulate", "--server", _http(options, ports), "--life", needed=False))
    return table


def _http(options: Options, ports: Mapping[str, int]) -> str:
    return f"http://{options.host}:{ports['http']}"


def prepare(options: Options, ports: Mapping[str, int]) -> Inventory | None:
    """The inventory with a practice in it; None when it is broken and the edge has a good snapshot.

    Raises OperatorError when it is broken and there is none.
    """
    core = options.core or (f"sip:{LOOPBACK}:{ports['core']}" if options.own_core else "")
    try:
        inventory = Inventory.open(options.state.inventory)
        if options.demo:
            demo.seed(inventory, core, options.transfer, options.own_core)
        else:
            first_start.begin(inventory, "first start")
            if core:
                demo.set_trunk(inventory, core, "command line", options.transfer)
    except OperatorError as error:
        if not options.state.snapshot.exists():
            raise
        _log.error("%s; calls go on with the last good copy of the settings", error)
        return None
    return inventory


def _token(inventory: Inventory) -> str:
    """The API token of the ready file; that of the start before is good no more."""
    for old in inventory.tokens.listing("api"):
        if old.name == IN_READY_FILE and not old.user:
            inventory.tokens.end("api", old.id)
    return inventory.new_token("api", 365 * DAY, "administrator", name=IN_READY_FILE)


def announce(options: Options, ports: Mapping[str, int], inventory: Inventory | None, pid: int) -> None:
    """Write the ready file and say what to try. Raises OperatorError when the file cannot be written."""
    http = _http(options, ports)
    staff = (
        f"{http}/staff/sign-in/{inventory.new_token('sign-in', DAY, 'administrator')}" if inventory else None
    )
    if options.ready_file:
        core = {"sip": f"{LOOPBACK}:{ports.get('core', 0)}", "control": str(options.state.socket("core"))}
        ready = {
            "http": http,
            "https": f"https://{options.host}:{ports['https']}",
            "sip": f"{options.host}:{ports['sip']}",
            "sips": f"{options.host}:{ports['sips']}",
            "tftp": f"{options.host}:{ports['tftp']}",
            "legacy_https": f"https://{options.host}:{ports['legacy-https']}"
            if "legacy-https" in ports
            else None,
            "core": core if options.own_core else None,
            "staff_url": staff,
            "api_token": _token(inventory) if inventory else None,
            "pid": pid,
        }
        try:
            write_atomically(options.ready_file, msgspec.json.encode(ready) + b"\n")
        except OSError as error:
            raise _cannot_write(options.ready_file, error) from None
    print(f"Provisioner {__version__} is ready; Ctrl-C ends it.")
    if staff:
        print(f"  staff page (this link works once)  {staff}")
        if options.phone_host != options.host:
            elsewhere = f"https://{options.phone_host}:{ports['https']}{staff.removeprefix(http)}"
            print(f"    the same from another computer   {elsewhere}")
    print(f"  phones read their files from       {http}/")
    print(f"  phones register at                 sip:{options.host}:{ports['sip']}")
    listing = f"{_command()} phones list --state {options.state.root}"
    print(f"  see the phones                     {listing}", flush=True)


def _command() -> str:
    """How this program is called from here."""
    installed = Path(sys.executable).with_name("provisioner")
    return min(str(installed), os.path.relpath(installed), key=len) if installed.exists() else "provisioner"


def run(options: Options, pid: int, rng: random.Random) -> None:
    """Run the appliance until SIGTERM or SIGINT. Raises OperatorError when it cannot start."""
    with only_one(options.state):
        if options.ready_file:
            _forget(options.ready_file)
        try:
            while not _round(options, pid, rng):
                _log.warning("another program took a port meanwhile; choosing again")
        finally:
            if options.ready_file:
                _forget(options.ready_file)


def _forget(ready_file: Path) -> None:
    """Nobody is to read a ready file of another run. Raises OperatorError for what is no file."""
    try:
        check_file(ready_file)
        ready_file.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(ready_file, error) from None


def _cannot_write(ready_file: Path, error: OSError) -> OperatorError:
    return OperatorError(f"cannot write {ready_file} ({error.strerror})", "name another with --ready-file")


def _round(options: Options, pid: int, rng: random.Random) -> bool:
    """Run with one choice of ports; False when somebody else took one before our process did."""
    ports = choose_ports(options, rng)
    inventory = prepare(options, ports)
    menus = inventory is not None and demo.plays_menus(inventory)
    children = processes(options, ports, inventory is not None, menus)
    supervisor = Supervisor(options.state, children)
    try:
        asyncio.run(supervisor.run(lambda: announce(options, ports, inventory, pid)))
    except NotStartedError:
        if _still_free(options, ports):
            raise
        return False
    finally:
        if inventory:
            inventory.close()
    return True


def _still_free(options: Options, ports: Mapping[str, int]) -> bool:
    try:
        for name, number in ports.items():
            _check_free(options.bind, number, {**PORTS, **OFF_UNLESS_NAMED, "core": _CORE}[name].types)
    except OSError:
        return False
    return True
