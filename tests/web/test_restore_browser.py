"""A backup of one appliance restored on a new one, in the browser, as an IT person does when the old box has died."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from browser import PORTS, Appliance, press, shot
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families as families

from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Credential, Key, Phone, Practice, User
from tests.peers.wait import until

YEALINK = "001565000102"
AGENT = f"Yealink SIP-T46S 66.86.0.15 {YEALINK}"
PASSPHRASE = "four quiet lamps at noon"
NAME = "Larkspur Clinic"
pytestmark = pytest.mark.peer("chromium")


class Kept(Appliance):
    """An appliance into whose inventory and files a test looks."""

    def inventory(self) -> Inventory:
        return Inventory.open(self.state.inventory)

    def file(self) -> str:
        """What the Yealink gets, with the ports of this appliance by their names."""
        inventory = self.inventory()
        held = inventory.get(Credential, YEALINK)
        inventory.close()
        assert held
        url = f"{self.info['http']}/{held[0].path_secret}/{YEALINK}.cfg"
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"User-Agent": AGENT}), timeout=10
        ) as answer:
            text: str = answer.read().decode()
        for name in PORTS:
            text = text.replace(self.info[name].rpartition(":")[2], name.upper())
        return text


def by_hand(old: Kept) -> None:
    """What somebody did on the old appliance, and what happened there."""
    inventory = old.inventory()
    with inventory.change("ann") as change:
        practice, phone = change.get(Practice, "practice"), change.get(Phone, YEALINK)
        assert practice
        assert phone
        change.put(replace(practice[0], name=NAME))
        keys = (Key(position=3, function="speed_dial", value="+14155550199", label="Laboratory"),)
        change.put(replace(phone[0], keys=keys))
        change.put(User(id="ann", role="administrator", name="Ann Lee"))
    inventory.close()
    journal = Journal.open(old.state.journal)
    journal.write(
        "emergencies", {"id": "e1", "kind": "emergency-test", "at": 1.0, "mac": YEALINK, "body": {}}
    )
    assert journal.flush()
    journal.close()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with ExitStack() as stack:
        appliance = Kept(tmp_path_factory.mktemp("old"), stack, "--demo", "--no-life")
        assert appliance.info
        by_hand(appliance)
        yield appliance


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Kept]:
    with ExitStack() as stack:
        yield Kept(tmp_path, stack)


def download(page: Any, old: Kept, folder: Path) -> Path:
    """Make a backup with a passphrase, watch it, and download it."""
    inventory = old.inventory()
    link = inventory.new_token("sign-in", 600, "administrator")
    inventory.close()
    page.goto(f"{old.info['http']}/staff/sign-in/{link}")
    page.goto(f"{old.info['http']}/staff/backup")
    shot(page, "backup")
    form = page.locator("form", has=page.get_by_role("button", name="Back up", exact=True))
    form.get_by_label("Passphrase").fill(PASSPHRASE)
    form.get_by_label("The same again").fill(PASSPHRASE)
    press(page, "Back up")
    page.get_by_text("The backup is made").wait_for()
    shot(page, "backup-made")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download", exact=True).click()
    target = folder / "from-the-old.zip"
    waiting.value.save_as(target)
    return target


def restore(page: Any, new: Kept, backup: Path) -> None:
    """From the first page of a new appliance to the end of the restore."""
    page.goto(new.info["staff_url"])
    page.get_by_role("link", name="I have a backup of another appliance").click()
    page.get_by_label("Backup").set_input_files(backup)
    press(page, "Upload")
    page.get_by_label("Its passphrase").fill(PASSPHRASE)
    shot(page, "restore-passphrase")
    press(page, "Open")
    page.get_by_text("They are: Ann Lee.").wait_for()
    page.get_by_text("The backup is of an appliance at").wait_for()
    row = page.get_by_role("row").filter(has=page.get_by_text("Phones, numbers and settings"))
    assert re.search(r"\bphones\s+3\b", row.inner_text())
    shot(page, "restore")
    page.get_by_label(f"Type {NAME} to restore").fill(NAME)
    press(page, "Restore")
    page.get_by_text("The backup is restored", exact=True).wait_for()
    shot(page, "restored")


@pytest.mark.parametrize("width", [1280, 390])
def test_restore_a_backup_on_a_new_appliance(
    browser: Any, old: Kept, new: Kept, tmp_path: Path, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, accept_downloads=True)
    page.set_default_timeout(15_000)
    restore(page, new, download(page, old, tmp_path))
    until(lambda: new.ask("front", "ping"), "the front is back", 10)
    page.goto(f"{new.info['http']}/staff/phones")
    assert {"Front desk", "Nurses", "Billing"} <= set(
        re.findall(r"[A-Z][a-z]+(?: desk)?", page.inner_text("main"))
    )
    page.goto(f"{new.info['http']}/staff/phones/{YEALINK}/keys")
    assert "Laboratory" in page.content()
    assert "/staff/" in page.url  # the session is still good
    page.close()
    assert new.file() == old.file()
    assert (new.state.root / "tls/ca.pem").read_bytes() == (old.state.root / "tls/ca.pem").read_bytes()
    journal = Journal.open(new.state.journal)
    assert "e1" in {row["id"] for row in journal.emergencies()}
    journal.close()
    new.plug_in(YEALINK)
    until(lambda: _registered(new), "the phone registers with the account that it had", 20)


def _registered(new: Kept) -> bool:
    return "102" in {each["extension"] for each in new.ask("edge", "status").get("registrations", ())}


def test_watched_from_outside(old: Kept) -> None:
    """What monitoring asks, through the front of a running appliance."""

    def get(path: str, **headers: str) -> str:
        asked = urllib.request.Request(old.info["http"] + path, headers=headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])
            return str(answer.read().decode())

    assert get("/healthz") == "ok\n"
    until(lambda: _ready(old), "all parts are ready", 20)
    assert [line.rpartition(": ")[2] for line in get("/readyz").splitlines()] == ["ok"] * 5
    assert old.file()
    text = get("/metrics", Authorization=f"Bearer {old.info['api_token']}")
    found = {sample.name: sample for family in families(text) for sample in family.samples}
    up = [
        sample
        for family in families(text)
        for sample in family.samples
        if sample.name == "provisioner_process_up"
    ]
    assert {sample.labels["process"]: sample.value for sample in up} == {
        "front": 1, "edge": 1, "media": 1, "notifier": 1,
    }  # fmt: skip
    assert {"provisioner_requests_total", "provisioner_calls", "provisioner_trunk_up"} <= found.keys()
    assert "4155550" not in text


def _ready(old: Kept) -> bool:
    try:
        with urllib.request.urlopen(f"{old.info['http']}/readyz", timeout=5) as answer:
            return bool(
                answer.status == 200 and b"notifier (notices of emergency calls): ok" in answer.read()
            )
    except OSError:
        return False
