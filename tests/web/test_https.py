"""The practice's certificate on the page and by API, HSTS, and the finding when it ends."""

from __future__ import annotations

import io
from html import unescape

import people
import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient

from provisioner.paths import StateDir
from provisioner.phones import editing
from provisioner.web.findings import findings
from tests import given_certificates as made

NAME = "phones.clinic.example"


@pytest.fixture(scope="module")
def root() -> made.Made:
    return made.made("Practice CA")


@pytest.fixture(scope="module")
def leaf(root: made.Made) -> made.Made:
    return made.made("Leaf", root, names=(NAME,))


def upload(staff: FlaskClient, csrf: str, chain: bytes, key: bytes, **more: str):
    form = {
        "csrf": csrf,
        "chain": (io.BytesIO(chain), "chain.pem"),
        "key": (io.BytesIO(key), "key.pem"),
        **more,
    }
    return staff.post("/staff/https", data=form, content_type="multipart/form-data")


def test_it_is_put_in_and_taken_out(staff, csrf, leaf, root, state: StateDir, app: Flask, front):
    assert "The appliance's own certificate" in unescape(staff.get("/staff/https").text)
    answer = upload(staff, csrf, made.pem(leaf, root), made.key_pem(leaf))
    assert answer.headers["Location"] == "/staff/https?saved=1"
    page = staff.get("/staff/https?saved=1").text
    assert NAME in page
    assert "Practice CA" in page
    assert "PRIVATE" not in page
    audit = people.store(app).audit(1)[0]
    assert (audit.kind, audit.who) == ("certificate", "console link")
    assert "PRIVATE" not in audit.after
    assert staff.post("/staff/https/remove", data={"csrf": csrf}).status_code == 303
    assert not (state.root / "tls" / "given.pem").exists()
    assert staff.post("/staff/https/remove", data={"csrf": csrf}).status_code == 404


def test_what_is_wrong_stands_by_its_field(staff, csrf, leaf, root, state: StateDir):
    answer = upload(staff, csrf, b"nonsense", made.key_pem(root))
    assert answer.status_code == 422
    assert "no certificate in PEM" in answer.text
    answer = upload(staff, csrf, made.pem(leaf, root), made.key_pem(root))
    assert "nothing to do with yours" in answer.text or "does not belong" in answer.text
    assert not (state.root / "tls" / "given.pem").exists()


def test_a_name_that_phones_use_is_refused(staff, csrf, leaf, root, app: Flask):
    editing.set_layer(people.store(app), "site", {"provisioning_host": NAME}, "test")
    answer = upload(staff, csrf, made.pem(leaf, root), made.key_pem(leaf))
    assert answer.status_code == 422
    assert "give this page another name" in answer.text


def hsts(client: FlaskClient, url: str) -> str | None:
    return client.get("/healthz", base_url=url).headers.get("Strict-Transport-Security")


def test_hsts_only_where_it_was_chosen_and_can_hold(staff, csrf, leaf, root, app: Flask):
    good = f"https://{NAME}"
    upload(staff, csrf, made.pem(leaf, root), made.key_pem(leaf))
    assert hsts(staff, good) is None
    upload(staff, csrf, made.pem(leaf, root), made.key_pem(leaf), hsts="1")
    assert hsts(staff, good) == "max-age=31536000"
    assert hsts(staff, good + ":8443") == "max-age=31536000"
    assert [hsts(staff, url) for url in (f"http://{NAME}", "https://192.0.2.1", "https://other.example")] == [
        None
    ] * 3
    app.extensions["provisioner"].now = lambda: practice.NOW + 91 * 86_400
    assert hsts(staff, good) is None


@pytest.mark.parametrize(
    ("days", "level", "said"), [(60, None, ""), (70, "warn", "ends in 20 days"), (91, "bad", "has ended")]
)
def test_its_end_is_told_in_time(
    staff, csrf, leaf, root, app: Flask, days: int, level: str | None, said: str
):
    upload(staff, csrf, made.pem(leaf, root), made.key_pem(leaf))
    sources = app.extensions["provisioner"]
    sources.now = lambda: practice.NOW + days * 86_400
    found = [each for each in findings(sources.world(), []) if NAME in each.what]
    assert [each.level for each in found] == ([level] if level else [])
    assert all(said in each.what for each in found)


def test_by_api(app: Flask, leaf, root):
    api = people.program(app, "administrator")
    assert api.get("/api/v1/https").json is None
    body = {"chain": made.pem(leaf, root).decode(), "key": made.key_pem(leaf).decode(), "hsts": True}
    kept = api.put("/api/v1/https", json=body)
    assert (kept.status_code, kept.json["names"], kept.json["in_use"], kept.json["hsts"]) == (
        200,
        [NAME],
        True,
        True,
    )
    assert api.get("/api/v1/https").json == kept.json
    bad = api.put("/api/v1/https", json={**body, "key": "x"})
    assert (bad.status_code, bad.json["errors"][0]["pointer"]) == (422, "#/key")
    assert api.delete("/api/v1/https").status_code == 204
    assert api.delete("/api/v1/https").status_code == 404
