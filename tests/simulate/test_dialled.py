"""What people dial on each family's phones, with the maps that its files hold: where it goes, and what it waits for.

The table is tests/dialing/corpus.toml; what leaves a phone is judged by the classifier that the edge asks.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pytest

from provisioner.dialing.classify import classify
from provisioner.phones import boot
from provisioner.phones.identity import Contradiction, identify
from provisioner.phones.render import Renderer
from provisioner.simulate.digits import Dialling, DialPlan
from provisioner.simulate.vendors import phone_types
from provisioner.simulate.vendors.base import Outcome, PhoneType, Reply
from provisioner.store.records import Credential, Line, LineCredential, Phone, Snapshot
from tests.dialing import corpus
from tests.phones.samples import ADDRESSES, PRACTICE

MAC = "0004f2abcdef"
EXTENSIONS = corpus.EXTENSIONS
KEYED = [row for row in corpus.ROWS if corpus.keyed(row)]


def families() -> list[PhoneType]:
    """One model of each family, and of each dialect of digit maps within it."""
    found: dict[tuple[int, str], PhoneType] = {}
    for kind in phone_types():
        model = CATALOGUE.catalogue.model(kind.maker.name, kind.name)
        found.setdefault((id(kind.family), CATALOGUE.catalogue.kit(kind.maker.name, model).digit_map), kind)
    return list(found.values())


CATALOGUE = Renderer(Snapshot(revision=1, practice=PRACTICE), ADDRESSES)


@lru_cache
def plan_of(kind: PhoneType, length: int) -> DialPlan:
    """The dial plan that a phone of this model has after a start."""
    lines = (Line(extension=EXTENSIONS[length][0], name="Front desk"),)
    others = [
        Phone(id=f"0004f2{at:06x}", vendor="polycom", model="VVX 411", lines=(Line(extension=each),))
        for at, each in enumerate(EXTENSIONS[length][1:])
    ]
    phone = Phone(id=MAC, vendor=kind.maker.name, model=kind.name, lines=lines)
    snapshot = Snapshot(
        revision=1,
        practice=msgspec.structs.replace(PRACTICE, extension_length=length),
        phones={each.id: each for each in (phone, *others)},
        credentials={MAC: Credential(id=MAC, lines=(LineCredential(auth_user="u", password="p"),))},
    )
    return kind.read(started(kind, Renderer(snapshot, ADDRESSES)).settings).dial_plan


def started(kind: PhoneType, renderer: Renderer) -> Outcome:
    """A start that is answered from `renderer`."""
    run = kind.start(kind.new(MAC))
    try:
        ask = next(run)
        while True:
            asked, who = boot.file_asked(ask.path), identify(f"/{ask.path}", ask.agent)
            assert not isinstance(who, Contradiction)
            body = renderer.file(asked, who) if asked and ask.method == "GET" else None
            ask = run.send(Reply(404) if body is None else Reply(200, body))
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome


def dialled(plan: DialPlan, keys: str) -> tuple[str, float]:
    """What is sent of `keys`, each a second after the one before, and how long after the last one."""
    dialling = Dialling(plan)
    for at, key in enumerate(keys):
        if sent := dialling.tick(at) or dialling.press(key, at):
            assert at == len(keys) - 1, f"{sent.number or 'nothing'} is sent at key {at + 1} of {keys}"
            return sent.number, sent.at - at
    deadline = dialling.deadline
    sent = (dialling.tick(deadline) if deadline is not None else None) or dialling.send(3600.0)
    return sent.number, sent.at - (len(keys) - 1)


FAMILIES = pytest.mark.parametrize("kind", families(), ids=lambda kind: f"{kind.maker.name}-{kind.name}")
LENGTHS = pytest.mark.parametrize("length", [3, 4])


def rows(length: int, wait: str) -> list[corpus.Row]:
    return [row for row in KEYED if (row.length, row.wait) == (length, wait)]


def goes(number: str, row: corpus.Row) -> bool:
    """Whether `number` goes where the row says; nothing at all is a refusal by the phone itself."""
    if not number:
        return row.keypad.kind == "refused"
    return corpus.outcome(classify(number, "keypad", corpus.PLANS[row.length])) == row.keypad


@FAMILIES
@LENGTHS
@pytest.mark.rule("dialled.digit-maps")
def test_nothing_waits_that_must_not(kind: PhoneType, length: int) -> None:
    plan = plan_of(kind, length)
    for row in rows(length, "none"):
        number, wait = dialled(plan, row.dialled)
        assert goes(number, row), f"{row} is sent as {number}"
        assert wait == 0, f"{row} waits for {wait} s"


@FAMILIES
@LENGTHS
def test_what_may_wait_leaves_by_itself(kind: PhoneType, length: int) -> None:
    plan = plan_of(kind, length)
    for row in rows(length, "pause"):
        number, wait = dialled(plan, row.dialled)
        assert number, f"{row} is refused by the phone"
        assert goes(number, row), f"{row} is sent as {number}"
        assert wait <= 10, f"{row} waits for {wait} s"


@FAMILIES
@LENGTHS
def test_no_phone_makes_something_else_of_the_rest(kind: PhoneType, length: int) -> None:
    """It goes where the row says; else nothing is sent, or what is whole before its end; never a fragment."""
    plan = plan_of(kind, length)
    for row in rows(length, ""):
        number = sent_of(plan, row.dialled)
        if number and not goes(number, row):
            assert number != row.dialled, row
            found = classify(number, "keypad", corpus.PLANS[length])
            assert found.kind != "refused" or len(number) >= 10, f"{row} is sent as {number}"


def sent_of(plan: DialPlan, keys: str) -> str:
    """What is sent of `keys` that are pressed one right after the other, then Send."""
    dialling = Dialling(plan)
    for key in keys:
        if sent := dialling.press(key, 0.0):
            return sent.number
    deadline = dialling.deadline
    sent = (dialling.tick(deadline) if deadline is not None else None) or dialling.send(3600.0)
    return sent.number


@FAMILIES
@LENGTHS
@pytest.mark.parametrize("keys", ["91155", "9115550101", "93312", "98899"])
def test_an_emergency_code_leaves_on_its_third_key_whatever_comes_after(
    kind: PhoneType, length: int, keys: str
) -> None:
    dialling = Dialling(plan_of(kind, length))
    assert [dialling.press(key, 0.0) for key in keys[:2]] == [None, None]
    sent = dialling.press(keys[2], 0.0)
    assert sent
    assert (sent.number, sent.at) == (keys[:3], 0.0)
