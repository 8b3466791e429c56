"""Users: listed, made, changed, removed, their sessions ended; pages and API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import UNSET, Meta, UnsetType

from provisioner.errors import Invalid, ProvisionerError
from provisioner.people import users as people
from provisioner.store.inventory import Conflict
from provisioner.store.records import Role, User
from provisioner.store.tokens import Token
from provisioner.web import api, contract, forms, language, roles, session, shapes, signing, staff
from provisioner.web.contract import Body, Page, Paging
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

ABOUT = {
    "viewer": N_("Sees everything but secrets, and changes nothing."),
    "operator": N_("The daily work: phones, extensions, numbers, call handling, addresses, tests."),
    "administrator": N_("All of it: users, trunks, providers, the practice, certificates, backup."),
}
_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "Mac"),
            ("CrOS", "Chromebook"), ("Linux", "Linux"))  # fmt: skip
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)

pages = Blueprint("users", __name__, url_prefix="/staff/users")
pages.before_request(staff.guard)
calls = Blueprint("users_api", __name__, url_prefix="/api/v1/users")
calls.before_request(api.guard)


def browser(agent: str) -> str:
    """A browser's name of itself in two words."""
    which = next((word for mark, word in _BROWSERS if mark in agent), "")
    system = next((word for mark, word in _SYSTEMS if mark in agent), "")
    return ", ".join(filter(None, (which, system))) or agent[:40]


def sessions(user: str) -> list[tuple[Token, str]]:
    """The sessions of a user that are good, the newest first, each with its browser in words."""
    found = sources().inventory.tokens.listing("session", user)
    limit = sources().now() - session.IDLE_SECONDS
    return [(each, browser(each.agent)) for each in found if (each.seen or each.created) >= limit]


def known(name: str) -> User:
    """The user of that login name. Aborts with 404."""
    found = people.find(sources().inventory, name)
    if found is None:
        abort(404, _("There is no user of that name."))
    return found


def _revision(name: str) -> int:
    held = sources().inventory.get(User, name)
    return held[1] if held else 0


def make(name: str, password: str, role: str, full_name: str = "", language: str = "browser") -> User:
    """Make a user in the name of who asks. Raises Invalid."""
    bench = signing.gate().known
    return people.create(
        sources().inventory, name, password, role, who(), full_name=full_name, language=language, bench=bench
    )


# pages


@pages.get("")
def page() -> Response:
    """All users."""
    inventory = sources().inventory
    last = {each.user: each.seen or each.created for each in reversed(inventory.tokens.listing("session"))}
    return staff.page(
        "users.html",
        sources().world(),
        rows=[(user, last.get(user.id)) for user in inventory.all(User)],
        roles=roles.WORDS,
        gone=request.args.get("gone", ""),
    )


@pages.get("/new")
def new() -> Response:
    """The form for a new user."""
    return _new()


def _new(status: int = 200, errors: dict[str, str] | None = None) -> Response:
    first = not sources().inventory.all(User)
    return staff.page(
        "user_new.html",
        sources().world(),
        status,
        first=first,
        form=request.form,
        errors=errors or {},
        **_tables(),
    )


def _tables() -> dict[str, Any]:
    words = {"browser": _("as the browser says"), **language.LANGUAGES}
    return {"roles": roles.WORDS, "about": ABOUT, "known_languages": words}


@pages.post("/new")
def add() -> Response:
    """Make a user."""
    form = request.form
    try:
        if form.get("password") != form.get("again"):
            raise Invalid({"again": _("The two passwords are not the same.")})
        made = make(
            form.get("id", ""), form.get("password", ""), form.get("role", ""), form.get("name", ""),
            form.get("language", "browser"),
        )  # fmt: skip
    except Invalid as error:
        return _new(422, error.errors)
    return make_response(redirect(url_for("users.one", user=made.id, made=1), 303))


@pages.get("/<user>")
def one(user: str) -> Response:
    """One user."""
    return _one(user)


def _one(user: str, status: int = 200, errors: dict[str, str] | None = None, error: str = "") -> Response:
    record = known(user)
    return staff.page(
        "user.html",
        sources().world(),
        status,
        record=record,
        revision=_revision(record.id),
        sessions=sessions(record.id),
        form=request.form,
        errors=errors or {},
        error=error,
        saved=request.args.get("saved", ""),
        made="made" in request.args,
        **_tables(),
    )


@pages.post("/<user>")
def save(user: str) -> Response:
    """Change role, name, language, and whether the user may sign in."""
    form, expected = request.form, forms.whole(request.form.get("revision", ""))
    changes: dict[str, object] = {name: form.get(name, "").strip() for name in ("role", "name", "language")}
    changes["disabled"] = "disabled" in form
    try:
        people.edit(sources().inventory, known(user).id, who(), changes, expected)
    except Invalid as error:
        return _one(user, 422, error.errors)
    except Conflict:
        return _one(
            user, 409, error=_("Somebody changed this user meanwhile. This is how it is now: look, repeat.")
        )
    except ProvisionerError as error:
        return _one(user, 409, error=str(error))
    return _saved(user, "user")


def _saved(user: str, what: str) -> Response:
    return make_response(redirect(url_for("users.one", user=user, saved=what), 303))


@pages.post("/<user>/password")
def password(user: str) -> Response:
    """Give a user another password."""
    try:
        if request.form.get("password") != request.form.get("again"):
            raise Invalid({"again": _("The two passwords are not the same.")})
        set_password(known(user).id, request.form.get("password", ""))
    except Invalid as error:
        return _one(user, 422, error.errors)
    return _saved(user, "password")


def set_password(user: str, typed: str) -> None:
    """Give a user another password in the name of who asks; the session that asks stays. Raises Invalid."""
    here = session.current()
    keep = here.token if here else ""
    people.set_password(sources().inventory, user, typed, who(), keep=keep, bench=signing.gate().known)


@pages.post("/<user>/second-factor/off")
def second_factor_off(user: str) -> Response:
    """Ask a user for a password alone, as when the phone is lost."""
    people.end_second_factor(sources().inventory, known(user).id, who())
    return _saved(user, "second-factor")


@pages.post("/<user>/sessions/end")
def end_sessions(user: str) -> Response:
    """End all sessions of a user."""
    end_all(known(user).id)
    return _saved(user, "sessions")


def end_all(user: str) -> None:
    """End all sessions of a user, apart from the one that asks."""
    here = session.current()
    inventory = sources().inventory
    with inventory.change(who()) as change:
        change.end_tokens(user, here.token if here else "")
    inventory.note(who(), "session", user, {"ended": "all"})


@pages.get("/<user>/remove")
def ask_remove(user: str) -> Response:
    """Ask before a user is removed."""
    record = known(user)
    tokens = [each for each in sources().inventory.tokens.listing("api") if each.user == record.id]
    return staff.page("user_remove.html", sources().world(), record=record, tokens=tokens)


@pages.post("/<user>/remove")
def remove(user: str) -> Response:
    """Remove a user with their sessions and tokens."""
    try:
        people.remove(sources().inventory, known(user).id, who())
    except ProvisionerError as error:
        return _one(user, 409, error=str(error))
    return make_response(redirect(url_for("users.page", gone=user), 303))


# API

Password = Annotated[str, Meta(max_length=1000, description="10 characters or more; kept as a hash.")]
Tongue = Literal["browser", "en", "es"]


class NewUser(Body, frozen=True):
    """A user to make. `id`: the login name."""

    id: Annotated[str, Meta(max_length=200)]
    password: Password
    role: Role
    name: Annotated[str, Meta(max_length=200)] = ""
    language: Tongue = "browser"


class ChangedUser(Body, frozen=True):
    """What is to change of a user."""

    role: Role | UnsetType = UNSET
    name: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    language: Tongue | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class NewPassword(Body, frozen=True):
    """Another password."""

    password: Password


class ShownSession(shapes.Shape, frozen=True):
    """A session of the staff pages. `browser`: in words; `last_used`: to a minute."""

    number: int
    address: str
    browser: str
    created: float
    last_used: float
    expires: float


def shown(user: str) -> list[ShownSession]:
    """The sessions of a user."""
    return [
        ShownSession(
            number=each.id,
            address=each.address,
            browser=words,
            created=each.created,
            last_used=each.seen or each.created,
            expires=each.expires,
        )
        for each, words in sessions(user)
    ]


@calls.get("")
@contract.call()
def api_list(query: Paging) -> Page[User]:
    """The users; never what they sign in with."""
    return contract.listed(sources().inventory.all(User), query)


@calls.post("")
@contract.call(status=201, refuses="The user was not made")
def api_make(body: NewUser) -> User:
    """Make a user."""
    return make(body.id, body.password, body.role, body.name, body.language)


@calls.get("/<user>")
@contract.call(record=User)
def api_one(user: str) -> User:
    """One user."""
    return known(user)


@calls.patch("/<user>")
@contract.call(record=User, refuses="The user was not changed")
def api_change(user: str, body: ChangedUser) -> User:
    """Change a user; of another role, or disabled, their sessions end."""
    return people.edit(sources().inventory, known(user).id, who(), contract.changes(body))


@calls.delete("/<user>")
@contract.call(record=User, refuses="The user was not removed")
def api_remove(user: str) -> None:
    """Remove a user with their sessions and tokens."""
    people.remove(sources().inventory, known(user).id, who())


@calls.put("/<user>/password")
@contract.call(refuses="The password was not changed")
def api_password(user: str, body: NewPassword) -> None:
    """Give a user another password; their sessions end."""
    set_password(known(user).id, body.password)


@calls.delete("/<user>/second-factor")
@contract.call()
def api_second_factor_off(user: str) -> None:
    """Ask a user for a password alone, as when the phone is lost."""
    people.end_second_factor(sources().inventory, known(user).id, who())


@calls.get("/<user>/sessions")
@contract.call()
def api_sessions(user: str, query: Paging) -> Page[ShownSession]:
    """The sessions of a user, the newest first."""
    return contract.listed(shown(known(user).id), query)


@calls.delete("/<user>/sessions")
@contract.call()
def api_end_sessions(user: str) -> None:
    """End all sessions of a user."""
    end_all(known(user).id)
