"""After a restore: the processes read the inventory again, and those that hold restored files begin anew."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from provisioner.ipc import Gone, Json, Refused, ask
from provisioner.paths import StateDir

PATIENCE = 2.0  # seconds that one process may take to answer
FILES = frozenset({"certificates", "memory", "secrets", "overrides"})  # read by processes at their start


def take_up(state: StateDir, parts: frozenset[str]) -> list[str]:
    """Tell all processes; the names of those that must be restarted by hand, for calls that are on.

    Who is started anew is killed: at an orderly end it would write what it remembers over what was restored.
    """
    for name in ("edge", "front", "notifier"):
        _ask(state, name, "reload")
    if not parts & FILES:
        return []
    left = []
    status = _ask(state, "edge", "status")
    if status and any(call.get("state") != "ended" for call in status.get("calls", [])):
        left.append("edge")
    else:
        _again(state, "edge")
    _again(state, "front")
    return left


def _ask(state: StateDir, name: str, call: str) -> Json | None:
    with suppress(Gone, Refused):
        return ask(state.socket(name), call, timeout=PATIENCE)
    return None


def _again(state: StateDir, name: str) -> None:
    """End a process; its supervisor starts it again."""
    pid = int((_ask(state, name, "ping") or {}).get("pid", 0))
    if pid > 1 and _is(pid, name):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _is(pid: int, name: str) -> bool:
    """Whether that process is ours of that name, as its command line says."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return name.encode() in words and any(b"provisioner" in word for word in words)
