"""The page of the practice's numbers, and the API that puts one on a line, to a ring group, or nowhere."""

from __future__ import annotations

from typing import NamedTuple

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.errors import ProvisionerError
from provisioner.phones.numbers import Warned, assign, in_service, warnings
from provisioner.store.records import Number, Snapshot
from provisioner.web import api, contract, staff, views, words
from provisioner.web.contract import Body, Text
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape
from provisioner.web.sources import World

pages = Blueprint("numbers", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("numbers_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Row(NamedTuple):
    """One number: whom it leads to, which lines show it, for which place it is registered, what is odd."""

    number: Number
    target: str
    target_words: str
    shown_by: list[str]
    place: str
    in_service: bool
    warned: list[Warned]


def rows(snapshot: Snapshot) -> list[Row]:
    """All numbers, in order."""
    odd = warnings(snapshot)
    return [_row(snapshot, number, odd) for _, number in sorted(snapshot.numbers.items())]


def _row(snapshot: Snapshot, number: Number, odd: list[Warned]) -> Row:
    group = snapshot.ring_groups.get(number.ring_group)
    lines = [line for phone in snapshot.phones.values() for line in phone.lines if line.number == number.id]
    place = snapshot.place(number.location)
    return Row(
        number=number,
        target=number.extension or number.ring_group,
        target_words=group.name
        if group
        else str(views.party(snapshot, number.extension))
        if number.extension
        else "",
        shown_by=sorted(line.extension for line in lines),
        place=f"{place.name}, {words.civic(place.civic)}" if place else "",
        in_service=in_service(number),
        warned=[each for each in odd if each.number == number.id],
    )


@pages.get("/numbers")
def page() -> Response:
    """All numbers."""
    return _page(sources().world())


def _page(world: World, status: int = 200, error: str = "") -> Response:
    query = request.args.get("q", "").strip().lower()
    digits = "".join(each for each in query if each.isdecimal())
    found = [
        row
        for row in rows(world.snapshot)
        if (digits and digits in row.number.id)
        or any(query in text.lower() for text in (row.number.label, row.target_words, row.place))
    ]
    lines = sorted(
        (line.extension, line.name) for phone in world.snapshot.phones.values() for line in phone.lines
    )
    groups = world.snapshot.ring_groups.values()
    return staff.page(
        "numbers.html", world, status, rows=found, query=query, lines=lines, groups=groups, error=error
    )


@pages.post("/numbers")
def form() -> Response:
    """Let a number lead elsewhere."""
    try:
        assign(sources().inventory, request.form.get("number", ""), request.form.get("target", ""), who())
    except ProvisionerError as error:
        return _page(sources().world(), 409, str(error))
    sources().reload()
    return make_response(redirect(url_for("numbers.page"), 303))


class Target(Body, frozen=True):
    """Whom a number leads to: an extension, the id of a ring group, or "" for nowhere."""

    target: Text


class Odd(Shape, frozen=True):
    """What is odd about a number on a line, and what to do."""

    number: str
    extension: str
    what: str
    remedy: str


class Assigned(Shape, frozen=True):
    """A number as it is now."""

    number: Number
    warnings: list[Odd]


@calls.post("/numbers/<number>/assign")
@contract.call(record=Number, refuses="The number was not assigned")
def api_assign(number: str, body: Target) -> Assigned:
    """Let a number lead elsewhere. A line gets one only when its emergency address is registered."""
    odd = assign(sources().inventory, number, body.target, who())
    sources().reload()
    told = [Odd(**each._asdict()) for each in odd]
    return Assigned(number=sources().snapshot().numbers[number], warnings=told)


@calls.get("/numbers/<number>")
@contract.call(record=Number)
def api_one(number: str) -> Number:
    """One number."""
    found = sources().snapshot().numbers.get(number)
    if found is None:
        abort(404, "This is none of the practice's numbers.")
    return found
