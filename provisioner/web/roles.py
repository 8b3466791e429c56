"""Who may do what: the least role of every endpoint, for pages and API alike, and what templates ask: `may`."""

from __future__ import annotations

from typing import NamedTuple

from flask import Flask, abort, current_app, request

from provisioner.web import session
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_

VIEWER, OPERATOR, ADMINISTRATOR = ROLES = (
    "viewer",
    "operator",
    "administrator",
)  # each may what those before may
WORDS = {VIEWER: N_("viewer"), OPERATOR: N_("operator"), ADMINISTRATOR: N_("administrator")}
READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Least(NamedTuple):
    """The least role to read, and to change."""

    read: str = VIEWER
    write: str = OPERATOR


_OWN = Least(VIEWER, VIEWER)  # what is only about who asks
_CHANGES = Least(VIEWER, ADMINISTRATOR)
_ALL = Least(ADMINISTRATOR, ADMINISTRATOR)
_USUAL = Least()
# Reading by POST: what is asked for must not be in an address, which is logged and kept.
SEARCHES = frozenset(
    {"call_log.find", "call_log_api.search_calls", "places_api.api_effects", "places_api.api_read"}
)

# By blueprint, for its pages and for its API (`NAME_api`), or by endpoint, which wins. What is not here: `Least()`.
LEAST = {
    "staff.sign_out": _OWN,
    "account": _OWN,
    "users": _ALL,
    "tokens": _ALL,
    "audit": _CHANGES,
    "trust": _CHANGES,
    "authorities": _CHANGES,
    "https": _CHANGES,
    "trunks": _CHANGES,
    "providers": _CHANGES,
    "practice": _CHANGES,
    "backup": _ALL,
    "settings_toml": _CHANGES,
    "wizard": _ALL,
    "extensions.change_length": _CHANGES,
    "extensions_api.api_length": _CHANGES,
    "emergency.page_settings": _CHANGES,
    "emergency_api.api_store": _CHANGES,
}


def least(endpoint: str, method: str = "GET") -> str:
    """The least role for a request of `method` to `endpoint`."""
    blueprint = endpoint.partition(".")[0]
    found = LEAST.get(endpoint) or LEAST.get(blueprint) or LEAST.get(blueprint.removesuffix("_api"), _USUAL)
    return found.read if reads(endpoint, method) else found.write


def reads(endpoint: str, method: str) -> bool:
    """Whether a request only looks: by its method, or as a search does that must not stand in an address."""
    return method in READING or endpoint in SEARCHES


def enough(role: str, needed: str) -> bool:
    """Whether `role` may what `needed` may; a role that is none may nothing."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


def _method(endpoint: str) -> str:
    """What a link or form that leads to `endpoint` asks: to read wherever that can be."""
    methods = {each for rule in current_app.url_map.iter_rules(endpoint) for each in rule.methods or ()}
    return "GET" if "GET" in methods or not methods else "POST"


def may(endpoint: str, method: str = "") -> bool:
    """Whether who asks may use `endpoint`; False without a session. Templates hide by it what is of no use."""
    found = session.current()
    return found is not None and enough(found.role, least(endpoint, method or _method(endpoint)))


def check(role: str) -> None:
    """Abort with 403 when this request needs more than `role`."""
    needed = least(str(request.endpoint), request.method)
    if not enough(role, needed):
        words = {"needed": _(WORDS[needed]), "role": _(WORDS.get(role, role))}
        abort(403, _("This needs the role {needed}; you are signed in as {role}.").format(**words))


def install(app: Flask) -> None:
    """Give the templates `may("endpoint")`."""
    app.jinja_env.globals.update(may=may)
