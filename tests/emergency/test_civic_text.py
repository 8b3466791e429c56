"""Addresses as people type them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.emergency import civic_tables as tables
from provisioner.emergency.civic import ELEMENTS, same, written
from provisioner.emergency.civic_text import parse

US = {"country": "US"}
SPRINGFIELD = {**US, "A1": "IL", "A3": "Springfield", "PC": "62701"}
MAIN = {**SPRINGFIELD, "HNO": "521", "PRD": "N", "RD": "Main", "STS": "ST"}
NEW_YORK = {**US, "A1": "NY", "A3": "New York"}
KING = {
    "country": "CA", "A1": "ON", "A3": "Toronto", "PC": "M5V 3C7",
    "HNO": "521", "RD": "King", "STS": "ST", "POD": "W",
}  # fmt: skip

READ = [
    ("521 N Main St, Springfield, IL 62701", MAIN),
    ("521 North Main Street\nSpringfield Illinois 62701", MAIN),
    ("521 n. main st.,springfield,il,62701", {**MAIN, "RD": "main", "A3": "springfield"}),
    ("521 N Main St, Suite 200\nSpringfield, IL 62701-1234\nUSA", {**MAIN, "UNIT": "200", "PC": "62701-1234"}),
    ("521 N Main St Ste 200, Springfield, IL 62701", {**MAIN, "UNIT": "200"}),
    ("521 N Main St Apt 4B, Springfield, IL 62701", {**MAIN, "UNIT": "APT 4B"}),
    ("521 N Main St Rear, Springfield, IL 62701", {**MAIN, "LOC": "REAR"}),
    ("521 N Main St, Basement, Springfield, IL 62701", {**MAIN, "FLR": "BSMT"}),
    ("521 N Main St, Bldg C Fl 2 Rm Exam 3, Springfield, IL 62701",
     {**MAIN, "BLD": "C", "FLR": "2", "ROOM": "Exam 3"}),
    ("Example Clinic\n3rd Floor Room 310\n521 N Main St\nSpringfield IL 62701",
     {**MAIN, "NAM": "Example Clinic", "FLR": "3", "ROOM": "310"}),
    ("521 N Main St, Second Floor, Springfield, IL 62701", {**MAIN, "FLR": "2"}),
    ("521A N Main St, Springfield, IL 62701", {**MAIN, "HNS": "A"}),
    ("521 1/2 N Main St, Springfield, IL 62701", {**MAIN, "HNS": "1/2"}),
    ("12 W 5th Avenue, New York NY", {**NEW_YORK, "HNO": "12", "PRD": "W", "RD": "5th", "STS": "AVE"}),
    ("90 Avenue of the Americas, New York, NY", {**NEW_YORK, "HNO": "90", "STP": "AVE", "RD": "of the Americas"}),
    ("100 E St SE, Washington, District of Columbia",
     {**US, "A1": "DC", "A3": "Washington", "HNO": "100", "RD": "E", "STS": "ST", "POD": "SE"}),
    ("100 N Court St, Reno, NV",
     {**US, "A1": "NV", "A3": "Reno", "HNO": "100", "PRD": "N", "RD": "Court", "STS": "ST"}),
    ("100 Pier Ave, Reno, NV", {**US, "A1": "NV", "A3": "Reno", "HNO": "100", "RD": "Pier", "STS": "AVE"}),
    ("521 King St W, Toronto ON M5V 3C7", KING),
    ("521 King Street West, Toronto, Ontario, m5v3c7, Canada", KING),
    ("1234 rue Sainte-Catherine Ouest, bureau 300, Montréal QC H3G 1P1",
     {"country": "CA", "A1": "QC", "A3": "Montréal", "PC": "H3G 1P1", "HNO": "1234", "STP": "RUE",
      "RD": "Sainte-Catherine", "POD": "O", "UNIT": "300"}),
    ("12 Avenue Road, Toronto, ON", {"country": "CA", "A1": "ON", "A3": "Toronto", "HNO": "12", "RD": "Avenue",
                                     "STS": "RD"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "civic"), READ)
def test_read_without_a_doubt(text: str, civic: dict[str, str]) -> None:
    parsed = parse(text)
    assert parsed.civic == civic
    assert parsed.doubts == ()


DOUBTED = [
    ("55 Broadway, Denver, CO", "STS", "no type of street"),
    ("521 N Main St #4B Bldg C, Springfield, IL", "UNIT", "not said what this is"),
    ("521 N Main St, South Wing, Springfield, IL", "LOC", "not said what this is"),
    ("521 N Main St Springfield IL 62701", "A3", "no comma"),
    ("Main St, Bartlett, TN", "RD", "no house number"),
    ("PO Box 12, Reno, NV 89501", "POBOX", "post box"),
    ("200-521 King St W, Toronto ON", "UNIT", "before the hyphen"),
    ("12-34 Main St, Queens, NY", "HNP", "two parts"),
    ("521 N Main St", "country", "which country"),
    ("", "country", "which country"),
    ("521 N Main St Suite 4, Suite 5, Reno, NV", "UNIT", "two of them"),
    ("521 N Main St Bldg, Reno, NV", "BLD", "missing"),
]


@pytest.mark.parametrize(("text", "element", "why"), DOUBTED)
def test_read_with_a_doubt_that_is_said(text: str, element: str, why: str) -> None:
    assert any(doubt.element == element and why in doubt.why for doubt in parse(text).doubts)


def test_d1_what_a_canadian_address_is_not() -> None:
    parsed = parse("521 King St W, Toronto ON M5V 3C7")
    assert (parsed.civic["A1"], parsed.civic["PC"]) == ("ON", "M5V 3C7")


WORD = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHé0123456789#-/.", min_size=1, max_size=8)
TYPED = st.lists(
    st.one_of(WORD, st.sampled_from(sorted(tables.units())), st.sampled_from("N St , IL 62701 \n".split(" ")))
)


@given(TYPED.map(" ".join))
def test_no_text_breaks_it_and_nothing_typed_is_lost(text: str) -> None:
    parsed = parse(text)
    assert set(parsed.civic) <= set(ELEMENTS)
    kept = re.sub(r"[^a-z0-9]", "", tables.fold(" ".join(parsed.civic.values())).lower())
    for digits in re.findall(r"\d+", text):
        assert digits in kept or digits in re.sub(r"\D", "", kept)


@given(
    number=st.integers(1, 99999),
    direction=st.sampled_from(["", "N", "SW"]),
    name=st.sampled_from(["Main", "Martin Luther King", "5th", "Oak", "Old Mill"]),
    suffix=st.sampled_from(["ST", "AVE", "BLVD", "PKWY"]),
    inside=st.sampled_from([{}, {"UNIT": "200"}, {"FLR": "3", "ROOM": "7"}, {"BLD": "A", "UNIT": "APT 4"}]),
)
def test_what_is_written_out_is_read_back(
    number: int, direction: str, name: str, suffix: str, inside: dict[str, str]
) -> None:
    civic = {**SPRINGFIELD, "HNO": str(number), "PRD": direction, "RD": name, "STS": suffix, **inside}
    lines = written(civic)
    text = f"{lines.street}, {lines.inside}\n{lines.city}, {lines.area} {lines.postal_code}"
    assert same(parse(text).civic, civic)
