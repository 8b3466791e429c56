"""Differences of two texts: lines with their numbers, words that changed, and what is left out between."""

from __future__ import annotations

from provisioner.phones.differences import Line, compare, words


def test_the_same_is_nothing():
    assert compare("a\nb\n", "a\nb\n") == []


def test_a_changed_word_is_marked_in_both_lines():
    before = "\n".join(["one", "two", "three", "poll = 7200", "five", "six", "seven", "eight"])
    now = before.replace("7200", "3600")
    assert compare(before, now) == [
        Line("gap", 0, 1, ()),
        Line("same", 2, 2, (("two", False),)),
        Line("same", 3, 3, (("three", False),)),
        Line("removed", 4, 0, (("poll = ", False), ("7200", True))),
        Line("added", 0, 4, (("poll = ", False), ("3600", True))),
        Line("same", 5, 5, (("five", False),)),
        Line("same", 6, 6, (("six", False),)),
        Line("gap", 0, 2, ()),
    ]


def test_lines_that_came_and_went():
    assert compare("a\nb", "a\nc d\nb") == [
        Line("same", 1, 1, (("a", False),)),
        Line("added", 0, 2, (("c d", True),)),
        Line("same", 2, 3, (("b", False),)),
    ]
    assert [(line.kind, line.before) for line in compare("a\nb\nc", "a\nc")] == [
        ("same", 1),
        ("removed", 2),
        ("same", 3),
    ]


def test_words():
    assert words("x.y = 1;2", "x.y = 1;3") == (
        (("x.y = 1;", False), ("2", True)),
        (("x.y = 1;", False), ("3", True)),
    )
    assert words("", "new") == ((), (("new", True),))
