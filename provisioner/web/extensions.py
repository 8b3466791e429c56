"""Pages and API of the extension plan: who has which, reserved ones, ranges, another length, where a call would go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.dialing.classify import Origin, classify
from provisioner.dialing.extensions import LENGTHS
from provisioner.errors import ProvisionerError
from provisioner.phones import extensions as plan
from provisioner.phones import numbers as numbering
from provisioner.phones import renumber
from provisioner.store.records import ExtensionRange, HeldExtension
from provisioner.web import api, contract, forms, handling, paging, staff
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape
from provisioner.web.sources import World
from provisioner.web.views import Level

PROPOSED = 10
FILTERS = {
    "": N_("All"),
    "in use": N_("In use"),
    "reserved": N_("Reserved"),
    "quarantine": N_("In quarantine"),
}
REGISTERED: dict[bool, tuple[str, Level]] = {
    True: (N_("Ready"), "good"),
    False: (N_("Not registered"), "bad"),
}
CALLS = {
    "do_not_disturb": N_("do not disturb"),
    "forward_always": N_("all forwarded"),
    "forward_busy": N_("forwarded when busy"),
    "forward_no_answer": N_("forwarded when not answered"),
    "screening": N_("asked who picks up"),
}
STATES: dict[str, tuple[str, Level]] = {
    "in use": (N_("In use"), "good"),
    "reserved": (N_("Reserved"), "busy"),
    "quarantine": (N_("In quarantine"), "warn"),
    "free": (N_("Free again"), "none"),
}
GOES = {
    "emergency": N_("An emergency call"),
    "emergency-test": N_("An emergency test call"),
    "crisis": N_("A call to the crisis line"),
    "extension": N_("A call inside, to extension"),
    "service": N_("A call to the service"),
    "outbound": N_("An outside call to"),
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


class Listed(NamedTuple):
    """A row of the plan with what else the page says: state in words, numbers of its own, what becomes of calls."""

    row: plan.Row
    word: str
    level: Level
    numbers: list[str]
    calls: list[str]


def _listed(world: World, rows: Sequence[plan.Row]) -> list[Listed]:
    """The rows of one page, with what the edge and the records say of them."""
    here, numbers, shown = handling.registered(world.edge), defaultdict(set), {row.extension for row in rows}
    for phone in world.snapshot.phones.values():
        for line in phone.lines:
            if line.extension in shown and line.number:
                numbers[line.extension].add(line.number)
    for number in world.snapshot.numbers.values():
        if number.extension in shown:
            numbers[number.extension].add(number.id)
    found = []
    for row in rows:
        word, level = STATES[row.state]
        if row.state == "in use" and here is not None:
            word, level = REGISTERED[row.extension in here]
        features = world.snapshot.line_features.get(row.extension)
        calls = [word for name, word in CALLS.items() if features and getattr(features, name)]
        found.append(Listed(row, word, level, sorted(numbers[row.extension]), calls))
    return found


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


def _page(
    world: World, status: int = 200, error: str = "", given: list[numbering.Given] | None = None
) -> Response:
    query, state = request.args.get("q", ""), request.args.get("show", "")
    dialled = request.args.get("dialled", "").strip()
    window = paging.window(_rows(query, state))
    return staff.page(
        "extensions.html", world, status,
        window=window, rows=_listed(world, window.rows), link=paging.linker(), query=query, wanted=state,
        filters=FILTERS, error=error, given=given or [], done=request.args.get("done", ""),
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


@pages.post("/extensions/numbers")
def give() -> Response:
    """Give each extension that is ticked a number of its own."""
    given = numbering.give(sources().inventory, request.form.getlist("extension"), who())
    sources().reload()
    return _page(sources().world(), given=given)


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
    wanted, revision = request.form.get("length", ""), forms.whole(request.form.get("revision", ""))
    if wanted not in map(str, LENGTHS) or revision is None:
        abort(400, "Look at the plan first.")
    try:
        renumber.apply(sources().inventory, int(wanted), who(), revision, sources().now)
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


class Chosen(Body, frozen=True):
    """The extensions that are to get a number."""

    extensions: Annotated[list[Text], Meta(max_length=1000)]


@calls.post("/extensions/numbers")
@contract.call()
def api_give(body: Chosen) -> list[numbering.Given]:
    """Give each extension a number of its own, where one is registered for its place and leads nowhere."""
    given = numbering.give(sources().inventory, body.extensions, who())
    sources().reload()
    return given
