"""What the commands `backup`, `restore`, `export` and `import` do; the appliance may run meanwhile."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from provisioner.errors import OperatorError, UsageError
from provisioner.keeping import kept, making, restoring, settings_file, telling
from provisioner.keeping.making import Wanted
from provisioner.keeping.restoring import Count
from provisioner.paths import StateDir
from provisioner.phones.catalogue import Catalogue
from provisioner.store.inventory import Inventory

CONSOLE = "console"


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
    size = target.stat().st_size
    if as_json:
        _print({"file": str(target), "bytes": size, "sealed": bool(words)})
        return
    print(f"{target} ({size:,} bytes)")
    if not words:
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


def export(state: StateDir) -> None:
    """Print the settings as TOML."""
    inventory = Inventory.open(state.inventory)
    try:
        sys.stdout.write(settings_file.export(inventory))
    finally:
        inventory.close()


def import_settings(state: StateDir, source: Path, dry_run: bool, as_json: bool) -> None:
    """Import settings; with `dry_run` only say what would change."""
    try:
        data = sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    except OSError as error:
        raise OperatorError(f"{source} cannot be read ({error.strerror})", "name another file") from None
    wanted = settings_file.parse(data)
    catalogue = Catalogue([state.root / "phone_templates"], [state.root / "firmware_rules"])
    inventory = Inventory.open(state.inventory)
    try:
        if dry_run:
            plan = settings_file.plan(inventory, wanted, catalogue)
            if plan.faults:
                raise settings_file.Faulty(plan.faults)
            counts = plan.counts
        else:
            counts = settings_file.apply(inventory, wanted, CONSOLE, catalogue)
    finally:
        inventory.close()
    if not dry_run:
        telling.take_up(state, frozenset())
    _tell(counts, as_json, {})


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
