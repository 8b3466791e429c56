"""What `provisioner users`, `provisioner tokens` and `provisioner audit` print and do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec

from provisioner.console import show
from provisioner.errors import UsageError
from provisioner.paths import StateDir
from provisioner.people import api_tokens
from provisioner.people import users as people
from provisioner.store.audit import Audit, Wanted
from provisioner.store.inventory import Inventory
from provisioner.store.records import User
from provisioner.web import changes, scopes
from provisioner.web import undo as undoing
from provisioner.web.sources import Sources

T = TypeVar("T")
WHO = "console"


def _with(state: StateDir, work: Callable[[Inventory], T]) -> T:
    with closing(Inventory.open(state.inventory)) as inventory:
        return work(inventory)


def _json(value: object) -> None:
    click.echo(msgspec.json.encode(value))


def _table(rows: Sequence[dict[str, Any]], none: str) -> None:
    if rows:
        show(list(rows), tuple(rows[0]))
    else:
        click.echo(none)


def _time(at: float | None) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%Y-%m-%d %H:%M}" if at else ""


# users


def _user(user: User) -> dict[str, Any]:
    return {
        "login": user.id,
        "name": user.name,
        "role": user.role,
        "language": user.language,
        "second_factor": user.second_factor,
        "disabled": user.disabled,
    }


def _show(user: User, as_json: bool) -> None:
    if as_json:
        _json(_user(user))
    else:
        click.echo(f"{user.id} is {user.role}" + (", and may not sign in." if user.disabled else "."))


def list_users(state: StateDir, as_json: bool) -> None:
    """Print the users."""
    rows = [_user(user) for user in _with(state, lambda inventory: inventory.all(User))]
    if as_json:
        _json(rows)
        return
    marks = ("second_factor", "disabled")
    words = [row | {name: "yes" if row[name] else "" for name in marks} for row in rows]
    _table(words, "No user yet: add one, or use a link of `provisioner sign-in`.")


def add_user(
    state: StateDir, as_json: bool, *, name: str, password: str, role: str, full_name: str, language: str
) -> None:
    """Make a user. Raises Invalid."""
    made = _with(
        state,
        lambda inventory: people.create(
            inventory, name, password, role, WHO, full_name=full_name, language=language
        ),
    )
    _show(made, as_json)


def edit_user(state: StateDir, name: str, values: dict[str, object], as_json: bool) -> None:
    """Change a user. Raises ProvisionerError."""
    login = people.login_name(name)
    _show(_with(state, lambda inventory: people.edit(inventory, login, WHO, values)), as_json)


def set_password(state: StateDir, name: str, password: str) -> None:
    """Give a user another password. Raises ProvisionerError."""
    login = people.login_name(name)
    _with(state, lambda inventory: people.set_password(inventory, login, password, WHO))
    click.echo(f"{login} has another password, and is signed out everywhere.")


def one_factor(state: StateDir, name: str) -> None:
    """Ask a user for the password alone. Raises OperatorError."""
    login = people.login_name(name)
    _with(state, lambda inventory: people.end_second_factor(inventory, login, WHO))
    click.echo(f"{login} signs in with the password alone.")


def remove_user(state: StateDir, name: str) -> None:
    """Remove a user. Raises OperatorError."""
    login = people.login_name(name)
    _with(state, lambda inventory: people.remove(inventory, login, WHO))
    click.echo(f"{login} is removed, and signed out everywhere.")


# tokens


def list_tokens(state: StateDir, as_json: bool) -> None:
    """Print the API tokens, never their text."""
    rows: list[dict[str, Any]] = [
        {
            "number": each.id,
            "name": each.name,
            "role": each.role,
            "scopes": each.scopes.split(),
            "user": each.user,
            "last_used": each.seen,
            "expires": None if api_tokens.endless(each) else each.expires,
        }
        for each in _with(state, lambda inventory: inventory.tokens.listing("api"))
    ]
    if as_json:
        _json(rows)
        return
    words = [
        {**row, "scopes": " ".join(row["scopes"]) or "all", "last_used": _time(row["last_used"]) or "never",
         "expires": _time(row["expires"]) or "never"} for row in rows
    ]  # fmt: skip
    _table(words, "No API token.")


def add_token(
    state: StateDir, as_json: bool, *, name: str, role: str, wanted: Sequence[str], days: float
) -> None:
    """Make a token and print it. Raises Invalid."""
    given = scopes.normal(wanted)
    token = _with(state, lambda inventory: api_tokens.create(inventory, name, role, given, days, WHO))
    _json({"name": name, "token": token}) if as_json else click.echo(token)


def revoke_token(state: StateDir, number: int) -> None:
    """End a token. Raises OperatorError."""
    found = _with(state, lambda inventory: api_tokens.revoke(inventory, number, WHO))
    click.echo(f"{found.name or 'The token'} is good no more.")


# audit


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone().timestamp() if text else 0.0
    except ValueError:
        raise UsageError(f"{text} is no date: give it as 2026-03-31 or 2026-03-31T08:00") from None


def list_audit(
    state: StateDir,
    as_json: bool,
    *,
    who: str,
    kind: str,
    name: str,
    since: str,
    until: str,
    text: str,
    limit: int,
) -> None:
    """Print the changes that are wanted, the newest first. Raises UsageError."""
    wanted = Wanted(who=who, kind=kind, name=name, since=_moment(since), until=_moment(until), text=text)
    found, snapshot = _with(state, lambda inventory: (inventory.trail(limit, wanted), inventory.snapshot()))
    if as_json:
        _json([_entry(each) for each in found])
        return
    rows = [
        {
            "change": each.revision,
            "when": _time(each.at),
            "who": each.who,
            "what": f"{each.kind} {each.id}",
            "done": changes.act(each),
            "fields": "; ".join(_field(field) for field in changes.fields(each, snapshot))[:200],
        }
        for each in found
    ]
    _table(rows, "Nothing of this was changed.")


def _field(field: changes.Field) -> str:
    before = f"{field.before} -> " if field.before else ""
    return f"{field.label}: {before}{field.after or '-'}"


def _entry(each: Audit) -> dict[str, Any]:
    before, after = ((msgspec.json.decode(text) if text else None) for text in (each.before, each.after))
    return {
        "seq": each.seq,
        "change": each.revision,
        "at": each.at,
        "who": each.who,
        "kind": each.kind,
        "id": each.id,
        "done": changes.act(each),
        "before": before,
        "after": after,
    }


def undo(state: StateDir, change: int, as_json: bool) -> None:
    """Undo a change, and tell the other processes. Raises ProvisionerError."""
    sources = Sources(state, time.time)
    try:
        made = undoing.undo(sources, change, WHO)
    finally:
        sources.close()
    _json({"change": made}) if as_json else click.echo(f"It is as it was before; that is change {made}.")
