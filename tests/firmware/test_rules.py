"""What ships can be read, a site's own file wins, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.errors import OperatorError
from provisioner.firmware.rules import load
from provisioner.phones.boot import VENDORS


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_ships_can_be_read(vendor: str) -> None:
    assert all(
        family.title and (family.known or family.hardware) for family in load(vendor).families.values()
    )


def test_a_sites_own_file_wins(tmp_path: Path) -> None:
    (tmp_path / "yealink.toml").write_text('[families.own]\ntitle = "Ours"\nlast = "86.0.15"\n')
    assert list(load("yealink", [tmp_path]).families) == ["own"]
    assert load("polycom", [tmp_path]).families == load("polycom").families
    assert load("acme", [tmp_path]).families == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[families.a]\n", "title"),
        ('[families.a]\ntitle = "A"\ncolour = "red"\n', "colour"),
        ('[families.a]\ntitle = "A"\nknown = [{ version = "new" }]\n', "'new' is not a version"),
        ("families = ", "cannot be used"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "yealink.toml").write_text(text)
    with pytest.raises(OperatorError, match=words):
        load("yealink", [tmp_path])
