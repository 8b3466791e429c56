"""After a restore: the processes read the inventory again, and those that hold restored files begin anew."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from provisioner.ipc import Gone, Json, Refused, ask
from provisioner.paths import StateDir, write_atomically

PATIENCE = 2.0  # seconds that one process may take to answer
FILES = frozenset({"certificates", "memory", "secrets", "overrides"})  # read by processes at their start


def take_up(state: StateDir, parts: frozenset[str]) -> list[str]:
    """Tell all processes; the names of those that begin anew only when the calls that are on have ended.

    Who is started anew is killed: at an orderly end it would write what it remembers over what was restored.
    """
    for name in ("edge", "front", "notifier"):
        _ask(state, name, "reload")
    if not parts & FILES:
        return []
    left = []
    if _calls_on(state):
        left.append("edge")
        write_atomically(_waiting(state), str(_pid(state, "edge")).encode())
    else:
        _again(state, "edge")
    _again(state, "front")
    return left


def take_up_later(state: StateDir) -> None:
    """Begin the edge anew that a call kept from it, once no call is on. To be called now and then."""
    waiting = _waiting(state)
    try:
        before = waiting.read_bytes()
    except OSError:
        return
    if _calls_on(state):
        return
    if before == str(_pid(state, "edge")).encode():
        _again(state, "edge")
    with suppress(OSError):
        waiting.unlink()


def _waiting(state: StateDir) -> Path:
    """The file that holds the process id of an edge that is to begin anew."""
    return state.run / "edge.old"


def _calls_on(state: StateDir) -> bool:
    status = _ask(state, "edge", "status") or {}
    return any(call.get("state") != "ended" for call in status.get("calls", []))


def _ask(state: StateDir, name: str, call: str) -> Json | None:
    with suppress(Gone, Refused):
        return ask(state.socket(name), call, timeout=PATIENCE)
    return None


def _again(state: StateDir, name: str) -> None:
    """End a process; its supervisor starts it again."""
    pid = _pid(state, name)
    if pid > 1 and _is(pid, name):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _pid(state: StateDir, name: str) -> int:
    return int((_ask(state, name, "ping") or {}).get("pid", 0))


def _is(pid: int, name: str) -> bool:
    """Whether that process is ours of that name, as its command line says."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return name.encode() in words and any(b"provisioner" in word for word in words)
