"""Small pictures for the pages: SVG made by the server, each with a title, a legend and a table of the same figures.

Widths are in percent, so that a picture fits any column while its text keeps its size; heights are in pixels.
Colours come from classes (`good`, `busy`, `warn`, `bad`, `none`, `main`), for the content policy allows no style
beside the stylesheet's. All titles, names and labels are given by the caller, in the language of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from provisioner.web.language import gettext as _

HEIGHT = 120  # of bars and lines, without the labels below
ROW = 22  # of matrices and lanes
BELOW = 18  # for the labels of an axis
MIDDLE = 8  # percent: places as wide as that have room for a label in their middle
HEAT = 4  # shades above "nothing"
_NICE = (1, 2, 3, 4, 5, 6, 8, 10)
_NOTHING = "–"  # noqa: RUF001 - a dash, as in the tables of the pages
_GLYPHS = {"good": "✓", "warn": "!", "bad": "✕"}  # a colour alone says nothing to some


class Series(NamedTuple):
    """Values along an axis, one for each label; None: not known there. `level`: a class for the colour."""

    name: str
    level: str
    values: Sequence[float | None]


class Cell(NamedTuple):
    """One place of a matrix: its colour (a level or `heat-0` to `heat-4`, "" for none) and what it says in words."""

    level: str
    words: str


class Span(NamedTuple):
    """A stretch of a lane, from `start` to `end` in the lanes' unit."""

    start: float
    end: float
    level: str
    words: str


class Mark(NamedTuple):
    """A height that a reader should know, such as where a call begins to sound poor."""

    value: float
    words: str


def _tag(tag: str, *inside: object, **attributes: object) -> Markup:
    """One element. Attribute names: `class_` for class, `_` for `-`; attributes that are None are left out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    body = "".join(escape(part) for part in inside)
    return Markup(f"<{tag}{written}>{body}</{tag}>")  # noqa: S704 - each part was escaped


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


def _percent(value: float) -> str:
    return f"{value:.5g}%"


def figure(value: float | None) -> str:
    """A figure as it is written in titles and tables; a dash where nothing is known."""
    if value is None:
        return _NOTHING
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}".rstrip("0").rstrip(".")


def ceiling(most: float) -> float:
    """The round number at or above `most` that an axis ends at; 1 at least."""
    size = 1.0
    while size * 10 < most:
        size *= 10
    return max(1.0, next(size * step for step in _NICE if size * step >= most))


def _svg(name: str, title: str, height: float, *inside: object) -> Markup:
    head = _tag("title", title, id=f"{name}-title")
    return _tag(
        "svg", head, *inside,
        class_="chart", role="img", aria_labelledby=f"{name}-title", width="100%", height=height,
    )  # fmt: skip


def _figure(name: str, svg: Markup, legend: Sequence[tuple[str, str]], table: Markup) -> Markup:
    """The picture, what its colours mean, and its text alternative."""
    keys = [_tag("span", _tag("i", class_=level, aria_hidden="true"), words) for words, level in legend]
    caption = _tag("figcaption", *keys) if keys else ""
    details = _tag(
        "details", _tag("summary", _("As a table")), _tag("div", table, class_="scroll"), id=f"{name}-table"
    )
    return _tag("figure", svg, caption, details, class_="chart")


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    head = _tag("tr", *(_tag("th", column, scope="col") for column in columns))
    body = [
        _tag("tr", _tag("th", row[0], scope="row"), *(_tag("td", value, class_="num") for value in row[1:]))
        for row in rows
    ]
    return _tag(
        "table",
        _tag("caption", caption, class_="unseen"),
        _tag("thead", head),
        _tag("tbody", *body),
        class_="figures",
    )


def _series_table(title: str, axis: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """A row for each label of which anything is known; long quiet stretches are left out."""
    rows = [
        [label, *(figure(one.values[at]) for one in series)]
        for at, label in enumerate(labels)
        if any(one.values[at] for one in series)
    ]
    return (
        _table(title, [axis, *(one.name for one in series)], rows) if rows else _tag("p", _("Nothing yet."))
    )


def _axis(labels: Sequence[str], every: int, top: float) -> Markup:
    """Every so many labels, under the middle of its place; a first one that is close does not stand out on the left."""
    step = 100 / len(labels)
    written = []
    for at in range(0, len(labels), every):
        left = at == 0 and step < MIDDLE
        place = _percent(0 if left else (at + 0.5) * step)
        written.append(_tag("text", labels[at], class_="tick" if left else "tick middle", x=place, y=top))
    return Markup("").join(written)


def _grid(top: float, height: float) -> tuple[Markup, Markup]:
    """Lines at the top and, if whole, half of the scale; their values stand above them and before the rest."""
    drawn, told = [], []
    for share in (1.0, 0.5) if top % 2 == 0 else (1.0,):
        y = BELOW + height * (1 - share)
        drawn.append(_tag("line", class_="grid", x1="0", x2="100%", y1=y, y2=y))
        told.append(_tag("text", figure(top * share), class_="tick halo", x="0", y=y - 4))
    drawn.append(_tag("line", class_="base", x1="0", x2="100%", y1=BELOW + height, y2=BELOW + height))
    return Markup("").join(drawn), Markup("").join(told)


def bars(
    name: str, title: str, axis: str, labels: Sequence[str], series: Sequence[Series],
    every: int = 3, legend: bool = True,
) -> Markup:  # fmt: skip
    """Stacked bars, a stack for each label; every `every`th label is written. `axis`: what the labels are."""
    totals = [sum(one.values[at] or 0 for one in series) for at in range(len(labels))]
    top = ceiling(max(totals, default=0))
    step = 100 / max(1, len(labels))
    grid, scale = _grid(top, HEIGHT)
    parts: list[Markup] = [grid]
    for at, label in enumerate(labels):
        parts += _stack(
            label, [(one, one.values[at] or 0) for one in series], top, (at + 0.1) * step, 0.8 * step
        )
    parts += [scale, _axis(labels, every, BELOW + HEIGHT + 14) if labels else Markup("")]
    keys = [(one.name, one.level) for one in series] if len(series) > 1 and legend else []
    svg = _svg(name, title, HEIGHT + 2 * BELOW, *parts)
    return _figure(name, svg, keys, _series_table(title, axis, labels, series))


def _stack(label: str, parts: list[tuple[Series, float]], top: float, x: float, width: float) -> list[Markup]:
    """The parts of one bar, the first at the bottom."""
    words = ", ".join(f"{one.name} {figure(value)}" for one, value in parts if value)
    y, drawn = float(BELOW + HEIGHT), []
    for one, value in parts:
        height = max(1.0, HEIGHT * value / top) if value else 0.0
        y -= height
        place = {"x": _percent(x), "y": y, "width": _percent(width), "height": height}
        if value:
            drawn.append(_tag("rect", _tag("title", f"{label}: {words}"), class_=one.level, **place))
    return drawn


def _drawn(values: Sequence[float | None], low: float, top: float) -> str:
    """A path in a square of 100 by 100; a gap where nothing is known, a dash where a value stands alone."""
    path, pen = [], False
    for at, value in enumerate(values):
        if value is None:
            pen = False
            continue
        x, y = (at + 0.5) * 100 / len(values), 100 * (top - min(max(value, low), top)) / (top - low)
        alone = not pen and (at + 1 == len(values) or values[at + 1] is None)
        path.append(f"{'L' if pen else 'M'}{x - alone:.4g} {y:.4g}" + ("h2" if alone else ""))
        pen = True
    return "".join(path)


def lines(
    name: str, title: str, axis: str, labels: Sequence[str], series: Sequence[Series],
    low: float, top: float, marks: Sequence[Mark] = (), every: int = 3,
) -> Markup:  # fmt: skip
    """A line for each series between the heights `low` and `top`; `marks`: heights with a word of their own."""
    parts: list[Markup] = []
    told: list[Markup] = []
    for mark in marks:
        y = BELOW + HEIGHT * (top - mark.value) / (top - low)
        parts.append(_tag("line", class_="grid", x1="0", x2="100%", y1=y, y2=y))
        told.append(_tag("text", mark.words, class_="tick halo", x="0", y=y - 4))
    parts.append(_tag("line", class_="base", x1="0", x2="100%", y1=BELOW + HEIGHT, y2=BELOW + HEIGHT))
    paths = [
        _tag("path", class_=f"line {one.level}", d=_drawn(one.values, low, top)) for one in series if labels
    ]
    square = {"viewBox": "0 0 100 100", "preserveAspectRatio": "none"}
    parts.append(_tag("svg", *paths, **square, y=BELOW, width="100%", height=HEIGHT))
    parts += [*told, _axis(labels, every, BELOW + HEIGHT + 14) if labels else Markup("")]
    legend = [(one.name, one.level) for one in series] if len(series) > 1 else []
    svg = _svg(name, title, HEIGHT + 2 * BELOW, *parts)
    return _figure(name, svg, legend, _series_table(title, axis, labels, series))


def matrix(
    name: str, title: str, axis: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]],
    legend: Sequence[tuple[str, str]] = (), gutter: float = 12, every: int = 3,
) -> Markup:  # fmt: skip
    """Coloured places: a row for each of `rows` (its label, its cells), a column for each of `columns`.

    `axis`: what the rows are; `gutter`: percent of the width for their labels. Levels have a shape of their own too.
    """
    step = (100 - gutter) / max(1, len(columns))
    parts: list[Markup] = []
    for line, (label, cells) in enumerate(rows):
        y = BELOW + line * ROW
        parts.append(_label(label, gutter, y))
        parts += [_place(cell, gutter + at * step, step, y) for at, cell in enumerate(cells) if cell.level]
    parts += [
        _tag("text", column, class_="tick middle", x=_percent(gutter + (at + 0.5) * step), y=BELOW - 6)
        for at, column in enumerate(columns)
        if at % every == 0
    ]
    svg = _svg(name, title, BELOW + ROW * len(rows), *parts)
    table = _table(
        title,
        [axis, *columns],
        [[label, *(cell.words or _NOTHING for cell in cells)] for label, cells in rows],
    )
    return _figure(name, svg, legend, table)


def _label(label: str, gutter: float, y: float) -> Markup:
    """What a row is, cut where its places begin (an inner svg clips); the table says all of it."""
    text = _tag("text", label, class_="tick row", x="0", y=ROW - 7)
    return _tag("svg", text, x="0", y=y, width=_percent(gutter - 1), height=ROW)


def _place(cell: Cell, x: float, width: float, y: float) -> Markup:
    title = _tag("title", cell.words) if cell.words else ""
    place = {"x": _percent(x + width * 0.06), "width": _percent(width * 0.88)}
    box = _tag("rect", title, class_=f"cell {cell.level}", **place, y=y + 1, height=ROW - 3, rx=3)
    if cell.level not in _GLYPHS:
        return box
    return box + _tag("text", _GLYPHS[cell.level], class_="glyph", x=_percent(x + width / 2), y=y + ROW - 7)


def heat(value: float, most: float) -> str:
    """The shade for `value` where `most` is the darkest: `heat-0` (nothing) to `heat-4`."""
    return f"heat-{min(HEAT, int(HEAT * value / most + 0.999)) if most and value > 0 else 0}"


def lanes(
    name: str, title: str, rows: Sequence[tuple[str, Sequence[Span]]], length: float,
    legend: Sequence[tuple[str, str]], ticks: Sequence[tuple[float, str]] = (), gutter: float = 30,
) -> Markup:  # fmt: skip
    """Who did what from when to when: a lane for each of `rows` over a time of `length`."""
    scale = (100 - gutter) / max(length, 1e-9)
    parts: list[Markup] = []
    for at, words in ticks:
        x = _percent(gutter + at * scale)
        parts.append(_tag("line", class_="grid", x1=x, x2=x, y1=BELOW, y2=BELOW + ROW * len(rows)))
        parts.append(_tag("text", words, class_="tick middle", x=x, y=BELOW - 6))
    for line, (label, spans) in enumerate(rows):
        y = BELOW + line * ROW
        parts.append(_label(label, gutter, y))
        for span in spans:
            width = max(0.4, (span.end - span.start) * scale)
            place = {"x": _percent(gutter + span.start * scale), "width": _percent(width)}
            hint = _tag("title", f"{label}: {span.words}")
            parts.append(
                _tag("rect", hint, class_=f"cell {span.level}", **place, y=y + 4, height=ROW - 8, rx=3)
            )
    svg = _svg(name, title, BELOW + ROW * len(rows), *parts)
    told = [
        [label, f"{span.start:.0f}", f"{span.end:.0f}", span.words] for label, spans in rows for span in spans
    ]
    table = _table(title, [_("Who"), _("From (s)"), _("To (s)"), _("What")], told)
    return _figure(name, svg, legend, table)


def shares(name: str, title: str, parts: Sequence[tuple[str, str, int]]) -> Markup:
    """One bar cut in proportion: (words, level, count) of each part, counts in the legend."""
    total = sum(count for _words, _level, count in parts)
    drawn, x = [], 0.0
    for words, level, count in parts:
        width = 100 * count / total if total else 0
        if width:
            hint, place = _tag("title", f"{words}: {count}"), {"x": _percent(x), "width": _percent(width)}
            drawn.append(_tag("rect", hint, class_=level, **place, height=14))
        x += width
    legend = [(f"{words} {count}", level) for words, level, count in parts if count]
    table = _table(title, [_("What"), _("How many")], [[words, count] for words, _level, count in parts])
    return _figure(name, _svg(name, title, 14, *drawn), legend, table)
