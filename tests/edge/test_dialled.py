"""All that can be dialled, on the wire: from a desk phone through the edge, and in the menu of a transfer."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from provisioner.edge import click
from provisioner.errors import OperatorError
from provisioner.sip.headers import Uri
from provisioner.store import records
from tests.dialing import corpus
from tests.edge.world import EDGE, MAIN, World, number_of, practice

REGISTERED = {length: each[:3] for length, each in corpus.EXTENSIONS.items()}


def snapshot(length: int) -> records.Snapshot:
    """The practice with the extensions of the corpus; those that the world has no phone for are registered nowhere."""
    plain = practice()
    extensions = corpus.EXTENSIONS[length]
    moved = dict(zip(("101", "102", "103"), extensions, strict=False)) if length == 4 else {}
    phones = {
        phone.id: records.Phone(
            id=phone.id, vendor=phone.vendor, model=phone.model, location=phone.location,
            lines=tuple(
                records.Line(extension=moved.get(line.extension, line.extension), number=line.number, name=line.name)
                for line in phone.lines
            ),
        )
        for phone in plain.phones.values()
    }  # fmt: skip
    held = {line.extension for phone in phones.values() for line in phone.lines}
    for index, extension in enumerate(each for each in extensions if each not in held):
        mac = f"00156500{index:04x}"
        phones[mac] = records.Phone(
            id=mac, vendor="yealink", model="T46S", lines=(records.Line(extension=extension),)
        )
    settings = records.Practice(
        id="practice",
        name="Demo",
        main_number=MAIN,
        extension_length=length,
        international_calls_per_day=10_000,
    )
    numbers = {
        name: records.Number(
            id=name, label=each.label, extension=moved.get(each.extension, each.extension),
            ring_group=each.ring_group, location=each.location, address_status=each.address_status,
        )
        for name, each in plain.numbers.items()
    }  # fmt: skip
    return practice(practice=settings, phones=phones, numbers=numbers)


@pytest.fixture
def worlds() -> Iterator[dict[int, World]]:
    found = {length: World(snapshot(length)) for length in corpus.EXTENSIONS}
    for length, world in found.items():
        for phone, extension in zip(world.phones.values(), corpus.EXTENSIONS[length], strict=False):
            assert phone.register(aor=extension).status == 200
    yield found
    for world in found.values():
        world.end()
        world.assert_nothing_left()


def sent_to_core(world: World, before: int) -> str:
    """What the last new call to the core asked for, "" when there was none."""
    calls = world.core.calls[before:]
    return Uri.parse(calls[-1].invite.uri).dialled if calls else ""


def rings(world: World, extension: str) -> bool:
    """Whether the desk phone with `extension` is being called."""
    at = dict(zip(REGISTERED[len(extension)], world.phones.values(), strict=True))
    calls = [talk for talk in at[extension].calls if talk.session.incoming] if extension in at else []
    return bool(calls and not calls[-1].over)


DESK = [row for row in corpus.ROWS if row.dialled and not row.dialled.isspace()]


@pytest.mark.parametrize("row", DESK, ids=str)
@pytest.mark.rule("dialled.digit-maps", "dialled.invalid")
def test_from_a_desk_phone(worlds: dict[int, World], row: corpus.Row) -> None:
    world, wanted = worlds[row.length], row.keypad
    before = len(world.core.calls)
    user = quote(row.dialled, safe="*+;=")
    caller = world.phones["101"].call(row.dialled if ":" in row.dialled else f"sip:{user}@{EDGE[0]}")
    if wanted.kind == "refused":
        caller.sdp.accept(caller.events[0].sdp)
        assert world.hears(caller) == wanted.prompt
        world.prompt_ends(caller)
        assert (caller.status, sent_to_core(world, before)) == (wanted.status, "")
    elif wanted.kind == "extension":
        assert sent_to_core(world, before) == ""
        assert caller.status == (0 if rings(world, wanted.number) else 480)
        assert rings(world, wanted.number) == (wanted.number in REGISTERED[row.length])
    else:
        assert sent_to_core(world, before) == wanted.number
        emergency = wanted.kind in ("emergency", "emergency-test", "crisis")
        assert (world.core.calls[-1].invite.get("priority") == "emergency") == emergency


MENU = [
    row for row in corpus.ROWS if corpus.keyed(row) and not {"*", "#"} & set(row.dialled) and row.length == 3
]


@pytest.mark.parametrize("row", MENU, ids=str)
@pytest.mark.rule("transfer.resolve")
def test_in_the_transfer_menu(worlds: dict[int, World], row: corpus.Row) -> None:
    world, wanted = worlds[3], row.transfer
    world.inbound(number_of("101"))
    desk = world.ringing("101")
    desk.answer()
    before = len(world.core.calls)
    world.press(desk, f"*1{row.dialled}#")
    if wanted.kind == "refused":
        assert world.hears(desk) == f"{wanted.prompt} menu"
        assert (world.states(), sent_to_core(world, before)) == (["menu"], "")
    elif wanted.kind == "extension":
        assert sent_to_core(world, before) == ""
        assert rings(world, wanted.number) == (wanted.number in REGISTERED[3])
        assert rings(world, wanted.number) or world.hears(desk) == "no-answer menu"
    else:
        assert sent_to_core(world, before) == wanted.number
        assert world.states() == ["dialling"]


@pytest.mark.parametrize("row", [row for row in corpus.ROWS if row.length == 3], ids=str)
@pytest.mark.rule("outbound.click-to-call")
def test_by_click(worlds: dict[int, World], row: corpus.Row) -> None:
    world, wanted = worlds[3], row.software
    before = len(world.core.calls)
    own = wanted == corpus.Outcome("extension", "101")
    if wanted.kind == "refused" or own:
        with pytest.raises(OperatorError, match="own extension" if own else "this is not called"):
            click.call(world.edge, "101", row.dialled)
        world.run()
        assert (world.phones["101"].calls, sent_to_core(world, before)) == ([], "")
        return
    click.call(world.edge, "101", row.dialled)
    world.run()
    world.ringing("101").answer()
    if wanted.kind == "extension":
        assert sent_to_core(world, before) == ""
        assert rings(world, wanted.number) == (wanted.number in REGISTERED[3])
    else:
        assert sent_to_core(world, before) == wanted.number
        emergency = wanted.kind in ("emergency", "emergency-test", "crisis")
        assert (world.core.calls[-1].invite.get("priority") == "emergency") == emergency
