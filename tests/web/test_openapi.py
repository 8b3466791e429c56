from __future__ import annotations

import re

from flask import Blueprint
from openapi_spec_validator import OpenAPIV31SpecValidator

from provisioner.web import openapi, roles


def test_the_document_is_openapi_3_1(api):
    document = api.get("/api/v1/openapi.json").json
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_every_route_is_described_and_every_described_one_is_there(app):
    assert openapi.undescribed(app) == []
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


def test_a_route_that_is_not_described_is_told(app):
    room = Blueprint("room", __name__, url_prefix="/api/v1")
    room.get("/nothing-said")(lambda: "")
    app.register_blueprint(room)
    assert "room.<lambda> /api/v1/nothing-said" in openapi.undescribed(app)


def test_every_call_says_what_it_is_and_who_may_use_it(app):
    for each in openapi.operations(app):
        told = openapi.document(app)["paths"][each.path][each.method.lower()]
        assert told["summary"], each.path
        assert told["x-role"] in roles.ROLES
        assert all(parameter["description"] for parameter in told["parameters"]), each.path
