"""The document of the API, and the page that shows it."""

from __future__ import annotations

import re

from openapi_spec_validator import OpenAPIV31SpecValidator

from provisioner.web import openapi, roles, scopes


def test_the_document_is_openapi_3_1(api):
    document = api.get("/api/v1/openapi.json").json
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_route_is_described_and_every_described_one_is_there(app):
    told = {
        (method.upper(), path) for path, each in openapi.document(app)["paths"].items() for method in each
    }
    there = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert told == there


def test_every_call_says_what_it_is_and_who_may_use_it(app):
    for each in openapi.operations(app):
        told = openapi.document(app)["paths"][each.path][each.method.lower()]
        assert told["summary"], each.path
        assert told["x-role"] in roles.ROLES
        assert told["x-scope"].partition(":")[0] in {"", *scopes.AREAS}
        assert all(parameter["description"] for parameter in told["parameters"]), each.path


def test_every_part_has_its_words(app):
    tags = {tag["name"]: tag["description"] for tag in openapi.document(app)["tags"]}
    assert {name for name, words in tags.items() if name == words} == set()


def test_the_page_shows_all_parts_and_each_in_full(staff, app):
    page = staff.get("/staff/api")
    assert len(page.data) < 100_000
    for part, calls in openapi.parts(app).items():
        assert f'href="/staff/api?part={part}#{calls[0].id}"' in page.get_data(as_text=True)
        one = staff.get(f"/staff/api?part={part}")
        assert (one.status_code, len(one.data) < 200_000) == (200, True), part
        assert all(f'id="{call.id}"' in one.get_data(as_text=True) for call in calls)


def test_a_call_is_shown_with_its_fields(app):
    calls = {call.id: call for part in openapi.parts(app).values() for call in part}
    adopt = calls["post_phones_mac_adopt"]
    assert ("mac", "string") in {(each.name, each.type) for each in adopt.parameters}
    assert [each.name for each in adopt.body] == ["", "extension"]
    assert adopt.curl.splitlines()[-1] == '  "https://ADDRESS/api/v1/phones/MAC/adopt"'
    listing = calls["get_phones"]
    assert "items[].mac" in {each.name for each in listing.answer}
    assert "integer 1 to 1000" in {each.type for each in listing.parameters}
    assert 'list of string, at most 500 characters | "all"' in {
        each.type for each in calls["post_phones_jobs"].body
    }


def test_the_page_says_who_may(staff, app):
    page = staff.get("/staff/api?part=phone-groups").get_data(as_text=True)
    assert "<code>settings:read</code>" in page
    assert "<code>settings:write</code>" in page
