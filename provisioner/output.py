"""How commands print what they found: tables, and records line by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

TIMES = frozenset(
    {"at", "started", "answered", "ended", "expires", "last_seen", "first_seen", "since", "until", "created", "seen",
     "read_at", "next_at", "welcome_until", "adoption_until", "fetched_at", "last_used", "taken"}
)  # fmt: skip
WIDEST = 60  # characters of a cell


def pick(row: Any, path: str) -> Any:
    """`lines.0.extension` of a row; None where there is none."""
    for name in path.split("."):
        if isinstance(row, list):
            row = row[int(name)] if name.isdecimal() and int(name) < len(row) else None
        elif isinstance(row, dict):
            row = row.get(name)
        else:
            return None
    return row


def text(name: str, value: Any) -> str:
    """A value in a line: times in this machine's zone, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and name.rpartition(".")[2] in TIMES:
        return f"{datetime.fromtimestamp(value, UTC).astimezone():%Y-%m-%d %H:%M:%S}" if value else ""
    if isinstance(value, list) and all(isinstance(each, str | int) for each in value):
        return ", ".join(map(str, value))
    if isinstance(value, dict) and all(isinstance(each, str | int) for each in value.values()):
        return ", ".join(f"{key}: {each}" for key, each in value.items())
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def show_rows(rows: Sequence[Any], columns: Sequence[str]) -> None:
    """A table; the last column is not cut."""
    if not rows:
        click.echo("There is none.")
        return
    names = list(columns) or (list(rows[0]) if isinstance(rows[0], dict) else [""])
    last = len(names) - 1
    cells = [[_heading(name) for name in names]]
    for row in rows:
        line = [" ".join(text(name, pick(row, name) if name else row).split()) for name in names]
        cells.append([each if at == last else _cut(each) for at, each in enumerate(line)])
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    for line in cells:
        click.echo("  ".join(each.ljust(width) for each, width in zip(line, widths, strict=True)).rstrip())


def _heading(path: str) -> str:
    """What stands over a column: of `lines.0.name` name, of `caller.name` caller."""
    parts = path.split(".")
    short = len(parts) > 1 and parts[-1] == "name" and not parts[-2].isdecimal()
    return parts[-2 if short else -1].replace("_", " ")


def _cut(value: str) -> str:
    return value if len(value) <= WIDEST else value[: WIDEST - 1] + "…"


def show_one(found: Any, indent: str = "") -> None:
    """A record: a line for each field, those of inner records below them."""
    if not isinstance(found, dict):
        rows = found if isinstance(found, list) else [found]
        click.echo("\n".join(indent + text("", each) for each in rows))
        return
    for name, value in found.items():
        words = name.replace("_", " ")
        inner = isinstance(value, dict) and any(isinstance(each, dict | list) for each in value.values())
        nested = isinstance(value, list) and any(isinstance(each, dict | list) for each in value)
        if inner:
            click.echo(f"{indent}{words}:")
            show_one(value, indent + "  ")
        elif nested:
            click.echo(f"{indent}{words}:")
            for each in value:
                click.echo(f"{indent}  - {text('', each)}")
        else:
            click.echo(f"{indent}{words}: {text(name, value)}".rstrip())
