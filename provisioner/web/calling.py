"""Calls that staff begin on the page or by the API: click-to-call and dial-through numbers."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.errors import OperatorError
from provisioner.store import dial_through
from provisioner.web import api, call_log, staff
from provisioner.web.session import sources, who

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


def _body(**kinds: type) -> dict[str, Any]:
    """The fields of a JSON object, each of its type or left out; 400 for anything else."""
    body: Any = request.get_json(silent=True)
    known = isinstance(body, dict) and body.keys() <= kinds.keys()
    if not known or any(type(body[name]) is not kinds[name] for name in body):
        fields = ", ".join(f"{name} ({kind.__name__})" for name, kind in kinds.items())
        abort(400, f"The body must be a JSON object with {fields}.")
    return dict(body)


@calls.post("/calls")
def click_by_api() -> Response:
    """Ring the phone with `extension`, then call `to`, showing `number` of the practice (default: its own)."""
    answer, error = _click(_body(extension=str, to=str, number=str))
    if error:
        return api.problem(409, "The call was not placed", error)
    return api.answer(answer, 201)


@calls.get("/dial-through")
def list_bindings() -> Response:
    """The dial-through numbers that are good now."""
    return api.listed(dial_through.live(sources().snapshot(), sources().now()), *api.window())


@calls.post("/dial-through")
def bind() -> Response:
    """Hand a number out: `phone`, `target`, and what of `number`, `seconds`, `once` is wanted."""
    body = _body(phone=str, target=str, number=str, seconds=int, once=bool)
    if not {"phone", "target"} <= body.keys():
        abort(400, "phone and target are needed: the phone it will be dialled from, and whom it reaches.")
    body["calling"] = body.pop("number", "")
    name = secrets.token_hex(8)
    try:
        made = dial_through.allocate(sources().inventory, **body, who=who(), now=sources().now(), name=name)
    except OperatorError as error:
        return api.problem(409, "No number was handed out", str(error))
    sources().reload()
    return api.answer(made, 201)


@calls.delete("/dial-through/<name>")
def unbind(name: str) -> Response:
    """End one."""
    try:
        dial_through.release(sources().inventory, name, who=who())
    except OperatorError as error:
        return api.problem(404, "Not found", str(error))
    sources().reload()
    return Response(status=204)


@pages.post("/calls/dial-through/<name>/end")
def end(name: str) -> Response:
    """End one, on the page."""
    try:
        dial_through.release(sources().inventory, name, who=who())
    except OperatorError as error:
        return call_log.page(409, error=str(error))
    sources().reload()
    return make_response(redirect(url_for("staff.calls"), 303))
