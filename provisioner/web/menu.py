"""The menu: a table of the pages that stand in the navigation and in the tabs of each area."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from flask import Flask, current_app, request, url_for
from werkzeug.exceptions import HTTPException

from provisioner.phones import first_start
from provisioner.web import roles, session
from provisioner.web.language import gettext
from provisioner.web.language import later as N_


class Row(NamedTuple):
    """A page in the navigation or in a row of tabs; `endpoint` with `args` of the page that shows it."""

    area: str
    endpoint: str
    text: str
    group: str = ""  # of an area with many tabs: the first row shows the groups, the second the tabs of one


class Link(NamedTuple):
    """A row as the page shows it; `current`: "page" for the page itself, "true" for its area, else empty."""

    url: str
    text: str
    current: str


NAV = (
    Row("overview", "staff.overview", N_("Overview")),
    Row("phones", "staff.phones", N_("Phones")),
    Row("extensions", "extensions.page", N_("Extensions")),
    Row("calls", "staff.calls", N_("Calls")),
    Row("911", "readiness.page", N_("911")),
    Row("requests", "staff.requests", N_("Requests")),
    Row("settings", "layers.show", N_("Settings")),
)

PRACTICE, PHONES, SECURITY, APPLIANCE = N_("Practice"), N_("Phones"), N_("Security"), N_("Appliance")

# Tabs in their order. A page that is no tab is in the area of the tabs of its blueprint, or in OTHERS.
TABS = (
    Row("phones", "staff.phones", N_("Phones")),
    Row("phones", "discovery.show", N_("Discovery")),
    Row("phones", "tables.form", N_("Import")),
    Row("phones", "orders.jobs", N_("Orders")),
    Row("phones", "orders.retired", N_("Retired")),
    Row("extensions", "extensions.page", N_("Extensions")),
    Row("extensions", "numbers.page", N_("Numbers")),
    Row("extensions", "ringing.index", N_("Ring groups")),
    Row("extensions", "through.show", N_("Dial-through")),
    Row("extensions", "addresses.page", N_("Emergency addresses")),
    Row("calls", "staff.calls", N_("Calls")),
    Row("calls", "trends.of_calls", N_("Trends and sound")),
    Row("calls", "audio.index", N_("Music and announcements")),
    Row("911", "readiness.page", N_("Readiness")),
    Row("911", "places.index", N_("Locations")),
    Row("911", "emergency.page", N_("Log, tests and notices")),
    Row("911", "trends.of_tests", N_("Lines proven by 933")),
    Row("requests", "staff.requests", N_("Requests")),
    Row("requests", "trends.of_requests", N_("By minute")),
    Row("settings", "practice.show", N_("Practice"), PRACTICE),
    Row("settings", "trunks.show", N_("Calling service"), PRACTICE),
    Row("settings", "providers.show", N_("Providers"), PRACTICE),
    Row("settings", "wizard.begin", N_("Set up again"), PRACTICE),
    Row("settings", "layers.show", N_("Phone settings"), PHONES),
    Row("settings", "groups.groups", N_("Groups"), PHONES),
    Row("settings", "trust.show", N_("Trust"), PHONES),
    Row("settings", "dhcp.show", N_("DHCP"), PHONES),
    Row("settings", "protection.show", N_("Protection"), SECURITY),
    Row("settings", "authorities.show", N_("Certificates and firmware"), SECURITY),
    Row("settings", "https.show", N_("HTTPS"), SECURITY),
    Row("settings", "users.page", N_("Users"), SECURITY),
    Row("settings", "tokens.page", N_("API tokens"), SECURITY),
    Row("settings", "audit.page", N_("Audit log"), SECURITY),
    Row("settings", "backup.show", N_("Backup"), APPLIANCE),
    Row("settings", "openapi.page", N_("API"), APPLIANCE),
    Row("phone", "staff.phone", N_("Overview")),
    Row("phone", "phone.edit", N_("Name and group")),
    Row("phone", "phone.keys", N_("Keys")),
    Row("phone", "phone.settings", N_("Settings")),
    Row("phone", "phone.files", N_("Files")),
    Row("phone", "staff.requests", N_("Requests")),
    Row("phone", "phone.show_calls", N_("Calls")),
    Row("phone", "phone.show_history", N_("History")),
)

# Endpoints, or blueprints, whose pages belong to an area without being one of its tabs.
OTHERS = {
    "many": "phones",
    "request_log": "requests",
    "settings_toml": "settings",
    "pending": "phones",
    "wizard": "",
    "call_page": "calls",
    "call_log": "calls",
    "calling": "calls",
    "staff.phone": "phones",
    "phone": "phones",
    "features": "extensions",
}


@functools.cache
def area(endpoint: str) -> str:
    """The area of a page, by its endpoint; empty for a page outside the menu."""
    blueprint = endpoint.partition(".")[0]
    for name in (endpoint, blueprint):
        if name in OTHERS:
            return OTHERS[name]
    rows = [row for row in (*NAV, *TABS) if row.area != "phone"]
    same = [row for row in rows if row.endpoint == endpoint]
    same += [row for row in rows if blueprint != "staff" and row.endpoint.partition(".")[0] == blueprint]
    return same[0].area if same else ""


def _here() -> str:
    """The endpoint of the page that is shown; a form with a mistake is shown again where it was."""
    if request.method == "POST":
        pages = current_app.url_map.bind_to_environ(request.environ)
        for path in (request.path, request.path.rpartition("/")[0]):
            with suppress(HTTPException):
                return str(pages.match(path, "GET")[0])
    return request.endpoint or ""


def _links(rows: list[Row], args: Mapping[str, Any], here: str) -> list[Link]:
    shown = _here()
    return [
        Link(
            url_for(row.endpoint, **args),
            gettext(row.text),
            "page" if row.endpoint == shown else "true" if row.area == here else "",
        )
        for row in rows
        if roles.may(row.endpoint)
    ]


def nav() -> list[Link]:
    """The navigation, with the area of this page marked; none before the first start has ended."""
    if first_start.pending(session.sources().snapshot()):
        return []
    return _links(list(NAV), {}, area(_here()))


def tabs(name: str = "", **args: str) -> list[Link]:
    """The tabs of an area, by default of this page's where it is one of them; `args`: which phone."""
    shown = _here()
    rows = [row for row in TABS if row.area == (name or area(shown))]
    here = next((row for row in rows if row.endpoint == shown), None)
    if not name and here is None:
        return []
    group = here.group if here else ""
    found = _links([row for row in rows if row.group == group], args, "")
    return found if len(found) > 1 else []


def groups() -> list[Link]:
    """The groups of this page's area, where it has some: each leads to the first of its tabs that one may see."""
    shown = _here()
    rows = [row for row in TABS if row.area == area(shown) and row.group]
    here = next((row.group for row in rows if row.endpoint == shown), None)
    first = {row.group: row for row in reversed(rows) if roles.may(row.endpoint)}
    return [
        Link(url_for(first[group].endpoint), gettext(group), "true" if group == here else "")
        for group in dict.fromkeys(row.group for row in rows)
        if here and group in first
    ]


def install(app: Flask) -> None:
    """Give the templates `nav()`, `tabs()` and `groups_of_tabs()`."""
    app.jinja_env.globals.update(nav=nav, tabs=tabs, groups_of_tabs=groups)
