from __future__ import annotations

from flask import Blueprint
from openapi_spec_validator import OpenAPIV31SpecValidator

from provisioner.web import openapi


def test_the_document_is_openapi_3_1(api):
    document = api.get("/api/v1/openapi.json").json
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")


def test_a_route_that_is_not_described_is_told(app):
    room = Blueprint("room", __name__, url_prefix="/api/v1")
    room.get("/nothing-said")(lambda: "")
    app.register_blueprint(room)
    assert "room.<lambda> /api/v1/nothing-said" in openapi.undescribed(app)
