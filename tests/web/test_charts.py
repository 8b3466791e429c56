"""Pictures: what they draw, what they say in words, and that nothing of theirs breaks the content policy."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lxml import etree, html
from markupsafe import Markup

from provisioner.web import charts
from provisioner.web.charts import Cell, Mark, Series, Span

LABELS = ["08", "09", "10", "11"]


def parsed(picture: Markup) -> Any:
    """The picture as HTML, once it is known to be well-formed."""
    etree.fromstring(f"<div>{picture}</div>")
    return html.fromstring(f"<div>{picture}</div>")


def rects(picture: Markup, level: str) -> list[Any]:
    return [one for one in parsed(picture).iter("rect") if level in one.get("class").split()]


def cells(picture: Markup) -> list[list[str]]:
    """The text alternative, row by row."""
    table = parsed(picture).find(".//details//table")
    return [[cell.text_content() for cell in row] for row in table.iter("tr")]


def all_of_them() -> list[Markup]:
    return [
        charts.bars("b", "Calls", "Hour", LABELS, [Series("In", "main", [1, 2, 0, None])]),
        charts.lines("l", "MOS", "Hour", LABELS, [Series("MOS", "main", [4.1, None, 4.2, 4.3])], 1, 4.5),
        charts.matrix("m", "Week", "Day", LABELS, [("Mon", [Cell("heat-1", "2"), Cell("", "")])]),
        charts.lanes("s", "Call", [("Patient", [Span(0, 5, "busy", "talks")])], 10, [("talks", "busy")]),
        charts.shares("p", "933", [("Passed", "good", 3), ("Failed", "bad", 1)]),
    ]


@pytest.mark.parametrize("picture", all_of_them())
def test_each_has_a_name_a_table_and_no_style(picture: Markup) -> None:
    tree = parsed(picture)
    svg = tree.find(".//svg")
    assert svg.get("role") == "img"
    assert tree.get_element_by_id(svg.get("aria-labelledby")).text
    assert tree.find(".//details/summary").text == "As a table"
    assert cells(picture)[1:]
    assert not re.search(r"\bstyle=|<style|<script|\bon\w+=", picture)


def test_bars_stack_to_the_scale() -> None:
    series = [Series("Answered", "good", [30, 0, 10, 0]), Series("Missed", "bad", [10, 0, 0, 20])]
    picture = charts.bars("b", "Calls per hour", "Hour", LABELS, series)
    good, bad = rects(picture, "good"), rects(picture, "bad")
    assert [float(one.get("height")) for one in good] == [90, 30]  # of 120 pixels for 40
    assert [float(one.get("height")) for one in bad] == [30, 60]
    assert float(bad[0].get("y")) + 30 == float(good[0].get("y"))
    assert good[0].find("title").text == "08: Answered 30, Missed 10"
    assert cells(picture) == [
        ["Hour", "Answered", "Missed"],
        ["08", "30", "10"],
        ["10", "10", "0"],
        ["11", "0", "20"],
    ]


@pytest.mark.parametrize(
    ("most", "end"), [(0, 1), (1, 1), (7, 8), (11, 20), (21, 30), (999, 1000), (1001, 2000)]
)
def test_an_axis_ends_at_a_round_number(most: float, end: float) -> None:
    assert charts.ceiling(most) == end


def test_a_line_breaks_where_nothing_is_known() -> None:
    picture = charts.lines(
        "l", "MOS", "Hour", LABELS, [Series("MOS", "main", [4.0, 3.0, None, 2.0])], 1, 5, [Mark(3.6, "fair")]
    )
    assert parsed(picture).find(".//path").get("d") == "M12.5 25L37.5 50M86.5 75h2"
    assert any(text.text == "fair" for text in parsed(picture).iter("text"))
    assert [row[0] for row in cells(picture)] == ["Hour", "08", "09", "11"]


def test_colour_is_never_alone() -> None:
    picture = charts.matrix(
        "m", "933", "Line", ["W1", "W2"], [("101", [Cell("good", "passed"), Cell("bad", "failed")])]
    )
    assert [one.text for one in parsed(picture).iter("text") if one.get("class") == "glyph"] == ["✓", "✕"]
    assert cells(picture) == [["Line", "W1", "W2"], ["101", "passed", "failed"]]


@pytest.mark.parametrize(("value", "shade"), [(0, 0), (1, 1), (25, 1), (26, 2), (100, 4), (900, 4)])
def test_shades(value: float, shade: int) -> None:
    assert charts.heat(value, 100) == f"heat-{shade}"


def test_lanes_are_to_scale() -> None:
    picture = charts.lanes(
        "s", "Call", [("Patient", [Span(0, 5, "busy", "talks"), Span(5, 10, "warn", "music")])], 10,
        [("talks", "busy")], [(5, "0:05")], gutter=20,
    )  # fmt: skip
    assert [(one.get("x"), one.get("width")) for one in parsed(picture).iter("rect")] == [
        ("20%", "40%"),
        ("60%", "40%"),
    ]
    assert cells(picture)[1:] == [["Patient", "0", "5", "talks"], ["Patient", "5", "10", "music"]]


def test_shares_leave_nothing_out() -> None:
    picture = charts.shares("p", "933", [("Passed", "good", 3), ("Never", "none", 0), ("Failed", "bad", 1)])
    assert [one.get("width") for one in parsed(picture).iter("rect")] == ["75%", "25%"]
    assert cells(picture)[2] == ["Never", "0"]
    assert charts.shares("p", "933", [("Passed", "good", 0)]).count("<rect") == 0


def test_what_people_typed_is_escaped() -> None:
    name = '<b onclick="x">&'
    picture = charts.lanes("s", name, [(name, [Span(0, 1, "busy", name)])], 1, [(name, "busy")])
    assert "<b" not in picture
    assert picture.count("&lt;b") == 8
