"""The policy: the adoption window and its end, routers; and that staff adopt whatever the policy is."""

from __future__ import annotations

import pytest
import web_practice as practice
from web_practice import text_of as text

PAGE = "/staff/trust"


@pytest.fixture
def inventory(app, edge, front):
    return app.extensions["provisioner"].inventory


def policy(inventory):
    held = inventory.snapshot().practice
    return held.adoption, held.adoption_until, held.routers


def test_a_window_with_an_end_counts_down(staff, csrf, inventory):
    assert "Open, without an end" in text(staff.get(PAGE))
    staff.post(PAGE, data={"csrf": csrf, "adoption": "open", "minutes": "15", "routers": ""})
    assert policy(inventory) == ("open", practice.NOW + 900, ())
    assert "Open; it closes in 15 min" in text(staff.get(PAGE))
    assert "Adoption: open, closes in 15 min" in text(staff.get("/staff/phones"))
    staff.post(PAGE, data={"csrf": csrf, "adoption": "open", "minutes": "keep"})
    assert policy(inventory)[1] == practice.NOW + 900


def test_a_window_that_is_over_says_so(staff, api, inventory):
    api.patch("/api/v1/trust", json={"adoption_until": practice.NOW - 60})
    assert "The window closed at" in text(staff.get(PAGE))
    assert "Adoption: adopted phones only" in text(staff.get("/staff/phones"))
    assert api.get("/api/v1/trust").json["open"] is False


@pytest.mark.parametrize("adoption", ["adopted", "certificate"])
def test_staff_adopt_whatever_the_policy_is(staff, csrf, inventory, adoption):
    staff.post(PAGE, data={"csrf": csrf, "adoption": adoption, "minutes": "60"})
    assert policy(inventory)[:2] == (adoption, 0.0)
    path = f"/staff/phones/{practice.STRANGER}/adopt"
    assert staff.post(path, data={"csrf": csrf}).status_code == 303
    assert practice.STRANGER in inventory.snapshot().phones


def test_routers_in_any_spelling(staff, csrf, inventory):
    form = {
        "csrf": csrf,
        "adoption": "open",
        "minutes": "",
        "routers": "00:1B:2C:00:00:01, 192.0.2.1 2001:DB8::1",
    }
    staff.post(PAGE, data=form)
    assert policy(inventory) == ("open", 0.0, ("001b2c000001", "192.0.2.1", "2001:db8::1"))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"adoption": "closed"}, "'closed' is no policy"),
        ({"adoption": "open", "routers": "router"}, "neither a MAC"),
    ],
)
def test_what_makes_no_sense_is_refused(staff, csrf, inventory, form, words):
    before = policy(inventory)
    page = staff.post(PAGE, data={"csrf": csrf, **form})
    assert (page.status_code, words in text(page)) == (409, True)
    assert policy(inventory) == before


@pytest.mark.parametrize(
    ("body", "status"),
    [({"adoption": "closed"}, 400), ({"adoption_until": "now"}, 400), ({"adoption_until": -1}, 400),
     ({"routers": "192.0.2.1"}, 400), ({"policy": "open"}, 400), ({"routers": ["x"]}, 409)],
)  # fmt: skip
def test_a_wrong_body_is_refused(api, inventory, body, status):
    assert api.patch("/api/v1/trust", json=body).status_code == status


def test_who_changed_it_is_kept(api, inventory):
    assert api.patch("/api/v1/trust", json={"adoption": "adopted"}).json["adoption"] == "adopted"
    assert (inventory.audit(1)[0].who, inventory.audit(1)[0].kind) == ("api token", "practice")
