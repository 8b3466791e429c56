"""Civic addresses: what is missing or wrong in them, how they are compared, and how they are written out."""

from __future__ import annotations

import pytest

from provisioner.emergency import civic, civic_tables
from provisioner.emergency.civic import Difference, Problem

CLINIC = {
    "country": "US",
    "A1": "IL",
    "A3": "Springfield",
    "PRD": "N",
    "RD": "Main",
    "STS": "ST",
    "HNO": "521",
    "PC": "62701",
}
TORONTO = {
    "country": "CA",
    "A1": "ON",
    "A3": "Toronto",
    "RD": "King",
    "STS": "ST",
    "POD": "W",
    "HNO": "521",
    "PC": "M5V 3C7",
}


def wrong(shared: bool = False, **changes: str) -> list[tuple[str, str]]:
    return [(each.element, each.what) for each in civic.problems({**CLINIC, **changes}, shared)]


@pytest.mark.parametrize("address", [CLINIC, TORONTO])
def test_nothing_is_wrong(address: dict[str, str]) -> None:
    assert civic.problems(address) == []


@pytest.mark.parametrize("name", civic.NEEDED)
def test_b22_what_must_be_there(name: str) -> None:
    assert (name, f"{civic.LABELS[name]} is missing") in wrong(**{name: " "})


def test_b22_an_empty_address_is_not_complete() -> None:
    assert {each.element for each in civic.problems({})} == set(civic.NEEDED)


@pytest.mark.parametrize("name", civic.WITHIN)
def test_b22_a_shared_building_needs_to_say_where_in_it(name: str) -> None:
    assert wrong(shared=True) == [("UNIT", "nothing says where in the building this is")]
    assert wrong(shared=True, **{name: "2"}) == []


D6 = [
    ({"RD": "PO Box", "HNO": "12"}, "RD", "post box"),
    ({"RD": "P.O. Box 12"}, "RD", "post box"),
    ({"RD": "P O Box 12"}, "RD", "post box"),
    ({"RD": "pob 12"}, "RD", "post box"),
    ({"LOC": "Post Office Box 7"}, "RD", "post box"),
    ({"RD": "APDO 4"}, "RD", "post box"),
    ({"RD": "Apartado Postal 4"}, "RD", "post box"),
    ({"RD": "Case postale 4"}, "RD", "post box"),
    ({"POBOX": "12"}, "RD", "post box"),
    ({"HNO": ""}, "HNO", "missing"),
    ({"HNO": "none"}, "HNO", "no digit"),
    ({"NAM": "Example\x07Clinic"}, "NAM", "cannot be printed"),
    ({"RD": "Main\ud800"}, "RD", "cannot be printed"),
    ({"NAM": "Smith & Sons"}, "NAM", "one of & @ #"),
    ({"RD": "Main #4"}, "RD", "one of & @ #"),
    ({"RD": "Main @ 4th"}, "RD", "one of & @ #"),
    ({"HNO": "1234567"}, "HNO", "longer than 6"),
    ({"NAM": "x" * 51}, "NAM", "longer than 50"),
    ({"A1": "ZZ"}, "A1", "US has no ZZ"),
    ({"country": "MX"}, "country", "neither US nor CA"),
    ({"PC": "6270"}, "PC", "not a postal code of US"),
    ({"PC": "62701-12"}, "PC", "not a postal code of US"),
    ({"country": "CA", "A1": "ON", "PC": "D5V 3C7"}, "PC", "not a postal code of CA"),
    ({"country": "CA", "A1": "IL", "PC": "M5V 3C7"}, "A1", "CA has no IL"),
    ({"street": "Main"}, "street", "no element street"),
]


@pytest.mark.parametrize(("changes", "element", "words"), D6)
def test_d6_is_refused_before_a_provider_is_asked(changes: dict[str, str], element: str, words: str) -> None:
    found = civic.problems({**CLINIC, **changes})
    assert [each for each in found if each.element == element and words in each.what and each.blocks]


@pytest.mark.parametrize("name", ["Box Canyon", "Post", "Case", "Poplar", "Cp", "Postal Annex"])
def test_d6_streets_that_only_sound_like_a_post_box(name: str) -> None:
    assert wrong(RD=name) == []


@pytest.mark.parametrize(
    ("changes", "area"),
    [({"PC": "90210"}, "Illinois"), ({"country": "CA", "A1": "QC", "PC": "M5V 3C7"}, "Quebec")],
)
def test_d3_a_postal_code_of_elsewhere_is_shown_and_does_not_block(
    changes: dict[str, str], area: str
) -> None:
    (problem,) = civic.problems({**CLINIC, **changes})
    assert (problem.element, problem.blocks) == ("PC", False)
    assert area in problem.what


def test_every_problem_says_what_to_do() -> None:
    found = [each for changes, _, _ in D6 for each in civic.problems({**CLINIC, **changes})]
    assert all(isinstance(each, Problem) and each.remedy.endswith(".") for each in found)


# comparing


SAME = [
    ({"STS": "Street"}, {"STS": "ST"}),
    ({"PRD": "North"}, {"PRD": "N"}),
    ({"RD": "main"}, {"RD": "MAIN"}),
    ({"RD": "St. Rémi's"}, {"RD": "ST REMIS"}),
    ({"RD": "Fifth"}, {"RD": "5TH"}),
    ({"A1": "Illinois"}, {"A1": "IL"}),
    ({"PC": "62701"}, {"PC": "62701-0001"}),
    ({"UNIT": "Suite 200"}, {"UNIT": "200"}),
    ({"UNIT": "Apartment 4b"}, {"UNIT": "APT 4B"}),
    ({"FLR": "2nd Floor"}, {"FLR": "2"}),
    ({"FLR": "Second"}, {"FLR": "2"}),
    ({"FLR": "Floor 2"}, {"FLR": "FL 2"}),
    ({"FLR": "Basement"}, {"FLR": "BSMT"}),
    ({"BLD": "Building C"}, {"BLD": "C"}),
    ({"ROOM": "Rm 7"}, {"ROOM": "7"}),
    ({"UNIT": "hangar 3"}, {"UNIT": "HGNR 3"}),
]


@pytest.mark.parametrize(("ours", "theirs"), SAME)
def test_one_place_in_two_forms(ours: dict[str, str], theirs: dict[str, str]) -> None:
    assert civic.same({**CLINIC, **ours}, {**CLINIC, **theirs})
    assert {each.kind for each in civic.difference({**CLINIC, **ours}, {**CLINIC, **theirs})} == {"form"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"UNIT": "200"}, {"UNIT": "APT 200"}),
        ({"PRD": "N"}, {"PRD": "S"}),
        ({"A3": "Bartlett"}, {"A3": "Memphis"}),
        ({"FLR": "2"}, {"FLR": "12"}),
        ({"RD": "Main"}, {"RD": "Maine"}),
        ({"HNS": ""}, {"HNS": "A"}),
    ],
)
def test_two_places(ours: dict[str, str], theirs: dict[str, str]) -> None:
    assert not civic.same({**CLINIC, **ours}, {**CLINIC, **theirs})


def test_canadian_words_compare() -> None:
    french = {"country": "CA", "STP": "Rue", "POD": "Ouest", "PC": "h3g 1p1", "A1": "Québec"}
    assert civic.same(french, {"country": "CA", "STP": "RUE", "POD": "O", "PC": "H3G1P1", "A1": "QC"})


def test_b28_the_providers_correction_is_a_difference_to_approve() -> None:
    ours = {
        **CLINIC,
        "A1": "TN",
        "A3": "Bartlett",
        "STS": "Street",
        "UNIT": "5",
        "LOC": "Rear",
        "PC": "38133",
    }
    theirs = {
        **CLINIC,
        "A1": "TN",
        "A3": "MEMPHIS",
        "STS": "ST",
        "UNIT": "5",
        "A2": "Shelby",
        "PC": "38133-1234",
    }
    assert civic.difference(ours, theirs) == (
        Difference("A2", "County", "", "Shelby", "added", False),
        Difference("A3", "City", "Bartlett", "MEMPHIS", "changed", True),
        Difference("STS", "Street type", "Street", "ST", "form", False),
        Difference("LOC", "Where in it", "Rear", "", "removed", False),
        Difference("PC", "Postal code", "38133", "38133-1234", "form", False),
    )
    approved = civic.approve(ours, theirs, ["A3", "A2"])
    assert approved == {**civic.tidy(ours), "A2": "Shelby", "A3": "MEMPHIS"}
    assert civic.approve(ours, theirs, ["LOC"]).keys() == ours.keys() - {"LOC"}


def test_equal_addresses_have_no_difference() -> None:
    assert civic.difference(CLINIC, {**CLINIC, "LMK": " "}) == ()


# writing out


@pytest.mark.parametrize(
    ("changes", "street", "inside"),
    [
        ({}, "521 N Main ST", ""),
        ({"HNS": "A"}, "521A N Main ST", ""),
        ({"HNS": "1/2"}, "521 1/2 N Main ST", ""),
        ({"HNP": "N6W", "HNO": "23001"}, "N6W23001 N Main ST", ""),
        ({"BLD": "A", "FLR": "3", "ROOM": "7"}, "521 N Main ST", "BLDG A FL 3 RM 7"),
        ({"UNIT": "200"}, "521 N Main ST", "STE 200"),
        ({"UNIT": "APT 4", "FLR": "BSMT"}, "521 N Main ST", "BSMT APT 4"),
        ({"UNIT": "OFC", "LOC": "South Wing"}, "521 N Main ST", "OFC South Wing"),
        ({"STP": "RUE", "STS": "", "PRD": "", "POD": "O"}, "521 RUE Main O", ""),
    ],
)
def test_b80_lines_of_a_form(changes: dict[str, str], street: str, inside: str) -> None:
    lines = civic.written({**CLINIC, **changes})
    assert (lines.street, lines.inside) == (street, inside)
    assert (lines.city, lines.area, lines.postal_code, lines.country) == ("Springfield", "IL", "62701", "US")


def test_the_name_is_a_line_of_its_own() -> None:
    assert civic.written({**CLINIC, "NAM": "Example Clinic"}).name == "Example Clinic"


# tables


def test_b81_designators_and_whether_a_value_follows() -> None:
    units = {unit.word: unit.value for unit in civic_tables.units().values()}
    assert {word for word, value in units.items() if value == "must"} >= set(
        "APT BLDG DEPT FL HNGR KEY LOT PIER RM SLIP SPC STOP STE TRLR UNIT".split()
    )
    assert {word for word, value in units.items() if value != "must"} == set(
        "BSMT FRNT LBBY LOWR OFC PH REAR SIDE UPPR".split()
    )


def test_every_area_is_there() -> None:
    assert len(civic_tables.areas("US")) == 50 + 6  # the District, and five territories
    assert len(civic_tables.areas("CA")) == 13
    assert civic_tables.areas("MX") == {}


@pytest.mark.parametrize("country", civic_tables.COUNTRIES)
def test_no_word_of_the_post_means_two_things(country: str) -> None:
    for kind in ("suffixes", "directionals"):
        rows = civic_tables._tables()[country.lower()][kind]
        each = [{civic_tables.fold(word) for word in (key, *text.split())} for key, text in rows.items()]
        words = [word for row in each for word in row]
        assert sorted({word for word in words if words.count(word) > 1}) == []
