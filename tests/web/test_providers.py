"""Providers on the page and by API: kept with their secrets, tried out, and their numbers taken over."""

from __future__ import annotations

from typing import Any

import pytest
import web_practice as practice
from werkzeug.test import TestResponse

from provisioner.core.providers import PROVIDERS
from provisioner.core.providers.account import Account
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import Provider, ProviderSecret

SECRET = "s3cret-of-the-provider"


@pytest.fixture
def core(state: StateDir):
    """The stand-in core, as a provider."""
    held: dict[str, Any] = {"addresses": {}}
    process = practice.Process(
        state, "core", {"addresses": lambda _: held["addresses"], "ping": lambda _: {"uptime": 1.0, "pid": 1}}
    )
    yield held
    process.close()


def stored(state: StateDir, name: str) -> tuple[Any, Any]:
    inventory = Inventory.open(state.inventory)
    found = inventory.get(Provider, name), inventory.get(ProviderSecret, name)
    inventory.close()
    return tuple(each[0] if each else None for each in found)


@pytest.fixture
def telnyx():
    """(a provider's address, the account that it has)"""
    account = Account()
    provider = PROVIDERS["telnyx"](account)
    yield provider.serve(), account
    provider.close()


@pytest.fixture
def ended(app, staff):
    """The page of the job that a form began, once it has ended."""

    def wait(answer: TestResponse) -> str:
        assert answer.status_code == 303
        app.extensions["provisioner.jobs"].wait(answer.location.rpartition("/")[2], 10)
        return practice.text_of(staff.get(answer.location))

    return wait


def test_a_provider_is_added_and_tried(staff, csrf, state, telnyx, ended) -> None:
    url, account = telnyx
    form = {"api": "telnyx", "password": account.password, "url": url, "csrf": csrf}
    assert "telnyx works" in ended(staff.post("/staff/providers/new", data=form))
    assert stored(state, "telnyx") == (
        Provider(id="telnyx", api="telnyx", url=url),
        ProviderSecret(id="telnyx", user="", password=account.password),
    )
    kept = staff.post("/staff/providers/telnyx", data={**form, "password": ""})
    assert "telnyx works" in ended(kept)
    wrong = staff.post("/staff/providers/telnyx", data={**form, "password": SECRET})
    assert "telnyx does not work yet" in ended(wrong)
    for path in ("/staff/providers", "/staff/providers/telnyx", wrong.location, "/api/v1/providers"):
        assert SECRET not in staff.get(path).get_data(as_text=True)


def test_its_numbers_are_shown_before_they_are_imported(staff, csrf, state, core, ended) -> None:
    core["addresses"] = {
        "+14155550190": {"civic": {}, "name": "New"},
        "+14155550101": {"civic": {}, "name": ""},
    }
    text = ended(staff.post("/staff/providers/new", data={"api": "core", "csrf": csrf}))
    assert "(415) 555-0190" in text
    assert "Import 1 new number" in text
    assert "+14155550190" not in Inventory.open(state.inventory).snapshot().numbers
    done = staff.post("/staff/providers/core/import", data={"csrf": csrf, "location": "desk"})
    assert "1 number is new here" in ended(done)
    number = Inventory.open(state.inventory).snapshot().numbers["+14155550190"]
    assert (number.provider, number.location) == ("core", "desk")
    refused = staff.post("/staff/providers/core/remove", data={"csrf": csrf})
    assert refused.status_code == 409
    assert "numbers are with core" in practice.text_of(refused)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, "Choose which provider it is"),
        ({"api": "telnyx"}, "Give the password, token or key"),
        ({"api": "twilio", "password": SECRET}, "Fill in: Account SID"),
        ({"api": "telnyx", "password": SECRET, "url": "ftp://x"}, "this is no address for a provider"),
    ],
)
def test_what_is_wrong_is_said(staff, csrf, form, words) -> None:
    answer = staff.post("/staff/providers/new", data={**form, "csrf": csrf})
    assert answer.status_code == 400
    assert words in practice.text_of(answer)
    assert SECRET not in answer.get_data(as_text=True)


def test_a_provider_that_is_away(staff, csrf, state, ended) -> None:
    assert "core does not work yet" in ended(
        staff.post("/staff/providers/new", data={"api": "core", "csrf": csrf})
    )
    assert "core does not work yet" in ended(staff.post("/staff/providers/core/look", data={"csrf": csrf}))
    assert "Nothing was changed" in ended(staff.post("/staff/providers/core/import", data={"csrf": csrf}))
    assert staff.post("/staff/providers/core/remove", data={"csrf": csrf}).status_code == 303
    assert staff.get("/staff/providers/core").status_code == 404
    assert "No provider yet" in practice.text_of(staff.get("/staff/providers"))


def test_the_api_does_what_the_page_does(api, state, core) -> None:
    core["addresses"] = {"+14155550191": {"civic": {}, "name": "New"}}
    made = api.put("/api/v1/providers/one", json={"api": "core"})
    assert (made.status_code, made.json["has_password"]) == (200, False)
    assert api.post("/api/v1/providers/one/test").json == {"good": True, "numbers": 1, "problem": ""}
    shown = api.post("/api/v1/providers/one/import", json={"dry_run": True}).json
    assert [row["what"] for row in shown] == ["new"]
    assert api.post("/api/v1/providers/one/import").json == shown
    assert api.delete("/api/v1/providers/one").status_code == 409
    assert api.put("/api/v1/providers/two", json={"api": "telnyx"}).status_code == 409
    secret = api.put("/api/v1/providers/two", json={"api": "telnyx", "password": SECRET})
    assert secret.json["has_password"]
    assert SECRET not in secret.get_data(as_text=True)
    assert api.delete("/api/v1/providers/two").status_code == 204
