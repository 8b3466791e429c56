"""Phones as a table: every spelling that spreadsheets write, every problem at once, and back again the same."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import OperatorError
from provisioner.phones.bulk import MAX_BYTES, MAX_ROWS, Preview, e164, export, parse, preview, records
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.importing import apply
from provisioner.store.inventory import Inventory
from provisioner.store.records import Line, Location, Number, Phone, Practice, Snapshot

CATALOGUE = Catalogue()
NOW = 1_790_000_000.0
HEAD = "MAC,Model,Name,Extension,Number\n"
LAB = Phone(
    id="001565000102",
    vendor="yealink",
    model="T46S",
    lines=(Line(extension="102", number="+14155550102", name="Lab"), Line(extension="112", name="Lab 2")),
    location="lab",
)
DESK = Phone(
    id="0004f2000101", vendor="polycom", model="VVX 411", lines=(Line(extension="101", name="Desk"),)
)
NUMBERS = (
    Number(id="+14155550100", label="Main", ring_group="all", address_status="registered"),
    Number(id="+14155550102", label="Lab", extension="102", location="lab", address_status="registered"),
    Number(id="+14155550103", label="Room 3", location="lab", address_status="registered"),
    Number(id="+14155550104", label="Room 4", extension="104", address_status="registered"),
)


def practice(*phones: Phone, length: int = 3) -> Snapshot:
    return Snapshot(
        revision=7,
        practice=Practice(id="practice", name="x", main_number="+14155550100", extension_length=length),
        phones={phone.id: phone for phone in phones or (LAB, DESK)},
        numbers={number.id: number for number in NUMBERS},
    )


def judged(text: str | bytes, snapshot: Snapshot | None = None) -> Preview:
    data = text if isinstance(text, bytes) else text.encode()
    return preview(parse(data), snapshot or practice(), CATALOGUE, NOW)


def problems(rows: str, snapshot: Snapshot | None = None) -> list[list[str]]:
    return [row.problems for row in judged(HEAD + rows, snapshot).rows]


def test_new_phone() -> None:
    found = judged(HEAD + "00:15:65:00:01:99,T46S,Room 3,103,(415) 555-0103\n")
    (row,) = found.rows
    assert (row.mac, row.vendor, row.model) == ("001565000199", "yealink", "T46S")
    assert (row.name, row.extension, row.number) == ("Room 3", "103", "+14155550103")
    assert (row.action, row.problems, row.line, found.good) == ("new", [], 2, True)


@pytest.mark.parametrize(
    "text",
    [
        "001565000199,T46S,Ann,103,",
        "MAC Address;Phone Model;Display Name;Ext.;DID\n00-15-65-00-01-99;yealink t46s;Ann;103;",
        "mac\tmodel\tname\textension\tnumber\n0015.6500.0199\tSIP-T46S\tAnn\t103\t",
        "\n\nExtension,Label,Building,MAC ID,Device Type\n103,Ann,North,00 15 65 00 01 99,Yealink SIP-T46S\n\n",
        'mac,"the ""Model"", please",model,user,extn\r\n001565000199,x,"T46S","Ann",103\r\n',
        "vendor,mac,model,name,extension\nYealink,001565000199,t46s,'Ann,103\n".replace("'", ""),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_spellings(text: str, encoding: str) -> None:
    found = judged(text.encode(encoding))
    assert not found.problems
    (row,) = found.rows
    assert (row.mac, row.vendor, row.model, row.name, row.extension, row.problems) == (
        *("001565000199", "yealink", "T46S", "Ann", "103"), []
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_names_of_people(encoding: str) -> None:
    found = judged((HEAD + '001565000199,T46S,"Núñez, Zoë (Lab)",103,').encode(encoding))
    assert found.rows[0].name == "Núñez, Zoë (Lab)"


def test_columns_that_are_not_used_are_named() -> None:
    assert judged("mac,model,room,name\n001565000199,T46S,7,Ann").notes == ["Not used: room."]
    assert "taken as MAC, Model" in judged("001565000199,T46S,Ann,103,").notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no phone in it"),
        (HEAD.encode(), "no phone in it"),
        (b"name,extension\nAnn,103", "No column is named MAC"),
        (b"mac,mac address,model\n1,2,3", "Two columns hold the mac"),
        (b'mac,model\n"001565000199,T46S\n', "quote that is not closed"),
        (b"PK\x03\x04\0\0", "no table of text"),
        (b"x" * (MAX_BYTES + 1), "larger than 4 MiB"),
        (HEAD.encode() + b"001565000199,T46S,,,\n" * (MAX_ROWS + 1), "more than 20000 rows"),
    ],
)
def test_files_that_cannot_be_read(data: bytes, words: str) -> None:
    found = judged(data)
    assert words in found.problems[0]
    assert not found.good


def test_all_problems_of_a_row_at_once() -> None:
    (found,) = problems("00156500019,T46X,Ann\x07,911,555\n")
    assert [words for words in ("no MAC", "no model 'T46X'", "cannot be shown", "911", "no telephone number")
            if not any(words in problem for problem in found)] == []  # fmt: skip
    assert len(found) == 5


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",T46S,,,", "MAC address is missing"),
        ("001565000199,,,,", "model is missing"),
        ("001565000199,T46,,,", "did you mean Yealink T46"),
        ("0004f2000199,vvx 41,,,", "did you mean Polycom VVX 411"),
        ("001565000199,toaster,,,", "see the list of models"),
        ("001565000199,T46S," + "x" * 61 + ",,", "more than 60 characters"),
        ("001565000199,T46S,,10a,", "digits only"),
        ("001565000199,T46S,,1003,", "has not the 3 digits"),
        ("001565000199,T46S,,911,", "911 begins with 9"),
        ("001565000199,T46S,,411,", "service code 411"),
        ("001565000199,T46S,,905,", "begins with 9"),
        ("001565000199,T46S,,101,", "is that of 0004f2000101"),
        ("001565000199,T46S,,988,", "988 begins with 9"),
        ("001565000199,T46S,,112,", "112 collides with the code 112"),
        ("001565000199,T46S,,103,+14155559999", "none of this practice's numbers"),
        ("001565000199,T46S,,103,4155550100", "rings the group all"),
        ("001565000199,T46S,,103,4155550102", "leads to extension 102"),
        ("001565000199,T46S,,103,1.41556E+10", "mangled"),
        ("001565000199,T46S,,103,12", "write it as"),
    ],
)
def test_one_problem(row: str, words: str) -> None:
    assert words in " ".join(problems(row)[0])


def test_duplicates_name_the_other_line() -> None:
    rows = "001565000199,T46S,,103,4155550103\n001565000199,T46S,,103,4155550103\n"
    assert problems(rows) == [
        [],
        [
            "The MAC address 001565000199 is on line 2 too.",
            "The extension 103 is on line 2 too.",
            "The number +14155550103 is on line 2 too.",
        ],
    ]


def test_line_numbers_are_those_of_the_file() -> None:
    found = judged(HEAD + '001565000199,T46S,"two\nlines",103,\n\n001565000198,T46S,,,\n')
    assert [row.line for row in found.rows] == [2, 5]


def test_extension_of_a_number_without_a_phone_may_be_taken() -> None:
    assert problems("001565000199,T46S,,104,4155550104\n") == [[]]
    assert problems("001565000199,T46S,,103,4155550104\n") == [[]]


def test_next_free_extension_that_no_row_wants() -> None:
    found = judged(HEAD + "001565000199,T46S,,,\n001565000198,T46S,,100,\n001565000197,T46S,,,\n")
    assert [row.extension for row in found.rows] == ["103", "100", "104"]


def test_known_phone() -> None:
    text = HEAD + "001565000102,,Laboratory,,\n0004f2000101,,,,\n"
    lab, desk = judged(text).rows
    assert (lab.action, lab.name, lab.extension, lab.was) == ("change", "Laboratory", "102", {"name": "Lab"})
    assert (desk.action, desk.was) == ("same", {})


def test_model_that_the_inventory_spells_otherwise_is_the_same() -> None:
    desk = msgspec.structs.replace(DESK, model="vvx_411")
    assert judged(HEAD + "0004f2000101,Polycom VVX 411,Desk,101,\n", practice(desk)).rows[0].action == "same"
    assert judged(export([desk]), practice(desk)).rows[0].action == "same"
    other = judged(HEAD + "0004f2000101,VVX 500,,,\n", practice(desk)).rows[0]
    assert (other.action, other.was) == ("change", {"model": "vvx_411"})


def test_phones_may_change_places() -> None:
    snapshot = practice()
    found = judged(HEAD + "001565000102,,,101,\n0004f2000101,,,102,4155550102\n001565000102,,,,\n", snapshot)
    assert found.rows[2].problems
    found = judged(HEAD + "001565000102,,,101,4155550103\n0004f2000101,,,102,4155550102\n", snapshot)
    assert [row.problems for row in found.rows] == [[], []]


def empty(length: int = 3, **more: Any) -> Snapshot:
    whole = practice(length=length)
    return Snapshot(revision=7, practice=whole.practice, **more)


@pytest.mark.parametrize(
    ("rows", "snapshot", "length"),
    [
        (["1234", "2345"], empty(), 4),
        (["123", ""], empty(4), 3),
        (["123", "1234"], empty(), 0),
        (["12345"], empty(), 0),
        (["123"], empty(), 0),
        ([""] * 700, empty(), 0),
        ([""] * 800, empty(), 4),
        (["1234"], practice(), 0),
        (["1234"], empty(numbers={each.id: each for each in NUMBERS}), 0),
    ],
)
def test_the_first_extensions_decide_their_length(rows: list[str], snapshot: Snapshot, length: int) -> None:
    text = HEAD + "".join(f"001565{at:06x},T46S,,{extension},\n" for at, extension in enumerate(rows))
    found = judged(text, snapshot)
    assert found.length == length
    if length:
        assert found.good
        assert found.notes == [f"All extensions will have {length} digits."]
        assert {len(row.extension) for row in found.rows} == {length}


def test_a_mac_of_another_maker_is_told() -> None:
    found = judged(HEAD + "0015650001ff,VVX 411,,,\n0004f20001ff,VVX 411,,,\n0200000001ff,VVX 411,,,\n")
    assert found.good
    assert found.notes == [
        "Line 2: 0015650001ff is a MAC address of Yealink, and the phone one of Polycom: look at its label."
    ]


def test_nothing_to_do_is_not_good() -> None:
    assert not judged(HEAD + "001565000102,T46S,Lab,102,4155550102\n").good


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+14155550101", "+14155550101"),
        ("(415) 555-0101", "+14155550101"),
        ("415.555.0101", "+14155550101"),
        ("14155550101", "+14155550101"),
        ("+44 20 7946 0018", "+442079460018"),
        ("24155550101", ""),
        ("5550101", ""),
        ("x", ""),
        ("٤١٥٥٥٥٠١٠١", ""),
    ],
)
def test_numbers(text: str, number: str) -> None:
    assert e164(text) == number


def test_export_comes_back_the_same() -> None:
    data = export([LAB, DESK])
    assert data.decode("utf-8-sig").splitlines() == [
        "MAC,Model,Name,Extension,Number,Location",
        "001565000102,Yealink T46S,Lab,102,+14155550102,lab",
        "0004f2000101,Polycom VVX 411,Desk,101,,",
    ]
    assert [row.action for row in judged(data).rows] == ["same", "same"]


ROOMS = {
    each.id: each
    for each in (
        Location(id="lab", name="Laboratory", civic={"ROOM": "1"}),
        Location(id="a-2", name="Room 2", civic={"ROOM": "2"}),
        Location(id="b-2", name="room 2", civic={"ROOM": "2"}),
    )
}


@pytest.mark.parametrize(
    ("cells", "location"),
    [
        ("001565000199,T46S,Ann,103,,lab", "lab"),
        ("001565000199,T46S,Ann,103,,laboratory", "lab"),
        ("001565000199,T46S,Ann,103,4155550103,a-2", "a-2"),
        ("001565000199,T46S,Ann,103,4155550103,", "lab"),
        ("001565000199,T46S,Ann,103,,", ""),
        ("0004f2000101,VVX 411,Desk,101,,LABORATORY", "lab"),
        ("001565000102,T46S,Lab,102,,", "lab"),
        ("001565000199,T46S,Ann,103,,Room 2", "2 locations are called Room 2: write a-2 or b-2."),
        ("001565000199,T46S,Ann,103,,Moon", "There is no location 'Moon': see the list of locations"),
    ],
)
def test_where_a_phone_is(cells: str, location: str) -> None:
    snapshot = msgspec.structs.replace(practice(), locations=ROOMS)
    found = judged(f"{HEAD.strip()},Location\n{cells}", snapshot)
    (row,) = found.rows
    if row.problems:
        assert row.problems[0].startswith(location), row.problems
        assert location
    else:
        assert row.location == location
        phone = next((each for each in records(found, snapshot) if isinstance(each, Phone)), None)
        assert (phone or snapshot.phones[row.mac]).location == location


@given(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60).filter(
        lambda n: n[0] != "'"
    )
)
def test_any_name_comes_back_and_is_no_formula(name: str) -> None:
    line = Line(extension="101", name=name)
    desk = msgspec.structs.replace(DESK, lines=(line,))
    data = export([desk])
    assert judged(data, practice(desk)).rows[0].action == "same"
    cell = list(csv.reader(data.decode("utf-8-sig").splitlines()))[1][2]
    assert cell[0] not in "=+-@" or e164(name)


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(data: bytes) -> None:
    found = judged(data)
    assert found.rows or found.problems


@given(
    st.lists(
        st.lists(
            st.sampled_from(["001565000199", "T46S", "103", "+14155550103", "=x", "", '"', "\n", ";"]),
            max_size=6,
        )
    )
)
def test_any_cells_are_judged(rows: list[list[str]]) -> None:
    found = judged(HEAD + "\n".join(",".join(row) for row in rows))
    assert all(row.action == "wrong" for row in found.rows if row.problems)


def test_ten_thousand_rows() -> None:
    """All are judged, those beyond the extensions there are too."""
    rows = "".join(f"0015{number:08x},X{number},Room {number},,\n" for number in range(10_000))
    found = judged(HEAD + rows)
    assert len(found.rows) == 10_000
    assert all(row.problems for row in found.rows)
    assert "All extensions of 3 digits are in use." in found.rows[-1].problems


# into the inventory


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    inventory = Inventory.open(tmp_path / "inventory.db", clock=lambda: 1000.0)
    snapshot = practice()
    with inventory.change("test") as change:
        for record in (snapshot.practice, *snapshot.phones.values(), *snapshot.numbers.values()):
            change.put(record)
    yield inventory
    inventory.close()


def put(inventory: Inventory, rows: str, **more: Any) -> Preview:
    counter = itertools.count()
    choose = lambda alphabet: alphabet[next(counter) % len(alphabet)]  # noqa: E731
    return apply(inventory, parse((HEAD + rows).encode()), "Kim", CATALOGUE, choose, lambda: 5000.0, **more)


def test_import_is_one_change(inventory: Inventory) -> None:
    before = inventory.snapshot_revision()
    put(
        inventory,
        "001565000199,T46S,,103,4155550103\n001565000102,,Laboratory,105,4155550102\n0004f2000101,,,,\n",
    )
    snapshot = inventory.snapshot()
    assert snapshot.revision == before + 1
    assert snapshot.phones["001565000199"] == Phone(
        id="001565000199",
        vendor="yealink",
        model="T46S",
        lines=(Line(extension="103", number="+14155550103", name="Room 3"),),
        location="lab",
    )
    lab = snapshot.phones["001565000102"]
    assert lab.lines == (
        Line(extension="105", number="+14155550102", name="Laboratory"),
        Line(extension="112", name="Lab 2"),
    )
    assert lab.location == "lab"
    leads = {number.id: number.extension for number in snapshot.numbers.values()}
    assert leads == {
        "+14155550100": "", "+14155550102": "105", "+14155550103": "103", "+14155550104": "104"
    }  # fmt: skip
    secret = snapshot.credentials["001565000199"]
    assert (secret.lines[0].auth_user, secret.welcome_until) == ("001565000199", 5000.0 + 86400)
    assert {row.who for row in inventory.audit() if row.revision == snapshot.revision} == {"Kim"}


def test_numbers_follow_phones_that_change_places(inventory: Inventory) -> None:
    put(inventory, "001565000102,,,101,4155550103\n0004f2000101,,,102,4155550102\n")
    numbers = inventory.snapshot().numbers
    assert (numbers["+14155550102"].extension, numbers["+14155550103"].extension) == ("102", "101")


def test_number_that_a_phone_gave_up_leads_nowhere(inventory: Inventory) -> None:
    put(inventory, "001565000102,,,,4155550103\n")
    numbers = inventory.snapshot().numbers
    assert (numbers["+14155550102"].extension, numbers["+14155550103"].extension) == ("", "102")


def test_new_name_leaves_numbers_alone(inventory: Inventory) -> None:
    with inventory.change("test") as change:
        change.put(msgspec.structs.replace(NUMBERS[1], extension=""))
    put(inventory, "001565000102,,Laboratory,,\n")
    assert inventory.snapshot().numbers["+14155550102"].extension == ""


def test_one_problem_stops_all(inventory: Inventory) -> None:
    before = inventory.snapshot()
    with pytest.raises(OperatorError, match=r"line 3: There is no model 'T99'.*nothing was imported"):
        put(inventory, "001565000199,T46S,,103,\n001565000198,T99,,,\n")
    with pytest.raises(OperatorError, match="No column is named"):
        apply(inventory, parse(b"name\nAnn"), "Kim", CATALOGUE)
    assert inventory.snapshot() == before


def test_the_first_phones_bring_the_length_of_extensions(tmp_path: Path) -> None:
    inventory = Inventory.open(tmp_path / "new.db")
    with inventory.change("test") as change:
        change.put(practice().practice)
    put(inventory, "001565000199,T46S,,1034,\n")
    after = inventory.snapshot()
    inventory.close()
    assert (after.practice.extension_length, after.extensions()) == (4, ["1034"])


def test_import_needs_a_practice(tmp_path: Path) -> None:
    inventory = Inventory.open(tmp_path / "new.db")
    with pytest.raises(OperatorError, match="set up the practice"):
        put(inventory, "001565000199,T46S,,103,\n")
    inventory.close()
