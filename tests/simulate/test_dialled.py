"""What people dial on each family's phones, with the maps that its files hold: where it goes, and what it waits for.

The table is that of docs/calls.md ("What is dialled"); the edge's classifier is the judge of where a number goes.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pytest

from provisioner.dialing.classify import Plan, classify
from provisioner.phones import boot
from provisioner.phones.identity import Contradiction, identify
from provisioner.phones.render import Renderer
from provisioner.simulate.digits import Dialling, DialPlan
from provisioner.simulate.vendors import phone_types
from provisioner.simulate.vendors.base import Outcome, PhoneType, Reply
from provisioner.store.records import Credential, Line, LineCredential, Phone, Snapshot
from tests.phones.samples import ADDRESSES, PRACTICE

MAC = "0004f2abcdef"
EXTENSIONS = {
    3: ("100", "101", "111", "113", "119", "205"),
    4: ("1000", "1001", "1119", "1130", "1199", "2050"),
}
EMERGENCY = ("911", "933", "988", "112", "9911", "1911", "9933", "9988", "1988")
SERVICES = ("211", "311", "411", "511", "611", "711", "811")
NUMBERS = (
    "4155550101", "2125550101", "8005550101", "9005550101", "7005550101", "4159760101", "9075550101", "9385550101",
    "9855550101", "6045550101", "8765550101", "14155550101", "19165550101", "19385550101", "19855550101",
)  # fmt: skip
LATER = (
    "914155550101", "916505300101", "919165550101", "9165550101", "9125550101", "011525512345678", "011442071838750",
    "01152551234567",
)  # fmt: skip
NOBODYS = ("5550101", "0", "00", "12345", "41555501")


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


def goes(keys: str, number: str, length: int) -> bool:
    """Whether `number` goes where the keys should go; nothing at all is a refusal by the phone itself."""
    plan = Plan(frozenset(EXTENSIONS[length]), length=length)
    meant = classify(keys, "keypad", plan)
    return classify(number, "keypad", plan) == meant if number else meant.kind == "refused"


@FAMILIES
@LENGTHS
def test_nothing_waits_that_must_not(kind: PhoneType, length: int) -> None:
    plan = plan_of(kind, length)
    safe = [each for each in EXTENSIONS[length] if each[0] == "1"]
    for keys in (*EMERGENCY, *safe, *SERVICES, *NUMBERS):
        number, wait = dialled(plan, keys)
        assert goes(keys, number, length), f"{keys} is sent as {number}"
        assert wait == 0, f"{keys} waits for {wait} s"


@FAMILIES
@LENGTHS
def test_the_rest_of_the_table_goes_where_it_should(kind: PhoneType, length: int) -> None:
    plan = plan_of(kind, length)
    slow = [each for each in EXTENSIONS[length] if each[0] == "2"]
    for keys in (*slow, *LATER):
        number, wait = dialled(plan, keys)
        assert number, f"{keys} is refused by the phone"
        assert goes(keys, number, length), f"{keys} is sent as {number}"
        assert wait <= 10, f"{keys} waits for {wait} s"
    for keys in NOBODYS:
        assert refused(plan, keys, length), keys


def refused(plan: DialPlan, keys: str, length: int) -> bool:
    """Whether the phone does not send the keys at all, or all of them to where they are refused in words."""
    dialling = Dialling(plan)
    sent = next((sent for at, key in enumerate(keys) if (sent := dialling.press(key, at))), None)
    if sent is None:
        deadline = dialling.deadline
        sent = (dialling.tick(deadline) if deadline is not None else None) or dialling.send(3600.0)
    return not sent.number or (sent.number == keys and goes(keys, keys, length))


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
