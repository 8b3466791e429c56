"""Phones from a table and back, with all that is wrong: MAC, model, name, extension, number, location. Pure.

A row speaks of a phone's first line; what the table has no column for stays as it is.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from provisioner.dialing.extensions import LENGTHS, fault, free_extensions
from provisioner.errors import OperatorError
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.extensions import spans, taken, why_not
from provisioner.phones.identity import normal_mac, vendor_of_mac
from provisioner.phones.numbers import in_service
from provisioner.store.records import Line, Number, Phone, Practice, Snapshot

COLUMNS = ("mac", "model", "name", "extension", "number", "location")
TITLES = ("MAC", "Model", "Name", "Extension", "Number", "Location")
MAX_BYTES = 4 << 20
MAX_ROWS = 20_000
MAX_NAME = 60  # characters; no display shows more
MOST_NOTES = 20
SUGGESTED = 200  # wrong models that a likely one is looked for: the search is slow
_SPELLINGS = {
    "mac": "mac macaddress macid macaddr hwaddress hardwareaddress ethernetaddress deviceid serial serialnumber",
    "vendor": "vendor maker make manufacturer brand",
    "model": "model phonemodel devicemodel phonetype devicetype type phone device",
    "name": "name displayname fullname label user username person description desc callerid",
    "extension": "extension ext extn extensionnumber internal internalnumber line sipuser",
    "number": "number phonenumber telephone telephonenumber tel did didnumber direct directnumber directline"
    " publicnumber outsidenumber e164 callerid1",
    "location": "location locationid locationname",
}
_COLUMN = {spelling: column for column, words in _SPELLINGS.items() for spelling in words.split()}
_FORMULA = re.compile(r"[=+\-@]")
_SEPARATORS = (",", ";", "\t")
_BOMS = (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"))

Action = Literal["new", "change", "same", "wrong"]


class Row(msgspec.Struct, kw_only=True):
    """One row of the table, as it would be applied. `line`: of the file, from 1. `was`: what a change replaces.

    `location`: the id of one.
    """

    line: int
    mac: str
    vendor: str = ""
    model: str = ""
    name: str = ""
    extension: str = ""
    number: str = ""
    location: str = ""
    action: Action = "new"
    was: dict[str, str] = {}
    problems: list[str] = []


@dataclass
class Table:
    """What was read of a file: cells by column. `problems`: of the file as a whole; `notes`: what was left out."""

    rows: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Preview:
    """All that would come of a table. `length`: the digits that extensions get by it; 0: as they are."""

    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    length: int = 0

    @property
    def good(self) -> bool:
        """Whether it may be applied: nothing is wrong, and something would change."""
        return (
            not self.problems and not self.count("wrong") and bool(self.count("new") + self.count("change"))
        )

    def count(self, action: Action) -> int:
        """How many rows would do that."""
        return sum(row.action == action for row in self.rows)

    def first_problem(self) -> str:
        """One line for who cannot see the whole."""
        wrong = next((row for row in self.rows if row.problems), None)
        return next(iter(self.problems), f"line {wrong.line}: {wrong.problems[0]}" if wrong else "")


# reading


def decode(data: bytes) -> str:
    """The text of a file that a spreadsheet wrote: UTF-8, UTF-16 with a mark, else Windows' western code page."""
    for encoding, mark in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _separator(text: str) -> str:
    """The one that the first line has most of, outside of quotes."""
    head = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    return max(_SEPARATORS, key=head.count)


def _column(title: str) -> str:
    return _COLUMN.get(re.sub(r"[^a-z0-9]", "", title.lower()), "")


def parse(data: bytes) -> Table:
    """The rows of a CSV file. Never raises: what cannot be read is a problem of the table."""
    table = Table()
    if len(data) > MAX_BYTES:
        table.problems.append(f"The file is larger than {MAX_BYTES >> 20} MiB: import it in parts.")
        return table
    text = decode(data)
    if "\0" in text:
        table.problems.append("This is no table of text: save it as CSV, then import that.")
        return table
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    try:
        _read(reader, table)
    except csv.Error as error:
        table.problems.append(
            f"Line {reader.line_num} cannot be read ({error}): look for a quote that is not closed."
        )
    if not table.rows and not table.problems:
        table.problems.append("There is no phone in it: one row for each, below the names of the columns.")
    return table


def _read(reader: Any, table: Table) -> None:
    columns: list[str] | None = None
    start = 1
    for cells in reader:
        line, start = start, reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _columns(cells, table)
            if table.problems:
                return
            if normal_mac(cells[0]) is None:
                continue
        if len(table.rows) >= MAX_ROWS:
            table.problems.append(f"It has more than {MAX_ROWS} rows: import it in parts.")
            return
        given = {name: _cell(cell) for name, cell in zip(columns, cells, strict=False) if name}
        table.rows.append((line, given))


def _cell(text: str) -> str:
    """One cell without the blanks around it, and without the mark that keeps it from being a formula."""
    plain = re.sub(r"[ \u00a0]+", " ", text).strip()
    return plain[1:] if plain.startswith("'") and _FORMULA.match(plain[1:]) else plain


def _columns(cells: Sequence[str], table: Table) -> list[str]:
    """What each column holds, by the first row; without titles they are taken in our own order."""
    if normal_mac(cells[0]):
        table.notes.append(f"The columns have no names; they were taken as {', '.join(TITLES)}.")
        return list(COLUMNS)
    columns = [_column(cell) for cell in cells]
    left_out = [cell.strip() for cell, name in zip(cells, columns, strict=True) if not name and cell.strip()]
    if left_out:
        table.notes.append(f"Not used: {', '.join(left_out[:8])}.")
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        table.problems.append(f"Two columns hold the {twice[0]}: leave one of them out.")
    for name, title in zip(COLUMNS[:2], TITLES[:2], strict=True):
        if name not in columns:
            table.problems.append(
                f"No column is named {title}: the first row must name the columns, {', '.join(TITLES)}."
            )
    return columns


# judging


def model_named(catalogue: Catalogue, text: str, vendor: str, mac: str) -> tuple[str, Model] | None:
    """The maker and model that a cell names, with or without its maker."""
    makers = list(catalogue.vendors)
    first = text.lower().partition(" ")[0]
    named = vendor.lower() or next((m for m in makers if first in (m, {"polycom": "poly"}.get(m))), "")
    rest = text.partition(" ")[2] if named and not vendor and " " in text else text
    order = [named] if named in makers else sorted(makers, key=lambda m: m != vendor_of_mac(mac))
    for maker in order:
        for spelled in (text, rest, rest.upper().removeprefix("SIP-")):
            if known := catalogue.model(maker, spelled):
                return maker, known
    return None


class _Stock:
    """What the inventory holds, as judging a row needs it."""

    def __init__(self, snapshot: Snapshot, catalogue: Catalogue) -> None:
        self.snapshot = snapshot
        self.catalogue = catalogue
        self.suggestions: dict[tuple[str, str], str] = {}

    def likely(self, text: str, mac: str) -> str:
        """Models that somebody may have meant, in words; "" when none is near."""
        vendor = vendor_of_mac(mac)
        key = (vendor, text.lower())
        if key not in self.suggestions:
            if len(self.suggestions) >= SUGGESTED:
                return ""
            self.suggestions[key] = self._search(vendor, text.lower())
        return self.suggestions[key]

    def _search(self, vendor: str, text: str) -> str:
        """Compared without the maker, and without what all of its models have in common."""
        makers = [vendor] if vendor in self.catalogue.vendors else list(self.catalogue.vendors)
        names = {
            model.name.lower(): f"{maker.capitalize()} {model.name}"
            for maker in makers
            for model in self.catalogue.vendors[maker].models
        }
        wanted = re.sub(rf"^({'|'.join(makers)})\s+|^sip-", "", text)
        return ", ".join(names[name] for name in difflib.get_close_matches(wanted, list(names), 3, 0.6))


def e164(text: str) -> str:
    """A number as the inventory has it, from how people write it in North America; "" when it is none."""
    digits = re.sub(r"[\s().\-/]", "", text)
    plus, digits = digits.startswith("+"), digits.removeprefix("+")
    if not digits.isascii() or not digits.isdecimal() or not 7 < len(digits) < 16:
        return ""
    if not plus and len(digits) == 10:
        return f"+1{digits}"
    return f"+{digits}" if plus or (len(digits) == 11 and digits[0] == "1") else ""


def preview(table: Table, snapshot: Snapshot, catalogue: Catalogue, now: float) -> Preview:
    """What would come of `table` in this inventory, with every problem of every row. `now`: seconds since 1970."""
    stock = _Stock(snapshot, catalogue)
    found = Preview([_row(line, given, stock) for line, given in table.rows], table.problems, [*table.notes])
    if length := _first_length(found.rows, snapshot):
        found.length = length
        found.notes.append(f"All extensions will have {length} digits.")
        snapshot = msgspec.structs.replace(snapshot, practice=_of_length(snapshot.practice, length))
    found.notes += _strangers(found.rows)
    _duplicates(found.rows, snapshot)
    _extensions(found.rows, snapshot, now)
    _numbers(found.rows, snapshot)
    for row in found.rows:
        if row.problems:
            row.action = "wrong"
        elif row.mac in snapshot.phones:
            before = _before(row, snapshot)
            row.was = {name: value for name, value in before.items() if getattr(row, name) != value}
            row.action = "change" if row.was else "same"
    return found


def _cells(phone: Phone) -> dict[str, str]:
    line = phone.lines[0] if phone.lines else Line(extension="")
    return {"vendor": phone.vendor, "model": phone.model, "name": line.name, "extension": line.extension,
            "number": line.number, "location": phone.location}  # fmt: skip


def _row(line: int, given: dict[str, str], stock: _Stock) -> Row:
    """One row by itself; what is empty, or has no column, stays as it is at a phone that is known."""
    text = given.get("mac", "")
    mac = normal_mac(text) or ""
    row = Row(line=line, mac=mac or text[:40], problems=[])
    was = _before(row, stock.snapshot)
    if not mac:
        what = f"{text[:40]!r} is no MAC address" if text else "The MAC address is missing"
        row.problems.append(f"{what}: twelve hex digits, as on the phone's label.")
    _set_model(row, given, was, stock)
    row.name = given.get("name") or was["name"]
    if len(row.name) > MAX_NAME:
        row.problems.append(f"The name has more than {MAX_NAME} characters: shorten it.")
    if not row.name.isprintable():
        row.problems.append("The name has characters that cannot be shown: type it anew.")
    row.extension = given.get("extension") or was["extension"]
    _set_number(row, given.get("number", ""), was["number"])
    _set_location(row, given.get("location", ""), was["location"], stock.snapshot)
    return row


def _set_model(row: Row, given: dict[str, str], was: dict[str, str], stock: _Stock) -> None:
    text = given.get("model", "")
    if not text and was["model"]:
        row.vendor, row.model = was["vendor"], was["model"]
        return
    found = model_named(stock.catalogue, text, given.get("vendor", ""), row.mac)
    if found and found[0] == was["vendor"] and stock.catalogue.model(was["vendor"], was["model"]) == found[1]:
        row.vendor, row.model = was["vendor"], was["model"]  # however it is spelled there
    elif found:
        row.vendor, row.model = found[0], found[1].name
    elif not text:
        row.problems.append("The model is missing.")
    else:
        row.model = text[:MAX_NAME]
        near = stock.likely(row.model, row.mac)
        remedy = f"did you mean {near}?" if near else "see the list of models."
        row.problems.append(f"There is no model {row.model!r}: {remedy}")


def _set_number(row: Row, text: str, was: str) -> None:
    row.number = e164(text) if text else was
    if text and not row.number:
        row.number = text[:MAX_NAME]
        mangled = re.fullmatch(r"[\d.,]+[eE]\+?\d+", text)
        how = "a spreadsheet has mangled it: make the column text" if mangled else "write it as +14155550123"
        row.problems.append(f"{row.number!r} is no telephone number: {how}.")


def _set_location(row: Row, text: str, was: str, snapshot: Snapshot) -> None:
    """By the id of a location, or its name where there is one of it; a new phone without is where its number is."""
    number = snapshot.numbers.get(row.number)
    row.location = was or (number.location if number and row.mac not in snapshot.phones else "")
    if text in ("", was):
        return
    alike = [each.id for each in snapshot.locations.values() if each.name.casefold() == text.casefold()]
    found = [text] if text in snapshot.locations else alike
    if len(found) == 1:
        (row.location,) = found
    elif found:
        row.problems.append(f"{len(found)} locations are called {text}: write {' or '.join(sorted(found))}.")
    else:
        row.problems.append(
            f"There is no location {text[:MAX_NAME]!r}: see the list of locations, or leave it out."
        )


def _unchanged(row: Row, snapshot: Snapshot, name: str) -> bool:
    """Whether a phone that is known keeps what it has: then whatever it is, it is no news."""
    held = snapshot.phones.get(row.mac)
    return held is not None and _cells(held)[name] == getattr(row, name)


def _duplicates(rows: list[Row], snapshot: Snapshot) -> None:
    """What may be there once only, but is there twice: in the file, or in the file and the inventory."""
    macs = {row.mac for row in rows}
    held = {
        line.extension: phone.id
        for phone in snapshot.phones.values()
        for index, line in enumerate(phone.lines)
        if index or phone.id not in macs
    }
    for name, what in (("mac", "MAC address"), ("extension", "extension"), ("number", "number")):
        first: dict[str, Row] = {}
        for row in rows:
            value = getattr(row, name)
            before = first.setdefault(value, row)
            if not value or before is row or (name == "number" and _unchanged(row, snapshot, name)):
                continue
            row.problems.append(f"The {what} {value} is on line {before.line} too.")
    for row in rows:
        if row.extension in held:
            row.problems.append(f"The extension {row.extension} is that of {held[row.extension]}.")


def _strangers(rows: list[Row]) -> list[str]:
    """Phones whose MAC another maker gave out: a slip of the pen mostly, but no proof of one."""
    makers = [(row, vendor_of_mac(row.mac)) for row in rows if row.vendor]
    return [
        f"Line {row.line}: {row.mac} is a MAC address of {maker.capitalize()}, and the phone one of"
        f" {row.vendor.capitalize()}: look at its label."
        for row, maker in makers
        if maker not in ("", row.vendor)
    ][:MOST_NOTES]


def _first_length(rows: list[Row], snapshot: Snapshot) -> int:
    """How long the first extensions of a practice will be, by the table; 0 where they are as long already."""
    numbered = any(number.extension for number in snapshot.numbers.values())
    if numbered or snapshot.extensions() or snapshot.extension_ranges or snapshot.held_extensions:
        return 0
    given = {len(row.extension) for row in rows if row.extension}
    length = snapshot.practice.extension_length
    enough = len(rows) <= sum(1 for _ in free_extensions((), length))
    wanted = given or ({length} if enough else {max(LENGTHS)})
    (found,) = wanted if len(wanted) == 1 else (0,)
    return found if found in LENGTHS and found != length else 0


def _of_length(practice: Practice, length: int) -> Practice:
    return msgspec.structs.replace(practice, extension_length=length)


def _extensions(rows: list[Row], snapshot: Snapshot, now: float) -> None:
    """What cannot be given is a problem; who has none gets the next free one of its place and group."""
    used, length = {*snapshot.extensions()}, snapshot.practice.extension_length
    for row in rows:
        if not row.extension or _unchanged(row, snapshot, "extension"):
            continue
        held_here = row.extension in used  # by whom, is told with the duplicates
        why = (
            fault(row.extension, length, ()) if held_here else why_not(snapshot, row.extension, now, row.mac)
        )
        if why:
            row.problems.append(f"{why[0].upper()}{why[1:]}: choose another.")
    held = {*taken(snapshot, now), *(row.extension for row in rows if row.extension)}
    free: dict[tuple[str, str], Iterator[str]] = {}
    for row in rows:
        if not row.extension:
            phone = snapshot.phones.get(row.mac)
            where = row.location, phone.group if phone else ""
            if where not in free:
                free[where] = free_extensions(held, length, *spans(snapshot, *where))
            row.extension = next((each for each in free[where] if each not in held), "")
            held.add(row.extension)
            if not row.extension:
                row.problems.append(f"All extensions of {length} digits are in use.")


def _numbers(rows: list[Row], snapshot: Snapshot) -> None:
    """A number must be the practice's, and may not lead elsewhere."""
    macs = {row.mac for row in rows}
    for row in rows:
        if not row.number.startswith("+") or _unchanged(row, snapshot, "number"):
            continue
        number = snapshot.numbers.get(row.number)
        if number is None:
            row.problems.append(
                f"{row.number} is none of this practice's numbers: add it first, or leave it out."
            )
            continue
        if not in_service(number):
            row.problems.append(
                f"The emergency address of {row.number} is not registered: register it first, or leave it out."
            )
        if number.ring_group:
            row.problems.append(f"{row.number} rings the group {number.ring_group}: choose another.")
        holder = snapshot.line(number.extension) if number.extension else None
        if holder and holder[0].id not in macs and number.extension != row.extension:
            row.problems.append(f"{row.number} leads to extension {number.extension}: choose another.")
        if not row.name and row.mac not in snapshot.phones:
            row.name = number.label


# applying


def records(found: Preview, snapshot: Snapshot) -> Iterator[Practice | Phone | Number]:
    """What to put for a table that has no problem: phones, and the numbers that now lead elsewhere.

    Raises OperatorError when something is wrong with it.
    """
    if problem := found.first_problem():
        raise OperatorError(problem.rstrip("."), "nothing was imported; mend the table, then import it again")
    if found.length:
        yield _of_length(snapshot.practice, found.length)
    numbers = dict(snapshot.numbers)
    changed = [(row, _before(row, snapshot)) for row in found.rows if row.action in ("new", "change")]
    moved = [
        (row, old) for row, old in changed if (row.extension, row.number) != (old["extension"], old["number"])
    ]
    for _row, old in moved:
        number = numbers.get(old["number"])
        if number and number.extension == old["extension"]:
            numbers[number.id] = msgspec.structs.replace(number, extension="")
    for row, old in moved:
        number = numbers.get(row.number)
        ours = number and not number.ring_group and (row.number != old["number"] or not number.extension)
        if number and ours:
            numbers[number.id] = msgspec.structs.replace(number, extension=row.extension)
    for row, _old in changed:
        yield _phone(row, snapshot.phones.get(row.mac))
    yield from (number for name, number in numbers.items() if number != snapshot.numbers[name])


def _before(row: Row, snapshot: Snapshot) -> dict[str, str]:
    phone = snapshot.phones.get(row.mac)
    return _cells(phone) if phone else dict.fromkeys(("vendor", *COLUMNS[1:]), "")


def _phone(row: Row, before: Phone | None) -> Phone:
    line = Line(extension=row.extension, number=row.number, name=row.name)
    if before:
        lines = (line, *before.lines[1:])
        return msgspec.structs.replace(
            before, vendor=row.vendor, model=row.model, lines=lines, location=row.location
        )
    return Phone(id=row.mac, vendor=row.vendor, model=row.model, lines=(line,), location=row.location)


# writing


def export(phones: Iterable[Phone]) -> bytes:
    """The same table, in UTF-8 with a mark so that spreadsheets read names right; import takes it as it is."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(TITLES)
    for phone in phones:
        cells = _cells(phone)
        model = f"{phone.vendor.capitalize()} {phone.model}"
        writer.writerow([phone.id, model, *(_inert(cells[name]) for name in COLUMNS[2:])])
    return text.getvalue().encode("utf-8-sig")


def corrected(table: Table, cells: Mapping[int, Mapping[str, str]], left_out: Collection[int]) -> bytes:
    """The table as a file again, with other `cells` by line and column, and without the lines `left_out`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*TITLES, "Maker"])
    for line, given in table.rows:
        if line not in left_out:
            row = {**given, **cells.get(line, {})}
            writer.writerow([_inert(row.get(name, "")) for name in (*COLUMNS, "vendor")])
    return text.getvalue().encode("utf-8-sig")


def _inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; a telephone number may stay as it is."""
    return f"'{cell}" if _FORMULA.match(cell) and not e164(cell) else cell
