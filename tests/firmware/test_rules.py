"""What ships can be read, a site's own file wins, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.errors import OperatorError
from provisioner.firmware.rules import FamilyRules, Held, Version, load, newest
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


HELD = FamilyRules(
    title="x",
    known=(Version(version="1.0.7"), Version(version="1.0.10"), Version(version="1.0.9")),
    held=(Held(why="breaks", since="1.0.10", models=("GXP2170",)),),
)


@pytest.mark.parametrize(
    ("vendor", "model", "running", "best"),
    [
        ("grandstream", "GXP2130", "1.0.9", "1.0.10"),
        ("grandstream", "GXP2170", "1.0.7", "1.0.9"),
        ("grandstream", "GXP2170", "1.0.9", ""),
        ("grandstream", "GXP2130", "1.0.10", ""),
        ("grandstream", "GXP2130", "who knows", ""),
        ("grandstream", "GXP2130", "", ""),
    ],
)
def test_the_newest_that_may_be_given(vendor, model, running, best):
    assert newest(vendor, HELD, model, running) == best


def test_images_of_other_hardware_are_no_news():
    family = FamilyRules(title="x", known=(Version(version="66.86.0.15"), Version(version="67.90.0.1")))
    assert newest("yealink", family, "T46S", "66.84.0.1") == "66.86.0.15"
