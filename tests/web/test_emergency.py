"""Emergency calls on the page and in the API: log, tests, settings without their secrets, the banner."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient

from provisioner.store.inventory import Inventory
from provisioner.store.records import NoticeSecret, Notifying
from tests.store.test_emergencies import notice, row

AT = practice.NOW - 300


@pytest.fixture
def api(app, staff: FlaskClient, csrf: str):
    def ask(method: str, path: str, body: Any = None):
        headers = {"X-CSRF-Token": csrf}
        return staff.open(f"/api/v1/emergency/{path}", method=method, json=body, headers=headers)

    return ask


@pytest.fixture
def log(app) -> None:
    journal = app.extensions["provisioner"].journal
    journal.write("emergencies", row("c911", AT, "emergency"))
    journal.write("notices", notice("n1", "c911", AT))
    journal.write("notices", notice("n2", "c911", AT, "pending"))
    journal.write("emergencies", row("t1", AT - 9))
    assert journal.flush()


def test_the_log_and_its_csv(api, log, edge) -> None:
    items = api("GET", "calls").json["items"]
    assert [item["id"] for item in items] == ["c911", "t1"]
    assert [each["state"] for each in items[0]["notices"]] == ["delivered", "pending"]
    assert "secret-path" not in json.dumps(items)
    assert api("GET", "calls?since=1999-01-01&until=1999-01-02").json["items"] == []
    assert api("GET", "calls?since=x").status_code == 422
    assert len(api("GET", "calls.csv").text.splitlines()) == 3


def test_the_evidence(api, log, edge) -> None:
    answer = api("GET", "evidence.zip")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as packed:
        assert "SHA256SUMS" in packed.namelist()
        assert len(json.loads(packed.read("calls.json"))) == 2
    assert api("GET", "evidence.zip?since=x").status_code == 422


def test_the_page_shows_log_matrix_and_who_was_not_told(staff: FlaskClient, log, edge) -> None:
    page = staff.get("/staff/emergency/log").get_data(as_text=True)
    assert "webhook hooks.example (placed)" in page
    assert "Not told: webhook hooks.example: the server answered 500" in page
    assert "no longer says anything" in page
    assert "never tested" in page
    assert "secret-path" not in page


def test_the_matrix(api, log, edge) -> None:
    items = {item["extension"]: item for item in api("GET", "tests").json["items"]}
    assert items["102"]["results"][0]["call"] == "t1"
    assert items["101"]["standing"] == "never"


def test_a_test_by_hand(api, app, staff: FlaskClient, csrf: str, state) -> None:
    asked = []
    methods = {
        "status": lambda _: practice.status(),
        "emergency_test": lambda args: asked.append(args) or {"call": "x1"},
        "test": lambda _: {"notices": ["n"]},
    }
    processes = [practice.Process(state, name, methods) for name in ("edge", "notifier")]
    try:
        answer = api("POST", "tests", {"extension": "102"})
        assert (answer.status_code, answer.json) == (202, {"call": "x1"})
        assert (
            staff.post("/staff/emergency/tests", data={"csrf": csrf, "extension": "101"}).status_code == 303
        )
        assert asked == [{"extension": "102"}, {"extension": "101"}]
        assert api("POST", "notices").json == {"notices": ["n"]}
        assert staff.post("/staff/emergency/notices", data={"csrf": csrf}).status_code == 303
    finally:
        for process in processes:
            process.close()
    for path in ("tests", "notices"):
        assert api("POST", path, {"extension": "102"}).status_code == 409
        page = staff.post(f"/staff/emergency/{path}", data={"csrf": csrf, "extension": "102"})
        assert page.status_code == 409
        assert "does not answer" in page.get_data(as_text=True)


FORM = {
    "ring": "on", "mail_to": "a@example.com\nb@example.com", "mail_host": "mail.example.com", "mail_port": "587",
    "mail_security": "starttls", "mail_user": "u", "mail_password": "hidden-word", "mail_from": "", "webhooks": "https://h.example/p",
    "webhook_key": "hidden-key", "test_days": "14", "test_hours": "01:00-04:00",
}  # fmt: skip


def test_settings_by_the_form_and_no_secret_is_ever_shown(
    app, staff: FlaskClient, csrf: str, edge, state, api
) -> None:
    assert staff.post("/staff/emergency/settings", data={**FORM, "csrf": csrf}).status_code == 303
    inventory: Inventory = app.extensions["provisioner"].inventory
    kept, secret = inventory.get(Notifying, "notices"), inventory.get(NoticeSecret, "notices")
    assert kept
    assert secret
    assert kept[0].mail_to == ("a@example.com", "b@example.com")
    assert (kept[0].ring, kept[0].tests, kept[0].test_days) == (True, False, 14.0)
    assert secret[0] == NoticeSecret(id="notices", mail_password="hidden-word", webhook_key="hidden-key")
    said = api("GET", "settings")
    assert said.json["mail_password_set"] is True
    audit = json.dumps([[entry.before, entry.after] for entry in inventory.audit()])
    page = staff.get("/staff/emergency/log").get_data(as_text=True)
    for text in (said.text, audit, page, inventory.snapshot().__repr__()):
        assert "hidden-" not in text
    staff.post("/staff/emergency/settings", data={**FORM, "mail_password": "", "csrf": csrf})
    again = inventory.get(NoticeSecret, "notices")
    assert again
    assert again[0].mail_password == "hidden-word"
    assert edge["reloads"] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"mail_to": ["nobody"]}, {"mail_to": "x"}, {"mail_port": 0}, {"mail_host": "a b"}, {"webhooks": ["http://x.example/"]},
        {"test_hours": "2-3"}, {"test_days": -1}, {"test_days": 1000}, {"mail_security": "maybe"}, {"id": "x"},
        {"nonsense": 1},
        {"mail_security": "none", "mail_user": "u", "mail_host": "mail.example"}, {"mail_password": 5},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(api, edge, wrong: dict[str, Any]) -> None:
    before = api("GET", "settings").json
    answer = api("PUT", "settings", wrong)
    assert answer.status_code == (400 if "errors" in answer.json else 422)
    assert api("GET", "settings").json == before


def test_settings_by_the_api_change_only_what_is_named(api, edge) -> None:
    assert api("PUT", "settings", {"tests": True}).json["tests"] is True
    said = api("PUT", "settings", {"mail_to": ["a@example.com"]}).json
    assert (said["tests"], said["mail_to"]) == (True, ["a@example.com"])
    assert api("PUT", "settings", [1]).status_code == 400


def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(staff: FlaskClient, csrf: str, edge) -> None:
    data = {**FORM, "csrf": csrf, "mail_port": "x", "mail_host": "typed.example"}
    page = staff.post("/staff/emergency/settings", data=data)
    assert page.status_code == 409
    text = page.get_data(as_text=True)
    assert "its port a number" in text
    assert "typed.example" in text
    assert "hidden-" not in text


@pytest.mark.rule("emergency.told")
def test_the_banner_says_who_was_told_and_who_was_not(app, staff: FlaskClient, edge) -> None:
    live = practice.call(
        id="c911", direction="emergency", state="talking", to="911", desk="102", started=AT, **{"from": "102"}
    )
    edge["status"] = practice.status([live])
    journal = app.extensions["provisioner"].journal
    told = {**notice("n1", "c911", AT), "channel": "message", "target": "101"}
    journal.write("notices", told)
    journal.write("notices", notice("n2", "c911", AT, "pending"))
    assert journal.flush()
    page = practice.text_of(staff.get("/staff/"))
    assert "Told text to 101" in page
    assert "Not told webhook hooks.example: the server answered 500" in page
