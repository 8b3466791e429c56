"""Calls that staff begin on the page or by the API: click-to-call and dial-through numbers."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from flask import Blueprint, Response, make_response, redirect, request, url_for
from msgspec import UNSET, Meta, UnsetType

from provisioner.errors import OperatorError
from provisioner.ipc import Json, Refused
from provisioner.store import dial_through
from provisioner.store.records import DialThrough
from provisioner.web import api, call_log, contract, staff
from provisioner.web.contract import Body, Page, Paging, Text
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape

pages = Blueprint("calling", __name__, url_prefix="/staff")
calls = Blueprint("calling_api", __name__, url_prefix="/api/v1")
pages.before_request(staff.guard)
calls.before_request(api.guard)


def _click(args: dict[str, str]) -> tuple[dict[str, Any] | None, str]:
    return sources().ask("edge", "call", args)


@pages.post("/calls")
def click() -> Response:
    """Ring a desk phone, which then calls."""
    args = {name: request.form.get(name, "") for name in ("extension", "to", "number")}
    _answer, error = _click(args)
    if error:
        return call_log.page(409, error=error, asked_for=args)
    return make_response(redirect(url_for("staff.calls"), 303))


class Call(Body, frozen=True):
    """Who calls whom. `number`: of the practice, to be shown; "": the line's own."""

    extension: Text
    to: Text
    number: Text = ""


class Placed(Shape, frozen=True):
    """The id of the call."""

    call: str


class Binding(Body, frozen=True):
    """A number for a call from `phone` to `target`. `number`: to be shown; `once`: good for one call."""

    phone: Text
    target: Text
    number: Text | UnsetType = UNSET
    seconds: Annotated[int, Meta(ge=1, le=366 * 86_400)] | UnsetType = UNSET
    once: bool | UnsetType = UNSET


@calls.post("/calls")
@contract.call(status=201, answer=Placed, refuses="The call was not placed")
def click_by_api(body: Call) -> Json | None:
    """Click-to-call: ring the phone with an extension, then call."""
    answer, error = _click(contract.given(body))
    if error:
        raise Refused(error)
    return answer


@calls.get("/dial-through")
@contract.call()
def list_bindings(query: Paging) -> Page[DialThrough]:
    """The dial-through numbers that are good now."""
    return contract.listed(dial_through.live(sources().snapshot(), sources().now()), query)


@calls.post("/dial-through")
@contract.call(status=201, refuses="No number was handed out")
def bind(body: Binding) -> DialThrough:
    """Hand out a number that connects a phone, when it calls, with its target."""
    wanted = contract.changes(body)
    wanted["calling"] = wanted.pop("number", "")
    name = secrets.token_hex(8)
    made = dial_through.allocate(sources().inventory, **wanted, who=who(), now=sources().now(), name=name)
    sources().reload()
    return made


@calls.delete("/dial-through/<name>")
@contract.call(record=DialThrough, refuses="Not found", refusal=404)
def unbind(name: str) -> None:
    """End one."""
    dial_through.release(sources().inventory, name, who=who())
    sources().reload()


@pages.post("/calls/dial-through/<name>/end")
def end(name: str) -> Response:
    """End one, on the page."""
    try:
        dial_through.release(sources().inventory, name, who=who())
    except OperatorError as error:
        return call_log.page(409, error=str(error))
    sources().reload()
    return make_response(redirect(url_for("staff.calls"), 303))
