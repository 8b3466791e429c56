"""The practice's numbers: where each leads and what happens when it is called; pages, bulk changes, and the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.emergency import accounts
from provisioner.errors import Invalid, ProvisionerError
from provisioner.phones import handling as rules
from provisioner.phones.numbers import Warned, assign, edit, in_service, warnings
from provisioner.store.inventory import Conflict
from provisioner.store.records import Number, Snapshot
from provisioner.web import api, contract, forms, handling, paging, staff, words
from provisioner.web.forms import Group
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.language import ngettext
from provisioner.web.session import sources, who
from provisioner.web.sources import World

pages = Blueprint("numbers", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("numbers_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)

FILTERS = {
    "": N_("All"),
    "unused": N_("Lead nowhere"),
    "unregistered": N_("Not registered"),
    "odd": N_("Odd"),
}
FIELDS = (
    Group(
        "",
        (
            forms.field(
                Number, "label", N_("Words"),
                N_("What desk phones show when it is called, and how it is named on these pages."), basic=True,
            ),
            forms.field(
                Number, "caller_privacy", N_("Do not show who calls"),
                N_("Phones show these words instead of the caller's number and name, and keep neither. The call log "
                   "keeps them, for those who may see it."), basic=True,
            ),
            forms.field(
                Number, "dial_through", N_("Keep it for dial-through"),
                N_("It is handed out for a while to somebody with an ordinary phone, who reaches one person by it."),
                basic=True,
            ),
        ),
    ),
)  # fmt: skip


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
    odd, shown, names = defaultdict(list), defaultdict(list), {}
    for each in warnings(snapshot):
        odd[each.number].append(each)
    for phone in snapshot.phones.values():
        for line in phone.lines:
            shown[line.number].append(line.extension)
            names[line.extension] = line.name
    places = {each: snapshot.place(each) for each in snapshot.locations}

    def row(number: Number) -> Row:
        group, place = snapshot.ring_groups.get(number.ring_group), places.get(number.location)
        own = f"{number.extension} {names.get(number.extension, '')}".strip()
        return Row(
            number=number,
            target=number.extension or number.ring_group,
            target_words=group.name if group else own,
            shown_by=sorted(shown[number.id]),
            place=f"{place.name}, {words.civic(place.civic)}" if place else "",
            in_service=in_service(number),
            warned=odd[number.id],
        )

    return [row(number) for _id, number in sorted(snapshot.numbers.items())]


def _wanted(row: Row, query: str, show: str) -> bool:
    kinds = {
        "unused": not row.target and not row.number.dial_through,
        "unregistered": not row.in_service,
        "odd": bool(row.warned),
    }
    digits = "".join(each for each in query if each.isdecimal())
    texts = (row.number.label, row.target_words, row.place)
    found = (digits and digits in row.number.id) or any(query in text.lower() for text in texts)
    return bool(found) and kinds.get(show, True)


@pages.get("/numbers")
def page() -> Response:
    """The numbers, fifty at a time."""
    return _page(sources().world())


def _page(world: World, status: int = 200, error: str = "") -> Response:
    query, show = request.args.get("q", "").strip(), request.args.get("show", "")
    found = [row for row in rows(world.snapshot) if _wanted(row, query.lower(), show)]
    return staff.page(
        "numbers.html", world, status,
        window=paging.window(found), link=paging.linker(), query=query, wanted=show, filters=FILTERS, error=error,
        done=request.args.get("done", ""), locations=_places(world.snapshot),
        groups=sorted(world.snapshot.ring_groups.values(), key=lambda group: group.name.lower()),
        providers=sorted(world.snapshot.providers), main=world.snapshot.practice.main_number,
    )  # fmt: skip


def _places(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Each place with those that it is in: id and words."""
    found = [
        (each, " \u203a ".join(part.name for part in reversed(snapshot.lineage(each))))
        for each in snapshot.locations
    ]
    return sorted(found, key=lambda pair: pair[1].lower())


@pages.post("/numbers/many")
def many() -> Response:
    """Change all that are ticked: their group, their place, or their provider."""
    form, chosen = request.form, request.form.getlist("number")
    do, now = form.get("do", ""), sources().now()
    acts: dict[str, Callable[[str], object]] = {
        "lead": lambda each: assign(sources().inventory, each, form.get("target", ""), who()),
        "place": lambda each: accounts.place(
            sources().inventory, each, form.get("location", ""), None, who(), now
        ),
        "provider": lambda each: accounts.place(
            sources().inventory, each, None, form.get("provider", ""), who(), now
        ),
    }
    if do not in acts or not chosen:
        return _page(sources().world(), 409, _("Tick numbers first, then say what is to be done with them"))
    count = 0
    try:
        for each in chosen:
            acts[do](each)
            count += 1
    except ProvisionerError as error:
        said = ngettext(
            "{count} number was changed, then: {why}", "{count} numbers were changed, then: {why}", count
        )
        return _page(sources().world(), 409, said.format(count=count, why=error))
    finally:
        sources().reload()
    return make_response(redirect(url_for("numbers.page", done=count), 303))


def _held(number: str) -> tuple[Number, int]:
    found = sources().inventory.get(Number, number)
    if found is None:
        abort(404, _("This is none of the practice's numbers."))
    return found


@pages.get("/numbers/<number>")
def one(number: str) -> Response:
    """One number: what happens when somebody calls it, and what of that can be changed."""
    return _one(number)


def _one(
    number: str,
    status: int = 200,
    typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    world, (held, revision) = sources().world(), _held(number)
    row = next(row for row in rows(world.snapshot) if row.number.id == number)
    steps = rules.steps(world.snapshot, number)
    lines = (line for phone in world.snapshot.phones.values() for line in phone.lines)
    address = next(row for row in accounts.rows(world.snapshot, world.now) if row.number == number)
    return staff.page(
        "number.html", world, status,
        row=row, revision=revision, errors=errors or {}, address=address,
        groups=forms.shown(FIELDS, msgspec.structs.asdict(held), typed, errors),
        steps=handling.told(world.snapshot, steps, handling.registered(world.edge)),
        lines=sorted((line.extension, line.name) for line in lines),
        ring_groups=sorted(world.snapshot.ring_groups.values(), key=lambda group: group.name.lower()),
        saved="saved" in request.args, **more,
    )  # fmt: skip


@pages.post("/numbers/<number>")
def save(number: str) -> Response:
    """Keep what the form says of the number itself."""
    typed, revision = forms.read(FIELDS, request.form), forms.whole(request.form.get("revision", ""))
    _held(number)
    try:
        edit(sources().inventory, number, typed, who(), revision)
    except Invalid as error:
        return _one(number, 422, typed, error.errors)
    except Conflict:
        return _one(number, 409, typed, conflict=True)
    return _done(number)


def _done(number: str) -> Response:
    sources().reload()
    return make_response(redirect(url_for("numbers.one", number=number, saved=1), 303))


@pages.post("/numbers/<number>/target")
def lead(number: str) -> Response:
    """Let the number lead elsewhere."""
    _held(number)
    groups = sources().snapshot().ring_groups
    typed = request.form.get("target", "").strip()
    target = typed if typed in groups else typed.partition(" ")[0]
    try:
        assign(sources().inventory, number, target, who())
    except ProvisionerError as error:
        return _one(number, 409, error=str(error))
    return _done(number)


# API


class Changed(contract.Body, frozen=True):
    """What can be changed of a number itself."""

    label: str | msgspec.UnsetType = msgspec.UNSET
    caller_privacy: bool | msgspec.UnsetType = msgspec.UNSET
    dial_through: bool | msgspec.UnsetType = msgspec.UNSET


class Target(contract.Body, frozen=True):
    """Where a number is to lead: an extension, the id of a ring group, or "" for nowhere."""

    target: Annotated[str, msgspec.Meta(max_length=200)]


class Assigned(msgspec.Struct, frozen=True):
    """A number, and what is odd about where it leads."""

    number: Number
    warnings: list[Warned]


@calls.get("/numbers/<number>")
@contract.call(record=Number)
def api_one(number: str) -> Number:
    """One number."""
    return _held(number)[0]


@calls.get("/numbers/<number>/handling")
@contract.call()
def api_handling(number: str) -> tuple[rules.Step, ...]:
    """What happens when somebody calls the number, step by step."""
    _held(number)
    return rules.steps(sources().snapshot(), number)


@calls.patch("/numbers/<number>")
@contract.call(record=Number, refuses=N_("The number was not changed"))
def api_change(number: str, body: Changed) -> Number:
    """Change what the body names; the rest stays."""
    _held(number)
    changed = edit(sources().inventory, number, contract.changes(body), who())
    sources().reload()
    return changed


@calls.post("/numbers/<number>/assign")
@contract.call(refuses=N_("The number was not assigned"))
def api_assign(number: str, body: Target) -> Assigned:
    """Let a number lead to an extension, a ring group, or nowhere."""
    odd = assign(sources().inventory, number, body.target, who())
    sources().reload()
    return Assigned(sources().snapshot().numbers[number], odd)
