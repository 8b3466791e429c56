"""The log of requests: what phones asked for, what they were told, and why; on the page, as CSV and by the API."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from flask import Blueprint, Response, abort, request, url_for
from msgspec import Meta

from provisioner.phones.explain import filled
from provisioner.phones.identity import normal_mac
from provisioner.phones.trust import RULES
from provisioner.store import request_log
from provisioner.store.records import Snapshot
from provisioner.store.request_log import MAX_MACS, WINDOW, Asked
from provisioner.web import api, contract, forms, shapes, staff, views, words
from provisioner.web.contract import Body
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources
from provisioner.web.sources import World

PAGE = 50
MAX_EXPORT = 100_000  # rows of a CSV file: what a spreadsheet opens without pain
FIELDS = ("q", "mac", "rule", "status", "address", "method", "path", "since", "until")
# What somebody can do about an answer, by rule.
REMEDIES = {
    "waiting": N_("Adopt the phone if it is yours."),
    "not-adopted": N_("Adopt the phone if it is yours, or open adoption under Settings, Trust."),
    "pnp-refused": N_("Adopt the phone if it is yours, or open adoption under Settings, Trust."),
    "proof-required": N_(
        "Restart the phone so that it asks in its own folder; after a factory reset behind a router, welcome it anew."
    ),
    "wrong-credentials": N_("After a factory reset, welcome the phone anew on its page."),
    "replayed-path": N_("If it is the phone at a new address, welcome it anew on its page."),
    "other-neighbour": N_(
        "Somebody else asked for this phone's files, or there is a router: name it under Trust."
    ),
    "neighbour-mismatch": N_(
        "Somebody asked for another phone's file. If there is a router, name it under Trust."
    ),
    "certificate-required": N_(
        "Only phones with a maker's certificate are served: change that under Settings, Trust."
    ),
    "unknown-certificate": N_("Install the maker's authority under Settings, Certificates and firmware."),
    "unknown-model": N_("There is no template for this model; another model of its family may do."),
    "quarantined": N_("See who it is under Settings, Protection, and release it there."),
    "other-maker": N_("The inventory has this phone under another maker: retire it, then adopt it anew."),
    "no-such-file": N_("Phones try names that are not needed; nothing is wrong."),
    "not-there": N_("An optional file; nothing is wrong."),
    "no-space": N_("Free space on the disk of this appliance."),
}

pages = Blueprint("request_log", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("request_log_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Export(Body, frozen=True):
    """Which requests."""

    q: Annotated[
        str, Meta(max_length=100, description="A MAC, address, extension, name or word of the row.")
    ] = ""
    mac: Annotated[str, Meta(max_length=100, description="Of one phone, in any spelling.")] = ""
    rule: Annotated[str, Meta(max_length=100, description="Decided by this rule.")] = ""
    status: Annotated[int, Meta(ge=0, le=999, description="Answered so; 0: any.")] = 0
    address: Annotated[str, Meta(max_length=60, description="Asked from this address.")] = ""
    method: Annotated[str, Meta(max_length=20, description="Asked by this method, `GET` or `TFTP`.")] = ""
    path: Annotated[str, Meta(max_length=200, description="This very path.")] = ""
    since: Annotated[str, Meta(max_length=40, description="A date, or a date and time.")] = ""
    until: Annotated[str, Meta(max_length=40, description="A date, or a date and time; excluded.")] = ""

    def given(self) -> dict[str, str]:
        """What an address would say."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items() if value}


class Wanted(Export, frozen=True):
    """Which requests, and from where on."""

    before: Annotated[int, Meta(ge=0, le=10**15, description="Only older ones than that with this `id`.")] = 0
    limit: Annotated[int, Meta(ge=1, le=1000, description="So many entries at most.")] = 100


class Sent(NamedTuple):
    """What a phone got: the file as it said then, secrets masked, and where that is not known any more, why."""

    text: str
    why_not: str = ""


def moment(text: str, name: str, zone: str) -> float | None:
    """A date, or a date and time, of the practice's zone; None for none. Aborts with 400."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        abort(422, f"{name} must be a date such as 2026-03-31, or a date and time such as 2026-03-31T14:00.")
    return (at if at.tzinfo else at.replace(tzinfo=words.zone(zone))).timestamp()


def wanted(args: Mapping[str, str], snapshot: Snapshot) -> Asked:
    """What the arguments of an address ask for; what makes no sense finds nothing."""
    status, mac = args.get("status", ""), args.get("mac", "").strip()
    zone = snapshot.practice.time_zone
    asked = Asked(
        mac=normal_mac(mac) or mac,
        rule=args.get("rule", ""),
        status=(forms.whole(status, 3) or -1) if status else 0,
        address=args.get("address", "").strip(),
        method=args.get("method", "").strip(),
        path=args.get("path", "").strip(),
        since=moment(args.get("since", ""), "since", zone),
        until=moment(args.get("until", ""), "until", zone),
        before=_number(args.get("before", "")),
        after=_number(args.get("after", "")),
    )
    return _searched(asked, args.get("q", "").strip()[:100], snapshot)


def _number(text: str) -> int:
    return forms.whole(text) or 0


def _searched(asked: Asked, text: str, snapshot: Snapshot) -> Asked:
    """With what someone typed: a MAC, an address, an extension or name of a phone; else a word of the row."""
    if not text:
        return asked
    if mac := normal_mac(text):
        return asked._replace(macs=(mac,))
    with suppress(ValueError):
        return asked._replace(address=str(ipaddress.ip_address(text)))
    low = text.lower()
    lines = ((phone.id, line) for phone in snapshot.phones.values() for line in phone.lines)
    named = {mac for mac, line in lines if line.extension == text or low in line.name.lower()}
    if 0 < len(named) <= MAX_MACS:
        return asked._replace(macs=tuple(sorted(named)))
    plain = low.translate(str.maketrans("", "", ":-."))
    rules = tuple(rule for rule, (_status, why) in RULES.items() if low in why.lower() or low == rule)
    compact = plain if len(plain) >= 4 and all(letter in "0123456789abcdef" for letter in plain) else ""
    return asked._replace(text=text, rules=rules, part=compact)


class Turn(NamedTuple):
    """Where a page of the log lies: the `id`s to go on by, 0 where there is nothing further."""

    newer: int
    older: int
    looked: bool  # only a part of the log was looked through


def _turn(rows: list[dict[str, Any]], asked: Asked, more: bool) -> Turn:
    first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (0, 0)
    journal = sources().journal
    bounded = bool(request_log.bounded(asked)) and not asked.after
    if not more and bounded:
        start = (asked.before or journal.last_request() + 1) - WINDOW
        return Turn(first if asked.before else 0, max(0, start), start > 0)
    newer = first if asked.before or (asked.after and more) else 0
    return Turn(newer, last if more or asked.after else 0, looked=False)


@staff.blueprint.get("/requests", endpoint="requests")
def requests() -> Response:
    """What phones asked for, what they were told, and by which rule; the newest first."""
    world = sources().world()
    asked = wanted(request.args, world.snapshot)
    rows = sources().journal.requests(PAGE + 1, asked)
    more = len(rows) > PAGE
    rows = rows[-PAGE:] if asked.after else rows[:PAGE]
    given = {name: value for name in FIELDS if (value := request.args.get(name, "").strip())}

    def link(**changes: Any) -> str:
        """The address of this log with other arguments; its newest page unless that is given."""
        arguments: dict[str, Any] = {**given, **changes}
        return url_for("staff.requests", **{name: value for name, value in arguments.items() if value})

    return staff.page(
        "requests.html",
        world,
        requests=rows,
        given=given,
        asked=asked,
        link=link,
        turn=_turn(rows, asked, more),
        live=not (asked.before or asked.after),
        newest=rows[0]["id"] + 1 if rows else 0,
        rules=RULES,
        statuses=sorted({status for status, _words in RULES.values()} | {206, 304, 416}),
        days=world.snapshot.practice.keep_requests_days,
    )


@pages.get("/requests/<int:number>")
def show(number: int) -> Response:
    """One request: all that is known of it, what was sent, and what can be done."""
    row = _one(number)
    world = sources().world()
    mac = str(row["mac"] or "")
    return staff.page(
        "request.html",
        world,
        row=row,
        remedy=REMEDIES.get(row["rule"], ""),
        sent=sent(row),
        phone=views.phone(world, mac, ignored=True) if mac else None,
        held=_quarantined(world, row),
    )


def _one(number: int) -> dict[str, Any]:
    row = sources().journal.request(number)
    if row is None:
        abort(404, _("There is no such request (any more)."))
    return row


def _quarantined(world: World, row: dict[str, Any]) -> str:
    """The source of the request, when it is in quarantine now."""
    held = {str(each["source"]) for each in (world.front or {}).get("quarantine", [])}
    return next((source for source in (row["mac"], row["address"]) if source in held), "")


def sent(row: dict[str, Any]) -> Sent:
    """What was answered to a request, with masks for secrets."""
    if row["status"] != 200 or row["method"] in ("HEAD", "PNP"):
        return (
            Sent(f"{RULES[row['rule']][1]}\n") if row["rule"] in RULES and row["status"] >= 400 else Sent("")
        )
    name = str(row["path"]).rpartition("/")[2].lower()
    served = next((each for each in sources().journal.served(str(row["mac"])) if each["name"] == name), None)
    if served is None:
        return Sent(
            "", _("Only files of adopted phones are kept, and of each only the last that said something new.")
        )
    if served["at"] > row["at"] + 1:
        return Sent("", _("The phone has fetched another version since; only the last one is kept."))
    return Sent(filled(served))


@pages.get("/requests.csv")
@calls.get("/requests.csv")
@contract.call(gives="text/csv")
def export(query: Export) -> Response:
    """The requests that are asked for, the newest first, as CSV; 100,000 at most."""
    asked = wanted(query.given(), sources().snapshot())
    zone = words.zone(sources().snapshot().practice.time_zone)
    response = Response(
        request_log.lines(sources().journal.walk_requests(asked, MAX_EXPORT), zone), mimetype="text/csv"
    )
    response.headers["Content-Disposition"] = 'attachment; filename="requests.csv"'
    return response


# API


@calls.get("/requests")
@contract.call(answer=contract.Page[shapes.Request])
def api_requests(query: Wanted) -> contract.Page[dict[str, Any]]:
    """What phones asked for, the newest first, with the rule in words."""
    asked = wanted(query.given(), sources().snapshot())
    found = sources().journal.requests(query.limit + 1, asked)
    rows, following = found[: query.limit], None
    if len(found) > query.limit:
        asked_for: dict[str, Any] = {**request.args.to_dict(), "before": rows[-1]["id"]}
        following = url_for(str(request.endpoint), **asked_for)
    return contract.Page(items=[{**row, "why": views.why(row["rule"])} for row in rows], next=following)


@calls.get("/requests/<entry>")
@contract.call(answer=shapes.RequestSent)
def api_request(entry: str) -> dict[str, Any]:
    """One request, by its `id`, with what was sent, secrets masked."""
    row = _one(_number(entry))
    answer = sent(row)
    why = views.why(row["rule"])
    return {
        **row,
        "why": why,
        "remedy": REMEDIES.get(row["rule"], ""),
        "sent": answer.text,
        "not_kept": answer.why_not,
    }
