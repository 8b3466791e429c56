"""The first start: a fresh appliance leads every page here, step by step to a phone that works. Saved at each step."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.emergency import accounts, civic, civic_text, locations, registration
from provisioner.emergency.registrar import act
from provisioner.errors import Invalid, ProvisionerError, UsageError
from provisioner.people import users
from provisioner.phones import dhcp_help, editing, extensions, first_start
from provisioner.phones import practice as practice_rules
from provisioner.phones.first_start import STEPS, UNNAMED
from provisioner.store.records import Location, Number, TrunkSecret, User
from provisioner.web import (
    adoption,
    api,
    contract,
    forms,
    language,
    network,
    providers,
    readiness,
    session,
    staff,
    time_zones,
    trunk_form,
    trunks,
    views,
)
from provisioner.web import emergency as emergency_pages
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.sources import World
from provisioner.web.trunk_form import Draft, drafts

pages = Blueprint("wizard", __name__, url_prefix="/staff/setup")
pages.before_request(staff.guard)
calls = Blueprint("wizard_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)

WORDS = {
    "account": N_("Your account"),
    "practice": N_("The practice"),
    "network": N_("Network"),
    "trunk": N_("Calling service"),
    "numbers": N_("Numbers"),
    "place": N_("Address"),
    "phones": N_("First phone"),
    "emergency": N_("911"),
}
COUNTRIES = {"US": N_("United States"), "CA": N_("Canada")}
MAX_WAITING = 20  # phones that are shown at once
MAIN_PLACE = "main"  # the id of the first location


class Row(NamedTuple):
    """A step in the row of all: `done` by what is there, not by where somebody has been."""

    name: str
    words: str
    done: bool


def _done(world: World) -> dict[str, bool]:
    snapshot = world.snapshot
    over = not first_start.pending(snapshot)
    return {
        "account": bool(sources().inventory.all(User)),
        "practice": snapshot.practice.name != UNNAMED,
        "network": over or STEPS.index(first_start.current(snapshot)) > STEPS.index("network"),
        "trunk": bool(snapshot.trunks),
        "numbers": bool(snapshot.numbers),
        "place": bool(snapshot.locations),
        "phones": bool(snapshot.phones),
        "emergency": over,
    }


def _page(step: str, status: int = 200, error: str = "", **values: object) -> Response:
    world = sources().world()
    done = _done(world)
    at = STEPS.index(step)
    more = SHOWN[step](world)
    more.update(values)
    return staff.page(
        f"wizard_{step}.html",
        world,
        status,
        step=step,
        number=at + 1,
        rows=[Row(name, _(WORDS[name]), done[name]) for name in STEPS],
        before=STEPS[at - 1] if at else "",
        after=STEPS[at + 1] if at + 1 < len(STEPS) else "",
        pending=first_start.pending(world.snapshot),
        error=error,
        **more,
    )


def _onward(step: str) -> Response:
    """To the step after this one, which is noted; after the last it is over."""
    if step == STEPS[-1]:
        return finish()
    following = STEPS[STEPS.index(step) + 1]
    first_start.reached(sources().inventory, following, who())
    return make_response(redirect(url_for("wizard.show", step=following), 303))


def _stay(step: str, **args: Any) -> Response:
    return make_response(redirect(url_for("wizard.show", step=step, **args), 303))


@pages.get("")
def begin() -> Response:
    """Where it goes on; from the first step when it is done again."""
    snapshot = sources().snapshot()
    return _stay(first_start.current(snapshot) if first_start.pending(snapshot) else STEPS[0])


@pages.get("/<step>")
def show(step: str) -> Response:
    """One step, with what is stored of it."""
    if step not in STEPS:
        abort(404, _("There is no such step."))
    return _page(step)


@pages.post("/<step>")
def save(step: str) -> Response:
    """Keep a step and go on; what is wrong is said, and nothing typed is lost."""
    if step not in STEPS:
        abort(404, _("There is no such step."))
    if request.form.get("do") == "skip":
        return _onward(step)
    try:
        return SAVED[step](request.form)
    except Invalid as error:
        return _page(step, 400, " ".join(error.errors.values()), typed=request.form)
    except ProvisionerError as error:
        return _page(step, 400, str(error), typed=request.form)


@pages.post("/finish")
def finish() -> Response:
    """End it; what was not done the overview names."""
    first_start.finish(sources().inventory, who(), sources().now())
    sources().reload()
    return make_response(redirect(url_for("staff.overview"), 303))


# account


def _account(_world: World) -> dict[str, Any]:
    known = sorted(sources().inventory.all(User), key=lambda user: user.id)
    return {"users": known, "languages": language.LANGUAGES, "typed": {}}


def _save_account(form: Mapping[str, str]) -> Response:
    if not form.get("login", "").strip() and sources().inventory.all(User):
        return _onward("account")
    if form.get("password") != form.get("again"):
        raise UsageError(_("The two passwords are not the same: type it twice"))
    made = users.create(
        sources().inventory,
        form.get("login", ""),
        form.get("password", ""),
        "administrator",
        who(),
        full_name=form.get("full_name", ""),
        language=form.get("language", "browser"),
    )
    response = _onward("account")
    session.begin(response, made.role, made.id)
    return response


# practice


def _practice(world: World) -> dict[str, Any]:
    stored = world.snapshot.practice
    fresh = stored.name == UNNAMED
    zone = time_zones.of_machine() if fresh else stored.time_zone
    typed = {
        "name": "" if fresh else stored.name,
        "time_zone": zone or stored.time_zone,
        "country": first_start.held(world.snapshot).country,
    }
    return {
        "typed": typed,
        "guess": fresh,
        "near": list(time_zones.near(world.now)),
        "others": list(time_zones.others(world.now)),
        "countries": COUNTRIES,
    }


def _save_practice(form: Mapping[str, str]) -> Response:
    values = {name: form.get(name, "") for name in ("name", "time_zone")}
    first_start.begin(sources().inventory, who())
    first_start.settle_country(sources().inventory, form.get("country", ""), who())
    practice_rules.change(sources().inventory, values, who())
    sources().reload()
    return _onward("practice")


# network


def _network(world: World) -> dict[str, Any]:
    site = world.snapshot.phone_settings.get("site")
    return {
        "ways": network.ways(),
        "told": network.told(world),
        "set": str(site.values.get(network.HOSTS[0], "")) if site else "",
        "ports": list(network.ports(world)),
        "typed": {},
    }


def _save_network(form: Mapping[str, str]) -> Response:
    chosen = form.get("address", "")
    address = form.get("other", "").strip() if chosen == "other" else chosen
    if chosen == "other" and not address:
        raise UsageError(_("Type the name or address, or choose one of the others"))
    editing.set_layer(
        sources().inventory, "site", dict.fromkeys(network.HOSTS, address or None), who()
    )  # fmt: skip
    sources().reload()
    return _onward("network")


# trunk


def _trunk(world: World) -> dict[str, Any]:
    first = min(world.snapshot.trunks.values(), key=lambda trunk: (trunk.order, trunk.id), default=None)
    secret = world.snapshot.trunk_secrets.get(first.id) if first else None
    name = request.form.get("draft") or request.args.get("draft", "")
    draft = drafts().get(name)
    typed = trunk_form.typed(request.form) if request.method == "POST" else None
    values = typed or (draft.values if draft else trunk_form.of_trunk(first, secret))
    return {
        "values": values,
        "name": first.id if first else "",
        "draft": name if draft else "",
        "has_password": bool((draft and draft.secret) or secret),
        "test": trunks.test_view(draft.test if draft else ""),
        **trunks.form_tables(values["profile"]),
    }


def _save_trunk(form: Mapping[str, str]) -> Response:
    ordered = sorted(sources().snapshot().trunks.values(), key=lambda trunk: (trunk.order, trunk.id))
    trunk, secret = trunks.from_form(ordered[0].id if ordered else "")
    if form.get("do") == "test":
        return _test_trunk(trunk, secret)
    trunks.store(trunk, secret)
    return _onward("trunk")


def _test_trunk(trunk: Any, secret: TrunkSecret | None) -> Response:
    begun = trunks.begin_test(trunk, secret)
    draft = drafts().keep(Draft(trunk_form.typed(request.form), secret, begun, sources().now()))
    return make_response(redirect(url_for("wizard.show", step="trunk", draft=draft) + "#test", 303))


# numbers


def _numbers(world: World) -> dict[str, Any]:
    snapshot = world.snapshot
    wanted = request.form.get("api") or request.args.get("api", "")
    return {
        "numbers": sorted(snapshot.numbers.values(), key=lambda number: number.id),
        "main": snapshot.practice.main_number,
        "providers": snapshot.providers,
        "kinds": providers.KINDS,
        "kind": providers.KINDS.get(wanted),
        "name": "",
        "values": {
            "api": wanted,
            **{field: request.form.get(field, "") for field in ("account", "user", "url")},
        },
        "imported": request.args.get("imported", ""),
        "typed": {},
    }


def _save_numbers(form: Mapping[str, str]) -> Response:
    if form.get("do") == "provider":
        return _import_numbers(form)
    typed, wrong = first_start.read_numbers(form.get("numbers", ""))
    if wrong:
        lines = ", ".join(f"“{line[:40]}”" for line in wrong[:5])
        raise UsageError(_("Not a telephone number with its area code: {lines}").format(lines=lines))
    inventory = sources().inventory
    first_start.add_numbers(inventory, typed, form.get("provider", ""), who())
    known = sorted(number.id for number in inventory.all(Number))
    main = form.get("main", "") or (typed[0].number if typed else "")
    if not main or main not in known:
        main = sources().snapshot().practice.main_number or next(iter(known), "")
    if main:
        first_start.choose_main(inventory, main, who())
    sources().reload()
    if form.get("do") == "add":
        return _stay("numbers")
    if not known:
        raise UsageError(_("Type at least one number, import them, or skip this step"))
    return _onward("numbers")


def _import_numbers(form: Mapping[str, str]) -> Response:
    """Store the provider, and take over the numbers of the account."""
    name = form.get("api", "")
    providers.keep(name, {field: form.get(field, "") for field in providers.FIELDS})
    found = providers.imported(name, "", dry_run=False)
    if found and not sources().snapshot().practice.main_number:
        first_start.choose_main(sources().inventory, found[0].number, who())
    sources().reload()
    return _stay("numbers", imported=len(found))


# place


def _place(world: World) -> dict[str, Any]:
    held = _first_place(world)
    text = request.form.get("text", "")
    parsed = civic_text.parse(text, first_start.held(world.snapshot).country) if text.strip() else None
    return {
        "place": world.snapshot.place(held.id) if held else None,
        "text": text or (_as_typed(held) if held else ""),
        "name": request.form.get("name", held.name if held else ""),
        "parsed": parsed,
        "lines": civic.written(parsed.civic) if parsed else None,
        "labels": civic.LABELS,
        "problems": civic.problems(parsed.civic) if parsed else [],
        "addresses": accounts.rows(world.snapshot, world.now),
        "edit": request.args.get("edit", "") or not held,
        "typed": {},
    }


def _first_place(world: World) -> Location | None:
    buildings = [held for held in world.snapshot.locations.values() if held.level == "building"]
    return world.snapshot.locations.get(MAIN_PLACE) or next(iter(buildings), None)


def _as_typed(held: Location) -> str:
    lines = civic.written(held.civic)
    street = ", ".join(part for part in (lines.street, lines.inside) if part)
    return f"{street}\n{lines.city}, {lines.area} {lines.postal_code}".strip(" ,\n")


def _save_place(form: Mapping[str, str]) -> Response:
    if form.get("do") == "onward":
        return _onward("place")
    if form.get("do") == "decide":
        return _decide(form)
    if not form.get("text", "").strip():
        raise UsageError(_("Type the address of the practice"))
    if form.get("do") != "keep":
        return _page("place")
    snapshot, inventory = sources().snapshot(), sources().inventory
    parsed = civic_text.parse(form["text"], first_start.held(snapshot).country)
    held = _first_place(sources().world())
    name = held.id if held else MAIN_PLACE
    words = form.get("name", "").strip() or snapshot.practice.name
    locations.keep(inventory, name, {"name": words, "civic": parsed.civic, "level": "building"}, who())
    for number in inventory.all(Number):
        if not number.location:
            accounts.place(inventory, number.id, name, None, who(), sources().now())
    sources().reload()
    return _stay("place")


def _decide(form: Mapping[str, str]) -> Response:
    """What a person says of an address that the provider has otherwise."""
    choice = form.get("choice", "")
    event: registration.Event = registration.Asked()
    if (place := forms.whole(choice)) is not None:
        event = registration.Approved(place)
    elif choice == "as-typed":
        event = registration.Insisted()
    act(sources().inventory, form.get("number", ""), event, who(), sources().now())
    sources().reload()
    return _stay("place")


# phones


def _phones(world: World) -> dict[str, Any]:
    rows = views.phones(world)
    snapshot = world.snapshot
    dhcp: dict[str, Any] = {"server": None}
    if world.front:
        server, kind = dhcp_help.server(world.front, snapshot), request.args.get("for", "")
        kind = kind if kind in dhcp_help.SERVERS else next(iter(dhcp_help.SERVERS))
        dhcp = {
            "server": server,
            "makers": dhcp_help.makers(server),
            "kinds": dhcp_help.SERVERS,
            "kind": kind,
            "text": dhcp_help.text(kind, server),
        }
    waiting = [row for row in rows if not row.adopted]
    waiting.sort(key=lambda row: -(row.last_seen or 0))
    return {
        "waiting": waiting[:MAX_WAITING],
        "left_out": max(0, len(waiting) - MAX_WAITING),
        "adopted": [row for row in rows if row.adopted][:MAX_WAITING],
        "proposed": extensions.proposed(snapshot, world.now)[:1],
        "typed": {},
        **dhcp,
    }


def _save_phones(form: Mapping[str, str]) -> Response:
    if form.get("do") != "adopt":
        return _onward("phones")
    adopt(form.get("mac", ""), form.get("extension", ""), form.get("name", ""))
    return _stay("phones")


def adopt(mac: str, extension: str, name: str) -> None:
    """Adopt a phone with a name, at the first place; it rings for the main number. Raises ProvisionerError."""
    phone = adoption.adopt(sources(), mac, who(), extension)
    own, inventory = phone.lines[0].extension, sources().inventory
    changes: dict[str, Any] = {"names": {own: name.strip()}} if name.strip() else {}
    place = _first_place(sources().world())
    if place and not phone.location:
        changes["location"] = place.id
    if changes:
        editing.edit_phone(inventory, mac, changes, who(), sources().catalogue())
    first_start.join_everyone(inventory, own, who())
    sources().reload()


# 911


def _emergency(world: World) -> dict[str, Any]:
    report = readiness.report(world)
    tests = [call for call in views.live_calls(world) if call["direction"] == "emergency"]
    return {
        "report": report,
        "testing": {
            str(call.get("desk")): call["state"] for call in tests if str(call["to"]).endswith("933")
        },
        "levels": readiness.WORDS,
        "country": first_start.held(world.snapshot).country,
        "typed": {},
    }


def _save_emergency(form: Mapping[str, str]) -> Response:
    if form.get("do") == "test":
        emergency_pages.begin_test(form.get("extension", ""))
        return _stay("emergency")
    return _onward("emergency")


SHOWN: dict[str, Callable[[World], dict[str, Any]]] = {
    "account": _account,
    "practice": _practice,
    "network": _network,
    "trunk": _trunk,
    "numbers": _numbers,
    "place": _place,
    "phones": _phones,
    "emergency": _emergency,
}
SAVED: dict[str, Callable[[Mapping[str, str]], Response]] = {
    "account": _save_account,
    "practice": _save_practice,
    "network": _save_network,
    "trunk": _save_trunk,
    "numbers": _save_numbers,
    "place": _save_place,
    "phones": _save_phones,
    "emergency": _save_emergency,
}


# API


class SetupState(contract.Body, frozen=True):
    """How far the first start is. `steps`: whether each is done; `step`: the one to go on with."""

    pending: bool
    step: str
    steps: dict[str, bool]


class NewNumber(contract.Body, frozen=True):
    """A number as it is written in North America, with a name for it."""

    number: Annotated[str, Meta(min_length=7, max_length=40)]
    label: Annotated[str, Meta(max_length=first_start.MAX_LABEL)] = ""


class NewNumbers(contract.Body, frozen=True):
    """Numbers of the practice, and the provider that they are with ("": none that registers addresses)."""

    numbers: Annotated[list[NewNumber], Meta(min_length=1, max_length=1000)]
    provider: str = ""


@calls.get("/setup")
@contract.call()
def api_state() -> SetupState:
    """How far the first start is."""
    return _state()


def _state() -> SetupState:
    world = sources().world()
    snapshot = world.snapshot
    return SetupState(
        pending=first_start.pending(snapshot), step=first_start.current(snapshot), steps=_done(world)
    )


@calls.post("/setup/finish")
@contract.call()
def api_finish() -> SetupState:
    """End the first start: pages lead there no more."""
    first_start.finish(sources().inventory, who(), sources().now())
    sources().reload()
    return _state()


@calls.post("/numbers")
@contract.call(status=201, refuses="The numbers were not added")
def api_add_numbers(body: NewNumbers) -> list[Number]:
    """Add numbers; those that are known stay as they are, but for their label."""
    typed, wrong = first_start.read_numbers(
        "\n".join(f"{each.number}\t{re.sub(r'[,;]', ' ', each.label)}" for each in body.numbers)
    )
    if wrong:
        raise UsageError(f"{wrong[0].split(chr(9))[0]} is no telephone number with its area code")
    made = first_start.add_numbers(sources().inventory, typed, body.provider, who())
    sources().reload()
    return made
