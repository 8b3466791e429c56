"""Addresses in lines: made from civic elements, compared, and refused before a provider is asked."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from provisioner.emergency import postal
from provisioner.store.records import Postal

HOME = Postal(
    street="1200 N Harbor Way", inside="FL 2 RM 7", city="Reno", state="NV", postcode="89501", name="Clinic"
)


def test_lines_of_a_civic_address() -> None:
    civic = {"country": "US", "A1": "NV", "A3": "Reno", "PRD": "N", "RD": "Harbor", "STS": "Way", "HNO": "1200",
             "PC": "89501", "FLR": "2", "ROOM": "7"}  # fmt: skip
    assert postal.lines(civic, "Clinic") == HOME
    assert postal.lines({**civic, "NAM": "Hand & Foot #1"}, "Clinic").name == "Hand and Foot 1"
    assert len(postal.lines(civic, "A very long name of a practice, " * 3).name) <= 32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("street", "1200 NORTH HARBOR WAY"),
        ("street", "1200 n. harbor way"),
        ("inside", "FLOOR 2, ROOM 7"),
        ("city", "RENO"),
        ("postcode", "89501-1234"),
        ("name", "Another"),
    ],
)
def test_the_same_place_in_other_words(field: str, value: str) -> None:
    assert postal.same(HOME, replace(HOME, **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [("street", "1201 N Harbor Way"), ("street", "1200 S Harbor Way"), ("inside", "FL 3 RM 7"), ("city", "Sparks"),
     ("state", "CA"), ("postcode", "89502"), ("country", "CA")],
)  # fmt: skip
def test_another_place(field: str, value: str) -> None:
    (found,) = postal.difference(HOME, replace(HOME, **{field: value}))
    assert (found.field, found.theirs) == (field, value)


def test_nothing_is_not_a_place() -> None:
    assert not postal.same(None, None)
    assert not postal.same(HOME, None)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("street", "", "no street"),
        ("city", "", "no city"),
        ("street", "Harbor Way", "no house number"),
        ("street", "PO Box 12", "post office box"),
        ("street", "P. O. Box 12", "post office box"),
        ("street", "12 Post Office Box", "post office box"),
        ("street", "12 A & B Street", "no &"),
        ("street", "12 #4 Street", "no #"),
        ("city", "Re\x07no", "cannot be printed"),
        ("street", "1 " + "x" * 150, "150 characters"),
        ("inside", "x" * 61, "60 characters"),
    ],
)
def test_what_no_provider_takes(field: str, value: str, said: str) -> None:
    assert said in postal.fault(replace(HOME, **{field: value}), 150, 60)


def test_a_good_address_has_no_fault() -> None:
    assert postal.fault(HOME, 150, 60) == ""
    assert postal.text(HOME) == "1200 N Harbor Way, FL 2 RM 7, Reno NV 89501"
