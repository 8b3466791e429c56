"""The DHCP help with this appliance's addresses, as page and API; requests by phone, rule and status."""

from __future__ import annotations

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.phones.dhcp_help import SERVERS

URL = "http://192.0.2.10:8080/"


@pytest.mark.parametrize("kind", SERVERS)
def test_each_server_has_its_text(staff, api, edge, told_front, kind):
    page = staff.get(f"/staff/dhcp?for={kind}").get_data(as_text=True)
    told = api.get(f"/api/v1/dhcp/{kind}").get_data(as_text=True)
    assert URL in told
    assert told.splitlines()[0] in page


def test_the_options_of_each_maker(staff, api, edge, told_front):
    page = text(staff.get("/staff/dhcp"))
    assert f"Polycom and Poly 160 {URL} Asked for first" in page
    assert f"Yealink 66 {URL}" in page
    assert "Grandstream 150 192.0.2.10" in page
    told = {maker["vendor"]: maker for maker in api.get("/api/v1/dhcp").json["makers"]}
    assert [option["code"] for option in told["yealink"]["options"]] == [66, 43, 150]


def test_the_sites_own_address_is_told(staff, api, edge, told_front):
    api.patch(
        "/api/v1/layers/site", json={"provisioning_host": "phones.example.net", "provisioning_port": 80}
    )
    assert api.get("/api/v1/dhcp").json["url"] == "http://phones.example.net/"
    assert "option 150 is left out" in text(staff.get("/staff/dhcp"))


def test_no_such_server_and_no_front(staff, api, edge):
    assert staff.get("/staff/dhcp").status_code == 503
    assert api.get("/api/v1/dhcp").status_code == 503


def test_another_kind_of_server(staff, api, edge, told_front):
    assert staff.get("/staff/dhcp?for=odd").status_code == 409
    assert "dnsmasq, isc, kea" in api.get("/api/v1/dhcp/odd").json["detail"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"mac": "00:04:F2:00:01:01"}, [practice.POLYCOM]),
        ({"rule": "waiting"}, [practice.STRANGER]),
        ({"status": "200"}, [practice.STRANGER, practice.POLYCOM]),
        ({"status": "404"}, []),
        ({"status": "418"}, []),
        ({"mac": practice.POLYCOM, "rule": "waiting"}, []),
    ],
)
def test_requests_by_phone_rule_and_status(staff, api, edge, front, query, found):
    answer = api.get("/api/v1/requests", query_string=query)
    if query.get("status") != "odd":
        assert [row["mac"] for row in answer.json["items"]] == found
    page = staff.get("/staff/requests", query_string=query).get_data(as_text=True)
    assert [f"mac={mac}" in page for mac in found] == [True] * len(found)
    assert ("Nothing fits" in page) == (not found)


def test_requests_come_with_the_rule_in_words_and_in_pages(api, edge, front):
    first = api.get("/api/v1/requests?limit=1&status=200").json
    assert first["items"][0]["why"] == "the phone waits for adoption: a file without an account"
    assert "status=200" in first["next"]
    assert [row["mac"] for row in api.get(first["next"]).json["items"]] == [practice.POLYCOM]
