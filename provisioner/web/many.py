"""Actions on many phones: a preview of what each would become, then all in one change or job; pages and API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from flask import Blueprint, Response, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.emergency import locations
from provisioner.emergency.moved import Whereabouts
from provisioner.errors import ProvisionerError, UsageError
from provisioner.phones import many, remote
from provisioner.phones.identity import normal_mac
from provisioner.phones.many import Outcome, Wish
from provisioner.web import api, contract, phone_list, staff, uploads, words
from provisioner.web.contract import Body
from provisioner.web.language import later as N_
from provisioner.web.phone_list import Asked
from provisioner.web.session import sources, who
from provisioner.web.sources import World

SHOWN = 200  # phones of a preview that are shown; all are judged
MAX_REQUEST = 512 << 10  # bytes: 20,000 MACs
ACTIONS = {
    "adopt": N_("Adopt"),
    "assign": N_("Assign"),
    "move": N_("Move"),
    "resync": N_("Fetch files"),
    "restart": N_("Restart"),
    "retire": N_("Retire"),
}
ORDERS = ("resync", "restart")

pages = Blueprint("many", __name__, url_prefix="/staff")
calls = Blueprint("many_api", __name__, url_prefix="/api/v1")

uploads.limit(MAX_REQUEST, pages, calls)
pages.before_request(staff.guard)
calls.before_request(api.guard)


class Row(NamedTuple):
    """One phone of a preview or a result. `before`, `after`: what a 911 call of it tells, where it is moved."""

    outcome: Outcome
    before: list[locations.Told] = []
    after: list[locations.Told] = []


class Order(NamedTuple):
    """What is asked for: the action, and the phones; `there`: those that are moved stand there already."""

    action: str
    wish: Wish
    there: bool = False


def _chosen(world: World, macs: list[str], found: bool, asked: Mapping[str, str]) -> tuple[str, ...]:
    """The phones that were ticked, or all that a list shows on all of its pages. Raises UsageError."""
    if found:
        rows = phone_list.found(world, Asked.of(asked), phone_list.all_rows(world))
        return tuple(row.mac for row in rows)
    known = [normal_mac(mac) for mac in macs]
    if None in known:
        raise UsageError("That is no MAC address: twelve hex digits, as on the phone's label")
    return tuple(dict.fromkeys(mac for mac in known if mac))


def _typed(world: World) -> Order:
    """What the form says. Raises UsageError."""
    form = request.form
    action = form.get("action", "")
    if action not in ACTIONS:
        raise UsageError("Choose what is to become of the phones")
    macs = [*form.getlist("mac"), *form.get("macs", "").split()]
    chosen = _chosen(world, macs, "found" in form, form)
    given = {
        name: value
        for name in ("group", "location")
        if (value := form.get(f"to-{name}", "=")) not in ("", "=")
    }
    desk = {"yes": True, "no": False}.get(form.get("to-desk", ""))
    extensions = {mac: wanted for mac in chosen if (wanted := form.get(f"extension-{mac}", "").strip())}
    return _order(action, chosen, {**given, "front_desk": desk}, extensions, "there" in form)


def _order(
    action: str, macs: tuple[str, ...], given: Mapping[str, Any], extensions: dict[str, str], there: bool
) -> Order:
    """`given`: group, location ("none" and "": none), front_desk; what is None is left as it is."""
    plain: dict[str, Any] = {name: "" if value == "none" else value for name, value in given.items()}
    kind: many.Action = "adopt" if action == "adopt" else "retire" if action == "retire" else "assign"
    return Order(action, Wish(action=kind, macs=macs, extensions=extensions, **plain), there)


def _waiting(world: World) -> dict[str, dict[str, str]]:
    return {
        str(row["mac"]): {"vendor": row["vendor"] or "", "model": row["model"] or ""}
        for row in world.sightings
    }


def _outcomes(world: World, order: Order) -> list[Outcome]:
    """What would become of each phone; nothing for those whose form is not filled yet. Raises ProvisionerError."""
    wish, snapshot = order.wish, world.snapshot
    empty = wish.group is None and wish.location is None and wish.front_desk is None
    if order.action in ORDERS or (wish.action == "assign" and empty):
        if not wish.macs:
            raise UsageError("Tick the phones first")
        told = many.preview(
            snapshot, msgspec.structs.replace(wish, action="retire"), sources().catalogue(), {}, 0.0
        )
        return [msgspec.structs.replace(each, changes=[]) for each in told]
    return many.preview(snapshot, wish, sources().catalogue(), _waiting(world), world.now)


def _rows(world: World, order: Order, outcomes: list[Outcome]) -> list[Row]:
    """Those that are shown: with a problem first, and for those that move what emergency calls tell."""
    first = sorted(outcomes, key=lambda outcome: not outcome.problem)[:SHOWN]
    if order.action != "move" or not order.wish.location:
        return [Row(outcome) for outcome in first]
    phones = dict(world.snapshot.phones)
    for outcome in first:
        if phone := phones.get(outcome.mac):
            phones[outcome.mac] = msgspec.structs.replace(phone, location=order.wish.location)
    after = msgspec.structs.replace(world.snapshot, phones=phones)
    return [
        Row(
            outcome,
            locations.told(world.snapshot, world.snapshot.phones[outcome.mac]),
            locations.told(after, after.phones[outcome.mac]),
        )
        if outcome.mac in phones
        else Row(outcome)
        for outcome in first
    ]


def _mark(order: Order, outcomes: list[Outcome]) -> str:
    """Tells two previews apart: what is done is what was shown."""
    return hashlib.sha256(msgspec.json.encode([order.action, order.there, outcomes])).hexdigest()[:32]


@pages.post("/phones/many")
def show() -> Response:
    """What would become of the phones; with `do`, it is done if it is what was shown."""
    world = sources().world()
    try:
        order = _typed(world)
        outcomes = _outcomes(world, order)
    except ProvisionerError as problem:
        return staff.page("order_refused.html", world, 409, error=str(problem))
    if "do" not in request.form:
        return _preview(world, order, outcomes)
    if request.form.get("shown") != _mark(order, outcomes):
        return _preview(world, order, outcomes, 409, N_("Something has changed meanwhile. Look once more"))
    if order.action == "retire" and request.form.get("count", "").strip() != str(_able(order, outcomes)):
        return _preview(world, order, outcomes, 409, N_("Type how many phones they are, to retire them"))
    try:
        return _do(world, order)
    except ProvisionerError as problem:
        return _preview(world, order, outcomes, 409, str(problem))


def _able(order: Order, outcomes: list[Outcome]) -> int:
    """How many phones something is done to."""
    if order.action in ORDERS:
        return sum(not each.problem for each in outcomes)
    return sum(each.does_something for each in outcomes)


def _preview(
    world: World, order: Order, outcomes: list[Outcome], status: int = 200, error: str = ""
) -> Response:
    return staff.page(
        "many.html",
        world,
        status,
        order=order,
        word=ACTIONS[order.action],
        rows=_rows(world, order, outcomes),
        more=max(0, len(outcomes) - SHOWN),
        able=_able(order, outcomes),
        wrong=sum(bool(each.problem) for each in outcomes),
        shown=_mark(order, outcomes),
        seen=_waiting(world),
        civic=words.civic,
        error=error,
    )


def _do(world: World, order: Order) -> Response:
    if order.action in ORDERS:
        return make_response(redirect(url_for("orders.job", name=_tell(world, order)["job"]), 303))
    outcomes = _changed(world, order)
    return staff.page(
        "many_done.html",
        sources().world(),
        order=order,
        outcomes=sorted(outcomes, key=lambda each: not each.problem),
        done=[each.mac for each in outcomes if each.does_something],
    )


def _tell(world: World, order: Order) -> Any:
    macs = [mac for mac in order.wish.macs if mac in world.snapshot.phones]
    if not macs:
        raise UsageError("None of these phones is adopted")
    return remote.tell(sources().state, sources().inventory, macs, order.action, who())


def _changed(world: World, order: Order) -> list[Outcome]:
    """Do it, and let edge and front know. Raises ProvisionerError."""
    held, wish = sources(), order.wish
    if order.action == "move":
        outcomes = many.preview(world.snapshot, wish, held.catalogue(), {}, world.now)
        seen = (
            {row["mac"]: _where(row["body"]) for row in held.journal.whereabouts()} if order.there else None
        )
        locations.move(held.inventory, wish.macs, wish.location or "", who(), world.now, seen)
    else:
        outcomes = many.apply(held.inventory, wish, who(), held.catalogue(), _waiting(world), now=held.now)
    held.reload()
    return outcomes


def _where(body: Any) -> Whereabouts:
    return msgspec.convert(body, Whereabouts)


# API


class Many(Body, frozen=True):
    """What to do to which phones. What is null is left as it is; `""` takes it away.

    `found`: in place of `macs` all that the list of phones shows with these filters. `there`: who is moved stands there
    already. `dry_run`: only tell what would become of each.
    """

    action: Annotated[
        Literal["adopt", "assign", "move", "resync", "restart", "retire"],
        Meta(description="What becomes of them."),
    ]
    macs: Annotated[list[str], Meta(max_length=20_000)] = []
    found: dict[str, str] | None = None
    group: str | None = None
    location: str | None = None
    front_desk: bool | None = None
    extensions: Annotated[dict[str, str], Meta(description="By MAC, for those that are adopted.")] = {}
    there: bool = False
    dry_run: bool = False


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of each phone; `job`: of the edge, which tells the phones, where it does that."""

    items: list[Outcome]
    job: str = ""


@calls.post("/phones/many")
@contract.call(refuses="Nothing was changed")
def api_many(body: Many) -> Outcomes:
    """Adopt, assign, move, resync, restart or retire phones, all in one change or job."""
    world = sources().world()
    macs = _chosen(world, body.macs, body.found is not None, body.found or {})
    extensions = {normal_mac(mac) or mac: text for mac, text in body.extensions.items()}
    given = {name: getattr(body, name) for name in ("group", "location", "front_desk")}
    order = _order(body.action, macs, given, extensions, body.there)
    if body.action == "move" and not body.location:
        raise UsageError("Say where the phones are moved to: location")
    outcomes = _outcomes(world, order)
    if body.dry_run:
        return Outcomes(items=outcomes)
    if body.action in ORDERS:
        return Outcomes(items=outcomes, job=_tell(world, order)["job"])
    return Outcomes(items=_changed(world, order))
