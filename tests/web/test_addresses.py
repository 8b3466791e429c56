"""The pages of numbers and their emergency addresses: what is wrong, what to do, approving a correction, history."""

from __future__ import annotations

from typing import Any

import pytest
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient
from msgspec.structs import replace
from test_pages import text

from provisioner.emergency import registration
from provisioner.emergency.providers.wire import Account
from provisioner.emergency.registrar import ADAPTERS
from provisioner.emergency.registration import Context, Corrected, Read
from provisioner.store.inventory import Inventory
from provisioner.store.records import Location, Number, Provider, ProviderSecret, Registration
from provisioner.web import addresses

NUMBER = "+14155550101"
PAGE = "/staff/addresses"


@pytest.fixture
def inventory(app: Flask) -> Inventory:
    found: Inventory = app.extensions["provisioner"].inventory
    with found.change(who="test") as change:
        change.put(Provider(id="tel", api="telnyx"))
        change.put(ProviderSecret(id="tel", password="nobody-sees-this"))
        held = change.get(Number, NUMBER)
        assert held
        change.put(replace(held[0], provider="tel"))
    return found


@pytest.fixture
def record(inventory: Inventory) -> Any:
    """Make the number's registration what some events make of it."""

    def make(*events: Any) -> Registration:
        place = inventory.snapshot().place("desk")
        assert place
        number = inventory.snapshot().numbers[NUMBER]
        held = registration.begin(
            NUMBER, "tel", registration.wanted(number, place.civic, "Clinic"), practice.NOW
        )

        context = Context(
            practice.NOW, ADAPTERS["telnyx"](Account("", "", "")).abilities, practice.NOW + 9000
        )
        for event in events:
            with inventory.change(who="registrar") as change:
                held = registration.on(held, event, context)
                change.put(held)
                change.put(replace(number, address_status=registration.status(held, practice.NOW)))
        return held

    return make


def corrected(make: Any) -> Registration:
    held = make(Read("absent"))
    return make(Read("absent"), Corrected((replace(held.wanted, city="Northfield"),)))


def test_who_needs_a_decision_comes_first_and_is_told_what_to_do(staff: FlaskClient, record: Any) -> None:
    corrected(record)
    page = text(staff, PAGE)
    assert page.index("(415) 555-0101") < page.index("(415) 555-0102")
    assert "Needs your decision" in page
    assert "approve its form or correct the location" in page


def test_a_correction_is_shown_as_a_difference_and_approved(
    staff: FlaskClient, record: Any, csrf: str, inventory: Inventory
) -> None:
    corrected(record)
    page = text(staff, f"{PAGE}/{NUMBER}")
    assert "City San Francisco Northfield" in page
    data = {"decision": "approve", "choice": "0"}
    assert staff.post(f"{PAGE}/{NUMBER}", data=data).status_code == 403  # without the form's token
    assert staff.post(f"{PAGE}/{NUMBER}", data={**data, "csrf": csrf}).status_code == 303
    stored = inventory.get(Registration, NUMBER)
    assert stored
    assert stored[0].accepted
    assert stored[0].accepted.city == "Northfield"
    assert stored[0].wanted
    assert stored[0].wanted.city == "San Francisco"
    assert text(staff, f"{PAGE}/{NUMBER}").count("The provider has it otherwise") == 1  # in the history


def test_a_registered_number_says_when_it_was_confirmed_and_by_which_address(
    staff: FlaskClient, record: Any
) -> None:
    wanted = record(Read("absent")).wanted
    record(Read("registered", wanted, "a1"))
    page = text(staff, f"{PAGE}/{NUMBER}")
    assert "500 Terry Francois Blvd, FL 1 RM 100, San Francisco CA 94158" in page
    assert "Last confirmed just now" in page
    assert "Dial 933" in page


def test_a_gap_is_shown_loudly(staff: FlaskClient, record: Any) -> None:
    wanted = record(Read("absent")).wanted
    record(Read("registered", wanted, "a1"), Read("absent"))
    assert "This number has had no registered address since" in text(staff, f"{PAGE}/{NUMBER}")


def test_a_number_that_moves_is_not_registered_any_more(
    staff: FlaskClient, inventory: Inventory, csrf: str
) -> None:
    data = {"decision": "place", "location": "lab", "provider": "tel", "csrf": csrf}
    assert staff.post(f"{PAGE}/{NUMBER}", data=data).status_code == 303
    assert inventory.snapshot().numbers[NUMBER].location == "lab"
    assert inventory.snapshot().numbers[NUMBER].address_status == "pending"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"decision": "place", "location": "moon", "provider": ""}, "there is no location moon"),
        ({"decision": "place", "location": "", "provider": "moon"}, "there is no provider moon"),
        ({"decision": "dance"}, "There is no such decision"),
        ({"decision": "look"}, "has no provider"),
    ],
)
def test_what_cannot_be_done_is_said(staff: FlaskClient, csrf: str, data: dict[str, str], said: str) -> None:
    answer = staff.post(f"{PAGE}/+14155550102", data={**data, "csrf": csrf})
    assert answer.status_code == 409
    assert said in answer.get_data(as_text=True)


def test_a_number_that_is_not_ours(staff: FlaskClient) -> None:
    assert staff.get(f"{PAGE}/+12125550100").status_code == 404


def test_the_api_says_and_does_the_same(staff: FlaskClient, record: Any, csrf: str, app: Flask) -> None:
    corrected(record)
    token = app.extensions["provisioner"].inventory.new_token("api", 60, "administrator")
    client, headers = app.test_client(), {"Authorization": f"Bearer {token}"}
    rows = client.get("/api/v1/numbers/addresses", headers=headers).get_json()["items"]
    assert rows[0]["number"] == NUMBER
    assert rows[0]["choices"][0]["differences"] == [
        {"field": "city", "ours": "San Francisco", "theirs": "Northfield"}
    ]
    path = f"/api/v1/numbers/{NUMBER}/address"
    assert client.get(path, headers=headers).get_json() == rows[0]
    answer = client.post(path, headers=headers, json={"decision": "approve", "choice": 0})
    assert (answer.status_code, answer.get_json()["state"]) == (202, "submitting")
    assert client.post(path, headers=headers, json=["approve"]).status_code == 400
    assert client.post(path, headers=headers, json={"location": "moon"}).status_code == 409
    placed = client.post(path, headers=headers, json={"location": "lab"}).get_json()
    assert (placed["location"], placed["status"]) == ("lab", "pending")


def test_the_secret_is_on_no_page(staff: FlaskClient, record: Any) -> None:
    corrected(record)
    for page in (PAGE, f"{PAGE}/{NUMBER}", "/staff/numbers"):
        assert "nobody-sees-this" not in staff.get(page).get_data(as_text=True)


def test_every_state_has_words(app: Flask, inventory: Inventory) -> None:
    from typing import get_args

    from provisioner.emergency import accounts
    from provisioner.store.records import AddressStatus, RegistrationState

    assert set(addresses.STATES) == set(get_args(RegistrationState)) == set(accounts._REMEDY)
    assert set(accounts._WORDS) == set(get_args(AddressStatus))


def test_the_overview_leads_there(staff: FlaskClient, record: Any, edge: Any, front: None) -> None:
    record(Read("absent"))
    page = staff.get("/staff/").get_data(as_text=True)
    assert f'href="{PAGE}"' in page


def test_a_page_of_a_practice_without_numbers(staff: FlaskClient, inventory: Inventory) -> None:
    numbers = inventory.snapshot().numbers
    with inventory.change(who="test") as change:
        for number in numbers:
            change.delete(Number, number)
        change.put(Location(id="x", name="X", civic={}))
    assert "The practice has no number yet" in text(staff, PAGE)
