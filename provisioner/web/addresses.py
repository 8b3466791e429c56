"""The pages of numbers and their emergency addresses, with the decisions that are a person's, and the same as API."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, NamedTuple

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import UNSET, Meta, UnsetType

from provisioner.emergency import accounts, postal, registration
from provisioner.emergency.providers.wire import Account
from provisioner.emergency.registrar import ADAPTERS, act
from provisioner.errors import ProvisionerError, UsageError
from provisioner.store.records import Postal, Registration
from provisioner.web import api, contract, forms, paging, staff, words
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

AUDITED = 500  # changes of a number's registration in which its history is looked for
HISTORY = 50
FILTERS: dict[str, str] = {
    "": N_("All"),
    "bad": N_("Not registered"),
    "warn": N_("Needs your decision"),
    "busy": N_("On its way"),
    "good": N_("Registered"),
}
FIELDS = {
    "street": N_("Street"),
    "inside": N_("Floor, suite, room"),
    "city": N_("City"),
    "state": N_("State"),
    "postcode": N_("ZIP or postal code"),
    "country": N_("Country"),
}
STATES = {
    "draft": N_("Not looked at yet"),
    "validating": N_("Being checked"),
    "needs_choice": N_("Several addresses fit"),
    "corrected": N_("The provider has it otherwise"),
    "invalid": N_("Not taken"),
    "submitting": N_("Being sent"),
    "pending": N_("The provider works on it"),
    "registered": N_("Registered"),
    "changing": N_("Being changed"),
    "removing": N_("Being taken away"),
    "unregistered": N_("No address"),
    "failed": N_("Failed"),
    "needs_provider_human": N_("The provider's support must help"),
}

_PLAIN: dict[str, registration.Event] = {
    "as-typed": registration.Insisted(),
    "look": registration.Asked(),
    "remove": registration.Removed(),
}

pages = Blueprint("addresses", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("addresses_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


class Past(NamedTuple):
    """One change of a number's registration."""

    at: float
    who: str
    state: str
    note: str


def _rows() -> list[accounts.Row]:
    return accounts.rows(sources().snapshot(), sources().now())


def _row(number: str) -> accounts.Row:
    found = next((row for row in _rows() if row.number == number), None)
    if found is None:
        abort(404, "This is none of the practice's numbers.")
    return found


def history(number: str) -> list[Past]:
    """What became of a number's address, newest first; looks that changed nothing are left out."""
    found: list[Past] = []
    for entry in sources().inventory.audit(AUDITED, "registration", number):
        if not entry.after:
            continue
        try:
            held = registration.decode(entry.after)
            before = registration.decode(entry.before) if entry.before else None
        except msgspec.MsgspecError:
            continue
        if before is None or (before.state, before.error) != (held.state, held.error):
            found.append(Past(entry.at, entry.who, STATES[held.state], held.error))
    return found[:HISTORY]


def _event(decision: str, choice: str) -> registration.Event:
    """What a form or the API asks for. Raises UsageError."""
    if decision == "approve" and (place := forms.whole(choice)) is not None:
        return registration.Approved(place)
    if decision not in _PLAIN:
        raise UsageError("There is no such decision: approve, as-typed, look or remove")
    return _PLAIN[decision]


def _decide(number: str, decision: str, choice: str, who: str) -> Registration:
    held = act(sources().inventory, number, _event(decision, choice), who, sources().now())
    sources().reload()
    return held


def _place(number: str, location: str | None, provider: str | None, who: str) -> None:
    accounts.place(sources().inventory, number, location, provider, who, sources().now())
    sources().reload()


# pages


@pages.get("/addresses")
def page() -> Response:
    """The numbers with how their addresses are, what needs a person first; fifty at a time."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    world, rows = sources().world(), _rows()
    query, show = request.args.get("q", "").strip().lower(), request.args.get("show", "")
    found = [row for row in rows if (not show or row.level == show) and _fits(row, query)]
    counts = Counter(row.level for row in rows)
    return staff.page(
        "addresses.html", world, status,
        window=paging.window(found), link=paging.linker(), query=query, wanted=show, filters=FILTERS, counts=counts,
        total=len(rows), error=error, done=request.args.get("done", ""),
    )  # fmt: skip


def _fits(row: accounts.Row, query: str) -> bool:
    digits = "".join(each for each in query if each.isdecimal())
    texts = (row.label, row.place, row.provider, row.words, *row.extensions)
    return bool(digits and digits in row.number) or any(query in text.lower() for text in texts)


@pages.post("/addresses/look")
def look() -> Response:
    """Have the provider asked again about each number that is ticked."""
    chosen, wrong = request.form.getlist("number"), ""
    for number in chosen:
        try:
            act(sources().inventory, number, registration.Asked(), who(), sources().now())
        except ProvisionerError as error:
            wrong = wrong or f"{words.number(number)}: {error}"
    sources().reload()
    if wrong or not chosen:
        return _page(409, wrong or _("Tick numbers first"))
    return make_response(redirect(url_for("addresses.page", done=len(chosen)), 303))


@pages.get("/addresses/<number>")
def one(number: str) -> Response:
    """One number: what is wanted, what the provider has, what is to be decided, and what was."""
    return _one(number)


def _one(number: str, status: int = 200, error: str = "") -> Response:
    world, row = sources().world(), _row(number)
    held = world.snapshot.providers.get(row.provider)
    return staff.page(
        "address.html",
        world,
        status,
        row=row,
        fields=FIELDS,
        past=history(number),
        state=STATES.get(row.state, ""),
        can=ADAPTERS[held.api](Account("", "", "")).abilities if held else None,
        places=sorted(world.snapshot.locations),
        providers=sorted(world.snapshot.providers),
        line=_line,
        error=error,
    )


def _line(address: Postal | None) -> str:
    return postal.text(address) if address else _("none")


@pages.post("/addresses/<number>")
def decide(number: str) -> Response:
    """Carry out a decision."""
    form = request.form
    try:
        if form.get("decision") == "place":
            _place(number, form.get("location", ""), form.get("provider", ""), who())
        else:
            _decide(number, form.get("decision", ""), form.get("choice", ""), who())
    except ProvisionerError as error:
        return _one(number, 409, str(error))
    return make_response(redirect(url_for("addresses.one", number=number), 303))


# API


class Decision(Body, frozen=True):
    """A decision, or a place, or both. `choice`: which of the provider's forms is approved, from 0."""

    decision: Literal["", "approve", "as-typed", "look", "remove"] = ""
    choice: Annotated[int, Meta(ge=0, le=1000)] | Text = ""
    location: Text | UnsetType = UNSET
    provider: Text | UnsetType = UNSET


@calls.get("/numbers/addresses")
@contract.call()
def api_rows(query: Paging) -> Page[accounts.Row]:
    """How the emergency address of each number is."""
    return contract.listed(_rows(), query)


@calls.get("/numbers/<number>/address")
@contract.call(record=Registration)
def api_row(number: str) -> accounts.Row:
    """One number's emergency address."""
    return _row(number)


@calls.post("/numbers/<number>/address")
@contract.call(status=202, record=Registration, refuses="Nothing was changed")
def api_decide(number: str, body: Decision) -> accounts.Row:
    """Decide what the provider asks, or place the number; the provider is told at once."""
    _row(number)
    given = contract.changes(body)
    if "location" in given or "provider" in given:
        _place(number, given.get("location"), given.get("provider"), who())
    if body.decision:
        _decide(number, body.decision, str(body.choice), who())
    return _row(number)
