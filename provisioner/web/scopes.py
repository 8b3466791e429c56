"""What an API token is good for: areas, to read or to write, by one table of blueprints and endpoints."""

from __future__ import annotations

from collections.abc import Iterable

from flask import abort, request

from provisioner.errors import Invalid
from provisioner.web import roles
from provisioner.web.language import later as N_

ALL = ""  # a token without scopes may all that its role may
AREAS = {
    "status": N_("State of the appliance, and this API's description"),
    "phones": N_("Phones: adoption, keys, files, orders, requests"),
    "extensions": N_("Extensions and their call handling"),
    "numbers": N_("Numbers"),
    "calls": N_("Calls, live and past; placing calls"),
    "emergency": N_("Emergency: addresses, locations, readiness, log, tests"),
    "settings": N_("Settings: practice, layers, groups, sounds, trust, certificates, DHCP"),
    "trunks": N_("Trunks and providers"),
    "users": N_("Users, API tokens, audit log"),
    "backup": N_("Backup and restore, export and import"),
    "metrics": N_("Measurements for Prometheus"),
}
# By endpoint, else by blueprint without its `_api`.
OF = {
    "api.phones": "phones",
    "api.adopt": "phones",
    "api.status": "status",
    "api.numbers": "numbers",
    "account": "status",
    "openapi": "status",
    "dashboard": "status",
    "work": "status",
    "phone": "phones",
    "tables": "phones",
    "many": "phones",
    "pending": "phones",
    "request_log": "phones",
    "orders": "phones",
    "extensions": "extensions",
    "features": "extensions",
    "ringing": "extensions",
    "numbers": "numbers",
    "call_log": "calls",
    "calling": "calls",
    "call_page": "calls",
    "trends": "calls",
    "addresses": "emergency",
    "emergency": "emergency",
    "readiness": "emergency",
    "locations": "emergency",
    "places": "emergency",
    "layers": "settings",
    "groups": "settings",
    "practice": "settings",
    "wizard": "settings",
    "wizard_api.api_add_numbers": "numbers",
    "audio": "settings",
    "trust": "settings",
    "protection": "settings",
    "authorities": "settings",
    "https": "settings",
    "dhcp": "settings",
    "discovery": "phones",
    "trunks": "trunks",
    "providers": "trunks",
    "users": "users",
    "tokens": "users",
    "audit": "users",
    "backup": "backup",
    "settings_toml": "backup",
    "metrics": "metrics",
}


def area(endpoint: str) -> str:
    """The area of an endpoint, "" for one of none: tokens with scopes are not for it."""
    blueprint = endpoint.partition(".")[0]
    return OF.get(endpoint) or OF.get(blueprint) or OF.get(blueprint.removesuffix("_api"), "")


def allows(scopes: str, wanted: str, reading: bool = True) -> bool:
    """Whether `scopes` (as a token has them) are enough to read, or change, in the area `wanted`."""
    good = {f"{wanted}:write", f"{wanted}:read"} if reading else {f"{wanted}:write"}
    return scopes == ALL or bool(wanted and good & set(scopes.split()))


def check(scopes: str) -> None:
    """Abort with 403 when this request needs more than `scopes`."""
    endpoint = str(request.endpoint)
    wanted, reading = area(endpoint), roles.reads(endpoint, request.method)
    if not allows(scopes, wanted, reading):
        needed = f"{wanted}:{'read' if reading else 'write'}" if wanted else "no scopes at all"
        abort(403, f"The API token is not for this: it needs {needed}.")


def normal(wanted: Iterable[str]) -> str:
    """Scopes as a token keeps them; raises Invalid for one that is none."""
    found = sorted(set(wanted))
    known = {f"{name}:{what}" for name in AREAS for what in ("read", "write")}
    strange = [each for each in found if each not in known]
    if strange:
        raise Invalid(
            {"scopes": f"{strange[0]} is none: take AREA:read or AREA:write of {', '.join(AREAS)}."}
        )
    return " ".join(found)


def within(wanted: str, held: str) -> bool:
    """Whether a token with the scopes `held` may hand out `wanted`."""
    if held == ALL:
        return True
    parts = (each.partition(":") for each in wanted.split())
    return wanted != ALL and all(allows(held, name, what == "read") for name, _colon, what in parts)
