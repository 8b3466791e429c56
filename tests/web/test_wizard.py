"""The first start without a browser: every step, wrong input, back and again, and who gets no further."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import web_practice as practice
from browser import signed_in
from flask import Flask
from flask.testing import FlaskClient
from msgspec.structs import replace

from provisioner.emergency import accounts
from provisioner.paths import StateDir
from provisioner.phones import first_start
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Number, Phone, Practice, Provider, Registration, RingGroup, Setup, User
from provisioner.web import network

PASSWORD = "four quiet lamps at noon"
STEPS = [
    {"step": name, "state": "good", "code": "", "detail": {}}
    for name in ("name", "reach", "answer", "password")
]


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """A fresh directory, as `provisioner run` leaves it."""
    state = StateDir.create(tmp_path / "state")
    inventory = Inventory.open(state.inventory)
    with inventory.change("first start") as change:
        change.put(Practice(id="practice", name="New practice", main_number=""))
    inventory.close()
    return state


@pytest.fixture
def processes(state: StateDir) -> Iterator[dict[str, Any]]:
    """Edge and front; what was asked of the edge."""
    asked: dict[str, Any] = {"tests": [], "calls": [], "done": True}

    def emergency(args: dict[str, Any]) -> dict[str, Any]:
        asked["calls"].append(args["extension"])
        return {"call": "c1"}

    def trunk(args: dict[str, Any]) -> dict[str, Any]:
        asked["tests"].append(args)
        return {"test": "t1", "trunk": "x", "done": asked["done"], "steps": STEPS}

    status = {**practice.status(calls=[]), "sips": "", "registrations": practice.REGISTRATIONS}
    edge = practice.Process(state, "edge", {
        "status": lambda _: status, "reload": lambda _: {}, "emergency_test": emergency,
        "trunk_test": trunk, "trunk_test_status": trunk,
    })  # fmt: skip
    front = practice.Process(state, "front", {
        "status": lambda _: {"phones": "http://192.0.2.10:8080", "http": "http://0.0.0.0:8080", "https": "https://0.0.0.0:443",
                             "tftp": "0.0.0.0:69"},
        "reload": lambda _: {},
    })  # fmt: skip
    yield asked
    edge.close()
    front.close()


@pytest.fixture
def held(state: StateDir) -> Iterator[Inventory]:
    inventory = Inventory.open(state.inventory)
    yield inventory
    inventory.close()


@pytest.fixture
def csrf(staff: FlaskClient) -> str:
    page = staff.get("/staff/setup/account").get_data(as_text=True)
    return page.partition('name="csrf" value="')[2].partition('"')[0]


class Walk:
    """Somebody at the wizard."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.csrf()

    def csrf(self) -> str:
        page = self.client.get("/staff/setup/account").get_data(as_text=True)
        return page.partition('name="csrf" value="')[2].partition('"')[0]

    def post(self, step: str, status: int = 303, **form: str) -> Any:
        """Where it leads, or what the page says."""
        answer = self.client.post(f"/staff/setup/{step}", data={"do": "onward", **form, "csrf": self.csrf()})
        assert answer.status_code == status, practice.text_of(answer)
        return answer.location if status == 303 else practice.text_of(answer)

    def text(self, step: str) -> str:
        return practice.text_of(self.client.get(f"/staff/setup/{step}"))


@pytest.fixture
def walk(staff: FlaskClient, processes: dict[str, Any]) -> Walk:
    return Walk(staff)


TELNYX = {"profile": "telnyx", "uri": "sip.example", "order": "10", "user": "clinic", "password": "s3cret"}
ADDRESS = "500 Terry Francois Blvd, Suite 210\nSan Francisco, CA 94158"


@pytest.mark.parametrize("path", ["/staff/", "/staff/phones", "/staff/trunks", "/staff/dhcp", "/staff/calls"])
def test_a_fresh_appliance_leads_every_page_there(staff, processes, path) -> None:
    answer = staff.get(path)
    assert (answer.status_code, answer.location) == (303, "/staff/setup")
    assert staff.get("/staff/setup").location == "/staff/setup/account"


def test_only_administrators_may(app: Flask, processes) -> None:
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "operator")
    client.get(f"/staff/sign-in/{token}")
    answer = client.get("/staff/phones")
    assert answer.status_code == 403
    assert "not set up yet" in practice.text_of(answer)
    assert client.get("/staff/setup/practice").status_code == 403


def test_the_last_step_left_out_is_the_end(walk) -> None:
    assert walk.post("emergency", do="skip") == "/staff/"


def test_the_whole_walk_without_script(walk, held, processes, state) -> None:
    account = {
        "login": "Kim",
        "password": PASSWORD,
        "again": PASSWORD,
        "full_name": "Kim Chen",
        "language": "en",
    }
    assert walk.post("account", **account).endswith("/practice")
    assert held.get(User, "kim")[0].role == "administrator"
    assert "There is an account already: kim" in walk.text("account")
    assert walk.post("practice", name="Larkspur", time_zone="America/Denver", country="US").endswith(
        "/network"
    )
    assert walk.post("network", address="other", other="phones.example").endswith("/trunk")
    assert walk.post("trunk", do="test", **TELNYX).endswith("#test")
    assert walk.post("trunk", **TELNYX).endswith("/numbers")
    numbers = "(415) 555-0100 Main line\n415.555.0101; +1 415 555 0102"
    assert walk.post("numbers", numbers=numbers).endswith("/place")
    assert "This is how it was read" in walk.post("place", 200, do="read", text=ADDRESS)
    assert walk.post("place", do="keep", text=ADDRESS).endswith("/place")
    assert "STE 210" in walk.text("place")
    assert walk.post("place").endswith("/phones")
    snapshot = held.snapshot()
    assert (snapshot.practice.name, snapshot.practice.main_number) == ("Larkspur", "+14155550100")
    assert snapshot.phone_settings["site"].values["registrar_host"] == "phones.example"
    assert snapshot.trunks["telnyx"].uri == "sip:sip.example"
    assert {number.location for number in snapshot.numbers.values()} == {"main"}
    assert snapshot.numbers["+14155550100"].ring_group == "everyone"
    journal = Journal.open(state.journal)
    seen = {"mac": practice.YEALINK, "vendor": "yealink", "model": "T46S", "address": "192.0.2.7"}
    journal.write("sightings", {**seen, "agent": "", "last_seen": practice.NOW})
    assert journal.flush()
    journal.close()
    assert "Yealink T46S" in walk.text("phones")
    assert walk.post("phones", do="adopt", mac=practice.YEALINK, name="Front desk", extension="102").endswith(
        "/phones"
    )
    assert "Front desk 102" in walk.text("phones")
    phone = held.get(Phone, practice.YEALINK)[0]
    assert (phone.lines[0].name, phone.location) == ("Front desk", "main")
    assert held.get(RingGroup, "everyone")[0].members == ("102",)
    assert walk.post("phones").endswith("/emergency")
    assert "Never dial 911 to try it" in walk.text("emergency")
    assert walk.post("emergency", do="test", extension="102").endswith("/emergency")
    assert processes["calls"] == ["102"]
    assert walk.post("emergency") == "/staff/"
    assert walk.client.get("/staff/").status_code == 200
    assert walk.client.get("/staff/setup").location == "/staff/setup/account"  # it can be done again
    assert "Larkspur" in walk.text("practice")
    assert 'value="sip.example"' in walk.client.get("/staff/setup/trunk").get_data(as_text=True)
    who = {entry.who for entry in held.audit(100)}
    assert "kim" in who
    assert "s3cret" not in str(held.audit(200))


def test_a_closed_browser_goes_on_where_it_was(walk, app) -> None:
    walk.post("practice", name="Larkspur", time_zone="America/Denver", country="CA")
    client = app.test_client()
    token = app.extensions["provisioner"].inventory.new_token("sign-in", 60, "administrator")
    client.get(f"/staff/sign-in/{token}")
    assert client.get("/staff/phones", follow_redirects=True).request.path == "/staff/setup/network"
    again = client.get("/staff/setup/practice").get_data(as_text=True)
    assert 'value="Larkspur"' in again
    assert 'value="CA" checked' in again
    assert client.get("/staff/setup").location.endswith("/network")  # going back loses no step


def test_every_step_can_be_left_out(walk, held) -> None:
    for step, following in zip(first_start.STEPS, first_start.STEPS[1:], strict=False):
        assert walk.post(step, do="skip") == f"/staff/setup/{following}"
    assert walk.post("emergency") == "/staff/"
    assert held.snapshot().practice.name == "New practice"
    assert walk.client.get("/staff/phones").status_code == 200


def test_the_rest_can_be_left_for_later(walk, held) -> None:
    assert walk.client.post("/staff/setup/finish", data={"csrf": walk.csrf()}).location == "/staff/"
    assert held.get(Setup, "setup")[0].done == practice.NOW
    assert walk.client.get("/staff/").status_code == 200


@pytest.mark.parametrize(
    ("step", "form", "words"),
    [
        ("account", {"login": "kim", "password": PASSWORD, "again": "other"}, "not the same"),
        ("account", {"login": "kim", "password": "short", "again": "short"}, "password"),
        ("account", {"login": "k i m", "password": PASSWORD, "again": PASSWORD}, "login name"),
        ("practice", {"name": "", "time_zone": "America/Denver", "country": "US"}, "Give a name"),
        ("practice", {"name": "Larkspur", "time_zone": "Mars/Base", "country": "US"}, "Choose a time zone"),
        ("practice", {"name": "Larkspur", "time_zone": "America/Denver", "country": "XX"}, "no such country"),
        ("network", {"address": "other", "other": ""}, "Type the name or address"),
        ("network", {"address": "other", "other": "no host!"}, "provisioning_host"),
        ("trunk", {"profile": "generic", "uri": ""}, "Give the address of the service"),
        ("trunk", {"profile": "generic", "uri": "sip.example", "user": "x"}, "Give the password"),
        (
            "numbers",
            {"numbers": "555-0100 Main"},
            "Not a telephone number with its area code: “555-0100 Main”",
        ),
        ("numbers", {"numbers": ""}, "Type at least one number"),
        ("numbers", {"do": "provider", "api": "telnyx", "password": ""}, "Give the password, token or key"),
        ("place", {"do": "keep", "text": ""}, "Type the address"),
        ("place", {"do": "keep", "text": "PO Box 12, Oakland CA"}, "address"),
        ("phones", {"do": "adopt", "mac": practice.YEALINK}, "has not asked for its files"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(walk, held, step, form, words) -> None:
    before = held.snapshot()
    text = walk.post(step, 400, **form)
    assert words in text
    after = held.snapshot()
    assert (after.practice, after.numbers, after.trunks) == (before.practice, before.numbers, before.trunks)
    answer = walk.client.post(f"/staff/setup/{step}", data={**form, "csrf": walk.csrf()}).get_data(
        as_text=True
    )
    for name, value in form.items():
        if name in ("login", "uri", "numbers", "text", "other") and value:
            assert value.split("\n")[0] in answer
    assert PASSWORD not in answer


def test_ports_name_who_has_the_usual_one(walk, monkeypatch) -> None:
    monkeypatch.setattr(
        network, "holder", lambda port, datagram=False: "nginx (process 812)" if port == 80 else ""
    )
    text = walk.text("network")
    assert "Open, but not at 80: nginx (process 812) has that" in text
    assert "69 Open" in text
    assert "Closed" in text  # no SIP over TLS


def test_numbers_as_people_write_them() -> None:
    typed, wrong = first_start.read_numbers(
        "Numbers of the clinic\n(415) 555-0100, Main\n415-555-0101 \u2013 Fax\n"
        "1 415 555 0102\t4155550103\n\n911\n+1.415.555.0100 Again"
    )
    assert [(each.number, each.label) for each in typed] == [
        ("+14155550100", "Again"),
        ("+14155550101", "Fax"),
        ("+14155550102", ""),
        ("+14155550103", ""),
    ]
    assert wrong == ["Numbers of the clinic", "911"]


def test_the_api_knows_how_far_it_is(api, processes, held) -> None:
    state = api.get("/api/v1/setup").json
    assert (state["pending"], state["step"], state["steps"]["trunk"]) == (True, "account", False)
    added = api.post(
        "/api/v1/numbers", json={"numbers": [{"number": "415 555 0100", "label": "Main, of all"}]}
    )
    assert (added.status_code, added.json[0]["id"], added.json[0]["label"]) == (
        201,
        "+14155550100",
        "Main  of all".replace("  ", " "),
    )
    assert api.post("/api/v1/numbers", json={"numbers": [{"number": "555 0100"}]}).status_code == 409
    assert (
        api.post("/api/v1/numbers", json={"numbers": [{"number": "4155550109"}], "provider": "x"}).status_code
        == 409
    )
    assert api.post("/api/v1/setup/finish").json["pending"] is False
    assert api.get("/api/v1/phones").status_code == 200


def test_a_directory_without_any_practice(app, staff, processes, held) -> None:
    """As where each process is a unit of its own, and `provisioner run` never ran."""
    with held.change("test") as change:
        change.delete(Practice, "practice")
    assert staff.get("/staff/").location == "/staff/setup"
    assert (
        Walk(staff)
        .post("practice", name="Larkspur", time_zone="America/Denver", country="US")
        .endswith("/network")
    )
    assert held.snapshot().practice.name == "Larkspur"


@pytest.mark.peer("chromium")
def test_a_walk_in_a_browser_without_script(app, processes, held, browser, live) -> None:
    """The links that say "load again" stand in for what is live."""
    page = signed_in(browser, live, app, java_script_enabled=False, viewport={"width": 390, "height": 800})
    page.set_default_timeout(10_000)
    page.get_by_role("button", name="Skip", exact=True).click()
    page.get_by_label("Name of the practice").fill("Larkspur")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Calling service").first.select_option("generic")
    page.get_by_label("Address of the service").fill("sip.example")
    processes["done"] = False
    page.get_by_role("button", name="Test", exact=True).click()
    page.get_by_text("Testing").wait_for()
    processes["done"] = True
    page.get_by_role("link", name="Load again to see how far it is").click()
    page.get_by_text("It works").wait_for()
    page.get_by_role("button", name="Save and go on").click()
    page.get_by_label("Your telephone numbers").fill("(415) 555-0100 Main")
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Address").fill(ADDRESS)
    page.get_by_role("button", name="Read it").click()
    page.get_by_role("button", name="It is right: save it").click()
    page.get_by_role("link", name="Load again to see how far it is").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("link", name="Load again to see who has asked").click()
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Leave the rest for later").click()
    page.get_by_role("heading", name="Calls now").wait_for()
    page.context.close()
    assert held.snapshot().practice.main_number == "+14155550100"


def test_a_correction_of_the_provider_is_decided_in_place(walk, held) -> None:
    walk.post("numbers", numbers="(415) 555-0100 Main")
    walk.post("place", do="keep", text=ADDRESS)
    with held.change("test") as change:
        change.put(Provider(id="tel", api="telnyx"))
    accounts.place(held, "+14155550100", None, "tel", "test", practice.NOW)
    registered = held.get(Registration, "+14155550100")[0]
    offered = replace(registered.wanted, city="Northfield")
    with held.change("test") as change:
        change.put(replace(registered, state="corrected", step="", choices=(offered,)))
        change.put(replace(change.get(Number, "+14155550100")[0], address_status="correction"))
    assert "Take 500 Terry Francois BLVD, Northfield 94158" in walk.text("place")
    assert walk.post("place", do="decide", number="+14155550100", choice="0").endswith("/place")
    assert held.get(Registration, "+14155550100")[0].accepted == offered
    assert "is none of" not in walk.post("place", 400, do="decide", number="+14155550199", choice="look")


def test_numbers_are_taken_from_a_provider(walk, held, state) -> None:
    found = {"+14155550120": {"civic": {}, "name": "Main"}, "+14155550121": {"civic": {}, "name": ""}}
    core = practice.Process(state, "core", {"addresses": lambda _: found, "ping": lambda _: {"uptime": 1.0}})
    try:
        assert "The stand-in core" in walk.text("numbers?api=core")
        assert walk.post("numbers", do="provider", api="core").endswith("imported=2")
    finally:
        core.close()
    assert "2 numbers came from the provider" in walk.text("numbers?imported=2")
    snapshot = held.snapshot()
    assert snapshot.practice.main_number == "+14155550120"
    assert {number.provider for number in snapshot.numbers.values()} == {"core"}
    assert walk.post("numbers", main="+14155550121").endswith("/place")
    assert held.snapshot().practice.main_number == "+14155550121"


def test_dhcp_text_in_the_words_of_the_server(walk) -> None:
    assert "dhcp-option=tag:yealink,66" in walk.text("phones")
    assert "Set-DhcpServerv4OptionValue" in walk.text("phones?for=windows")
    assert "dhcp-option=tag:yealink,66" in walk.text("phones?for=nothing")
