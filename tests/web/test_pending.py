"""Changes that phones have not fetched: the banner on every page, the list, and the button that tells them."""

from __future__ import annotations

import pytest
import web_practice as practice
from web_practice import text_of as text

from provisioner.phones import editing
from provisioner.store.journal import Journal

PAGE = "/staff/pending"
BANNER = "Changes are not fetched yet by"


@pytest.fixture
def inventory(app, edge, front):
    return app.extensions["provisioner"].inventory


@pytest.fixture
def fetched(state):
    """Say that phones have fetched their files of a revision."""

    def tell(revision, *macs):
        journal = Journal.open(state.journal)
        for mac in macs:
            row = {"mac": mac, "name": "x.cfg", "at": 1.0, "revision": revision, "digest": "", "firmware": ""}
            journal.write("served", row | {"skeleton": "s", "own": []})
        assert journal.flush()
        journal.close()

    return tell


def test_no_banner_when_all_have_their_files(staff, inventory, fetched):
    fetched(inventory.snapshot_revision(), practice.POLYCOM, practice.YEALINK)
    assert BANNER not in text(staff.get("/staff/phones"))
    assert "All phones have their files" in text(staff.get(PAGE))


def test_a_change_is_on_every_page_until_it_is_fetched(staff, inventory, fetched):
    fetched(inventory.snapshot_revision(), practice.POLYCOM, practice.YEALINK)
    editing.set_layer(inventory, "vendor:polycom", {"language": "es"}, "anna")
    for path in ("/staff/", "/staff/phones", "/staff/settings", "/staff/numbers"):
        assert f"{BANNER} 1 phone." in text(staff.get(path))
    listed = text(staff.get(PAGE))
    assert "Settings: All Polycom phones" in listed
    assert "anna" in listed
    assert "Difference 101" in listed
    assert "Dr. Adams" not in listed
    assert "No phone fits" in text(staff.get(f"{PAGE}?q=adams"))
    fetched(inventory.snapshot_revision(), practice.POLYCOM)
    assert "All phones have their files" in text(staff.get(PAGE))
    assert BANNER not in text(staff.get("/staff/phones"))


def test_what_is_seen_stays_for_a_moment(app, staff, inventory, fetched, monkeypatch):
    """A page asks the journal again only after some seconds, or when the inventory has changed."""
    journal = app.extensions["provisioner"].journal
    asked = []
    real = journal.fetched
    monkeypatch.setattr(journal, "fetched", lambda: asked.append(1) or real())
    for _ in range(3):
        staff.get("/staff/phones")
    assert len(asked) == 1
    editing.set_layer(inventory, "site", {"language": "es"}, "anna")
    staff.get("/staff/phones")
    assert len(asked) == 2


def test_the_button_tells_just_those(staff, csrf, inventory, fetched, edge, state, monkeypatch):
    fetched(inventory.snapshot_revision(), practice.POLYCOM, practice.YEALINK)
    nobody = staff.post(PAGE, data={"csrf": csrf})
    assert (nobody.status_code, "fetched their files meanwhile" in text(nobody)) == (409, True)
    editing.set_layer(inventory, "model:yealink/T46S", {"language": "es"}, "anna")
    told = []
    monkeypatch.setattr(
        "provisioner.phones.remote.tell",
        lambda state, inventory, macs, mode, who: told.append((macs, mode, who)) or {"job": "j1"},
    )
    done = staff.post(PAGE, data={"csrf": csrf})
    assert (done.status_code, done.headers["Location"]) == (303, "/staff/jobs/j1")
    assert told == [([practice.YEALINK], "resync", "console link")]


def test_the_api_lists_them(api, inventory, fetched):
    fetched(inventory.snapshot_revision(), practice.POLYCOM)
    editing.set_layer(inventory, "site", {"language": "es"}, "anna")
    items = api.get("/api/v1/phones/behind").json["items"]
    assert [(row["mac"], row["changes"][0]["id"]) for row in items] == [(practice.POLYCOM, "site")]
