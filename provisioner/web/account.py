"""What people do with their own account: name and language, password, second factor, sessions; pages and API."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Annotated

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import UNSET, Meta, UnsetType

from provisioner.errors import Invalid, ProvisionerError
from provisioner.people import second_factor
from provisioner.people import users as people
from provisioner.store.records import User
from provisioner.web import api, contract, forms, language, roles, session, shapes, signing, staff, users
from provisioner.web.contract import Body, Page, Paging
from provisioner.web.language import gettext as _
from provisioner.web.session import Session, sources
from provisioner.web.users import Password, ShownSession, Tongue

pages = Blueprint("account", __name__, url_prefix="/staff/account")
pages.before_request(staff.guard)
calls = Blueprint("account_api", __name__, url_prefix="/api/v1/account")
calls.before_request(api.guard)


def mine() -> tuple[User, Session]:
    """The user who asks, and the session. Aborts with 403 for who came by a link, and for programs."""
    here = session.current()
    if session.bearer() is not None or here is None or not here.user:
        abort(403, _("Only somebody who signed in by name has an account."))
    return users.known(here.user), here


def confirmed(user: User, typed: str) -> None:
    """Raises Invalid unless `typed` is the user's password; tries count like those of signing in."""
    if not signing.same_password(user.id, typed):
        raise Invalid({"current": _("That is not your password.")})


def proposed_key(user: User, here: Session) -> str:
    """The key that this session proposes to an app: the same until one is accepted, and never stored before."""
    held = sources().inventory.get(User, user.id)
    seed = f"{here.token}\0{user.id}\0{held[1] if held else 0}".encode()
    digest = hmac.new(sources().inventory.secret("second factor"), seed, hashlib.sha256).digest()
    return base64.b32encode(digest[: second_factor.KEY_BYTES]).decode()


def begin(current: str, code: str) -> list[str]:
    """Ask the user who asks for codes too; the recovery codes. Raises Invalid."""
    user, here = mine()
    confirmed(user, current)
    key = proposed_key(user, here)
    return people.begin_second_factor(
        sources().inventory, user.id, key, code, sources().now(), here.who, keep=here.token
    )


def end(current: str) -> None:
    """Ask the user who asks for a password alone. Raises Invalid."""
    user, here = mine()
    confirmed(user, current)
    people.end_second_factor(sources().inventory, user.id, here.who)


def change_password(current: str, typed: str) -> None:
    """Give the user who asks another password; their other sessions end. Raises Invalid."""
    user, _here = mine()
    confirmed(user, current)
    users.set_password(user.id, typed)


def end_session(number: int) -> None:
    """End one of the sessions of the user who asks."""
    user, here = mine()
    if sources().inventory.tokens.end("session", number, user.id):
        sources().inventory.note(here.who, "session", user.id, {"ended": "one"})


# pages


@pages.get("")
def page() -> Response:
    """One's own account; who came by a link is told how to have one."""
    return _page()


def _page(status: int = 200, errors: dict[str, str] | None = None) -> Response:
    here = session.current()
    user = users.known(here.user) if here and here.user else None
    return staff.page(
        "account.html",
        sources().world(),
        status,
        record=user,
        here=here,
        sessions=users.sessions(user.id) if user else [],
        roles=roles.WORDS,
        known_languages={"browser": _("as the browser says"), **language.LANGUAGES},
        errors=errors or {},
        saved=request.args.get("saved", ""),
    )


def _done(what: str) -> Response:
    return make_response(redirect(url_for("account.page", saved=what), 303))


@pages.post("")
def save() -> Response:
    """Change the name that is shown, and the language."""
    user, here = mine()
    changes: dict[str, object] = {name: request.form.get(name, "").strip() for name in ("name", "language")}
    try:
        people.edit(sources().inventory, user.id, here.who, changes)
    except Invalid as error:
        return _page(422, error.errors)
    return _done("account")


@pages.post("/password")
def password() -> Response:
    """Change one's password."""
    try:
        if request.form.get("password") != request.form.get("again"):
            raise Invalid({"again": _("The two passwords are not the same.")})
        change_password(request.form.get("current", ""), request.form.get("password", ""))
    except Invalid as error:
        return _page(422, error.errors)
    except ProvisionerError as error:
        return _page(429, {"current": str(error)})
    return _done("password")


@pages.get("/second-factor")
def offer() -> Response:
    """The key for an app, as a picture and as text."""
    return _offer()


def _offer(status: int = 200, errors: dict[str, str] | None = None) -> Response:
    user, here = mine()
    key = proposed_key(user, here)
    spaced = " ".join(key[at : at + 4] for at in range(0, len(key), 4))
    return staff.page(
        "second_factor.html", sources().world(), status, key=spaced, errors=errors or {}, codes=None
    )


@pages.get("/second-factor.svg")
def picture() -> Response:
    """The QR code that an app reads."""
    user, here = mine()
    practice = sources().snapshot().practice.name
    svg = second_factor.picture(second_factor.uri(proposed_key(user, here), user.id, practice))
    return Response(svg, mimetype="image/svg+xml")


@pages.post("/second-factor")
def accept() -> Response:
    """Begin with the codes of an app, and show the recovery codes once."""
    try:
        codes = begin(request.form.get("current", ""), request.form.get("code", ""))
    except Invalid as error:
        return _offer(422, error.errors)
    except ProvisionerError as error:
        return _offer(429, {"current": str(error)})
    return staff.page("second_factor.html", sources().world(), codes=codes)


@pages.post("/second-factor/off")
def refuse() -> Response:
    """End the codes."""
    try:
        end(request.form.get("current", ""))
    except Invalid as error:
        return _page(422, {"off": error.errors["current"]})
    except ProvisionerError as error:
        return _page(429, {"off": str(error)})
    return _done("second-factor")


@pages.post("/sessions/<int:number>/end")
def end_one(number: int) -> Response:
    """End one of one's sessions."""
    end_session(number)
    return _done("sessions")


@pages.post("/sessions/end")
def end_others() -> Response:
    """End all of one's other sessions."""
    users.end_all(mine()[0].id)
    return _done("sessions")


# API


class Who(shapes.Shape, frozen=True):
    """Who asks. `user`: null for who came by a link and for programs; `scopes` of a program's token, none: all."""

    who: str
    role: str
    user: User | None
    scopes: list[str]


class ChangedAccount(Body, frozen=True):
    """What is to change of one's own account."""

    name: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    language: Tongue | UnsetType = UNSET


class OwnPassword(Body, frozen=True):
    """The password as it is, and as it is to be."""

    current: Password
    password: Password


class Proof(Body, frozen=True):
    """The password, and the code that the app shows now."""

    current: Password
    code: Annotated[str, Meta(max_length=20)]


class Proposal(shapes.Shape, frozen=True):
    """What an authenticator app is to be given: the key in Base32, and as a URI."""

    key: str
    uri: str


class Codes(shapes.Shape, frozen=True):
    """Recovery codes, which are shown this once."""

    codes: list[str]


@calls.get("")
@contract.call()
def api_who() -> Who:
    """Who asks, and what they may."""
    token, here = session.bearer(), session.current()
    role = token.role if token else here.role if here else ""
    user = users.known(here.user) if not token and here and here.user else None
    return Who(who=session.who(), role=role, user=user, scopes=token.scopes.split() if token else [])


@calls.patch("")
@contract.call(refuses="The account was not changed")
def api_change(body: ChangedAccount) -> User:
    """Change one's own name and language."""
    user, here = mine()
    return people.edit(sources().inventory, user.id, here.who, contract.changes(body))


@calls.put("/password")
@contract.call(refuses="The password was not changed")
def api_password(body: OwnPassword) -> None:
    """Change one's own password; one's other sessions end."""
    change_password(body.current, body.password)


@calls.get("/second-factor")
@contract.call(secret=True)
def api_offer() -> Proposal:
    """The key that this session proposes for the codes of an app."""
    user, here = mine()
    key = proposed_key(user, here)
    return Proposal(key=key, uri=second_factor.uri(key, user.id, sources().snapshot().practice.name))


@calls.post("/second-factor")
@contract.call(refuses="The second factor was not begun", secret=True)
def api_begin(body: Proof) -> Codes:
    """Begin with the codes of an app that was given the proposed key."""
    return Codes(codes=begin(body.current, body.code))


@calls.get("/sessions")
@contract.call()
def api_sessions(query: Paging) -> Page[ShownSession]:
    """One's own sessions, the newest first."""
    return contract.listed(users.shown(mine()[0].id), query)


@calls.delete("/sessions/<session>")
@contract.call()
def api_end(session: str) -> None:
    """End one of one's own sessions."""
    end_session(forms.whole(session) or 0)
