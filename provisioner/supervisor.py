"""Starts the processes of the appliance, starts again those that die, and ends all in order."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO

from provisioner.errors import OperatorError
from provisioner.ipc import Client, Gone, Refused
from provisioner.paths import StateDir

PARENT = "PROVISIONER_PARENT"  # environment of a child: the process id of its supervisor
TRIES = 3  # that a process may end before it was ever up
SETTLED_SECONDS = 5.0  # a process that lived this long did not die of its start
PAUSES = (0.0, 0.0, 0.1, 0.2, 0.4, 0.8)  # before the next start; a dead process is back within a second
START_SECONDS = 60.0
CALLS_SECONDS = 4.2  # for the edge to end its calls; the rest has what is left of the 5 s of the contract
REST_SECONDS = 0.5

_PR_SET_PDEATHSIG = 1  # prctl(2)
_log = logging.getLogger(__name__)


class NotStartedError(OperatorError):
    """A process that the appliance cannot do without did not come up."""


@dataclass(frozen=True)
class Child:
    """One process: the command that starts it.

    `required`: the appliance is ready only when it answers `ping`. A process that is not is started last.
    """

    name: str
    command: Sequence[str]
    required: bool = True


def die_with_parent() -> None:
    """In a child: be killed when the supervisor dies, however it dies (PR_SET_PDEATHSIG). Else do nothing."""
    parent = os.environ.pop(PARENT, "")
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before we asked
        raise SystemExit(1)


@contextmanager
def only_one(state: StateDir) -> Iterator[None]:
    """Hold the state directory. Raises OperatorError when another appliance runs on it."""
    with (state.run / "supervisor.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OperatorError(
                f"an appliance runs on {state.root} already (process {_holder(file)})",
                "stop it, or name another directory with --state",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def running(state: StateDir) -> int:
    """The process id of the appliance that runs on the state directory; 0 when none does."""
    with (state.run / "supervisor.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(file)
            return int(holder) if holder.isdigit() else 0
    return 0


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read() or "unknown"


class Supervisor:
    """Runs `children` until it is told to stop by SIGTERM or SIGINT; SIGHUP makes edge and front reload."""

    def __init__(self, state: StateDir, children: Sequence[Child]) -> None:
        self._state = state
        self._children = children
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._up: dict[str, asyncio.Future[None]] = {}
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Start all, call `on_ready` when all that is required is up, and return when all is ended.

        Raises NotStartedError when a required process does not come up, or what `on_ready` raises.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            self._start(child for child in self._children if child.required)
            if await self._all_up():
                on_ready()
                self._start(child for child in self._children if not child.required)
                await self._stop.wait()
        finally:
            self._stop.set()
            await self._end_all()

    def _start(self, children: Iterator[Child]) -> None:
        loop = asyncio.get_running_loop()
        for child in children:
            self._up[child.name] = loop.create_future()
            self._tasks.append(loop.create_task(self._keep(child)))

    async def _all_up(self) -> bool:
        """True when all are up, False when we are to stop before. Raises NotStartedError."""
        stopped: asyncio.Future[Any] = asyncio.ensure_future(self._stop.wait())
        everyone: asyncio.Future[Any] = asyncio.gather(*self._up.values())
        await asyncio.wait({stopped, everyone}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if everyone.done():
            everyone.result()
        elif not self._stop.is_set():
            late = ", ".join(sorted(name for name, up in self._up.items() if not up.done()))
            what = f"{late} did not answer in {START_SECONDS:g} s"
            raise NotStartedError(what, "look for its last line above")
        everyone.cancel()
        return not self._stop.is_set()

    async def _keep(self, child: Child) -> None:
        """Start `child`, again and again, until we are to stop."""
        deaths = 0
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            began = loop.time()
            process = await asyncio.create_subprocess_exec(
                *child.command, start_new_session=True, env={**os.environ, PARENT: str(os.getpid())}
            )
            if self._stop.is_set():
                process.kill()
            self._processes[child.name] = process
            watch = loop.create_task(self._watch(child, process))
            code = await process.wait()
            watch.cancel()
            if self._stop.is_set():
                return
            deaths = 1 if loop.time() - began > SETTLED_SECONDS else deaths + 1
            _log.warning("%s ended (%s) and is started again", child.name, _ending(code))
            if child.required and deaths >= TRIES and not self._up[child.name].done():
                fault = NotStartedError(f"{child.name} does not start", "mend what its line above says")
                self._up[child.name].set_exception(fault)
                return
            await asyncio.sleep(PAUSES[min(deaths, len(PAUSES)) - 1])

    async def _watch(self, child: Child, process: asyncio.subprocess.Process) -> None:
        """Say so when the process answers."""
        if not child.required:
            return
        await self._ask(child.name, "ping")
        up = self._up[child.name]
        if up.done():
            _log.info("%s is back (process %d)", child.name, process.pid)
        else:
            up.set_result(None)

    async def _ask(self, name: str, call: str) -> None:
        """One request, as soon as the process takes it. Raises Refused."""
        client = Client(self._state.socket(name), retry=0.02)
        client.start()
        try:
            while True:
                await client.connected.wait()
                try:
                    await client.ask(call)
                except Gone:
                    continue
                return
        finally:
            await client.close()

    def _reload(self) -> None:
        for name in self._processes.keys() & {"edge", "front"}:
            self._tasks.append(asyncio.get_running_loop().create_task(self._reload_one(name)))

    async def _reload_one(self, name: str) -> None:
        try:
            await asyncio.wait_for(self._ask(name, "reload"), 10)
        except (TimeoutError, Refused) as error:
            _log.error("%s did not reload: %s", name, error)

    async def _end_all(self) -> None:
        """The edge first, while everybody still hears it end its calls; then the rest."""
        await self._end({"edge"}, CALLS_SECONDS)
        await self._end(self._processes.keys() - {"edge"}, REST_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end(self, names: set[str], seconds: float) -> None:
        """SIGTERM; after `seconds` SIGKILL for whoever is left, with all that it started."""
        running = [self._processes[name] for name in names & self._processes.keys()]
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        waiting = [asyncio.ensure_future(process.wait()) for process in running]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)
        for process, task in zip(running, waiting, strict=True):
            if not task.done():
                _log.warning("process %d did not end in %g s and is killed", process.pid, seconds)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        await asyncio.gather(*waiting)


def _ending(code: int) -> str:
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name
