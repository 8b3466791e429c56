"""The ways to calling services: list, add, change, remove, and try out before and after; pages and API."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from msgspec import UNSET, UnsetType

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.ipc import Json
from provisioner.store.inventory import Conflict
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks import editing
from provisioner.trunks.profile import Profile, profiles
from provisioner.web import api, contract, forms, shapes, staff, trunk_form, trunk_words
from provisioner.web.language import gettext as _
from provisioner.web.session import sources, who
from provisioner.web.trunk_form import Draft, drafts

pages = Blueprint("trunks", __name__, url_prefix="/staff/trunks")
pages.before_request(staff.guard)
calls = Blueprint("trunks_api", __name__, url_prefix="/api/v1/trunks")
calls.before_request(api.guard)
SECRETS = ("user", "password", "realm")


def _stored(name: str) -> tuple[Trunk, int, TrunkSecret | None] | None:
    """A trunk with its revision and secret."""
    found = sources().inventory.get(Trunk, name)
    secret = sources().inventory.get(TrunkSecret, name)
    return (*found, secret[0] if secret else None) if found else None


def _known(name: str) -> tuple[Trunk, int, TrunkSecret | None]:
    found = _stored(name)
    if found is None:
        abort(404, _("There is no such trunk."))
    return found


def begin_test(trunk: Trunk | str, secret: TrunkSecret | None = None) -> str:
    """Have the edge try a trunk out (a record, or the id of a stored one); the test's name. Raises OperatorError."""
    args: Json = {"trunk": trunk if isinstance(trunk, str) else msgspec.to_builtins(trunk)}
    if secret:
        args |= {"user": secret.user, "password": secret.password, "realm": secret.realm}
    answer, error = sources().ask("edge", "trunk_test", args)
    if answer is None:
        raise OperatorError(_("the trunk cannot be tested"), error)
    return str(answer["test"])


def test_view(name: str) -> Json | None:
    """How a test stands, in words; None when the edge has forgotten it."""
    answer, _error = sources().ask("edge", "trunk_test_status", {"test": name}) if name else (None, "")
    if answer is None:
        return None
    level, words = trunk_words.verdict(answer)
    steps = [trunk_words.told(step) for step in answer["steps"]]
    return {**answer, "level": level, "words": words, "told": steps}


# pages


@pages.get("")
def show() -> Response:
    """All trunks in the order in which they are tried, each with how it is."""
    return _list()


def _list(status: int = 200, error: str = "") -> Response:
    world = sources().world()
    known = {str(row["id"]): row for row in (world.edge or {}).get("trunks", [])}
    ordered = sorted(world.snapshot.trunks.values(), key=lambda trunk: (trunk.order, trunk.id))
    return staff.page(
        "trunks.html",
        world,
        status,
        rows=[(trunk, known.get(trunk.id)) for trunk in ordered],
        secrets=world.snapshot.trunk_secrets,
        profiles=profiles(),
        saved=request.args.get("saved", ""),
        error=error,
    )


@pages.get("/new")
def new() -> Response:
    """The form for a new trunk."""
    return _form("", trunk_form.of_trunk(None, None))


@pages.get("/<name>")
def one(name: str) -> Response:
    """The form of one trunk."""
    trunk, revision, secret = _known(name)
    return _form(name, trunk_form.of_trunk(trunk, secret), revision)


def _form(
    name: str, values: dict[str, str], revision: int = 0, status: int = 200, error: str = ""
) -> Response:
    world = sources().world()
    draft = request.form.get("draft") or request.args.get("draft", "")
    held = drafts().get(draft)
    if held and not error:
        values = held.values
    secret = world.snapshot.trunk_secrets.get(name)
    return staff.page(
        "trunk.html",
        world,
        status,
        name=name,
        values=values,
        revision=request.form.get("revision", revision),
        draft=draft if held else "",
        has_password=bool((held and held.secret) or secret),
        test=test_view(held.test if held else request.args.get("test", "")),
        error=error,
        **form_tables(values["profile"]),
    )


def form_tables(profile: str) -> dict[str, Any]:
    """What the form is made from, beside what stands in it."""
    return {
        "profiles": profiles(),
        "transports": trunk_words.TRANSPORTS,
        "transfers": trunk_words.TRANSFERS,
        "releases": trunk_words.RELEASES,
        "settings": trunk_words.SETTINGS,
        "usual": trunk_form.usual(profile),
    }


@pages.post("/new")
def add() -> Response:
    """Try the new trunk out, or store it."""
    return _posted("")


@pages.post("/<name>")
def change(name: str) -> Response:
    """Try the changed trunk out, or store it."""
    _known(name)
    return _posted(name)


def _posted(name: str) -> Response:
    form, values = request.form, trunk_form.typed(request.form)
    try:
        trunk, secret = from_form(name)
        if form.get("do") == "test":
            draft = drafts().keep(Draft(values, secret, begin_test(trunk, secret), sources().now()))
            where = url_for("trunks.one", name=name, draft=draft) if name else url_for(".new", draft=draft)
            return make_response(redirect(f"{where}#test", 303))
        revision = forms.whole(form.get("revision", ""))
        store(trunk, secret, revision)
    except ProvisionerError as error:
        return _form(name, values, 0, 409 if isinstance(error, Conflict) else 400, str(error))
    return make_response(redirect(url_for("trunks.show", saved=trunk.id), 303))


def from_form(name: str) -> tuple[Trunk, TrunkSecret | None]:
    """The records of this request's form; `name` is "" for a new trunk. Raises ProvisionerError."""
    form, held = request.form, _stored(name) if name else None
    name = name or trunk_form.free_name(form.get("profile", ""), sources().snapshot().trunks)
    draft = drafts().get(form.get("draft", ""))
    return trunk_form.records(name, form, form.get("password", ""), held[2] if held else None, draft)


def store(trunk: Trunk, secret: TrunkSecret | None, revision: int | None = None) -> int:
    """Store a trunk, tell edge and front; its revision. Raises Conflict."""
    kept = editing.keep(sources().inventory, trunk, secret, who(), revision)
    drafts().drop(request.form.get("draft", ""))
    sources().reload()
    return kept


@pages.post("/<name>/test")
def test(name: str) -> Response:
    """Try a stored trunk out."""
    _known(name)
    try:
        begun = begin_test(name)
    except ProvisionerError as error:
        return _list(409, str(error))
    return make_response(redirect(url_for("trunks.one", name=name, test=begun) + "#test", 303))


@pages.get("/tests/<name>")
def test_part(name: str) -> str:
    """What of a page changes while a test goes on."""
    return render_template("trunk_test.html", test=test_view(name), again=request.args.get("again", ""))


@pages.get("/<name>/remove")
def ask_remove(name: str) -> Response:
    """Ask before a trunk is removed."""
    trunk, revision, _secret = _known(name)
    last = len(sources().snapshot().trunks) == 1
    return staff.page("trunk_remove.html", sources().world(), trunk=trunk, revision=revision, last=last)


@pages.post("/<name>/remove")
def remove(name: str) -> Response:
    """Forget a trunk with its password."""
    revision = forms.whole(request.form.get("revision", ""))
    try:
        editing.remove(sources().inventory, name, who(), revision)
    except ProvisionerError as error:
        return _list(409, str(error))
    sources().reload()
    return make_response(redirect(url_for("trunks.show"), 303))


# API


class KeptTrunk(contract.Body, frozen=True):
    """A trunk (docs/trunks.md); what is left out stays as it is. Its service is shown `user` and `password`."""

    uri: str | UnsetType = UNSET
    order: int | UnsetType = UNSET
    transfer: Literal["edge", "core"] | UnsetType = UNSET
    release: Literal["bridge", "refer"] | UnsetType = UNSET
    pidf_lo: bool | UnsetType = UNSET
    sources: list[str] | UnsetType = UNSET
    profile: str | UnsetType = UNSET
    settings: dict[str, str | int | bool | list[str] | dict[str, str]] | UnsetType = UNSET
    proxy: str | UnsetType = UNSET
    authorities: str | UnsetType = UNSET
    user: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    realm: str | UnsetType = UNSET


class ShownTrunk(shapes.Shape, frozen=True):
    """A trunk; whether there is a password, never which."""

    id: str
    uri: str
    order: int
    transfer: str
    release: str
    pidf_lo: bool
    sources: tuple[str, ...]
    profile: str
    settings: dict[str, Any]
    proxy: str
    authorities: str
    user: str
    realm: str
    has_password: bool


class TrunkTestStep(shapes.Shape, frozen=True):
    """One step of a test: `state` is waiting, running, good, warn or bad; `what` was found, what to do, in words."""

    step: str
    state: str
    code: str
    what: str
    remedy: str
    more: list[str]


class TrunkTest(shapes.Shape, frozen=True):
    """How a test of a trunk stands. `level`: busy, good, warn or bad."""

    test: str
    done: bool
    level: str
    steps: list[TrunkTestStep]


def _told(trunk: Trunk, _revision: int, secret: TrunkSecret | None) -> ShownTrunk:
    shown = {"user": secret.user if secret else "", "realm": secret.realm if secret else ""}
    return msgspec.convert(
        {**msgspec.structs.asdict(trunk), **shown, "has_password": secret is not None}, ShownTrunk
    )


@calls.get("")
@contract.call()
def api_list(query: contract.Paging) -> contract.Page[ShownTrunk]:
    """All trunks in the order in which they are tried; passwords are never shown."""
    ordered = sorted(sources().snapshot().trunks.values(), key=lambda trunk: (trunk.order, trunk.id))
    return contract.listed([_told(*found) for trunk in ordered if (found := _stored(trunk.id))], query)


@calls.get("/profiles")
@contract.call()
def api_profiles() -> dict[str, Profile]:
    """The kinds of calling services, with all keys of each."""
    return profiles()


@calls.get("/<trunk>")
@contract.call(record=Trunk)
def api_one(trunk: str) -> ShownTrunk:
    """One trunk."""
    return _told(*_known(trunk))


def _from_body(name: str, body: KeptTrunk) -> tuple[Trunk, TrunkSecret | None]:
    """The records, with what is left out as it is stored. Raises ProvisionerError."""
    given, held = contract.changes(body), _stored(name)
    shown = {key: given.pop(key) for key in SECRETS if key in given}
    stored = msgspec.structs.asdict(held[0]) if held else {}
    stored.pop("id", None)
    made = editing.trunk(name, {**stored, **given})
    secret = held[2] if held else None
    user, realm = (shown.get(key, getattr(secret, key) if secret else "") for key in ("user", "realm"))
    return made, editing.secret(name, user, shown.get("password", ""), realm, secret)


@calls.put("/<trunk>")
@contract.call(record=Trunk, refuses="The trunk was not kept")
def api_put(trunk: str, body: KeptTrunk) -> ShownTrunk:
    """Make or change a trunk."""
    made, secret = _from_body(trunk, body)
    store(made, secret)
    return _told(*_known(trunk))


@calls.delete("/<trunk>")
@contract.call(record=Trunk, refuses="The trunk was not removed")
def api_delete(trunk: str) -> None:
    """Forget a trunk with its password."""
    _known(trunk)
    editing.remove(sources().inventory, trunk, who())
    sources().reload()


@calls.post("/<trunk>/test")
@contract.call(status=202, refuses="The trunk cannot be tested")
def api_test(trunk: str, body: KeptTrunk | None = None) -> TrunkTest:
    """Try a trunk out: as it is stored, or as the body would make it. Nothing is kept by it."""
    if body is None:
        _known(trunk)
        return _tried(begin_test(trunk))
    return _tried(begin_test(*_from_body(trunk, body)))


@calls.get("/tests/<test>")
@contract.call()
def api_test_status(test: str) -> TrunkTest:
    """How a test stands, step by step."""
    return _tried(test)


def _tried(name: str) -> TrunkTest:
    view = test_view(name)
    if view is None:
        abort(404, _("That test is forgotten. Begin it again."))
    steps = [
        TrunkTestStep(
            step=step["step"],
            state=step["state"],
            code=step["code"],
            what=told.what,
            remedy=told.remedy,
            more=told.more,
        )
        for step, told in zip(view["steps"], view["told"], strict=True)
    ]
    return TrunkTest(test=view["test"], done=view["done"], level=view["level"], steps=steps)
