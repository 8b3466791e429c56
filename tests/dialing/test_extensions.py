"""Which extensions are offered first, and which never."""

import pytest

from provisioner.dialing.classify import Plan, classify
from provisioner.dialing.extensions import fault, next_extension
from provisioner.errors import OperatorError


@pytest.mark.rule("dialled.extension")
def test_the_safe_ones_come_first():
    taken = []
    for _ in range(19):
        taken.append(next_extension(taken, 3))
    assert taken == [str(number) for number in [*range(100, 112), *range(113, 120)]]
    assert next_extension(taken, 3) == "120"


def test_the_safe_ones_of_four_digits_come_first():
    taken = []
    for _ in range(190):
        taken.append(next_extension(taken, 4))
    assert taken == [str(number) for number in [*range(1000, 1120), *range(1130, 1200)]]
    assert next_extension(taken, 4) == "1200"


def test_a_gap_is_filled():
    assert next_extension({"100", "102"}, 3) == "101"


def test_when_none_is_left_it_says_so():
    everything = {str(number) for number in range(1000)}
    with pytest.raises(OperatorError, match="all extensions of 3 digits are in use: free one"):
        next_extension(everything, 3)


def test_other_lengths_are_not_supported():
    with pytest.raises(OperatorError, match="set the length to 3 or 4"):
        next_extension(set(), 5)


@pytest.mark.rule("dialled.extension")
@pytest.mark.parametrize(
    ("extension", "length", "why"),
    [
        ("101", 3, ""),
        ("234", 3, ""),
        ("1015", 4, ""),
        ("012", 3, "begins with 0"),
        ("911", 3, "begins with 9"),
        ("950", 3, "begins with 9"),
        ("112", 3, "collides with the code 112"),
        ("1120", 4, "collides with the code 112"),
        ("1911", 4, "collides with the code 1911"),
        ("1988", 4, "collides with the code 1988"),
        ("191", 3, "collides with the code 1911"),
        ("411", 3, "collides with the service code 411"),
        ("4115", 4, "collides with the service code 411"),
        ("1015", 3, "has not the 3 digits"),
        ("101", 4, "has not the 4 digits"),
        ("*01", 3, "digits only"),
        ("", 3, "digits only"),
        ("\u0661\u0660\u0661", 3, "digits only"),
        ("102", 3, "102 is in use"),
    ],
)
def test_what_may_be_used(extension, length, why):
    told = fault(extension, length, {"102"})
    assert (why in told) if why else not told


@pytest.mark.parametrize("length", [3, 4])
def test_whatever_is_allowed_can_be_dialled(length):
    everything = {f"{number:0{length}}" for number in range(10**length)}
    plan = Plan(extensions=frozenset(everything), length=length)
    for extension in everything:
        if not fault(extension, length, ()):
            assert classify(extension, "keypad", plan).kind == "extension"
