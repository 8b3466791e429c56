"""The overview: the worst first, no more than a screenful, figures that lead to what they count, small when large."""

from __future__ import annotations

import re

import pytest
import web_practice as practice

from provisioner.people import users
from provisioner.store.inventory import Inventory
from provisioner.store.records import Line, Number, Phone, Trunk
from provisioner.web import disk
from provisioner.web.disk import Disk

MANY = 300


def tiles(page: str) -> dict[str, str]:
    """What each tile says, by where it leads."""
    section = page.partition('<section class="tiles"')[2].partition("</section>")[0]
    found = re.findall(r'<a href="([^"]+)" class="(\w+)">(.*?)</a>', section, re.S)
    return {
        href.replace("&amp;", "&"): f"{level}: " + " ".join(re.sub(r"<[^>]+>", " ", words).split())
        for href, level, words in found
    }


@pytest.fixture
def roomy(monkeypatch):
    held = {"disk": Disk(50 << 30, 100 << 30, 3 << 20)}
    monkeypatch.setattr(disk, "measured", lambda _state: held["disk"])
    return held


def test_figures_lead_to_what_they_count(staff, edge, front, roomy) -> None:
    found = tiles(staff.get("/staff/").get_data(as_text=True))
    assert found == {
        "/staff/phones?status=offline": "bad: 2 of 3 phones online, 1 offline",
        "/staff/phones?status=waiting": "warn: 1 waiting for adoption",
        "/staff/calls": "busy: 1 call now",
        "/staff/trunks": "good: Answers calling service",
        "/staff/emergency/readiness": found["/staff/emergency/readiness"],
        "/staff/practice": "good: 50.0 GB free on the disk; log 3.0 MB",
        "/staff/requests?since=2026-09-21T06:13": "none: 2 requests in the last hour",
    }
    assert found["/staff/emergency/readiness"].startswith("bad: Not ready")
    for href in found:
        assert staff.get(href).status_code == 200


def test_without_the_edge_nothing_is_made_up(staff, roomy) -> None:
    found = tiles(staff.get("/staff/").get_data(as_text=True))
    assert found["/staff/calls"].startswith("none: -")
    assert found["/staff/trunks"] == "none: Not known calling service"


@pytest.mark.parametrize(
    ("free", "words"), [(1 << 30, "1.0 GB are free"), (100 << 20, "100.0 MB are free"), (3 << 30, "")]
)
def test_a_full_disk_is_said(staff, edge, front, roomy, free, words) -> None:
    roomy["disk"] = Disk(free, 100 << 30, 0)
    page = practice.text_of(staff.get("/staff/"))
    assert ("The disk is nearly full" in page) == bool(words)
    assert words in page


def test_the_rest_is_folded(staff, edge, front, app, roomy) -> None:
    inventory: Inventory = app.extensions["provisioner"].inventory
    with inventory.change("test") as change:
        for index in range(12):
            change.put(Trunk(id=f"t{index}", uri=f"sip:{index}.example"))
    edge["status"]["trunks"] = [{"id": f"t{index}", "up": False} for index in range(12)]
    page = staff.get("/staff/").get_data(as_text=True)
    shown, _, folded = page.partition('<details id="more-findings">')
    assert shown.count('class="finding bad"') == 4
    assert folded.partition("</details>")[0].count('class="finding bad"') >= 8
    assert folded.index("waiting for adoption") > folded.rindex("does not answer")


def test_a_large_practice_has_a_small_page(staff, edge, front, app, roomy) -> None:
    inventory: Inventory = app.extensions["provisioner"].inventory
    with inventory.change("test") as change:
        for index in range(MANY):
            number, line = (
                f"+1415556{index:04}",
                Line(extension=f"{2000 + index}", number=f"+1415556{index:04}"),
            )
            change.put(Number(id=number, label=f"N{index}"))
            change.put(Phone(id=f"001565aa{index:04x}", vendor="yealink", model="T46S", lines=(line,)))
    answer = staff.get("/staff/")
    page = answer.get_data(as_text=True)
    assert len(page) < 40_000
    assert f"{MANY} numbers have no registered emergency address" in page
    assert f"Nobody answers {MANY} of the numbers" in page
    assert f"and {MANY - 9} more" in practice.text_of(answer)
    assert f"All {MANY + 4} phones" in page


def test_a_trunk_that_is_not_signed_in_is_said(staff, edge, front, roomy) -> None:
    edge["status"]["trunks"] = [{"id": "core", "up": True, "registered": False}]
    page = staff.get("/staff/").get_data(as_text=True)
    assert "does not let this appliance sign in" in page
    assert 'href="/staff/trunks/core"' in page


def test_the_same_by_api(api, edge, front, roomy) -> None:
    found = api.get("/api/v1/overview").json
    figures = {
        name: found[name] for name in ("phones_online", "phones_adopted", "calls", "trunks_up", "disk_free")
    }
    assert figures == {
        "phones_online": 2,
        "phones_adopted": 3,
        "calls": 1,
        "trunks_up": 1,
        "disk_free": 50 << 30,
    }
    assert found["findings"][0]["level"] == "bad"


def test_without_users_one_is_proposed(app, staff, edge, front, roomy) -> None:
    assert "Nobody has an account here yet" in practice.text_of(staff.get("/staff/"))
    inventory = app.extensions["provisioner"].inventory
    users.create(inventory, "anna", "window onion tractor", "administrator", "test")
    assert "Nobody has an account here yet" not in practice.text_of(staff.get("/staff/"))
