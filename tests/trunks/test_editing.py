"""Trunks as people type them."""

from __future__ import annotations

import pytest

from provisioner.errors import OperatorError, ProvisionerError, UsageError
from provisioner.store.inventory import Conflict, Inventory
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks import editing


@pytest.mark.parametrize(
    ("typed", "transport", "uri"),
    [
        (" sip.example ", "", "sip:sip.example"),
        ("sip.example/", "tls", "sip:sip.example;transport=tls"),
        ("10.0.0.5:5080", "", "sip:10.0.0.5:5080"),
        ("[2001:db8::5]:5080", "tcp", "sip:[2001:db8::5]:5080;transport=tcp"),
        ("sip:sip.example;transport=tcp", "", "sip:sip.example;transport=tcp"),
        ("sip:sip.example;transport=tcp", "udp", "sip:sip.example;transport=udp"),
        ("SIPS:sip.example:5061", "", "sips:sip.example:5061"),
    ],
)
def test_addresses(typed: str, transport: str, uri: str) -> None:
    assert editing.address(typed, transport) == uri


@pytest.mark.parametrize(
    "typed",
    ["", "https://sip.example", "two words", "kim@sip.example", "sip:kim@sip.example", "sip:", "sip.example:70000",
     "sip:-bad-", "a;b"],
)  # fmt: skip
def test_what_is_no_address(typed: str) -> None:
    with pytest.raises(UsageError):
        editing.address(typed)


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("Telnyx", {"uri": "x.example"}, "small letters"),
        ("t", {"uri": "x.example", "port": 5060}, "A trunk has no 'port'"),
        ("t", {"uri": "x.example", "order": "one"}, "That is no trunk"),
        ("t", {"uri": "x.example", "order": 5000}, "The order is 0 to 1000"),
        ("t", {"uri": "x.example", "sources": ["all"]}, "all is no address"),
        ("t", {"uri": "x.example", "authorities": "x"}, "no PEM"),
        ("t", {"uri": "x.example", "profile": "fax"}, "the profile 'fax'"),
    ],
)
def test_what_is_no_trunk(name: str, body: dict[str, object], words: str) -> None:
    with pytest.raises(ProvisionerError, match=words):
        editing.trunk(name, body)


def test_the_stored_password_stays_with_its_user() -> None:
    held = TrunkSecret(id="t", user="clinic", password="s3cret")
    assert editing.secret("t", "", "", "", held) is None
    assert editing.secret("t", "clinic", "", "r", held) == TrunkSecret(
        id="t", user="clinic", password="s3cret", realm="r"
    )
    with pytest.raises(UsageError, match="Give the password"):
        editing.secret("t", "clinic", "", "", None)
    with pytest.raises(UsageError, match="no user name"):
        editing.secret("t", "", "new", "", held)


def test_kept_and_removed_with_its_secret(tmp_path) -> None:
    inventory = Inventory.open(tmp_path / "inventory.db")
    trunk, secret = Trunk(id="t", uri="sip:x.example"), TrunkSecret(id="t", user="clinic", password="s3cret")
    revision = editing.keep(inventory, trunk, secret, "kim", 0)
    with pytest.raises(Conflict):
        editing.keep(inventory, Trunk(id="t", uri="sip:y.example"), secret, "kim", revision + 1)
    editing.keep(inventory, trunk, None, "kim")
    assert inventory.get(TrunkSecret, "t") is None
    editing.remove(inventory, "t", "kim")
    with pytest.raises(OperatorError, match="there is no trunk t"):
        editing.remove(inventory, "t", "kim")
    assert "s3cret" not in str(inventory.audit())
    inventory.close()
