"""What every call does alike: bodies and queries judged, revisions, requests that are sent again."""

from __future__ import annotations

import threading
from typing import Annotated

import msgspec
import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient
from msgspec import UNSET, Meta, UnsetType

from provisioner.store.inventory import Conflict, Inventory
from provisioner.store.records import Location, Phone
from provisioner.web import api as calls
from provisioner.web import contract

PHONE = f"/api/v1/phones/{practice.POLYCOM}"
RANGES = "/api/v1/extension-ranges"
RANGE = {"first": "110", "last": "119", "name": "Labs"}


def inventory(app: Flask) -> Inventory:
    found: Inventory = app.extensions["provisioner"].inventory
    return found


# bodies and queries


class Sample(contract.Body, frozen=True):
    count: Annotated[int, Meta(ge=1)]
    name: str = ""
    inner: dict[str, list[int]] = {}
    maybe: str | UnsetType = UNSET


def test_every_fault_is_told_at_its_place():
    found, wrong = contract.read({"name": 7, "inner": {"a": [1, "x"]}, "odd": 1}, Sample)
    assert found is None
    assert {each.pointer: each.detail for each in wrong} == {
        "#/count": "is missing",
        "#/name": "is wrong: expected 'str', got 'int'",
        "#/inner": "is wrong: expected 'int', got 'str'",
        "#/odd": "is not known: there are count, name, inner, maybe",
    }


def test_what_is_good_is_read():
    found, wrong = contract.read({"count": 4}, Sample)
    assert (found, wrong) == (Sample(count=4), [])
    assert contract.changes(found) == {"count": 4, "name": "", "inner": {}}


def test_bodies_made_of_a_record():
    body = contract.partial(Location, "Some")
    assert contract.changes(msgspec.convert({"name": "x"}, body)) == {"name": "x"}
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"id": "x"}, body)
    with pytest.raises(msgspec.ValidationError, match="missing required"):
        msgspec.convert({"name": "x"}, contract.whole(Location, "All"))


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        ("[]", "application/json", 400), ("{", "application/json", 400), ("[" * 5000, "application/json", 400),
        ('{"first": "110", "last": "119"', "application/json", 400), ("\xff", "application/json", 400),
        ("{}", "text/plain", 415), ("", "", 400), ("x" * 100_000, "application/json", 413),
        ('{"first": "110", "last": "119", "name": "\\ud800"}', "application/json", 400),
    ],
)  # fmt: skip
def test_bodies_that_are_none(api, edge, body, media, status):
    answer = api.post(RANGES, data=body.encode("latin-1"), content_type=media)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")


def test_a_whole_number_may_have_a_point(api, edge):
    answer = api.post("/api/v1/extensions/length?dry_run=1", json={"length": 4.0})
    assert (answer.status_code, answer.json["length"]) == (200, 4)


@pytest.mark.parametrize(
    "query", ["limt=3", "limit=1&limit=2", "limit=x", "limit=1.5", "offset=99999999999999999999"]
)
def test_queries_that_are_none(api, query):
    answer = api.get(f"/api/v1/phones?{query}")
    assert (answer.status_code, answer.json["errors"][0]["parameter"]) == (400, query.partition("=")[0])


def test_a_call_without_a_query_takes_none(api):
    assert api.get("/api/v1/status?x=1").json["detail"] == "x is not known: there are none."


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/nothing", 404), ("DELETE", "/api/v1/status", 405), ("GET", "/api/v1/phones/nomac", 404),
     ("GET", "/api/v2/phones", 404), ("PUT", "/api/v1", 404)],
)  # fmt: skip
def test_paths_that_are_none(api, method, path, status):
    answer = api.open(path, method=method)
    assert (answer.status_code, answer.mimetype, answer.json["status"]) == (
        status,
        "application/problem+json",
        status,
    )
    assert status != 405 or "GET" in answer.headers["Allow"]


# revisions


def tag(answer) -> str:
    return str(answer.headers["ETag"])


def test_who_has_it_hears_304(api, edge):
    first = api.get("/api/v1/numbers/+14155550101")
    assert tag(first) == f'"{inventory_revision(api)}"'
    again = api.get("/api/v1/numbers/+14155550101", headers={"If-None-Match": tag(first)})
    assert (again.status_code, again.data) == (304, b"")
    assert api.get("/api/v1/numbers", headers={"If-None-Match": '"x"'}).status_code == 200


def inventory_revision(api: FlaskClient) -> int:
    return inventory(api.application).snapshot_revision()


def test_a_change_with_an_old_tag_is_refused(api, edge, app):
    old = tag(api.get(PHONE))
    assert api.patch(PHONE, json={"location": "lab"}, headers={"If-Match": old}).status_code == 200
    late = api.patch(PHONE, json={"location": "desk"}, headers={"If-Match": old})
    assert (late.status_code, late.json["title"]) == (412, "It is not as it was")
    assert inventory(app).get(Phone, practice.POLYCOM)[0].location == "lab"
    new = api.patch(PHONE, json={"location": "desk"}, headers={"If-Match": tag(api.get(PHONE))})
    assert (new.status_code, tag(new)) == (200, f'"{inventory_revision(api)}"')


@pytest.mark.parametrize(
    ("headers", "there", "status"),
    [({"If-Match": "*"}, True, 200), ({"If-Match": "*"}, False, 412), ({"If-None-Match": "*"}, True, 412),
     ({"If-None-Match": "*"}, False, 200), ({"If-Match": '"0"'}, False, 200), ({"If-Match": "odd"}, True, 412),
     ({"If-Match": 'W/"1"'}, True, 412)],
)  # fmt: skip
def test_what_must_be_there_or_must_not(api, edge, headers, there, status):
    path = f"/api/v1/locations/{'desk' if there else 'annex'}"
    body = {"name": "Annex", "civic": api.get("/api/v1/locations/desk").json["civic"]}
    assert api.put(path, json=body, headers=headers).status_code == status


def test_somebody_is_faster_in_between(app):
    held = inventory(app)
    phone, revision = held.get(Phone, practice.POLYCOM)
    with held.expecting(Phone, practice.POLYCOM, lambda now: now == revision):
        done = threading.Thread(target=_touch, args=(held, phone))
        done.start()
        done.join()
        with pytest.raises(Conflict, match="changed by someone else"), held.change("late") as change:
            change.put(phone)
    _touch(held, phone)  # outside nothing is expected


def _touch(held: Inventory, phone: Phone) -> None:
    with held.change("quick") as change:
        change.put(msgspec.structs.replace(phone, front_desk=not phone.front_desk))


def test_only_the_first_change_of_a_call_is_held_to_it(app):
    held = inventory(app)
    phone, revision = held.get(Phone, practice.POLYCOM)
    with held.expecting(Phone, practice.POLYCOM, lambda now: now == revision):
        _touch(held, phone)
        _touch(held, phone)


# requests that are sent again


def send(api: FlaskClient, key: str, body: object = RANGE, path: str = RANGES):
    return api.post(path, json=body, headers={"Idempotency-Key": key})


def test_a_request_that_is_sent_again_is_done_once(api, edge, app):
    first, again = send(api, "k1"), send(api, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json == first.json
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (
        None,
        "true",
    )
    assert send(api, "k2").status_code == 409  # the range is there


def test_refusals_are_answered_again_too(api, edge):
    wrong = {**RANGE, "first": "x"}
    first, again = send(api, "k1", wrong), send(api, "k1", wrong)
    assert (first.status_code, again.status_code, again.mimetype) == (409, 409, "application/problem+json")
    assert "Idempotency-Replayed" in again.headers


def test_a_key_is_for_one_request(api, edge):
    assert send(api, "k1").status_code == 201
    assert send(api, "k1", {**RANGE, "name": "X"}).status_code == 422
    assert send(api, "k1", {"name": "X"}, "/api/v1/phone-groups").status_code == 422


def test_keys_are_each_ones_own(api, edge, app, visitor):
    assert send(api, "k1").status_code == 201
    token = inventory(app).new_token("sign-in", 60, "operator")
    assert visitor.get(f"/staff/sign-in/{token}").status_code == 303
    page = visitor.get("/staff/phones").get_data(as_text=True)
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    headers = {"Idempotency-Key": "k1", "X-CSRF-Token": csrf}
    other = visitor.post("/api/v1/phone-groups", json={"name": "Nurses"}, headers=headers)
    assert other.status_code == 201


def test_one_that_is_under_way_is_not_begun_again(api, edge, monkeypatch):
    inside = []

    def slow(_answers, name, answer):
        inside.append(send(api.application.test_client(), "k1"))

    monkeypatch.setattr("provisioner.store.answers.Answers.keep", slow)
    assert send(api, "k1").status_code == 201
    monkeypatch.undo()
    late = send(api, "k1")
    assert (late.status_code, "begun before" in late.json["detail"]) == (409, True)


def test_what_failed_may_be_tried_again(api, edge, app, monkeypatch):
    def broken(*_args, **_named):
        raise RuntimeError("broken")

    monkeypatch.setattr("provisioner.phones.extensions.add_range", broken)
    assert send(api, "k1").status_code == 500
    monkeypatch.undo()
    assert send(api, "k1").status_code == 201


def test_a_day_later_it_is_forgotten(app, api, edge, monkeypatch):
    assert send(api, "k1").status_code == 201
    held = app.extensions["provisioner"]
    monkeypatch.setattr(held.answers, "_clock", lambda: practice.NOW + 86_401)
    assert send(api, "k1").status_code == 409


@pytest.mark.parametrize("key", ["", "x" * 201, "a b"])
def test_keys_that_are_none(api, edge, key):
    assert send(api, key).status_code == 400


def test_secrets_are_not_kept(app, api, edge):
    from flask import Blueprint

    room = Blueprint("secrets_api", __name__, url_prefix="/api/v1")
    room.before_request(calls.guard)

    @room.post("/secret-thing")
    @contract.call(status=201, secret=True)
    def make() -> dict[str, str]:
        """Make one."""
        return {"token": "hidden-word"}

    app.register_blueprint(room)
    assert send(api, "k1", {}, "/api/v1/secret-thing").status_code == 201
    assert send(api, "k1", {}, "/api/v1/secret-thing").status_code == 409
    assert b"hidden-word" not in app.extensions["provisioner"].state.journal.read_bytes()
