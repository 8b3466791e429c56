"""Click-to-call and dial-through for staff: on the page and by API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import web_practice as practice
from flask.testing import FlaskClient

from provisioner.errors import OperatorError
from provisioner.store.records import Number

POOL = "+14155550190"


@pytest.fixture
def placed(state: Any) -> Iterator[list[Any]]:
    """What the edge was asked to call; it refuses what begins with 5."""
    asked: list[Any] = []

    def call(args: dict[str, Any]) -> dict[str, Any]:
        if args["to"].startswith("5"):
            raise OperatorError("this is not called: the area code is missing", "call another number")
        asked.append(args)
        return {"call": "c9"}

    methods = {"status": lambda _: practice.status(), "call": call, "reload": lambda _: {"revision": 2}}
    process = practice.Process(state, "edge", methods)
    yield asked
    process.close()


@pytest.fixture
def token(app: Any) -> dict[str, str]:
    inventory = app.extensions["provisioner"].inventory
    with inventory.change(who="test") as change:
        change.put(Number(id=POOL, label="Pool", dial_through=True))
    return {"Authorization": f"Bearer {inventory.new_token('api', 60, 'administrator')}"}


@pytest.mark.rule("outbound.click-to-call")
def test_call_on_the_page(staff: FlaskClient, placed: list[Any], csrf: str) -> None:
    form = {"extension": "101", "to": "2124567890", "number": "+14155550100"}
    assert staff.post("/staff/calls", data=form).status_code == 403
    assert staff.post("/staff/calls", data={**form, "csrf": csrf}).status_code == 303
    assert placed == [form]


def test_a_refusal_is_shown_and_what_was_typed_stays(
    staff: FlaskClient, placed: list[Any], csrf: str
) -> None:
    answer = staff.post("/staff/calls", data={"extension": "102", "to": "5551234", "csrf": csrf})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "the area code is missing" in page
    assert 'value="5551234"' in page
    assert 'name="extension" list="lines" value="102"' in page
    assert '<details class="panel" open>' in page


@pytest.mark.rule("outbound.click-to-call")
def test_call_by_api(visitor: FlaskClient, placed: list[Any], token: dict[str, str]) -> None:
    answer = visitor.post("/api/v1/calls", json={"extension": "101", "to": "2124567890"}, headers=token)
    assert (answer.status_code, answer.get_json()) == (201, {"call": "c9"})
    refused = visitor.post("/api/v1/calls", json={"extension": "101", "to": "5551234"}, headers=token)
    assert refused.status_code == 409
    assert "area code" in refused.get_json()["detail"]
    assert visitor.post("/api/v1/calls", json={"extension": "101", "to": "2124567890"}).status_code == 401


@pytest.mark.parametrize("body", [[], {"to": 5}, {"to": "5", "from": "x"}, None])
def test_a_body_that_is_none(
    visitor: FlaskClient, placed: list[Any], token: dict[str, str], body: Any
) -> None:
    answer = visitor.post("/api/v1/calls", json=body, headers=token)
    assert answer.status_code == 400
    assert answer.get_json()["errors"]
    assert placed == []


@pytest.mark.rule("outbound.dial-through")
def test_dial_through_by_api_and_on_the_page(
    visitor: FlaskClient, staff: FlaskClient, placed: list[Any], token: dict[str, str], csrf: str
) -> None:
    order = {"phone": "2065550142", "target": "2124567890", "seconds": 600, "once": False}
    made = visitor.post("/api/v1/dial-through", json=order, headers=token)
    assert made.status_code == 201
    row = made.get_json()
    assert (row["number"], row["phone"], row["target"], row["once"]) == (
        POOL,
        "+12065550142",
        "+12124567890",
        False,
    )
    assert row["expires"] == practice.NOW + 600
    assert visitor.get("/api/v1/dial-through", headers=token).get_json()["items"] == [row]
    assert "(206) 555-0142" in staff.get("/staff/calls").get_data(as_text=True)
    assert staff.post(f"/staff/calls/dial-through/{row['id']}/end", data={"csrf": csrf}).status_code == 303
    assert visitor.get("/api/v1/dial-through", headers=token).get_json()["items"] == []
    again = visitor.post("/api/v1/dial-through", json=order, headers=token).get_json()
    assert visitor.delete(f"/api/v1/dial-through/{again['id']}", headers=token).status_code == 204
    assert visitor.delete(f"/api/v1/dial-through/{again['id']}", headers=token).status_code == 404
    assert staff.post(f"/staff/calls/dial-through/{row['id']}/end", data={"csrf": csrf}).status_code == 409


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"phone": "2065550142", "target": "911"}, 409),
        ({"phone": "2065550142"}, 400),
        ({"seconds": "x"}, 400),
    ],
)
def test_what_cannot_be_bound(
    visitor: FlaskClient, placed: list[Any], token: dict[str, str], order: dict[str, Any], status: int
) -> None:
    assert visitor.post("/api/v1/dial-through", json=order, headers=token).status_code == status
