"""Numbers of the pool are handed out, never twice to one phone, and taken back."""

import pytest

from provisioner import demo
from provisioner.errors import OperatorError
from provisioner.store import dial_through
from provisioner.store.inventory import Inventory
from provisioner.store.records import DialThrough, Number

NOW = 1_800_000_000.0
POOL = ("+14155550190", "+14155550191")
PHONE, OTHER, TARGET = "+12065550142", "+12065550143", "+12124567890"


@pytest.fixture
def inventory(tmp_path):
    opened = Inventory.open(tmp_path / "inventory.db")
    demo.seed(opened, "sip:192.0.2.1")
    with opened.change(who="test") as change:
        for number in POOL:
            change.put(Number(id=number, label="Pool", dial_through=True))
    yield opened
    opened.close()


def bind(inventory, phone=PHONE, target=TARGET, now=NOW, name="b1", **more):
    return dial_through.allocate(inventory, phone, target, **more, who="test", now=now, name=name)


@pytest.mark.rule("outbound.dial-through")
def test_what_is_handed_out(inventory):
    made = bind(inventory, "(206) 555-0142", "2124567890", seconds=600.0)
    expected = DialThrough(
        id="b1", number=POOL[0], phone=PHONE, target=TARGET, calling=demo.MAIN, expires=NOW + 600, once=True
    )
    assert made == expected
    assert dial_through.live(inventory.snapshot(), NOW) == [expected]
    assert dial_through.live(inventory.snapshot(), NOW + 600) == []


def test_a_phone_never_has_one_number_twice_but_two_phones_may(inventory):
    assert [bind(inventory, name=name).number for name in "ab"] == list(POOL)
    with pytest.raises(OperatorError, match="every number of the pool"):
        bind(inventory, name="c")
    assert bind(inventory, OTHER, name="d").number == POOL[0]
    assert bind(inventory, now=NOW + 3600, name="e").number == POOL[0]
    assert set(inventory.snapshot().dial_throughs) == {"e"}  # the expired ones are gone


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "911"}, "the target cannot be used"),
        ({"target": "988"}, "the target cannot be used"),
        ({"target": "102"}, "the target cannot be used"),
        ({"target": "+442079460000"}, "outside the North American"),
        ({"target": demo.MAIN}, "a number of the practice itself"),
        ({"phone": "911"}, "the phone it is dialled from cannot be used"),
        ({"calling": PHONE}, "none of the practice"),
        ({"seconds": 5.0}, "a minute to 30 days"),
    ],
)
@pytest.mark.rule("outbound.dial-through")
def test_what_cannot_be_bound(inventory, changes, words):
    with pytest.raises(OperatorError, match=words):
        bind(inventory, **changes)


def test_without_a_pool(inventory):
    with inventory.change(who="test") as change:
        for number in POOL:
            change.delete(Number, number)
    with pytest.raises(OperatorError, match="no number is set aside"):
        bind(inventory)


def test_it_is_ended(inventory):
    bind(inventory)
    dial_through.release(inventory, "b1", who="test")
    assert inventory.snapshot().dial_throughs == {}
    with pytest.raises(OperatorError, match="no such"):
        dial_through.release(inventory, "b1", who="test")
