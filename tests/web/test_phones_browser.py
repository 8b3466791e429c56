"""Phones in the browser: twenty adopted from a table, one moved to another room, many ticked, keys by keyboard."""

from __future__ import annotations

import pytest
import web_practice as practice
from browser import shot, signed_in

from provisioner.store.journal import Journal
from provisioner.store.records import Credential

MODELS = ("yealink", "T46S", "001565"), ("polycom", "VVX 411", "0004f2"), ("grandstream", "GXP2170", "000b82")
pytestmark = pytest.mark.peer("chromium")
WIDTHS = pytest.mark.parametrize("width", [1280, 390])


def asking(state) -> list[tuple[str, str]]:
    """Twenty phones of three makers ask for their files; their MACs and models."""
    journal = Journal.open(state.journal, clock=lambda: practice.NOW)
    found = []
    for number in range(20):
        vendor, model, oui = MODELS[number % 3]
        mac = f"{oui}7000{number:02}"
        row = {"vendor": vendor, "model": model, "address": "192.0.2.50", "rule": "waiting"}
        journal.write("sightings", {**row, "mac": mac, "last_seen": practice.NOW - number})
        found.append((mac, model))
    assert journal.flush()
    journal.close()
    return found


@WIDTHS
def test_twenty_phones_are_adopted_from_a_table(browser, live, app, state, edge, told_front, width):
    phones = asking(state)
    page = signed_in(browser, live, app, viewport={"width": width, "height": 900})
    page.goto(f"{live.url}/staff/phones?status=waiting")
    page.get_by_text("All 21 phones found").wait_for()
    page.get_by_role("link", name="Import phones").click()
    rows = [f"{mac},{model},Exam room {at},{220 + at}," for at, (mac, model) in enumerate(phones)]
    rows[7] = rows[7].replace("227", "911")
    rows[11] = "00-15-65,T46S,Exam room 11,231,"
    table = "\n".join(["MAC,Model,Name,Extension,Number", *rows]).encode()
    page.get_by_label("Table").set_input_files(
        {"name": "phones.csv", "mimeType": "text/csv", "buffer": table}
    )
    page.get_by_role("button", name="Show").click()
    page.get_by_text("2 rows with problems").wait_for()
    shot(page, "import-problems")
    page.get_by_label("Extension of line 9").fill("227")
    page.get_by_label("MAC of line 13").fill(phones[11][0])
    page.get_by_role("button", name="Check again").click()
    page.get_by_text("20 new phones, 0 changes").wait_for()
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("20 new phones.").wait_for()
    page.goto(f"{live.url}/staff/phones?q=exam+room")
    page.get_by_text("All 20 phones found").wait_for()
    shot(page, "phones-imported")
    page.get_by_role("link", name="Exam room 11").click()
    page.get_by_role("heading", name="Exam room 11").wait_for()
    page.goto(f"{live.url}/staff/phones/{phones[11][0]}/files/{phones[11][0]}.cfg")
    assert (
        "account.1.user_name = 231" in page.locator("pre").inner_text()
    )  # what it will get when it asks again
    snapshot = app.extensions["provisioner"].inventory.snapshot()
    adopted = {phone.lines[0].extension: phone for phone in snapshot.phones.values()}
    assert [adopted[str(220 + at)].id for at in range(20)] == [mac for mac, _model in phones]
    assert all(snapshot.credentials[mac].lines[0].password for mac, _model in phones)
    assert page.said == []
    page.context.close()


@WIDTHS
def test_a_phone_is_moved_to_another_room(browser, live, app, edge, told_front, width):
    page = signed_in(browser, live, app, viewport={"width": width, "height": 900})
    page.goto(f"{live.url}/staff/phones/{practice.POLYCOM}")
    page.get_by_text("help is sent to Front desk").wait_for()
    page.get_by_role("button", name="Move to another room").click()
    page.get_by_label("Location").select_option("lab")
    page.get_by_label("They stand there already").check()
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_text("known there: Lab").wait_for()  # what a 911 call tells then, before it is done
    shot(page, "move")
    page.get_by_role("button", name="Move 1 phone").click()
    page.get_by_text("1 phone was changed").wait_for()
    page.get_by_role("link", name="Front desk").click()
    page.get_by_text("A 911 call from 101 shows").wait_for()
    shown = page.get_by_role("main").inner_text()
    assert "(415) 555-0102: help is sent to Lab" in " ".join(shown.split())
    assert "sip:101@192.0.2.21:5060" in shown  # it is registered all the while
    snapshot = app.extensions["provisioner"].inventory.snapshot()
    assert snapshot.phones[practice.POLYCOM].location == "lab"
    assert snapshot.placements[practice.POLYCOM].location == "lab"
    assert edge["reloads"] == 1
    assert page.said == []
    page.context.close()


def test_all_of_a_page_are_ticked_at_once(browser, live, app, edge, told_front):
    page = signed_in(browser, live, app)
    page.goto(f"{live.url}/staff/phones?model=yealink")
    page.get_by_label("Tick all phones of this page").check()
    page.locator("#ticked", has_text="Ticked: 2").wait_for()
    page.get_by_role("button", name="Adopt…").click()
    page.get_by_text("it is adopted already").wait_for()
    page.get_by_label("Extension for 00:15:65:00:01:99").fill("150")
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_role("button", name="Adopt 1 phone").click()
    page.get_by_text("1 phone was changed").wait_for()
    assert app.extensions["provisioner"].inventory.get(Credential, practice.STRANGER)
    assert page.said == []
    page.context.close()


def test_keys_are_changed_by_keyboard_alone(browser, live, app, edge, told_front):
    page = signed_in(browser, live, app)
    page.goto(f"{live.url}/staff/phones/{practice.POLYCOM}/keys")
    page.locator("#key-1 a").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowRight", "Enter"):  # the last arrow leads nowhere
        page.keyboard.press(key)
    page.get_by_role("heading", name="Key 7").wait_for()
    page.get_by_label("Does").select_option("Speed dial")
    page.get_by_label("Number, extension or line").fill("5550123")
    page.get_by_label("Label").fill("Supplier")
    page.keyboard.press("Enter")
    page.locator("#key-7", has_text="Supplier").wait_for()
    assert page.said == []
    page.context.close()
