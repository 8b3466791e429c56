"""The request log and discovery: filters by link, pages, a row's detail with what was sent, who is silent, ignoring."""

from __future__ import annotations

import re

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.phones.served import Memory
from provisioner.store import request_log
from provisioner.store.journal import Journal
from provisioner.store.records import Credential

SECRET = "s3cretpasswordofthisphone"
SILENT = "805ec0aabbcc"


@pytest.fixture
def journal(state):
    journal = Journal.open(state.journal, clock=lambda: practice.NOW)
    yield journal
    journal.close()


@pytest.fixture
def many_requests(journal):
    for number in range(120):
        row = {"mac": practice.YEALINK, "address": "192.0.2.22", "method": "GET", "path": f"/{number}.cfg"}
        row |= {
            "at": practice.NOW - 120 + number,
            "status": 404,
            "bytes": 0,
            "rule": "not-there",
            "agent": "Yealink",
        }
        journal.write("requests", row)
    assert journal.flush()
    return journal


def rows(page) -> list[str]:
    return re.findall(r"path=(?:%2F|/)(\d+)\.cfg", page.get_data(as_text=True))


def test_cells_are_filters_and_filters_can_be_taken_away(staff, front, many_requests):
    page = (
        staff.get("/staff/requests?rule=adopted&q=0004f2000101").get_data(as_text=True).replace("&amp;", "&")
    )
    assert f"/staff/requests?q=0004f2000101&rule=adopted&mac={practice.POLYCOM}" in page
    assert 'href="/staff/requests?q=0004f2000101"' in page
    assert 'href="/staff/requests?rule=adopted"' in page
    assert "requests.csv?q=0004f2000101&rule=adopted" in page


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("q=102", True),
        ("q=adams", True),
        ("q=00-15-65-00-01-02", True),
        ("q=192.0.2.22", True),
        ("q=119.cfg", True),
        ("q=6500", True),
        ("q=optional+file", True),
        ("q=nothing", False),
        ("mac=0015.6500.0102", True),
        ("mac=what", False),
        ("status=404", True),
        ("status=x", False),
        ("rule=adopted", False),
        ("address=192.0.2.22&status=404", True),
        ("path=/119.cfg", True),
        ("method=TFTP", False),
        ("since=2026-09-21", True),
        ("since=2027-01-01", False),
        ("until=2026-09-21T07:00", False),
    ],
)
def test_search(staff, api, front, many_requests, query, fits):
    assert ("119" in rows(staff.get(f"/staff/requests?{query}"))) == fits
    if query != "status=x":
        found = api.get(f"/api/v1/requests?{query}").json["items"]
        assert any(row["path"] == "/119.cfg" for row in found) == fits


def test_a_moment_that_is_none(staff, api, front):
    assert staff.get("/staff/requests?since=tomorrow").status_code == 422
    assert api.get("/api/v1/requests?since=tomorrow").status_code == 422


def test_pages_go_by_the_rows(staff, api, front, many_requests):
    first = staff.get("/staff/requests?status=404")
    assert rows(first)[0] == "119"
    (older,) = re.findall(r'rel="next" href="([^"]+)"', first.get_data(as_text=True))
    second = staff.get(older.replace("&amp;", "&"))
    assert rows(second)[0] == "69"
    newer = re.findall(r'rel="prev" href="([^"]+)"', second.get_data(as_text=True))[0]
    assert rows(staff.get(newer.replace("&amp;", "&"))) == rows(first)
    page = api.get("/api/v1/requests?status=404&limit=100").json
    assert [row["path"] for row in api.get(page["next"]).json["items"]][-1] == "/0.cfg"
    assert api.get(page["next"]).json["next"] is None


def test_words_are_looked_for_further_back_by_a_link(staff, front, many_requests, monkeypatch):
    monkeypatch.setattr(request_log, "WINDOW", 60)
    monkeypatch.setattr("provisioner.web.request_log.WINDOW", 60)
    page = staff.get("/staff/requests?q=/5.cfg").get_data(as_text=True)
    assert "were looked through" in page
    further = re.findall(r'rel="next" href="([^"]+)"', page)[0].replace("&amp;", "&")
    assert "5" in rows(staff.get(further))


def test_pausing_holds_the_page_still(staff, front, many_requests):
    page = staff.get("/staff/requests").get_data(as_text=True)
    assert "sse:request" in page
    pause = re.findall(r'href="(/staff/requests\?before=\d+)">Pause', page)[0]
    still = staff.get(pause).get_data(as_text=True)
    assert "sse:request" not in still
    many_requests.write(
        "requests", {"at": practice.NOW, "path": "/new.cfg", "status": 200, "rule": "adopted"}
    )
    assert many_requests.flush()
    assert "/new.cfg" not in staff.get(pause).get_data(as_text=True)
    assert "Go on live" in still


def test_as_csv(staff, api, front, many_requests):
    for client, path in ((staff, "/staff/requests.csv"), (api, "/api/v1/requests.csv")):
        answer = client.get(f"{path}?status=404&q=adams")
        assert answer.mimetype == "text/csv"
        assert answer.get_data(as_text=True).count("\n") == 121


def test_one_request_says_why_and_what_to_do(staff, api, front, journal):
    number = next(row["id"] for row in journal.requests() if row["rule"] == "waiting")
    page = text(staff.get(f"/staff/requests/{number}"))
    assert "the phone waits for adoption" in page
    assert "Adopt the phone if it is yours." in page
    assert "Only files of adopted phones are kept" in page
    told = api.get(f"/api/v1/requests/{number}").json
    assert told["remedy"] == "Adopt the phone if it is yours."
    assert staff.get("/staff/requests/99999").status_code == 404
    assert api.get("/api/v1/requests/99999").status_code == 404


def served(app, journal, at: float) -> None:
    """The phone has fetched its file, as the front would tell it."""
    inventory = app.extensions["provisioner"].inventory
    with inventory.change(who="test") as change:
        change.put(Credential(id=practice.YEALINK, admin_password=SECRET))
    from provisioner.phones.catalogue import Catalogue
    from provisioner.phones.render import Renderer
    from provisioner.phones.settings import Addresses

    renderer = Renderer(inventory.snapshot(), Addresses("192.0.2.10", 5060, "192.0.2.10", 8080), Catalogue())
    asked, who = next(
        each
        for each in renderer.files(inventory.snapshot().phones[practice.YEALINK])
        if each[0].name.endswith("102.cfg")
    )
    for table, row in Memory().rows(asked.name, renderer.rendered(asked, who), who, at):
        journal.write(table, row)
    journal.write(
        "requests",
        {
            "at": practice.NOW,
            "mac": practice.YEALINK,
            "path": f"/{asked.name}",
            "status": 200,
            "rule": "adopted",
            "method": "GET",
        },
    )
    assert journal.flush()


def test_what_was_sent_is_shown_without_secrets(staff, api, app, edge, front, journal):
    served(app, journal, practice.NOW)
    number = journal.last_request()
    page = staff.get(f"/staff/requests/{number}").get_data(as_text=True)
    assert "account.1.user_name = 102" in page
    assert SECRET not in page
    assert "account.1.user_name = 102" in api.get(f"/api/v1/requests/{number}").json["sent"]


def test_what_was_sent_before_another_version_is_not_kept(staff, app, edge, front, journal):
    served(app, journal, practice.NOW + 600)
    assert "fetched another version since" in text(staff.get(f"/staff/requests/{journal.last_request()}"))


# discovery


@pytest.fixture
def near(state, edge):
    methods = practice.front_methods(state)
    told = [
        {"address": "192.0.2.30", "mac": practice.STRANGER},
        {"address": "192.0.2.40", "mac": SILENT},
        {"address": "192.0.2.41", "mac": "feedfeedfeed"},
    ]
    process = practice.Process(state, "front", {**methods, "neighbours": lambda _: {"neighbours": told}})
    yield
    process.close()


def test_who_asked_and_who_is_silent(staff, api, near):
    page = text(staff.get("/staff/discovery"))
    assert "Yealink T46S 00:15:65:00:01:99" in page
    assert "the phone waits for adoption" in page
    assert "Adopt the phone if it is yours." in page
    assert "192.0.2.30 it is this phone" in page
    assert "80:5e:c0:aa:bb:cc 192.0.2.40 Yealink" in page
    assert "fe:ed" not in page
    told = api.get("/api/v1/discovery").json
    assert [each["phone"]["mac"] for each in told["found"]] == [practice.STRANGER]
    assert told["silent"] == [{"mac": SILENT, "address": "192.0.2.40", "vendor": "yealink"}]


def test_discovery_without_the_front(staff, edge):
    assert "00:15:65:00:01:99" in text(staff.get("/staff/discovery"))


def test_ignoring_and_taking_back(staff, csrf, api, near):
    assert "1 phone waiting" in text(staff.get("/staff/"))
    assert staff.post(f"/staff/phones/{practice.STRANGER}/ignore", data={"csrf": csrf}).status_code == 303
    assert "00:15:65:00:01:99" not in text(staff.get("/staff/discovery"))
    assert "00:15:65:00:01:99" not in text(staff.get("/staff/phones"))
    assert "1 phone waiting" not in text(staff.get("/staff/"))
    assert "00:15:65:00:01:99" in text(staff.get("/staff/phones?status=ignored"))
    assert "00:15:65:00:01:99" in text(staff.get("/staff/discovery?ignored=1"))
    assert api.get("/api/v1/phones/ignored").json["items"] == [practice.STRANGER]
    staff.post(f"/staff/phones/{practice.STRANGER}/ignore", data={"csrf": csrf, "back": "1"})
    assert "00:15:65:00:01:99" in text(staff.get("/staff/discovery"))
    assert api.put(f"/api/v1/phones/{practice.STRANGER}/ignored").status_code == 204
    assert api.get("/api/v1/discovery").json["found"] == []
    assert api.delete(f"/api/v1/phones/{practice.STRANGER}/ignored").status_code == 204
    assert api.put(f"/api/v1/phones/{practice.YEALINK}/ignored").status_code == 409


def test_the_dhcp_help_sees_a_request(staff, near):
    page = text(staff.get("/staff/dhcp"))
    assert "a request was seen 30 s ago" in page
    assert "What phones were told, and why" in page
