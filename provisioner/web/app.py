"""The Flask application: blueprints, headers of every answer, and errors as pages or problem documents."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus

from flask import Flask, Response, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.ipc import Gone
from provisioner.logs import request_id
from provisioner.paths import StateDir
from provisioner.phones.vocabulary import shown
from provisioner.web import (
    account,
    addresses,
    api,
    assets,
    audio,
    audit,
    authorities,
    backup,
    backup_api,
    call_log,
    call_page,
    calling,
    choose_language,
    dashboard,
    dhcp,
    discovery,
    emergency,
    extensions,
    features,
    groups,
    health,
    https,
    language,
    layers,
    locations,
    many,
    menu,
    metrics,
    numbers,
    openapi,
    orders,
    pending,
    phone,
    phone_files,
    phone_keys,
    phone_life,
    places,
    practice,
    protection,
    providers,
    readiness,
    request_log,
    ringing,
    roles,
    session,
    settings_toml,
    signing,
    staff,
    tables,
    through,
    tokens,
    told,
    trends,
    trunk_form,
    trunks,
    trust,
    users,
    views,
    wizard,
    words,
    work,
)
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.sources import PATIENCE, Sources

ADDED = (phone_files, phone_keys, phone_life)  # imported: they add their tabs to the blueprints of `phone`
ROOMS = (  # each with pages and calls of the API
    account, addresses, audio, audit, authorities, call_log, call_page, calling, dhcp, discovery,
    emergency, extensions, features, groups, https, layers, locations, many, numbers, openapi, orders,
    pending, phone, places, practice, protection, providers, readiness, request_log, ringing,
    settings_toml, tables, through, tokens, trends, trunks, trust, users, wizard, work,
)  # fmt: skip
SINGLES = (
    api.blueprint, backup.pages, backup_api.calls, choose_language.pages, dashboard.calls,
    health.blueprint, metrics.blueprint, signing.pages, staff.blueprint,
)  # fmt: skip
MAX_FORM = 64 << 10  # bytes; what takes more has a limit of its own (uploads.limit)
_HEADERS = {
    # Pico draws its marks with data: images, hence img-src; nothing else comes from anywhere but here.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; media-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: browsers would call the origin of our own forms `null` (Fetch, 3.2).
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "microphone=(), midi=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_log = logging.getLogger(__name__)


def create_app(state: StateDir, now: Callable[[], float] = time.time, patience: float = PATIENCE) -> Flask:
    """The web application of one appliance. `patience`: seconds that a page waits for another process."""
    app = Flask("provisioner.web", static_folder="static", static_url_path="/staff/static")
    app.config.update(MAX_CONTENT_LENGTH=MAX_FORM)
    app.extensions["provisioner"] = Sources(state, now, patience)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        number=words.number, mac=words.mac, ago=words.ago, day=words.day, clock=words.clock, stamp=words.stamp,
        duration=words.duration, ban=words.ban, quarantine=words.quarantine, ahead=words.ahead,
        setting=words.setting, layer=words.layer, size=words.size, shown=lambda value: told.tell(shown(value)),
    )  # fmt: skip
    app.jinja_env.globals.update(plural=words.plural, why=lambda rule: told.tell(views.why(rule)))
    for part in (assets, session, roles, language, pending, told, menu, work, trunk_form):
        part.install(app)
    for blueprint in (*SINGLES, *(part for room in ROOMS for part in (room.pages, room.calls))):
        app.register_blueprint(blueprint)
    app.before_request(_named)
    app.after_request(_finish)
    app.teardown_request(_forgotten)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ProvisionerError, _provisioner_error)
    app.register_error_handler(Exception, _bug)
    return app


def _named() -> None:
    """Each request has a name in the logs of front and web, and in its answer."""
    given = request.headers.get("X-Request-Id", "")  # of the front: it takes away those of clients
    g.request_id = given if re.fullmatch(r"[0-9a-f]{16}", given) else secrets.token_hex(8)
    request_id.set(g.request_id)


def _forgotten(_error: BaseException | None) -> None:
    """What this thread says after the request is not of it."""
    request_id.set("")


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = name = g.get("request_id") or secrets.token_hex(8)
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        told = {"method": request.method, "endpoint": request.endpoint, "status": response.status_code}
        _log.info("answered %s", request.endpoint, extra={"fields": {**told, "request": name}})
    response.headers.update(_HEADERS)
    if hsts := https.header():
        response.headers["Strict-Transport-Security"] = hsts
    if request.endpoint == "static":
        assets.finish(response)
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


TITLES = {
    400: N_("That could not be understood"),
    401: N_("Please sign in"),
    403: N_("That is not allowed"),
    404: N_("There is nothing here"),
    405: N_("That cannot be done here"),
    409: N_("That did not work"),
    410: N_("It is gone"),
    412: N_("Somebody changed this meanwhile"),
    413: N_("That is too large"),
    429: N_("Too many requests"),
}
NOT_NOW = N_("This cannot be done now")


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()  # redirects that routing raises
    title = TITLES.get(error.code, HTTPStatus(error.code).phrase)
    response = make_response(say(error.code, title, _detail(error)))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(error.valid_methods)
    return response


def _detail(error: HTTPException) -> str:
    """What the code said; of what werkzeug says by itself, only what people understand."""
    said = str(error.description or "")
    if said == str(type(error).description) and not request.path.startswith("/api/"):
        return _("Check the address, or go on from the overview.")
    return said


def _provisioner_error(error: ProvisionerError) -> ResponseReturnValue:
    _log.warning("%s %s: %s", request.method, request.endpoint, error)
    if isinstance(error, OperatorError):
        return say(503, NOT_NOW, f"{error.what}. {error.remedy[:1].upper()}{error.remedy[1:]}.")
    if isinstance(error, Gone):
        return say(503, NOT_NOW, f"{error}.")
    return say(409, TITLES[409], f"{error}.")


def _bug(error: Exception) -> ResponseReturnValue:
    _log.error("%s %s failed", request.method, request.endpoint, exc_info=error)
    return say(
        500,
        N_("Something went wrong here"),
        N_("The details are in the appliance's log. Nothing was changed."),
    )


def say(status: int, title: str, detail: str) -> ResponseReturnValue:
    """An answer that is only a message: a page for people, a problem document (RFC 9457) under /api/."""
    if not request.path.startswith("/api/"):
        return render_template("message.html", title=_(title), detail=told.tell(detail)), status
    response = api.problem(status, title, detail)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="provisioner"'
    return response
