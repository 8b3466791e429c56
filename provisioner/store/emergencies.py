"""Tables of the journal that are evidence: emergency, test and crisis calls, and who was told of them.

The call log's retention does not touch them. A crisis call (988) is only counted: nothing in its row says who called.
"""

from __future__ import annotations

import msgspec
from sqlite_utils import Database

KEPT_CALLS = 200_000  # a test a week of each phone of the largest practice, for years
KEPT_NOTICES = 400_000

COLUMNS = {
    "emergencies": [
        *("id", "kind", "at", "mac", "extension", "number", "answered", "ended", "outcome", "body"),
    ],
    "notices": [
        *("id", "call", "at", "channel", "target", "occasion", "state", "tries", "due", "problem", "body"),
    ],
}
TRIM = (
    ("DELETE FROM emergencies WHERE rowid <= (SELECT max(rowid) FROM emergencies) - ?", KEPT_CALLS),
    ("DELETE FROM notices WHERE rowid <= (SELECT max(rowid) FROM notices) - ?", KEPT_NOTICES),
)
_CRISIS, _TEST = "988", "933"


def create(db: Database) -> None:
    """The tables, with what the call log still knows of emergency calls before there were any."""
    calls = db.table("emergencies").create(
        {
            "id": str,
            "kind": str,
            "at": float,
            "mac": str,
            "extension": str,
            "number": str,
            "answered": float,
            "ended": float,
            "outcome": str,
            "body": str,
        },
        pk="id",
    )
    calls.create_index(["at"])
    notices = db.table("notices").create(
        {
            "id": str,
            "call": str,
            "at": float,
            "channel": str,
            "target": str,
            "occasion": str,
            "state": str,
            "tries": int,
            "due": float,
            "problem": str,
            "body": str,
        },
        pk="id",
    )
    notices.create_index(["call"])
    notices.create_index(["state", "at"])
    for row in list(db.query("SELECT * FROM calls WHERE emergency")):
        calls.insert(_before(row))


def _before(row: dict[str, object]) -> dict[str, object]:
    """A row of the call log as one of ours; the number that was shown and the routes were not kept there."""
    called = str(row["called"] or "")
    kinds = {_CRISIS: "crisis", _TEST: "emergency-test"}
    kind = kinds.get(called[-3:], "emergency")
    steps = msgspec.json.decode(str(row["steps"] or "[]"))
    body: dict[str, object] = {"called": called}
    if kind != "crisis":
        body["steps"] = steps
    return {
        "id": row["id"],
        "kind": kind,
        "at": row["started"],
        "mac": "",
        "extension": row["desk"] if kind != "crisis" else "",
        "number": "",
        "answered": row["answered"],
        "ended": row["ended"],
        "outcome": row["outcome"],
        "body": msgspec.json.encode(body).decode(),
    }
