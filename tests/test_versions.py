"""Versions are compared as each maker counts."""

from __future__ import annotations

import pytest

from provisioner.versions import key, same_image, within


@pytest.mark.parametrize(
    ("vendor", "older", "newer"),
    [
        ("polycom", "5.9.7.4477", "5.9.7.47435"),
        ("polycom", "4.4.0", "4.4.0B"),
        ("polycom", "5.9.7.4477", "5.10.0"),
        ("grandstream", "1.0.9.3", "1.0.11.85"),
        ("yealink", "66.85.0.5", "66.86.0.15"),
        ("yealink", "124.85.257.55", "66.86.0.15"),
        ("yealink", "66.85.0.5", "86.0.0"),
    ],
)
def test_older_and_newer(vendor: str, older: str, newer: str) -> None:
    assert key(vendor, older) < key(vendor, newer)
    assert within(vendor, older, "", newer)
    assert not within(vendor, newer, "", newer)
    assert within(vendor, newer, newer, "")
    assert not within(vendor, older, newer, "")


@pytest.mark.parametrize("text", ["", "new", "1..2", "v5", "5.9.7.4477 beta"])
def test_no_version(text: str) -> None:
    assert key("polycom", text) == ((), "")
    assert not within("polycom", text, "", "")


def test_one_image() -> None:
    assert same_image("yealink", "66.85.0.5", "66.86.0.15")
    assert not same_image("yealink", "66.85.0.5", "108.86.0.15")
    assert same_image("polycom", "4.0.15.1009", "5.9.7.4477")
