"""The settings as a file, on page and by API."""

from __future__ import annotations

import io
import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from web_practice import text_of
from werkzeug.test import TestResponse

from provisioner.keeping.contents import PARTS
from provisioner.store.inventory import kind_of
from provisioner.store.records import KINDS, Practice
from provisioner.web.backup_words import KIND_WORDS, PART_WORDS


def look(staff: FlaskClient, csrf: str, text: str) -> TestResponse:
    form = {"csrf": csrf, "settings": (io.BytesIO(text.encode()), "settings.toml")}
    return staff.post("/staff/settings-file", data=form, content_type="multipart/form-data")


def name(app: Flask) -> str:
    return str(app.extensions["provisioner"].inventory.get(Practice, "practice")[0].name)


def test_fetched_changed_and_imported(
    app: Flask, staff: FlaskClient, csrf: str, edge: dict[str, Any]
) -> None:
    text = staff.get("/staff/settings.toml").get_data(as_text=True)
    assert "Bay Street Clinic" in text
    assert "nothing would change" in text_of(look(staff, csrf, text))
    page = look(staff, csrf, text.replace("Bay Street Clinic", "Bay Clinic"))
    assert "practice settings" in text_of(page)
    assert name(app) == "Bay Street Clinic"
    (action,) = re.findall(r'action="(/staff/settings-file/[0-9a-f]{64})"', page.get_data(as_text=True))
    answer = staff.post(action, data={"csrf": csrf})
    app.extensions["provisioner.jobs"].wait(answer.location.rpartition("/")[2], 5)
    assert "1 record was changed" in text_of(staff.get(answer.location))
    assert name(app) == "Bay Clinic"
    assert edge["reloads"] == 1
    assert staff.post(action, data={"csrf": csrf}).status_code == 410


def test_what_is_wrong_is_told(app: Flask, staff: FlaskClient, csrf: str) -> None:
    text = staff.get("/staff/settings.toml").get_data(as_text=True)
    wrong = look(staff, csrf, text.replace('"T46S"', '"<b>T99"').replace("max_calls = 200", "max_calls = 0"))
    assert wrong.status_code == 422
    assert "2 things are wrong" in text_of(wrong)
    assert "<b>T99" not in wrong.get_data(as_text=True)
    assert "no TOML" in text_of(look(staff, csrf, "a = = b"))


def test_by_api(app: Flask, api: FlaskClient) -> None:
    text = api.get("/api/v1/settings.toml").get_data(as_text=True).replace("Bay Street Clinic", "Bay Clinic")
    how: dict[str, Any] = {"data": text, "content_type": "application/toml"}
    tried = api.post("/api/v1/settings.toml?dry_run=true", **how)
    assert tried.json["counts"] == [
        {"part": "inventory", "kind": "practice", "added": 0, "changed": 1, "removed": 0}
    ]
    assert name(app) == "Bay Street Clinic"
    assert api.post("/api/v1/settings.toml", **how).status_code == 200
    assert name(app) == "Bay Clinic"
    how["data"] = text.replace("max_calls = 200", "max_calls = 0")
    assert (
        api.post("/api/v1/settings.toml?dry_run=true", **how).json["faults"][0]["where"]
        == "practice practice"
    )
    refused = api.post("/api/v1/settings.toml", **how)
    assert refused.status_code == 409
    assert "practice practice" in refused.json["detail"]


def test_every_kind_and_part_has_its_word() -> None:
    assert {kind_of(kind) for kind in KINDS} <= KIND_WORDS.keys()
    assert PARTS.keys() == PART_WORDS.keys()
