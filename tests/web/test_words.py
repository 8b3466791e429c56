"""Numbers, times and addresses as people read them."""

from __future__ import annotations

import pytest

from provisioner.web import words


@pytest.mark.parametrize(
    ("value", "said"),
    [("+14155550101", "(415) 555-0101"), ("+525512345678", "+525512345678"), ("101", "101"), ("", "")],
)
def test_number(value, said):
    assert words.number(value) == said


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (0, "just now"),
        (-3, "just now"),
        (5, "5 s ago"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (172800, "2 d ago"),
    ],
)
def test_ago(age, said):
    assert words.ago(1000000 - age, 1000000) == said


def test_never():
    assert words.ago(None, 1000000) == "never"


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, ""), (0, "0:00"), (75.9, "1:15"), (3661, "1:01:01"), (-1, "0:00")]
)
def test_duration(seconds, said):
    assert words.duration(seconds) == said


def test_clock_is_the_practices():
    zone = words.zone("America/Los_Angeles")
    assert words.clock(1790000000, 1790000060, zone) == "07:13:20"
    assert words.clock(1790000000, 1790090000, zone) == "Sep 21, 07:13"
    assert words.stamp(1790000000, zone) == "2026-09-21T07:13:20-07:00"


@pytest.mark.parametrize("name", ["Nowhere/Town", "", "../../etc"])
def test_a_zone_nobody_knows_is_utc(name):
    assert words.zone(name).key == "UTC"


def test_civic_address():
    civic = {
        "HNO": "12",
        "PRD": "N",
        "RD": "Main",
        "STS": "St",
        "FLR": "2",
        "ROOM": "204",
        "A3": "Reno",
        "A1": "NV",
    }
    assert words.civic(civic) == "12 N Main St, floor 2, room 204, Reno NV"
