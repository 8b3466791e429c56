"""Where the practice is: the tree of its locations with phones and numbers, changed after a look at 911."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.emergency import civic, civic_text, effects, locations, moved, postal
from provisioner.emergency.civic_text import Doubt
from provisioner.emergency.effects import Effects
from provisioner.errors import Invalid, UsageError
from provisioner.store.inventory import INSIDE, Conflict
from provisioner.store.records import Level, Location, Number, Phone, Snapshot
from provisioner.web import api, contract, forms, staff, words
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

SHOWN = 8  # phones and numbers of one location in the tree; the rest by a link
MANY = 100  # locations, whose tree would be a heavy page with so many of each
LEVELS: dict[Level, str] = {
    "practice": N_("Practice"),
    "building": N_("Building"),
    "floor": N_("Floor"),
    "room": N_("Room"),
}
BELOW: dict[str, tuple[Level, ...]] = {
    "": ("building", "practice"),
    "practice": ("building",),
    "building": ("floor", "room"),
    "floor": ("room",),
    "room": (),
}
LABELS = {
    **civic.LABELS,
    "NAM": N_("Building or business"),
    "PRD": N_("Direction before"),
    "POD": N_("Direction after"),
    "A2": N_("County"),
    "LMK": N_("Landmark"),
}
# The parts of an address that a level usually has of its own, and those behind "More".
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "practice": ((), ("NAM", "country", "A1", "A3", "PC")),
    "building": (
        ("HNO", "PRD", "RD", "STS", "POD", "A3", "A1", "PC", "country"),
        ("NAM", "BLD", "UNIT", "FLR", "HNP", "HNS", "STP", "A2", "PCN", "LMK", "LOC"),
    ),
    "floor": (("FLR",), ("UNIT", "LOC", "BLD")),
    "room": (("ROOM",), ("UNIT", "FLR", "SEAT", "LOC", "BLD")),
}

pages = Blueprint("places", __name__, url_prefix="/staff/locations")
pages.before_request(staff.guard)
calls = Blueprint("places_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Node(NamedTuple):
    """One location in the tree. `phones`, `numbers`: the first ones there; `more`: how many others there are."""

    location: Location
    address: str
    phones: list[Phone]
    numbers: list[Number]
    more: int
    total: int
    nodes: list[Node]


def tree(snapshot: Snapshot, query: str = "") -> list[Node]:
    """The locations that fit `query`, with those that they are in; each with what is there."""
    phones: dict[str, list[Phone]] = {}
    numbers: dict[str, list[Number]] = {}
    for phone in snapshot.phones.values():
        phones.setdefault(phone.location, []).append(phone)
    for number in snapshot.numbers.values():
        numbers.setdefault(number.location, []).append(number)
    known = snapshot.locations
    most = SHOWN if len(known) < MANY else 1
    parts: dict[str, list[Location]] = {}
    for each in sorted(known.values(), key=lambda each: each.name.lower()):
        parts.setdefault(each.parent if each.parent in known else "", []).append(each)

    def node(location: Location, seen: frozenset[str]) -> Node | None:
        below = [
            node(each, seen | {location.id}) for each in parts.get(location.id, ()) if each.id not in seen
        ]
        nodes = [each for each in below if each]
        here, there = phones.get(location.id, []), numbers.get(location.id, [])
        place = snapshot.place(location.id)
        address = words.civic(place.civic) if place else ""
        found = [phone for phone in here if query in _text(phone)]
        leads = [each for each in there if query in f"{words.number(each.id)} {each.id} {each.label}".lower()]
        if query in f"{location.name} {location.id} {address}".lower():
            found, leads = here, there
        if query and not (nodes or found or leads or query in f"{location.name} {address}".lower()):
            return None
        more = max(0, len(found) - most) + max(0, len(leads) - most)
        total = len(here) + sum(each.total for each in below if each)
        return Node(location, address, found[:most], leads[:most], more, total, nodes)

    return [made for each in parts.get("", ()) if (made := node(each, frozenset()))]


def _text(phone: Phone) -> str:
    return " ".join((phone.id, *(f"{line.extension} {line.name}" for line in phone.lines))).lower()


@pages.get("")
def index() -> Response:
    """The tree."""
    world = sources().world()
    query = request.args.get("q", "").strip()
    nowhere = [
        phone for phone in world.snapshot.phones.values() if phone.location not in world.snapshot.locations
    ]
    return staff.page(
        "places.html", world,
        nodes=tree(world.snapshot, query.lower()), query=query, levels=LEVELS, below=BELOW,
        nowhere=nowhere[:SHOWN], nowhere_count=len(nowhere), removed="removed" in request.args,
    )  # fmt: skip


# one location


class Form(NamedTuple):
    """What stands in the form. `text`: the address as it was typed; `doubts`: what is to be looked at in it."""

    location: Location
    text: str = ""
    doubts: tuple[Doubt, ...] = ()


@pages.get("/new")
def new() -> Response:
    """A location that is not there yet, in the one that `parent` names."""
    parent, level = request.args.get("parent", ""), request.args.get("level", "building")
    if level not in LEVELS or (parent and parent not in sources().snapshot().locations):
        abort(404, _("There is no such location."))
    empty = {"kind": "location", "id": "", "name": "", "civic": {}, "parent": parent, "level": level}
    return _page(Form(msgspec.convert(empty, Location)), 0)


@pages.get("/<name>")
def one(name: str) -> Response:
    """One location: what is there, and what of it can be changed."""
    held, revision = _held(name)
    return _page(Form(held), revision)


def _held(name: str) -> tuple[Location, int]:
    found = sources().inventory.get(Location, name)
    if found is None:
        abort(404, _("There is no such location."))
    return found


def _seen(location: str) -> tuple[list[str], list[str]]:
    """How the phones of a location look on the network now: networks and switch ports, the most frequent first."""
    networks: Counter[str] = Counter()
    ports: Counter[str] = Counter()
    for row in sources().journal.whereabouts():
        body = row["body"]
        if body.get("location") == location:
            networks[moved.network_of(body.get("address") or "")] += 1
            ports[body.get("port") or ""] += 1
    return [each for each, _count in networks.most_common(5) if each], [
        each for each, _count in ports.most_common(5) if each
    ]


def _page(
    form: Form,
    revision: int,
    status: int = 200,
    errors: dict[str, str] | None = None,
    means: Effects | None = None,
    **more: Any,
) -> Response:
    world, location = sources().world(), form.location
    snapshot = world.snapshot
    stored = snapshot.locations.get(location.id)
    parent = snapshot.place(location.parent)
    usual, others = PARTS[location.level]
    kept = tuple(each for each in location.civic if each not in usual)
    return staff.page(
        "place.html", world, status,
        form=form, location=location, stored=stored, revision=revision, errors=errors or {},
        levels=LEVELS, labels=LABELS, inherited=parent.civic if parent else {},
        usual=usual, others=tuple(dict.fromkeys((*kept, *others))), opened=bool(kept),
        parents=_parents(snapshot, location), lineage=snapshot.lineage(location.parent)[::-1],
        address=_whole(snapshot, location), doubts={each.element: each for each in form.doubts},
        here=_here(snapshot, location.id) if stored else {}, below=BELOW[location.level],
        seen=_seen(location.id) if stored else ([], []), means=means, mark=_mark(location) if means else "",
        saved="saved" in request.args, civic_words=words.civic, line=postal.text, **more,
    )  # fmt: skip


def _parents(snapshot: Snapshot, location: Location) -> list[tuple[str, str]]:
    """What a location can be a part of: id and words."""
    rank = locations.LEVELS.index(location.level)
    found = [
        (each.id, _path(snapshot, each.id))
        for each in snapshot.locations.values()
        if locations.LEVELS.index(each.level) < rank
        and location.id not in [part.id for part in snapshot.lineage(each.id)]
    ]
    return sorted(found, key=lambda pair: pair[1].lower())


def _here(snapshot: Snapshot, name: str) -> dict[str, list[Any]]:
    """What is at a location, or a part of it."""
    return {
        "phones": [each for each in snapshot.phones.values() if each.location == name],
        "numbers": [each for each in snapshot.numbers.values() if each.location == name],
        "parts": [each for each in snapshot.locations.values() if each.parent == name],
        "ranges": [each for each in snapshot.extension_ranges.values() if each.location == name],
    }


def _path(snapshot: Snapshot, name: str) -> str:
    return " \u203a ".join(each.name for each in reversed(snapshot.lineage(name)))


def _whole(snapshot: Snapshot, location: Location) -> str:
    """The whole address of a location as it stands in the form, on one line."""
    held = msgspec.structs.replace(snapshot, locations={**snapshot.locations, location.id: location})
    place = held.place(location.id)
    return words.civic(place.civic) if place else ""


def _mark(location: Location) -> str:
    """Tells whether what is saved is what was shown."""
    return hashlib.sha256(msgspec.json.encode(location)).hexdigest()[:16]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for each in re.split(r"[\n,]", text) if (line := each.strip()))


def _typed(name: str) -> Form:
    """The location as the form has it."""
    form = request.form
    own = {
        key.removeprefix("civic-"): value.strip() for key, value in form.items() if key.startswith("civic-")
    }
    pairs = (line.partition("=") for line in _lines(form.get("identifiers", "")))
    body = {
        "kind": "location", "id": name, "name": " ".join(form.get("name", "").split()), "level": form.get("level", ""),
        "parent": form.get("parent", ""), "civic": civic.tidy(own),
        "networks": [each for each in re.split(r"[\s,;]+", form.get("networks", "")) if each],
        "neighbours": _lines(form.get("neighbours", "")),
        "identifiers": {key.strip(): value.strip() for key, _equals, value in pairs},
    }  # fmt: skip
    try:
        return Form(msgspec.convert(body, Location), form.get("text", "").strip())
    except msgspec.ValidationError:
        abort(400, _("Load the page again and repeat."))


def read(text: str, location: Location, inherited: dict[str, str]) -> Form:
    """The address that was typed, in its parts, with its doubts; a floor or room takes what is inside a building."""
    parsed = civic_text.parse(text, inherited.get("country", ""))
    doubts = [each for each in parsed.doubts if each.element in LABELS]
    taken = dict(parsed.civic)
    if location.level in ("floor", "room"):
        for element in [each for each in taken if each not in INSIDE]:
            value = taken.pop(element)
            if inherited.get(element, "") != value and element != "country":
                doubts.append(Doubt(element, value, _("it belongs to the building, and was left out here")))
        doubts = [each for each in doubts if each.element in taken or each.element not in inherited]
    own = {**location.civic, **taken}
    return Form(msgspec.structs.replace(location, civic=civic.tidy(own)), text, tuple(doubts))


@pages.post("/new")
def make() -> Response:
    """Make a location."""
    typed = _typed("")
    base = re.sub(r"[^a-z0-9]+", "-", typed.location.name.lower()).strip("-")[:40] or "place"
    known = {"new", *sources().snapshot().locations}  # the page of that name makes one
    name = next(
        each for n in range(1, len(known) + 2) if (each := base if n == 1 else f"{base}-{n}") not in known
    )
    return _save(typed, name, 0)


@pages.post("/<name>")
def save(name: str) -> Response:
    """Change a location; what it means for 911 is shown first."""
    _stored, revision = _held(name)
    seen = forms.whole(request.form.get("revision", ""))
    return _save(_typed(name), name, revision if seen is None else seen)


def _save(form: Form, name: str, revision: int) -> Response:
    snapshot = sources().snapshot()
    if form.text and form.text != request.form.get("read", "").strip():
        parent = snapshot.place(form.location.parent)
        return _page(read(form.text, form.location, parent.civic if parent else {}), revision, read=True)
    wanted = msgspec.structs.replace(form.location, id=name)
    if wrong := locations.faults(wanted, snapshot):
        return _page(form, revision, 422, wrong)
    means = effects.of_change(snapshot, wanted)
    if means.any and request.form.get("mark") != _mark(form.location):
        return _page(form, revision, means=means)
    try:
        locations.keep(sources().inventory, name, msgspec.to_builtins(wanted), who(), revision)
    except Invalid as error:
        return _page(form, revision, 422, error.errors)
    except Conflict:
        return _page(form, _held(name)[1] if revision else 0, 409, conflict=True)
    sources().reload()
    return make_response(redirect(url_for("places.one", name=name, saved=1), 303))


@pages.post("/<name>/remove")
def remove(name: str) -> Response:
    """Forget a location that nothing is at."""
    held, revision = _held(name)
    try:
        locations.forget(sources().inventory, name, who())
    except UsageError as error:
        return _page(Form(held), revision, 409, error=str(error))
    sources().reload()
    return make_response(redirect(url_for("places.index", removed=1), 303))


# API


class Draft(contract.Body, frozen=True):
    """A location as it would be; `civic` only what is its own."""

    name: Annotated[str, msgspec.Meta(max_length=200)]
    civic: dict[str, str] = {}
    parent: str = ""
    level: Level = "building"
    networks: list[str] = []
    neighbours: list[str] = []
    identifiers: dict[str, str] = {}


class Typed(contract.Body, frozen=True):
    """An address as people type it, in lines or with commas. `country`: where that is known."""

    text: Annotated[str, msgspec.Meta(max_length=civic_text.MAX_TEXT)]
    country: Literal["", "US", "CA"] = ""


class Doubted(msgspec.Struct, frozen=True):
    """What a person should look at."""

    element: str
    text: str
    why: str


class Read(msgspec.Struct, frozen=True):
    """An address in its parts (RFC 5139 elements by name), and what is doubtful."""

    civic: dict[str, str]
    doubts: list[Doubted]


@calls.post("/locations/<name>/effects")
@contract.call(refuses=N_("The location could not be kept"))
def api_effects(name: str, body: Draft) -> Effects:
    """What it would mean for emergency calls to keep a location so; nothing is changed."""
    made = {"kind": "location", **msgspec.to_builtins(body), "id": name, "civic": civic.tidy(body.civic)}
    location = msgspec.convert(made, Location)
    locations.check(location, sources().snapshot())
    return effects.of_change(sources().snapshot(), location)


@calls.post("/addresses/read")
@contract.call()
def api_read(body: Typed) -> Read:
    """Read an address as people type it; nothing is changed."""
    parsed = civic_text.parse(body.text, body.country)
    return Read(parsed.civic, [Doubted(*each) for each in parsed.doubts])
