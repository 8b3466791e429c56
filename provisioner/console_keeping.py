"""What the commands `backup`, `restore`, `export` and `import` do; the appliance may run meanwhile."""

from __future__ import annotations

import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from provisioner.client import Client, call
from provisioner.errors import OperatorError, UsageError
from provisioner.keeping import kept, making, restoring, settings_file, telling
from provisioner.keeping.making import Wanted
from provisioner.keeping.restoring import Count
from provisioner.paths import StateDir, write_atomically
from provisioner.store.inventory import Inventory

CONSOLE = "console"
LOOK_SECONDS = 0.5  # between looks at a job


def passphrase(file: Path | None, given: str) -> str:
    """The passphrase: the first line of `file` (`-`: standard input), or as given."""
    if file is None:
        return given
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text().partition("\n")[0]
    except OSError as error:
        raise OperatorError(f"{file} cannot be read ({error.strerror})", "name another file") from None
    return text.rstrip("\n")


def backup(
    state: StateDir, target: Path | None, words: str, optional: tuple[str, ...], as_json: bool
) -> None:
    """Make a backup: into `target`, or among those of the appliance."""
    wanted = Wanted(words, frozenset(optional), CONSOLE)
    if target is None:
        target = kept.by_hand(state, wanted)
    else:
        making.make(state, target, wanted)
    _made(str(target), target.stat().st_size, bool(words), as_json)


def _made(file: str, size: int, sealed: bool, as_json: bool) -> None:
    if as_json:
        _print({"file": file, "bytes": size, "sealed": sealed})
        return
    print(f"{file} ({size:,} bytes)")
    if not sealed:
        print("No passwords, users and certificates are in it: give --passphrase-file to have them.")


def restore(
    state: StateDir, source: Path, words: str, parts: tuple[str, ...], dry_run: bool, as_json: bool
) -> None:
    """Restore a backup, after one of what is here; with `dry_run` only say what would change."""
    if not source.is_file():
        raise UsageError(f"there is no file {source}: name a backup")
    with tempfile.TemporaryDirectory(prefix=".work-", dir=state.root) as folder:
        backup = restoring.unpack(source, Path(folder) / "content", words)
        try:
            chosen = frozenset(parts or backup.manifest.parts)
            if dry_run:
                inventory = Inventory.open(state.inventory)
                try:
                    found = restoring.preview(state, backup, time.time(), inventory)
                finally:
                    inventory.close()
                _tell(found.counts, as_json, {"warnings": found.warnings, "parts": backup.manifest.parts})
                return
            before = kept.before_restore(state, CONSOLE)
            counts = restoring.restore(state, backup, chosen, CONSOLE)
        finally:
            backup.close()
    left = telling.take_up(state, chosen)
    _tell(counts, as_json, {"before": str(before), "left": left})


def backup_elsewhere(
    client: Client, as_json: bool, target: Path | None, words: str, optional: tuple[str, ...]
) -> None:
    """Have an appliance elsewhere make a backup, and fetch it into `target`; without one it stays there."""
    body = {"passphrase": words, "optional": list(optional)}
    job = call(client, "POST", "/backups", body=body).json()
    while job["state"] == "running":
        time.sleep(LOOK_SECONDS)
        job = call(client, "GET", f"/jobs/{job['id']}").json()
    if job["state"] != "done":
        raise OperatorError(f"the backup was not made ({job['error'] or job['state']})", "try again")
    name, size = job["result"]["name"], job["result"]["bytes"]
    if target:
        write_atomically(target, call(client, "GET", f"/backups/{name}").body, mode=0o600)
    _made(str(target or name), size, bool(words), as_json)


def export(client: Client, as_json: bool) -> None:
    """Print the settings as TOML."""
    text = call(client, "GET", "/settings.toml").body.decode()
    if as_json:
        _print(tomllib.loads(text))
    else:
        sys.stdout.write(text)


def import_settings(client: Client, as_json: bool, source: Path, dry_run: bool) -> None:
    """Import settings; with `dry_run` only say what would change."""
    try:
        data = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    except OSError as error:
        raise OperatorError(f"{source} cannot be read ({error.strerror})", "name another file") from None
    answer = call(client, "POST", "/settings.toml", {"dry_run": dry_run}, raw=data, media="application/toml")
    plan = msgspec.json.decode(answer.body, type=settings_file.Plan)
    if plan.faults:
        raise settings_file.Faulty(plan.faults)
    _tell(plan.counts, as_json, {})


def _tell(counts: list[Count], as_json: bool, more: dict[str, Any]) -> None:
    if as_json:
        _print({"changes": counts, **more})
        return
    for count in counts:
        what = [
            f"{number} {word}"
            for word, number in (
                ("new", count.added),
                ("changed", count.changed),
                ("taken away", count.removed),
            )
            if number
        ]
        print(f"{count.part:14}{count.kind:20}{', '.join(what)}")
    for name, value in more.items():
        if value:
            print(f"{name}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}")
    if not counts:
        print("Nothing would change, or was changed.")


def _print(value: object) -> None:
    print(msgspec.json.encode(value).decode())
