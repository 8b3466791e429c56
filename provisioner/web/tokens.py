"""API tokens: made (and shown once), listed with their last use, revoked; pages and API."""

from __future__ import annotations

from typing import Annotated, Literal

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for
from msgspec import Meta

from provisioner.errors import Invalid, OperatorError, ProvisionerError
from provisioner.people import api_tokens, users
from provisioner.people.api_tokens import MAX_NAME, NEVER, endless
from provisioner.store.records import Role
from provisioner.store.tokens import Token
from provisioner.web import api, contract, forms, roles, scopes, session, shapes, staff
from provisioner.web.contract import Body, Page, Paging
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

DAYS = {"30": N_("30 days"), "90": N_("90 days"), "365": N_("a year"), "0": N_("no end")}

pages = Blueprint("tokens", __name__, url_prefix="/staff/tokens")
pages.before_request(staff.guard)
calls = Blueprint("tokens_api", __name__, url_prefix="/api/v1/tokens")
calls.before_request(api.guard)


def make(name: str, role: str, wanted: list[str], days: float) -> str:
    """A new token in the name of who asks: its text, kept nowhere. `days` 0: no end. Raises ProvisionerError."""
    held = session.bearer()
    signed_in = None if held else session.current()
    own_role = held.role if held else signed_in.role if signed_in else ""
    own_user = held.user if held else signed_in.user if signed_in else ""
    given = scopes.normal(wanted)
    if role in roles.ROLES and users.lesser(role, own_role) != role:
        raise OperatorError("a token may no more than who makes it", "take a lesser role")
    if held and not scopes.within(given, held.scopes):
        raise OperatorError("a token may no more than who makes it", "take fewer scopes")
    most = held.expires - sources().now() if held else float("inf")
    return api_tokens.create(sources().inventory, name, role, given, days, who(), user=own_user, most=most)


def revoke(number: int) -> Token:
    """End a token. Aborts with 404 when there is none."""
    try:
        return api_tokens.revoke(sources().inventory, number, who())
    except OperatorError as error:
        abort(404, f"{error}.")


# pages


@pages.get("")
def page() -> Response:
    """All tokens, and the form for a new one."""
    return _page()


def _page(status: int = 200, errors: dict[str, str] | None = None, error: str = "") -> Response:
    return staff.page(
        "tokens.html",
        sources().world(),
        status,
        tokens=[(each, endless(each)) for each in sources().inventory.tokens.listing("api")],
        areas=scopes.AREAS,
        days=DAYS,
        roles=roles.WORDS,
        errors=errors or {},
        error=error,
        form=request.form,
        gone=request.args.get("gone", ""),
    )


@pages.post("")
def add() -> Response:
    """Make a token and show it, once."""
    form = request.form
    wanted = [
        f"{name}:{what}" for name in scopes.AREAS if (what := form.get(f"scope-{name}")) in ("read", "write")
    ]
    if form.get("everything") != "1" and not wanted:
        return _page(422, {"scopes": "Choose what it is good for."})
    try:
        made = make(
            form.get("name", ""), form.get("role", ""), [] if form.get("everything") else wanted, _days(form)
        )
    except Invalid as error:
        return _page(422, error.errors)
    except ProvisionerError as error:
        return _page(409, error=str(error))
    return staff.page("token.html", sources().world(), token=made, name=form.get("name", ""))


def _days(form: dict[str, str]) -> float:
    return float(form["days"]) if form.get("days") in DAYS else -1.0


@pages.post("/<int:number>/revoke")
def end(number: int) -> Response:
    """Revoke a token."""
    return make_response(redirect(url_for("tokens.page", gone=revoke(number).name), 303))


# API


class NewToken(Body, frozen=True):
    """A token to make. `scopes`: `AREA:read` or `AREA:write`, none for all that the role may; `days` 0: no end."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    role: Role = "viewer"
    scopes: list[str] = []
    days: Annotated[float, Meta(ge=0, le=NEVER)] = 90.0


class ShownToken(shapes.Shape, frozen=True):
    """A token, never its text. `user`: who made it, "" for the console; `expires`: null for no end."""

    number: int
    name: str
    user: str
    role: str
    scopes: list[str]
    created: float
    expires: float | None
    last_used: float | None


class MadeToken(shapes.Shape, frozen=True):
    """The text of a new token, which is shown this once."""

    token: str
    name: str
    kind: Literal["api"] = "api"


def _told(token: Token) -> ShownToken:
    return ShownToken(
        number=token.id,
        name=token.name,
        user=token.user,
        role=token.role,
        scopes=token.scopes.split(),
        created=token.created,
        expires=None if endless(token) else token.expires,
        last_used=token.seen,
    )


@calls.get("")
@contract.call()
def api_list(query: Paging) -> Page[ShownToken]:
    """The API tokens that are good, the newest first."""
    return contract.listed([_told(each) for each in sources().inventory.tokens.listing("api")], query)


@calls.post("")
@contract.call(status=201, refuses="The token was not made", secret=True)
def api_make(body: NewToken) -> MadeToken:
    """Make a token that may no more than who makes it."""
    return MadeToken(token=make(body.name, body.role, body.scopes, body.days), name=body.name)


@calls.delete("/<token>")
@contract.call()
def api_revoke(token: str) -> None:
    """Revoke the token of that number."""
    revoke(forms.whole(token) or 0)
