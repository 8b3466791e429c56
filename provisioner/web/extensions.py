"""Pages and API of the extension plan: who has which, reserved ones, ranges, another length, where a call would go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.dialing.classify import Origin, classify
from provisioner.dialing.extensions import LENGTHS
from provisioner.errors import ProvisionerError
from provisioner.phones import extensions as plan
from provisioner.phones import renumber
from provisioner.store.records import ExtensionRange, HeldExtension
from provisioner.web import api, contract, staff
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape
from provisioner.web.sources import World
from provisioner.web.views import Level

PROPOSED = 10
FILTERS = {"": "All", "in use": "In use", "reserved": "Reserved", "quarantine": "In quarantine"}
STATES: dict[str, tuple[str, Level]] = {
    "in use": ("In use", "good"),
    "reserved": ("Reserved", "busy"),
    "quarantine": ("In quarantine", "warn"),
    "free": ("Free again", "none"),
}
GOES = {
    "emergency": "An emergency call",
    "emergency-test": "An emergency test call",
    "crisis": "A call to the crisis line",
    "extension": "A call inside, to extension",
    "service": "A call to the service",
    "outbound": "An outside call to",
}

pages = Blueprint("extensions", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("extensions_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


def _rows(query: str, state: str) -> list[plan.Row]:
    wanted = query.strip().lower()
    return [
        row
        for row in plan.rows(sources().snapshot(), sources().now())
        if (not state or row.state == state)
        and any(wanted in text.lower() for text in (row.extension, row.name, row.phone, row.range, row.state))
    ]


def _where(dialled: str, origin: Origin, extension: str = "") -> dict[str, object]:
    """Where `dialled` would go from the line with `extension`, "" for one that is like any."""
    found = classify(dialled, origin, plan.dial_plan(sources().snapshot(), extension))
    return {"kind": found.kind, "destination": found.number, "reason": found.reason, "prompt": found.prompt,
            "status": found.status, "international": found.international}  # fmt: skip


# pages


@pages.get("/extensions")
def page() -> Response:
    """All extensions, what could be given next, the ranges."""
    return _page(sources().world())


def _page(world: World, status: int = 200, error: str = "") -> Response:
    query, state = request.args.get("q", ""), request.args.get("show", "")
    dialled = request.args.get("dialled", "").strip()
    return staff.page(
        "extensions.html", world, status,
        rows=_rows(query, state), states=STATES, query=query, wanted=state, filters=FILTERS, error=error,
        problems=plan.problems(world.snapshot), free=plan.proposed(world.snapshot, world.now, count=PROPOSED),
        ranges=list(world.snapshot.extension_ranges.values()), locations=world.snapshot.locations,
        groups=world.snapshot.phone_groups, lengths=[each for each in LENGTHS if each != _length(world)],
        dialled=dialled, goes=GOES, found=_where(dialled, "software") if dialled else None,
    )  # fmt: skip


def _length(world: World) -> int:
    return world.snapshot.practice.extension_length


def _done(work: Callable[[], object]) -> Response:
    """Do what a form asks, then show the list again; with what is wrong about it when it cannot be done."""
    try:
        work()
    except ProvisionerError as error:
        return _page(sources().world(), 409, str(error))
    sources().reload()
    return make_response(redirect(url_for("extensions.page"), 303))


def _field(name: str) -> str:
    return request.form.get(name, "").strip()


@pages.post("/extensions/reserve")
def reserve() -> Response:
    """Keep an extension for somebody."""
    what = (_field("extension"), _field("name"), who(), sources().now)
    return _done(lambda: plan.reserve(sources().inventory, *what))


@pages.post("/extensions/release")
def release() -> Response:
    """Let an extension be given again."""
    return _done(lambda: plan.release(sources().inventory, _field("extension"), who()))


@pages.post("/extensions/ranges")
def add_range() -> Response:
    """A new range."""
    return _done(
        lambda: plan.add_range(
            sources().inventory, _field("first"), _field("last"), _field("name"), who(),
            _field("location"), _field("group"),
        )
    )  # fmt: skip


@pages.post("/extensions/ranges/remove")
def remove_range() -> Response:
    """A range less; nobody loses an extension by that."""
    return _done(lambda: plan.remove_range(sources().inventory, _field("range"), who()))


@pages.get("/extensions/length")
def length() -> Response:
    """What another length would do to each extension."""
    wanted = request.args.get("length", "")
    if wanted not in map(str, LENGTHS):
        abort(400, f"Extensions have {' or '.join(map(str, LENGTHS))} digits.")
    return _length_page(int(wanted))


def _length_page(wanted: int, status: int = 200, error: str = "") -> Response:
    world = sources().world()
    made = renumber.plan(world.snapshot, wanted)
    return staff.page("extension_length.html", world, status, plan=made, error=error)


@pages.post("/extensions/length")
def change_length() -> Response:
    """Do what was shown, if nothing has changed since."""
    wanted, revision = request.form.get("length", ""), request.form.get("revision", "")
    if wanted not in map(str, LENGTHS) or not revision.isdecimal():
        abort(400, "Look at the plan first.")
    try:
        renumber.apply(sources().inventory, int(wanted), who(), int(revision), sources().now)
    except ProvisionerError as error:
        return _length_page(int(wanted), 409, str(error))
    sources().reload()
    return make_response(redirect(url_for("extensions.page"), 303))


# API


class Wanted(Paging, frozen=True):
    """Which extensions."""

    q: Annotated[str, Meta(max_length=100, description="An extension, name, MAC or range.")] = ""
    state: Annotated[
        Literal["", "in use", "reserved", "quarantine", "free"], Meta(description="Only those.")
    ] = ""


class WantedNext(Body, frozen=True):
    """For which phone."""

    location: Annotated[str, Meta(max_length=200, description="Id of the place where it is.")] = ""
    group: Annotated[str, Meta(max_length=200, description="Id of its group.")] = ""
    count: Annotated[int, Meta(ge=1, le=contract.MAX_PAGE, description="So many.")] = 1


class Next(Shape, frozen=True):
    """Extensions that would be given, the next one first."""

    extensions: list[str]


class One(plan.Row, frozen=True):
    """An extension; `why` it could not be given now, "" when it is `usable`."""

    usable: bool
    why: str


class Reserve(Body, frozen=True):
    """For whom."""

    name: Text = ""


class Range(Body, frozen=True):
    """Extensions `first` to `last` for the phones of a `location` (with its parts) or a `group`."""

    first: Text
    last: Text
    name: Text = ""
    location: Text = ""
    group: Text = ""


class Length(Body, frozen=True):
    """How many digits. `revision`: of the plan that was looked at; 0: of any."""

    length: Annotated[int, Meta(ge=1, le=15)]
    revision: Annotated[int, Meta(ge=0, le=2**53)] = 0


class HowLength(Body, frozen=True):
    """How."""

    dry_run: Annotated[bool, Meta(description="Only say what would become of each.")] = False


class Dialled(Body, frozen=True, rename={"extension": "from"}):
    """What is dialled, and where."""

    digits: Annotated[str, Meta(max_length=200, description="What is dialled.")] = ""
    origin: Annotated[Origin, Meta(description="The keys of a phone, click-to-call, or a transfer.")] = (
        "software"
    )
    extension: Annotated[str, Meta(max_length=15, description="The line that dials; empty: any.")] = ""


class Where(Shape, frozen=True):
    """Where a call would go. Refused: `reason` in words, the `prompt` that says it, the SIP `status`."""

    kind: str
    destination: str
    reason: str
    prompt: str
    status: int
    international: bool


@calls.get("/extensions")
@contract.call()
def api_list(query: Wanted) -> Page[plan.Row]:
    """All extensions that are in use, reserved or in quarantine."""
    return contract.listed(_rows(query.q, query.state), query)


@calls.get("/extensions/next")
@contract.call()
def api_next(query: WantedNext) -> Next:
    """The next free ones for a phone at a place, in a group."""
    held = sources()
    found = plan.proposed(held.snapshot(), held.now(), query.location, query.group, query.count)
    return Next(extensions=found)


@calls.get("/extensions/<extension>")
@contract.call(record=HeldExtension)
def api_one(extension: str) -> One:
    """One extension: who has it, and whether it could be given."""
    row, why = plan.one(sources().snapshot(), extension, sources().now())
    return One(**msgspec.structs.asdict(row), usable=not why, why=why)


@calls.post("/extensions/<extension>/reserve")
@contract.call(status=201, record=HeldExtension, refuses="The extension was not reserved")
def api_reserve(extension: str, body: Reserve) -> HeldExtension:
    """Keep an extension for somebody."""
    held = plan.reserve(sources().inventory, extension, body.name, who(), sources().now)
    sources().reload()
    return held


@calls.post("/extensions/<extension>/release")
@contract.call(record=HeldExtension, refuses="Nothing was released")
def api_release(extension: str) -> HeldExtension:
    """Let an extension be given again; what it was kept for."""
    was = plan.release(sources().inventory, extension, who())
    sources().reload()
    return was


@calls.get("/extension-ranges")
@contract.call()
def api_ranges(query: Paging) -> Page[ExtensionRange]:
    """The ranges."""
    return contract.listed(list(sources().snapshot().extension_ranges.values()), query)


@calls.post("/extension-ranges")
@contract.call(status=201, refuses="The range was not made")
def api_add_range(body: Range) -> ExtensionRange:
    """A new range."""
    made = plan.add_range(
        sources().inventory, body.first, body.last, body.name, who(), body.location, body.group
    )
    sources().reload()
    return made


@calls.delete("/extension-ranges/<name>")
@contract.call(record=ExtensionRange, refuses="The range was not removed")
def api_remove_range(name: str) -> None:
    """A range less; nobody loses an extension by that."""
    if name not in sources().snapshot().extension_ranges:
        abort(404, "There is no such range.")
    plan.remove_range(sources().inventory, name, who())
    sources().reload()


@calls.post("/extensions/length")
@contract.call(refuses="Nothing was changed")
def api_length(query: HowLength, body: Length) -> renumber.Plan:
    """Give all extensions another length, all at once or not at all."""
    held = sources()
    if query.dry_run:
        return renumber.plan(held.snapshot(), body.length)
    made = renumber.apply(held.inventory, body.length, who(), body.revision, held.now)
    held.reload()
    return made


@calls.get("/dial")
@contract.call(answer=Where)
def api_dial(query: Dialled) -> dict[str, object]:
    """Where dialled digits would go, without placing a call."""
    return _where(query.digits, query.origin, query.extension)
