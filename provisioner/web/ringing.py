"""Ring groups: who rings for a number, in which order and how long; pages that work without script, and the API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.errors import Invalid, ProvisionerError
from provisioner.phones import handling as rules
from provisioner.phones import ring_groups
from provisioner.phones.numbers import assign
from provisioner.store.inventory import Conflict
from provisioner.store.records import GROUP_SECONDS, MEMBER_SECONDS, Member, Number, RingGroup, Snapshot
from provisioner.web import api, contract, forms, handling, staff, words
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

MODES = {"simultaneous": N_("All at once"), "sequential": N_("One after the other, taking turns")}
PROPOSED = 200  # numbers in the list of those that can be led to a group; any other has a page of its own
Text = Annotated[str, msgspec.Meta(max_length=200)]
_NEW = RingGroup(id="", name="", members=())

pages = Blueprint("ringing", __name__, url_prefix="/staff/ring-groups")
pages.before_request(staff.guard)
calls = Blueprint("ringing_api", __name__, url_prefix="/api/v1/ring-groups")
calls.before_request(api.guard)


class Row(NamedTuple):
    """One group in the list."""

    group: RingGroup
    members: list[str]
    numbers: list[str]


def _names(snapshot: Snapshot) -> dict[str, str]:
    """All extensions with the names on their lines."""
    lines = (line for phone in snapshot.phones.values() for line in phone.lines)
    return {line.extension: line.name for line in sorted(lines, key=lambda line: line.extension)}


def _numbers(snapshot: Snapshot, group: str) -> list[str]:
    return sorted(each.id for each in snapshot.numbers.values() if group and each.ring_group == group)


def _proposed(snapshot: Snapshot) -> list[Number]:
    """The numbers that a group can be given; where there are many only those that lead nowhere yet."""
    found = [each for each in snapshot.numbers.values() if not each.dial_through]
    if len(found) > PROPOSED:
        found = [each for each in found if not (each.extension or each.ring_group)]
    return found[:PROPOSED]


@pages.get("")
def index() -> Response:
    """All ring groups."""
    return _index()


def _index(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    names, query = _names(world.snapshot), request.args.get("q", "").strip().lower()
    rows = []
    for group in sorted(world.snapshot.ring_groups.values(), key=lambda group: group.name.lower()):
        members = [f"{each.target} {names.get(each.target, '')}".strip() for each in group.each]
        row = Row(group, [words.number(each) for each in members], _numbers(world.snapshot, group.id))
        if query in " ".join((group.name, *row.members, *map(words.number, row.numbers))).lower():
            rows.append(row)
    return staff.page("ring_groups.html", world, status, rows=rows, query=query, modes=MODES, error=error)


@pages.get("/new")
def new() -> Response:
    """A group that is not there yet."""
    return _one(_NEW, 0)


@pages.get("/<group>")
def one(group: str) -> Response:
    """One group, and what happens when it is called."""
    return _one(*_held(group))


def _held(group: str) -> tuple[RingGroup, int]:
    found = sources().inventory.get(RingGroup, group)
    if found is None:
        abort(404, _("There is no such ring group."))
    return found


def _one(
    group: RingGroup, revision: int, status: int = 200, errors: dict[str, str] | None = None, **more: Any
) -> Response:
    """The page of `group`, as it is stored or as it was typed."""
    world = sources().world()
    stored = world.snapshot.ring_groups.get(group.id)
    steps = rules.of_group(world.snapshot, stored) if stored else ()
    return staff.page(
        "ring_group.html", world, status,
        group=group, stored=stored, revision=revision, errors=errors or {}, modes=MODES,
        names=_names(world.snapshot), own=_numbers(world.snapshot, group.id),
        numbers=_proposed(world.snapshot),
        steps=handling.told(world.snapshot, steps, handling.registered(world.edge)),
        usual=(int(GROUP_SECONDS), int(MEMBER_SECONDS)), saved="saved" in request.args,
        group_names={each.id: each.name for each in world.snapshot.ring_groups.values()}, **more,
    )  # fmt: skip


def _whole(text: str) -> int:
    """Seconds as they were typed: none is 0, what is no number -1, which nothing takes."""
    found = forms.whole(text, 5)
    return 0 if not text else -1 if found is None else found


def _typed(group: str) -> RingGroup:
    """The group as the form has it. An empty row is left out, and `101 Front desk` is 101."""
    form = request.form
    targets, seconds = form.getlist("target"), form.getlist("member_seconds")
    names = _names(sources().snapshot())
    members = [
        {"target": typed.split()[0] if typed.split()[0] in names else typed, "seconds": _whole(given.strip())}
        for typed, given in zip(targets, seconds, strict=False)
        if typed.strip()
    ]
    return RingGroup(
        id=group,
        name=form.get("name", ""),
        mode="sequential" if form.get("mode") == "sequential" else "simultaneous",
        seconds=_whole(form.get("seconds", "").strip()),
        screening="screening" in form,
        members=tuple(msgspec.convert(each, Member) for each in members),
    )


def _moved(group: RingGroup, act: str) -> RingGroup:
    """What a button of a row asks for: `up-2`, `down-2` or `drop-2`."""
    word, _dash, place = act.partition("-")
    members = list(group.members)
    found = forms.whole(place)
    at = len(members) if found is None else found
    if word == "drop" and at < len(members):
        members.pop(at)
    other = at + {"up": -1, "down": 1}.get(word, 0)
    if 0 <= other < len(members) and at < len(members):
        members[at], members[other] = members[other], members[at]
    return msgspec.structs.replace(group, members=tuple(members))


@pages.post("/new")
def make() -> Response:
    """Make a group, or move a row of the form."""
    return _save("", 0)


@pages.post("/<group>")
def save(group: str) -> Response:
    """Change a group, or move a row of the form."""
    seen = forms.whole(request.form.get("revision", ""))
    return _save(group, _held(group)[1] if seen is None else seen)


def _save(group: str, revision: int) -> Response:
    typed = _typed(group)
    if act := request.form.get("act", ""):
        return _one(_moved(typed, act), revision, moved=True)
    values = {name: getattr(typed, name) for name in ("name", "mode", "seconds", "screening")}
    values["members"] = msgspec.to_builtins(typed.members)
    try:
        made = ring_groups.put(sources().inventory, values, who(), group, revision)
    except Invalid as error:
        return _one(typed, revision, 422, error.errors)
    except Conflict:
        return _one(typed, _held(group)[1], 409, conflict=True)
    sources().reload()
    return _done(made.id)


def _done(group: str) -> Response:
    return make_response(redirect(url_for("ringing.one", group=group, saved=1), 303))


@pages.post("/<group>/numbers")
def lead(group: str) -> Response:
    """Let one more number lead to the group, or (`drop`) one less."""
    record, revision = _held(group)
    drop = request.form.get("drop", "")
    try:
        assign(sources().inventory, drop or request.form.get("number", ""), "" if drop else record.id, who())
    except ProvisionerError as error:
        return _one(record, revision, 409, error=str(error))
    sources().reload()
    return _done(group)


@pages.post("/<group>/delete")
def delete(group: str) -> Response:
    """Delete a group that no number leads to."""
    try:
        ring_groups.delete(sources().inventory, group, who())
    except ProvisionerError as error:
        return _one(*_held(group), 409, error=str(error))
    sources().reload()
    return make_response(redirect(url_for("ringing.index"), 303))


# API


class Kept(contract.Body, frozen=True):
    """What a ring group is made of."""

    name: Text | msgspec.UnsetType = msgspec.UNSET
    members: list[Text | Member] | msgspec.UnsetType = msgspec.UNSET
    mode: Literal["simultaneous", "sequential"] | msgspec.UnsetType = msgspec.UNSET
    seconds: int | msgspec.UnsetType = msgspec.UNSET
    screening: bool | msgspec.UnsetType = msgspec.UNSET


@calls.get("")
@contract.call()
def api_index(query: contract.Paging) -> contract.Page[RingGroup]:
    """All ring groups."""
    return contract.listed(list(sources().snapshot().ring_groups.values()), query)


@calls.get("/<group>")
@contract.call(record=RingGroup)
def api_one(group: str) -> RingGroup:
    """One ring group."""
    return _held(group)[0]


def _put(group: str, body: Kept) -> RingGroup:
    values = msgspec.to_builtins(contract.changes(body))
    made = ring_groups.put(sources().inventory, values, who(), group)
    sources().reload()
    return made


@calls.post("")
@contract.call(status=201, refuses=N_("The ring group was not made"))
def api_make(body: Kept) -> RingGroup:
    """Make a ring group of extensions and outside numbers."""
    return _put("", body)


@calls.patch("/<group>")
@contract.call(record=RingGroup, refuses=N_("The ring group was not changed"))
def api_change(group: str, body: Kept) -> RingGroup:
    """Change what the body names; the rest stays."""
    _held(group)
    return _put(group, body)


@calls.delete("/<group>")
@contract.call(record=RingGroup, refuses=N_("The ring group was not deleted"))
def api_delete(group: str) -> None:
    """Delete a ring group that no number leads to."""
    _held(group)
    ring_groups.delete(sources().inventory, group, who())
    sources().reload()


@calls.get("/<group>/handling")
@contract.call()
def api_handling(group: str) -> tuple[rules.Step, ...]:
    """What happens when the group is called, step by step."""
    return rules.of_group(sources().snapshot(), _held(group)[0])
