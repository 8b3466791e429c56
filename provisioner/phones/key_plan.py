"""The keys of a phone as they lie beside its display: columns, pages and expansion modules, with what each shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from provisioner.phones.catalogue import Catalogue
from provisioner.store.records import Key, Phone, PhoneGroup, Snapshot

Source = Literal["own", "group", "phone", "empty"]


class Place(NamedTuple):
    """One place for a key. `position`: as in Key; `number`: on the phone or its module; `module`: 0 for the phone.

    `shown`: what the display says beside it; `source`: whose key it is: the phone's own, its group's, or what the
    phone does there by itself.
    """

    position: int
    module: int
    number: int
    key: Key | None
    group: Key | None
    shown: str
    source: Source

    @property
    def acts(self) -> Key | None:
        """The key that is in force."""
        return self.key or self.group


class Sheet(NamedTuple):
    """What is seen at once: the keys at the left and at the right, from top to bottom."""

    left: list[Place]
    right: list[Place]


class Block(NamedTuple):
    """The phone (`module` 0) or one of its modules, by name, with its pages."""

    module: int
    name: str
    sheets: list[Sheet]


def blocks(snapshot: Snapshot, phone: Phone, held: tuple[Key, ...], catalogue: Catalogue) -> list[Block]:
    """All keys of a phone with `held` as its own; () when its model has none, or is not known."""
    group = snapshot.phone_groups.get(phone.group)
    places = _Places(snapshot, phone, held, group)
    model = catalogue.model(phone.vendor, phone.model)
    found: list[Block] = []
    position = 1
    if model and model.keys:
        drawn = model.virtual_keys or model.keys
        sheets = list(places.sheets(position, 1, drawn, model.key_page, 0))
        sheets += places.sheets(position + drawn, drawn + 1, model.keys - drawn, 0, 0)
        found.append(Block(0, model.name, sheets))
        position += model.keys
    for number, name in enumerate(phone.modules, 1):
        module = catalogue.module(phone.vendor, name)
        size, page = (module.keys, module.key_page) if module else (0, 0)
        found.append(Block(number, name, list(places.sheets(position, 1, size, page, number))))
        position += size
    return [block for block in found if block.sheets]


def placeless(blocks: list[Block], held: tuple[Key, ...]) -> list[Key]:
    """The keys of a phone that it has no place for."""
    there = {
        place.position for block in blocks for sheet in block.sheets for column in sheet for place in column
    }
    return [key for key in held if key.position not in there]


def each(blocks: list[Block]) -> Iterator[Place]:
    """All places, in the order of their positions."""
    places = (place for block in blocks for sheet in block.sheets for column in sheet for place in column)
    return iter(sorted(places, key=lambda place: place.position))


class _Places:
    """Makes places of one phone."""

    def __init__(
        self, snapshot: Snapshot, phone: Phone, held: tuple[Key, ...], group: PhoneGroup | None
    ) -> None:
        self._phone = phone
        self._own = {key.position: key for key in held}
        self._group = {key.position: key for key in group.keys} if group else {}
        self._names = {line.extension: line.name for each in snapshot.phones.values() for line in each.lines}
        # Without any key of ours a phone makes its first keys lines by itself.
        self._by_itself = len(phone.lines) if not (self._own or self._group) else 0

    def sheets(self, position: int, index: int, size: int, page: int, module: int) -> Iterator[Sheet]:
        """`size` places from `position` on, `page` of them at once, in two columns."""
        page = page or size
        for start in range(0, size, page or 1):
            count = min(page, size - start)
            row = [self._place(position + start + at, index + start + at, module) for at in range(count)]
            left = (count + 1) // 2 if count > 2 else count
            yield Sheet(row[:left], row[left:])

    def _place(self, position: int, index: int, module: int) -> Place:
        own, group = self._own.get(position), self._group.get(position)
        key = own or group
        source: Source = "own" if own else "group" if group else "empty"
        shown = self._shown(key) if key else ""
        if not key and not module and position <= self._by_itself:
            source, shown = "phone", self._line(position)
        return Place(position, module, index, own, group, shown, source)

    def _shown(self, key: Key) -> str:
        if key.label:
            return key.label
        if key.function == "line":
            return self._line(int(key.value)) if key.value.isdecimal() else key.value
        return key.value

    def _line(self, number: int) -> str:
        if not 1 <= number <= len(self._phone.lines):
            return ""
        line = self._phone.lines[number - 1]
        return f"{line.extension} {line.name}".strip()
