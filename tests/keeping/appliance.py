"""A state directory as that of an appliance in use, for the tests of backups."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from provisioner import certificates, demo
from provisioner.keeping.making import Wanted
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import (
    Key,
    Phone,
    PhoneSettings,
    Practice,
    Provider,
    ProviderSecret,
    TrunkSecret,
    User,
    UserSecret,
)

NOW = 1_790_000_000.0
PASSPHRASE = "correct horse battery"
YEALINK = "001565000102"
SECRETS = ("trunk-secret-word", "provider-secret-word", "argon2-hash-word")
COST = 2  # of scrypt: quick


def wanted(passphrase: str = PASSPHRASE, *optional: str) -> Wanted:
    return Wanted(passphrase, frozenset(optional), "ann")


def in_use(root: Path) -> StateDir:
    """The demo practice, changed by hand, with secrets, users, files and a past."""
    state = StateDir.create(root)
    inventory = Inventory.open(state.inventory, clock=lambda: NOW)
    demo.seed(inventory, "sip:127.0.0.1:5070", "", True)
    with inventory.change("ann") as change:
        phone = change.get(Phone, YEALINK)
        assert phone
        keys = (Key(position=3, function="speed_dial", value="+14155550199", label="Lab"),)
        change.put(replace(phone[0], keys=keys))
        change.put(PhoneSettings(id="site", values={"time_zone": "America/Denver"}))
        change.put(TrunkSecret(id="core", user="u", password=SECRETS[0]))
        change.put(Provider(id="extra", api="twilio", account="AC1"))
        change.put(ProviderSecret(id="extra", password=SECRETS[1]))
        change.put(User(id="ann", role="administrator", name="Ann"))
        change.put(UserSecret(id="ann", password=SECRETS[2]))
    inventory.secret("location-references")
    inventory.new_token("api", 1e6, "viewer")
    inventory.close()
    certificates.context(state.root / "tls", ["192.0.2.10"])
    for name, data in (
        ("audio/hold.ulaw", b"music"),
        ("phone_templates/yealink/extra.cfg", b"own"),
        ("trunks.json", b"{}"),
        ("firmware/yealink/big.rom", b"rom" * 1000),
        ("uploads/001565000102/phone.cfg", b"told"),
    ):
        path = state.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    _past(state)
    return state


def _past(state: StateDir) -> None:
    journal = Journal.open(state.journal, clock=lambda: NOW)
    for number in range(3):
        journal.write("calls", {"id": f"call{number}", "started": NOW - number, "caller": "101", "steps": []})
        journal.write(
            "emergencies", {"id": f"e{number}", "kind": "933", "at": NOW - number, "mac": YEALINK, "body": {}}
        )
    notice = {"call": "e0", "at": NOW, "channel": "mail", "occasion": "placed", "tries": 0}
    journal.write("notices", {"id": "n0", **notice, "state": "pending", "due": NOW})
    journal.write("notices", {"id": "n1", **notice, "state": "delivered"})
    journal.write("requests", {"at": NOW, "mac": YEALINK, "path": "/a.cfg", "status": 200})
    assert journal.flush()
    journal.close()


def fresh(root: Path) -> StateDir:
    """An appliance that was just started."""
    state = StateDir.create(root)
    inventory = Inventory.open(state.inventory, clock=lambda: NOW)
    with inventory.change("first start") as change:
        change.put(Practice(id="practice", name="New practice", main_number=""))
    inventory.close()
    Journal.open(state.journal, clock=lambda: NOW).close()
    return state
