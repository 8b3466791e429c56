"""Who may do what: every route, asked by everybody, with good and bad forms, tokens and sessions.

What the views do is left out: only who gets as far as them is tried.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import people
import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

from provisioner.web import changes, menu, roles, scopes, session

TABLE = tomllib.loads(Path(__file__).with_name("authorisation.toml").read_text())
ROLES = ("viewer", "operator", "administrator")
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
REACHED = 299
SEEN = [endpoint for endpoint, _name in changes.PLACES.values()]
SAMPLES = {"mac": practice.STRANGER, "layer": "site", "extension": "101", "number": "+14155550101"}


class Route(NamedTuple):
    """One method of one route; `least` and `scope` as the table has them, "" for anybody."""

    name: str
    method: str
    path: str
    kind: str
    least: str
    scope: str


def all_routes(app: Flask) -> list[tuple[str, str, str]]:
    return [
        (rule.endpoint, method, rule.build({name: SAMPLES.get(name, "1") for name in rule.arguments})[1])
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & METHODS)
    ]


@pytest.fixture
def routes(app: Flask) -> list[Route]:
    """The routes of the table; what they would do is left out."""
    found = []
    known = {name: (kind, text) for kind, rows in TABLE.items() for name, text in rows.items()}
    for endpoint, method, path in all_routes(app):
        kind, text = known[f"{endpoint} {method}"]
        least, _, scope = text.partition(" ")
        found.append(Route(endpoint, method, path, kind, "" if least == "anybody" else least, scope))
    for endpoint in app.view_functions:
        app.view_functions[endpoint] = lambda **_path: ("", REACHED)
    return found


def test_every_route_is_in_the_table_and_none_that_is_not_there(app: Flask):
    there = {f"{endpoint} {method}" for endpoint, method, _path in all_routes(app)}
    told = {name for rows in TABLE.values() for name in rows}
    assert there - told == set(), "say in tests/web/authorisation.toml who may use these"
    assert told - there == set(), "these are gone: take them out of tests/web/authorisation.toml"
    assert set(TABLE["open"].values()) == {"anybody"}
    assert all(rule.startswith(("/api/v1/", "/metrics")) == (kind == "api") for kind, rule in kinds(app))


@pytest.mark.parametrize("table", [roles.LEAST, roles.SEARCHES, scopes.OF, menu.OTHERS, SEEN])
def test_the_tables_of_endpoints_name_none_that_is_gone(app: Flask, table: Iterable[str]):
    there = {*app.view_functions, *app.blueprints, *(name.removesuffix("_api") for name in app.blueprints)}
    assert set(table) - there == set()


def kinds(app: Flask) -> list[tuple[str, str]]:
    known = {name: kind for kind, rows in TABLE.items() for name in rows}
    return [(known[f"{endpoint} {method}"], path) for endpoint, method, path in all_routes(app)]


def asked(client: FlaskClient, route: Route, csrf: str | None = None) -> int:
    headers = {} if csrf is None else {session.CSRF_HEADER: csrf}
    return client.open(route.path, method=route.method, headers=headers).status_code


def wrong(routes: list[Route], found: dict[str, int], wanted: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {name: (status, wanted[name]) for name, status in found.items() if status != wanted[name]}


def named(route: Route) -> str:
    return f"{route.name} {route.method}"


def test_who_is_not_signed_in_gets_nowhere(visitor: FlaskClient, routes: list[Route]):
    found = {named(route): asked(visitor, route) for route in routes}
    wanted = {named(route): 401 if route.least else REACHED for route in routes}
    assert wrong(routes, found, wanted) == {}


@pytest.mark.parametrize("ended", ["expired", "idle", "signed out", "disabled"])
def test_a_session_that_has_ended_gets_nowhere(app: Flask, routes: list[Route], ended: str):
    client = people.browser(app, "anna", "administrator")
    token = client.get_cookie("provisioner").value
    inventory, now = people.store(app), practice.NOW
    if ended == "expired":
        with inventory._writing() as connection:
            connection.execute("UPDATE tokens SET expires = ?", (now,))
    elif ended == "idle":
        with inventory._writing() as connection:
            connection.execute("UPDATE tokens SET created = ?", (now - session.IDLE_SECONDS - 1,))
    elif ended == "signed out":
        inventory.revoke_token("session", token)
    else:
        people.add(app, "bert", "administrator")
        people.users.edit(inventory, "anna", "bert", {"disabled": True})
    some = [route for place, route in enumerate(routes) if ended == "expired" or place % 8 == 0]
    found = {named(route): asked(client, route) for route in some}
    assert wrong(routes, found, {named(route): 401 if route.least else REACHED for route in routes}) == {}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_as_far_as_it_may(app: Flask, routes: list[Route], role: str):
    client = people.browser(app, "anna", role)
    with app.test_request_context(
        headers={"Cookie": f"provisioner={client.get_cookie('provisioner').value}"}
    ):
        csrf = session.csrf()
    found = {named(route): asked(client, route, csrf) for route in routes}
    wanted = {
        named(route): REACHED if not route.least or ROLES.index(role) >= ROLES.index(route.least) else 403
        for route in routes
    }
    assert wrong(routes, found, wanted) == {}


@pytest.mark.parametrize("csrf", [None, "", "wrong", "0" * 64])
def test_without_the_forms_token_nothing_changes(app: Flask, routes: list[Route], csrf: str | None):
    client = people.browser(app, "anna", "administrator")
    changing = [route for route in routes if route.method != "GET" and not route.name.startswith("signing.")]
    found = {named(route): asked(client, route, csrf) for route in changing}
    assert wrong(routes, found, {named(route): 403 for route in changing}) == {}
    assert len(changing) > 100


def test_nobody_signs_in_from_another_sites_page(app: Flask, routes: list[Route]):
    client = people.browser(app, "anna", "administrator")
    with app.test_request_context(
        headers={"Cookie": f"provisioner={client.get_cookie('provisioner').value}"}
    ):
        csrf = session.csrf()
    for route in routes:
        if route.method != "GET":
            headers = {session.CSRF_HEADER: csrf, "Sec-Fetch-Site": "cross-site"}
            assert client.open(route.path, method=route.method, headers=headers).status_code == 403, route


@pytest.mark.parametrize("role", ROLES)
def test_a_programs_token_gets_as_far_as_its_role(app: Flask, routes: list[Route], role: str):
    program = people.program(app, role, name="tool")
    found = {named(route): asked(program, route) for route in routes if route.kind == "api"}
    wanted = {
        named(route): REACHED if ROLES.index(role) >= ROLES.index(route.least) else 403
        for route in routes
        if route.kind == "api"
    }
    assert wrong(routes, found, wanted) == {}


def test_a_token_is_good_for_its_scopes_only(app: Flask, routes: list[Route]):
    calls = [route for route in routes if route.kind == "api"]
    scopes = sorted({route.scope for route in calls})
    programs = {scope: people.program(app, "administrator", name=scope, scopes=scope) for scope in scopes}
    for route in calls:
        area, _, what = route.scope.partition(":")
        assert asked(programs[route.scope], route) == REACHED, route
        other = next(each for each in scopes if each.partition(":")[0] != area)
        assert asked(programs[other], route) == 403, route
        if what == "write" and f"{area}:read" in programs:
            assert asked(programs[f"{area}:read"], route) == 403, route
        if what == "read" and f"{area}:write" in programs:
            assert asked(programs[f"{area}:write"], route) == REACHED, route


def test_pages_take_no_programs_token_and_bad_tokens_are_none(app: Flask, routes: list[Route]):
    program = people.program(app, "administrator", name="tool")
    pages = [route for route in routes if route.kind == "pages"]
    assert {asked(program, route) for route in pages} == {401}
    program.environ_base["HTTP_AUTHORIZATION"] = "Bearer " + "0" * 64
    assert {asked(program, route) for route in routes if route.kind == "api"} == {401}
