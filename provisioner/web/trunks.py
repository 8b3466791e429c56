"""The ways to calling services: list, add, change, remove, and try out before and after; pages and API."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.ipc import Json
from provisioner.store.inventory import Conflict
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks import editing
from provisioner.trunks.profile import profiles
from provisioner.web import api, staff, trunk_form, trunk_words
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
        revision = form.get("revision", "")
        store(trunk, secret, int(revision) if revision.isdecimal() else None)
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
    revision = request.form.get("revision", "")
    try:
        editing.remove(sources().inventory, name, who(), int(revision) if revision.isdecimal() else None)
    except ProvisionerError as error:
        return _list(409, str(error))
    sources().reload()
    return make_response(redirect(url_for("trunks.show"), 303))


# API


def _told(trunk: Trunk, revision: int, secret: TrunkSecret | None) -> Json:
    """A trunk as the API shows it: whether there is a password, never which."""
    body: Json = msgspec.to_builtins(trunk)
    body.pop("kind", None)
    shown = {"user": secret.user if secret else "", "realm": secret.realm if secret else ""}
    return {**body, **shown, "has_password": secret is not None, "revision": revision}


@calls.get("")
def api_list() -> Response:
    """All trunks in the order in which they are tried; passwords are never shown."""
    ordered = sorted(sources().snapshot().trunks.values(), key=lambda trunk: (trunk.order, trunk.id))
    return api.listed([_told(*found) for trunk in ordered if (found := _stored(trunk.id))], *api.window())


@calls.get("/profiles")
def api_profiles() -> Response:
    """The kinds of calling services, with all keys of each."""
    return api.answer(profiles())


@calls.get("/<name>")
def api_one(name: str) -> Response:
    """One trunk."""
    return api.answer(_told(*_known(name)))


def _from_body(name: str) -> tuple[Trunk, TrunkSecret | None]:
    """The records of this request's JSON: what is left out stays as it is stored. Raises ProvisionerError."""
    given, held = api.body(), _stored(name)
    shown = {key: given.pop(key) for key in SECRETS if key in given}
    if any(not isinstance(value, str) for value in shown.values()):
        abort(400, _("user, password and realm are texts."))
    body = msgspec.to_builtins(held[0]) if held else {}
    for only_shown in ("id", "kind", "revision", "has_password"):
        body.pop(only_shown, None)
        given.pop(only_shown, None)
    made = editing.trunk(name, {**body, **given})
    stored = held[2] if held else None
    user, realm = (shown.get(key, getattr(stored, key) if stored else "") for key in ("user", "realm"))
    return made, editing.secret(name, user, shown.get("password", ""), realm, stored)


@calls.put("/<name>")
@api.refusing("The trunk was not kept")
def api_put(name: str) -> Response:
    """Make or change a trunk; `user`, `password` and `realm` are what it shows to its service."""
    new = _stored(name) is None
    trunk, secret = _from_body(name)
    store(trunk, secret)
    return api.answer(_told(*_known(name)), 201 if new else 200)


@calls.delete("/<name>")
@api.refusing("The trunk was not removed")
def api_delete(name: str) -> Response:
    """Forget a trunk with its password."""
    _known(name)
    editing.remove(sources().inventory, name, who())
    sources().reload()
    return Response(status=204)


@calls.post("/<name>/test")
@api.refusing("The trunk cannot be tested")
def api_test(name: str) -> Response:
    """Try a trunk out: as it is stored without a body, else as the body would change it. Nothing is kept."""
    if request.content_length:
        trunk, secret = _from_body(name)
        begun = begin_test(trunk, secret)
    else:
        _known(name)
        begun = begin_test(name)
    return api.answer(_test_answer(begun), 202)


@calls.get("/tests/<name>")
def api_test_status(name: str) -> Response:
    """How a test stands, step by step."""
    return api.answer(_test_answer(name))


def _test_answer(name: str) -> Json:
    view = test_view(name)
    if view is None:
        abort(404, _("That test is forgotten. Begin it again."))
    steps = [
        {**step, "what": told.what, "remedy": told.remedy, "more": told.more}
        for step, told in zip(view["steps"], view["told"], strict=True)
    ]
    return {"test": view["test"], "done": view["done"], "level": view["level"], "steps": steps}
