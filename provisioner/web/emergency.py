"""Emergency calls on the page and in the API: the log, tests by 933, and whom such calls are told to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.emergency import evidence, matrix, notices
from provisioner.emergency.matrix import Cell
from provisioner.errors import UsageError
from provisioner.ipc import Json
from provisioner.store.records import NoticeSecret, Notifying
from provisioner.web import api, contract, forms, paging, shapes, staff
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape
from provisioner.web.sources import World
from provisioner.web.views import Level

CALLS = 15  # of the log, on a page
RESULTS = 3  # of a line that are told
LEVELS: dict[str, Level] = {
    "passed": "good", "stale": "warn", "overdue": "warn", "failed": "bad", "never": "bad",
}  # fmt: skip
SECURITY = {"starttls": "STARTTLS", "tls": "TLS", "none": N_("none")}
CHANNELS = {
    "message": N_("text to"),
    "ring": N_("call to"),
    "mail": N_("e-mail to"),
    "webhook": N_("webhook"),
}
STATES = {"delivered": N_("delivered"), "pending": N_("on its way"), "failed": N_("failed")}
SECRETS = ("mail_password", "webhook_key")

pages = Blueprint("emergency", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("emergency_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


def settings() -> Notifying:
    """Whom emergency calls are told to."""
    return sources().snapshot().notifying


def shown() -> dict[str, Any]:
    """The settings for the API: of the secrets only whether they are set."""
    kept = sources().inventory.get(NoticeSecret, "notices")
    secret = kept[0] if kept else NoticeSecret(id="notices")
    body: dict[str, Any] = msgspec.to_builtins(settings())
    body.update({f"{name}_set": bool(getattr(secret, name)) for name in SECRETS})
    return {name: value for name, value in body.items() if name not in ("id", "kind")}


def store(values: dict[str, Any], who: str) -> None:
    """Check and keep; what is left out stays, a secret that is empty too. Raises UsageError."""
    secrets = {name: values.pop(name) for name in SECRETS if name in values}
    unknown = values.keys() - set(Notifying.__struct_fields__) | values.keys() & {"id"}
    if unknown:
        raise UsageError(f"There is no such setting: {min(unknown)}")
    with sources().inventory.change(who) as change:
        kept = change.get(NoticeSecret, "notices")
        secret = kept[0] if kept else NoticeSecret(id="notices")
        known = change.get(Notifying, "notices")
        before = known[0] if known else Notifying(id="notices")
        try:
            given = {name: value for name, value in secrets.items() if value != ""}
            secret = msgspec.convert({**msgspec.to_builtins(secret), **given}, NoticeSecret)
            after = msgspec.convert({**msgspec.to_builtins(before), **values}, Notifying)
        except msgspec.ValidationError as error:
            raise UsageError(f"That is no such setting: {error}") from None
        change.put(notices.checked(after, secret.mail_password))
        change.put(secret)
    sources().reload()


def log(since: float = 0.0, until: float = 1e18, most: int = 1 << 40) -> list[Json]:
    """The emergency log, newest first; at most so many calls."""
    journal = sources().journal
    rows = journal.newest_emergencies(most, since, until)[::-1]
    told = journal.notices(float(rows[0]["at"])) if rows else []
    return evidence.calls(rows, told)[::-1]


def _matrix(world: World, rows: list[Json], only: Collection[str] | None = None) -> list[Cell]:
    held = (world.edge or {}).get("registrations", [])
    networks = {
        str(row["extension"]): matrix.network_of(str(row["address"]).rpartition(":")[0].strip("[]"))
        for row in held
    }
    return matrix.matrix(world.snapshot, rows, networks, world.now, settings().test_days, only)


def cells(world: World) -> list[Cell]:
    """The matrix of tests at this moment, with the last result of each line."""
    return _matrix(world, sources().journal.tests(1))


def detailed(world: World, chosen: Sequence[Cell], each: int) -> list[Cell]:
    """These cells with the last `each` results."""
    named = [cell.extension for cell in chosen]
    rows = sources().journal.tests(each, named) if chosen else []
    found = {cell.extension: cell for cell in _matrix(world, rows, frozenset(named))}
    return [found[name] for name in named]


def begin_test(extension: str) -> str:
    """Call 933 in the name of a line; the call's id. Raises UsageError."""
    answer, error = sources().ask("edge", "emergency_test", {"extension": extension})
    if answer is None:
        raise UsageError(error)
    return str(answer["call"])


def try_notice() -> list[str]:
    """Send a test notice; the ids of the notices. Raises UsageError."""
    answer, error = sources().ask("notifier", "test")
    if answer is None:
        raise UsageError(error)
    return [str(name) for name in answer["notices"]]


# pages


@pages.get("/emergency/log")
def page() -> Response:
    """The log, the tests and the settings."""
    return _page()


def _page(status: int = 200, error: str = "", typed: Notifying | None = None) -> Response:
    world = sources().world()
    zone = world.snapshot.practice.time_zone
    entries = log(until=_before(), most=CALLS + 1)
    window = paging.window(cells(world))
    trials = sources().journal.notices_of("")
    return staff.page(
        "emergency_page.html",
        world,
        status,
        log=[(call["at"], evidence.flat(call, zone)) for call in entries[:CALLS]],
        older=entries[CALLS - 1]["at"] if len(entries) > CALLS else None,
        cells=detailed(world, window.rows, RESULTS),
        window=window,
        link=paging.linker(),
        levels=LEVELS,
        standing=evidence.STANDING,
        changed=matrix.WORDS,
        trials=trials[-8:][::-1],
        settings=typed or settings(),
        secrets=shown(),
        security=SECURITY,
        channels=CHANNELS,
        states=STATES,
        error=error,
        done=request.args.get("done", ""),
    )


def _before() -> float:
    """Only calls before this time are shown, for the pages of the log."""
    text = request.args.get("before", "")
    return float(text) if text.replace(".", "", 1).isdecimal() and text.isascii() else 1e18


def _done(what: str) -> Response:
    return make_response(redirect(url_for("emergency.page", done=what), 303))


@pages.post("/emergency/tests")
def page_test() -> Response:
    """Call 933 in the name of a line."""
    try:
        begin_test(request.form.get("extension", ""))
    except UsageError as error:
        return _page(409, str(error))
    return _done("test")


@pages.post("/emergency/notices")
def page_notice() -> Response:
    """Send a test notice."""
    try:
        try_notice()
    except UsageError as error:
        return _page(409, str(error))
    return _done("notice")


@pages.post("/emergency/settings")
def page_settings() -> Response:
    """All fields of the form at once."""
    form = request.form
    values: dict[str, Any] = {name: name in form for name in ("ring", "tests")}
    values |= {
        name: form.get(name, "").strip() for name in ("mail_host", "mail_user", "mail_from", "test_hours")
    }
    values |= {name: tuple(form.get(name, "").split()) for name in ("mail_to", "webhooks")}
    values |= {
        "mail_security": form.get("mail_security", ""),
        **{name: form.get(name, "") for name in SECRETS},
    }
    port, days = form.get("mail_port", ""), form.get("test_days", "")
    values["mail_port"] = forms.whole(port) or 0
    values["test_days"] = float(days) if days.replace(".", "", 1).isdecimal() else -1.0
    try:
        store(dict(values), who())
    except UsageError as error:
        typed = {name: value for name, value in values.items() if name not in SECRETS}
        return _page(409, str(error), Notifying(id="notices", **typed))
    return _done("settings")


# API


class Days(Body, frozen=True):
    """Days of the practice."""

    since: Annotated[str, Meta(max_length=10, description="First day, as 2026-01-01.")] = ""
    until: Annotated[str, Meta(max_length=10, description="Last day; it is in it.")] = ""


class Wanted(Days, frozen=True):
    """Which calls, and which part of them."""

    limit: contract.Limit = contract.PAGE
    offset: contract.Offset = 0


class Line(Body, frozen=True):
    """The line in whose name 933 is called."""

    extension: Text


class Begun(Shape, frozen=True):
    """The id of the call."""

    call: str


class Noticed(Shape, frozen=True):
    """The ids of the notices."""

    notices: list[str]


def _days() -> tuple[float, float]:
    """`since` and `until`: days of the practice, `until` is in it."""
    try:
        first = request.args.get("since") or "1971-01-01"
        last = request.args.get("until") or "2999-12-31"
        return evidence.days(first, last, sources().snapshot().practice.time_zone)
    except UsageError as error:
        abort(422, f"{error}.")


@calls.get("/emergency/calls")
@contract.call(answer=Page[shapes.EmergencyCall])
def api_log(query: Wanted) -> Page[Json]:
    """The emergency log, newest first."""
    return contract.listed(log(*_days(), query.offset + query.limit + 1), query, None)


@pages.get("/emergency/calls.csv")
@calls.get("/emergency/calls.csv")
@contract.call(gives="text/csv")
def api_csv(query: Days) -> Response:
    """The emergency log as a table, oldest first."""
    zone = sources().snapshot().practice.time_zone
    rows = [evidence.flat(call, zone) for call in log(*_days())[::-1]]
    response = Response(evidence.as_csv(rows), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="emergency-calls.csv"'
    return response


@pages.get("/emergency/evidence.zip")
@calls.get("/emergency/evidence.zip")
@contract.call(gives="application/zip")
def api_evidence(query: Days) -> Response:
    """The evidence of emergency calls and tests as a ZIP file; without days of the last year."""
    now, snapshot = sources().now(), sources().snapshot()
    ago, today = evidence.year(now, snapshot.practice.time_zone)
    first, last = query.since or ago, query.until or today
    try:
        since, until = evidence.days(first, last, snapshot.practice.time_zone)
    except UsageError as error:
        abort(422, f"{error}.")
    journal = sources().journal
    rows, told = journal.emergencies(since, until), journal.notices()
    standing = matrix.matrix(
        snapshot, journal.emergencies(0.0, until), {}, min(now, until), snapshot.notifying.test_days
    )
    data = evidence.archive(snapshot, rows, told, standing, first, last, now)
    response = Response(data, mimetype="application/zip")
    response.headers["Content-Disposition"] = f'attachment; filename="emergency-{first}-{last}.zip"'
    return response


@calls.get("/emergency/tests")
@contract.call()
def api_tests(query: Paging) -> Page[Cell]:
    """For each line when 933 was last called and what came of it, the worst first."""
    world = sources().world()
    found = contract.listed(cells(world), query)
    return msgspec.structs.replace(found, items=detailed(world, found.items, RESULTS))


@calls.post("/emergency/tests")
@contract.call(status=202, refuses="No test was begun")
def api_test(body: Line) -> Begun:
    """Call 933 in the name of a line, as 911 would be called."""
    return Begun(call=begin_test(body.extension))


@calls.post("/emergency/notices")
@contract.call(status=202, refuses="No notice was sent")
def api_notice() -> Noticed:
    """Send a test notice to everybody who would be told by e-mail or webhook."""
    return Noticed(notices=try_notice())


@calls.get("/emergency/settings")
@contract.call(record=Notifying, name="notices", answer=shapes.NoticeSettings)
def api_settings() -> Json:
    """Whom emergency calls are told to; of the secrets only whether they are set."""
    return shown()


@calls.put("/emergency/settings")
@contract.call(
    record=Notifying,
    name="notices",
    body=shapes.NOTICE_CHANGE,
    answer=shapes.NoticeSettings,
    refuses="The settings were not changed",
    refusal=422,
)
def api_store(body: msgspec.Struct) -> Json:
    """Change those that the body names; `mail_password` and `webhook_key` are taken and never shown."""
    store(contract.given(body), who())
    return shown()
