"""What is vendored is what the list beside it says, and the list says all."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import provisioner.web

VENDOR = Path(provisioner.web.__file__).parent / "static" / "vendor"
LIST = tomllib.loads((VENDOR / "versions.toml").read_text())


def test_hashes():
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in LIST} == {
        name: entry["sha256"] for name, entry in LIST.items()
    }


def test_each_has_its_licence_and_nothing_else_lies_there():
    texts = {entry["licence_text"] for entry in LIST.values()}
    assert {path.name for path in VENDOR.iterdir()} == {*LIST, *texts, "versions.toml"}
