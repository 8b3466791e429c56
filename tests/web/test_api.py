"""What programs read and adopt by the API; its pages, problems and tokens."""

from __future__ import annotations

import pytest
import web_practice as practice

from provisioner.store.records import Line, Phone


def test_phones(api, edge):
    items = api.get("/api/v1/phones").json["items"]
    assert [(row["mac"], row["status"]) for row in items] == [
        (practice.STRANGER, "waiting"),
        (practice.POLYCOM, "in-call"),
        (practice.YEALINK, "ready"),
        (practice.GRANDSTREAM, "offline"),
    ]
    assert items[1]["lines"] == [
        {"extension": "101", "number": "+14155550101", "name": "Front desk", "address_status": "registered"}
    ]


def test_lists_come_in_pages(api, edge):
    seen, path = [], "/api/v1/phones?limit=3"
    while path:
        page = api.get(path).json
        seen.append(len(page["items"]))
        path = page["next"]
    assert seen == [3, 1]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "limit=many"])
def test_a_bad_page_is_refused(api, query):
    answer = api.get(f"/api/v1/phones?{query}")
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert answer.json["errors"][0]["parameter"] == query.partition("=")[0]


def test_calls(api, edge):
    page = api.get("/api/v1/calls?limit=2").json
    assert [(call["id"], call["state"]) for call in page["items"]] == [("c1", "consulting"), ("p2", "ended")]
    assert [call["id"] for call in api.get(page["next"]).json["items"]] == ["p1"]


def test_status(api, edge):
    status = api.get("/api/v1/status").json
    assert status["phones"] == {
        "in-call": 1,
        "ready": 1,
        "starting": 0,
        "offline": 1,
        "unknown": 0,
        "waiting": 1,
        "ignored": 0,
    }
    assert status["processes"] == {"edge": True, "front": False}
    assert status["calls"] == 1
    assert status["findings"][0]["level"] == "bad"


def test_numbers_and_locations(api):
    assert [number["id"] for number in api.get("/api/v1/numbers").json["items"]] == [
        f"+1415555010{last}" for last in range(4)
    ]
    assert [place["name"] for place in api.get("/api/v1/locations").json["items"]] == ["Front desk", "Lab"]


def test_no_secret_is_in_any_answer(api, edge, app):
    from provisioner.store.records import Credential, LineCredential

    secret = Credential(
        id=practice.POLYCOM,
        lines=(LineCredential(auth_user="a", password="hunter2hunter2"),),
        admin_password="hunter2",
    )
    with app.extensions["provisioner"].inventory.change(who="test") as change:
        change.put(secret)
    for path in ("phones", "calls", "status", "numbers", "locations"):
        assert b"hunter2" not in api.get(f"/api/v1/{path}").data


def test_errors_are_problem_documents(api, visitor):
    missing = api.get("/api/v1/nothing")
    assert (missing.status_code, missing.mimetype) == (404, "application/problem+json")
    refused = visitor.get("/api/v1/phones", headers={"Authorization": "Bearer nonsense"})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert refused.json["status"] == 401


def test_a_session_may_read_and_changes_with_its_token(staff, csrf):
    assert staff.get("/api/v1/phones").status_code == 200
    path = f"/api/v1/phones/{practice.GRANDSTREAM}/adopt"
    assert staff.post(path).status_code == 403
    assert staff.post(path, headers={"X-CSRF-Token": csrf}).status_code == 409


def test_adopting(api, edge, app):
    answer = api.post(f"/api/v1/phones/{practice.STRANGER}/adopt", json={"extension": "104"})
    assert answer.status_code == 201, answer.json
    assert answer.json["lines"][0]["extension"] == "104"
    inventory = app.extensions["provisioner"].inventory
    assert inventory.get(Phone, practice.STRANGER)[0].lines[0].extension == "104"
    assert {row.who for row in inventory.audit(3)} >= {"api token"}
    assert edge["reloads"] == 1


@pytest.mark.parametrize("body", ["[]", '{"extension": 104}', "not json"])
def test_adopting_with_a_bad_body(api, body):
    answer = api.post(f"/api/v1/phones/{practice.STRANGER}/adopt", data=body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("mac", "extension", "why"),
    [
        ("ffffffffffff", "", "has not asked for its files"),
        (practice.STRANGER, "101", "101"),
        (practice.STRANGER, "9x", "digits only"),
        (practice.POLYCOM, "", "adopted already"),
    ],
)
def test_adopting_that_cannot_be(api, mac, extension, why):
    answer = api.post(f"/api/v1/phones/{mac}/adopt", json={"extension": extension})
    assert answer.status_code == 409
    assert why in answer.json["detail"]


def test_a_phone_that_has_not_said_its_model(api, app):
    journal = app.extensions["provisioner"].journal
    journal.write(
        "sightings", {"mac": "00156500aaaa", "vendor": "yealink", "model": "", "last_seen": practice.NOW}
    )
    assert journal.flush()
    assert "has not said which model" in api.post("/api/v1/phones/00156500aaaa/adopt").json["detail"]


def test_adopting_on_the_page(staff, csrf, edge, app):
    path = f"/staff/phones/{practice.STRANGER}/adopt"
    refused = staff.post(path, data={"csrf": csrf, "extension": "101"})
    assert refused.status_code == 409
    assert "was not adopted" in refused.get_data(as_text=True)
    done = staff.post(path, data={"csrf": csrf, "extension": ""})
    assert done.status_code == 303
    phone = app.extensions["provisioner"].inventory.get(Phone, practice.STRANGER)[0]
    assert phone.lines == (Line(extension="100"),)
    assert "Adopted as extension 100" in " ".join(
        staff.get(done.headers["Location"]).get_data(as_text=True).split()
    )
