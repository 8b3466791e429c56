"""The page of dial-through numbers: none without a pool, handed out, ended."""

from __future__ import annotations

import pytest
from web_practice import PATIENT
from web_practice import text_of as text

from provisioner.store.records import DialThrough, Number

PAGE, POOL = "/staff/dial-through", "+14155550190"
FORM = {
    "phone": "(650) 555-0177",
    "target": PATIENT,
    "calling": "+14155550101",
    "seconds": "28800",
    "once": "1",
}


@pytest.fixture
def inventory(app, edge, front):
    return app.extensions["provisioner"].inventory


@pytest.fixture
def pool(inventory):
    with inventory.change("test") as change:
        change.put(Number(id=POOL, label="Pool", dial_through=True))


def test_without_a_pool_it_says_how_to_make_one(staff, inventory):
    page = text(staff.get(PAGE))
    assert "Keep it for dial-through" in page
    assert "Hand one out" not in page


def test_one_is_handed_out_and_ended(staff, csrf, inventory, pool, edge):
    page = staff.post(PAGE, data=FORM | {"csrf": csrf}, follow_redirects=True)
    assert "Handed out: (415) 555-0190" in text(page)
    (made,) = inventory.all(DialThrough)
    assert (made.number, made.phone, made.target, made.calling, made.once) == (
        POOL, "+16505550177", PATIENT, "+14155550101", True,
    )  # fmt: skip
    assert "(650) 555-0123" in text(page)
    assert "in 8 h or after one call" in text(page)
    assert edge["reloads"] == 1
    assert staff.post(f"{PAGE}/{made.id}/end", data={"csrf": csrf}).status_code == 303
    assert inventory.all(DialThrough) == []
    assert staff.post(f"{PAGE}/{made.id}/end", data={"csrf": csrf}).status_code == 409


def test_what_is_refused_stays_typed(staff, csrf, inventory, pool):
    page = staff.post(PAGE, data=FORM | {"csrf": csrf, "target": "911"})
    assert (page.status_code, "the target cannot be used" in text(page)) == (409, True)
    assert 'value="(650) 555-0177"' in page.get_data(as_text=True)
    assert inventory.all(DialThrough) == []
