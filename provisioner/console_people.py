"""What `provisioner users`, `provisioner tokens` and `provisioner audit` print and do, by calls of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

import click
import msgspec

from provisioner.client import Client, call, entries
from provisioner.errors import UsageError
from provisioner.output import show_rows

PAGE = 500  # entries that are asked for at once
Row = dict[str, Any]


def _json(value: object) -> None:
    click.echo(msgspec.json.encode(value))


def _all(client: Client, path: str, **query: Any) -> Iterator[Row]:
    """The entries of a list."""
    return entries(client, call(client, "GET", path, query).json())


def _table(rows: Sequence[Row], none: str) -> None:
    if rows:
        show_rows(rows, tuple(rows[0]))
    else:
        click.echo(none)


def _time(at: float | None) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%Y-%m-%d %H:%M}" if at else ""


def _said(as_json: bool, words: str, **told: Any) -> None:
    """What was done, where the API has nothing more to say of it."""
    _json(told) if as_json else click.echo(words)


# users


def _login(name: str) -> str:
    return name.strip().lower()


def _path(name: str, more: str = "") -> str:
    return f"/users/{quote(_login(name), safe='')}{more}"


def _user(user: Row) -> Row:
    names = ("name", "role", "language", "second_factor", "disabled")
    return {"login": user["id"], **{name: user[name] for name in names}}


def _show(user: Row, as_json: bool) -> None:
    off = ", and may not sign in" if user["disabled"] else ""
    _said(as_json, f"{user['id']} is {user['role']}{off}.", **_user(user))


def list_users(client: Client, as_json: bool) -> None:
    """Print the users."""
    rows = [_user(user) for user in _all(client, "/users", limit=PAGE)]
    if as_json:
        _json(rows)
        return
    marks = ("second_factor", "disabled")
    words = [row | {name: "yes" if row[name] else "" for name in marks} for row in rows]
    _table(words, "No user yet: add one, or use a link of `provisioner sign-in`.")


def add_user(
    client: Client, as_json: bool, *, name: str, password: str, role: str, full_name: str, language: str
) -> None:
    """Make a user. Raises UsageError with what is wrong."""
    body = {"id": name, "password": password, "role": role, "name": full_name, "language": language}
    _show(call(client, "POST", "/users", body=body).json(), as_json)


def edit_user(client: Client, as_json: bool, name: str, values: Mapping[str, object]) -> None:
    """Change a user. Raises UsageError, OperatorError."""
    _show(call(client, "PATCH", _path(name), body=values).json(), as_json)


def set_password(client: Client, as_json: bool, name: str, password: str) -> None:
    """Give a user another password. Raises UsageError."""
    call(client, "PUT", _path(name, "/password"), body={"password": password})
    _said(as_json, f"{_login(name)} has another password, and is signed out everywhere.", login=_login(name))


def one_factor(client: Client, as_json: bool, name: str) -> None:
    """Ask a user for the password alone. Raises UsageError."""
    call(client, "DELETE", _path(name, "/second-factor"))
    _said(as_json, f"{_login(name)} signs in with the password alone.", login=_login(name))


def remove_user(client: Client, as_json: bool, name: str) -> None:
    """Remove a user. Raises UsageError, OperatorError."""
    call(client, "DELETE", _path(name))
    _said(as_json, f"{_login(name)} is removed, and signed out everywhere.", login=_login(name))


# tokens


def list_tokens(client: Client, as_json: bool) -> None:
    """Print the API tokens, never their text."""
    names = ("number", "name", "role", "scopes", "user", "last_used", "expires")
    rows = [{name: each[name] for name in names} for each in _all(client, "/tokens", limit=PAGE)]
    if as_json:
        _json(rows)
        return
    words = [
        {**row, "scopes": " ".join(row["scopes"]) or "all", "last_used": _time(row["last_used"]) or "never",
         "expires": _time(row["expires"]) or "never"} for row in rows
    ]  # fmt: skip
    _table(words, "No API token.")


def add_token(
    client: Client, as_json: bool, *, name: str, role: str, wanted: Sequence[str], days: float
) -> None:
    """Make a token and print it. Raises UsageError."""
    body = {"name": name, "role": role, "scopes": list(wanted), "days": days}
    made = call(client, "POST", "/tokens", body=body).json()
    _said(as_json, made["token"], name=made["name"], token=made["token"])


def revoke_token(client: Client, as_json: bool, number: int) -> None:
    """End a token. Raises UsageError, OperatorError."""
    held = next((each for each in _all(client, "/tokens", limit=PAGE) if each["number"] == number), None)
    if held is None:
        raise UsageError("there is no such token, or it has expired: look at the list of tokens")
    call(client, "DELETE", f"/tokens/{number}")
    _said(as_json, f"{held['name'] or 'The token'} is good no more.", number=number, name=held["name"])


# audit


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone().timestamp() if text else 0.0
    except ValueError:
        raise UsageError(f"{text} is no date: give it as 2026-03-31 or 2026-03-31T08:00") from None


def list_audit(
    client: Client,
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
    asked = {
        "who": who,
        "kind": kind,
        "id": name,
        "since": _moment(since),
        "until": _moment(until),
        "q": text,
    }
    wanted = {key: value for key, value in asked.items() if value}
    found = list(islice(_all(client, "/audit", limit=min(limit, PAGE), **wanted), limit))
    if as_json:
        _json([{**each, "done": each["act"]} for each in found])
        return
    rows = [
        {
            "change": each["change"],
            "when": _time(each["at"]),
            "who": each["who"],
            "what": f"{each['kind']} {each['id']}",
            "done": each["act"],
            "fields": "; ".join(_field(field) for field in each["fields"])[:200],
        }
        for each in found
    ]
    _table(rows, "Nothing of this was changed.")


def _field(field: Row) -> str:
    before = f"{field['before']} -> " if field["before"] else ""
    return f"{field['field']}: {before}{field['after'] or '-'}"


def undo(client: Client, as_json: bool, change: int) -> None:
    """Undo a change. Raises UsageError, OperatorError."""
    made = call(client, "POST", f"/audit/{change}/undo").json()["change"]
    _said(as_json, f"It is as it was before; that is change {made}.", change=made)
