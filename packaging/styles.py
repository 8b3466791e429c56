"""Cut what no page uses out of Pico's style sheet: `styles.py` writes static/vendor/pico.css anew.

The release as it was published lies beside this file. Rules that stay keep their order and their weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WEB = ROOT / "provisioner" / "web"
RELEASE = Path(__file__).parent / "pico.classless.min.css"
TARGET = WEB / "static" / "vendor" / "pico.css"

ELEMENTS = frozenset(  # that no page has
    "abbr address area audio blockquote canvas dialog embed footer h4 h5 h6 hgroup hr iframe kbd mark object samp sub "
    "sup template tfoot video".split()
)
ATTRIBUTES = frozenset(  # as CSS asks for them; None: whatever the value
    {
        *(
            ("type", kind)
            for kind in ("button", "color", "month", "range", "reset", "submit", "time", "week")
        ),
        *(("role", role) for role in ("group", "link")),
        *(
            (name, None)
            for name in ("aria-busy", "aria-controls", "aria-disabled", "controls", "data-placement")
        ),
        *((name, None) for name in ("data-theme", "data-tooltip", "dir", "multiple", "readonly")),
        *((name, "false") for name in ("aria-current", "aria-hidden", "aria-invalid", "open")),
        ("aria-label", "breadcrumb"),
    }
)
PSEUDO = re.compile(r":host|::?-ms-.*")  # of shadow trees, and of browsers that are gone
_GROUP = re.compile(r":(is|where|has|not)\(")
_SIMPLE = re.compile(r"\[([a-z-]+)(?:=\"?([^\]\"]*)\"?)?\]|(::?[a-z-]+)|([a-z][a-z0-9]*)")


def pieces(text: str, end: str) -> Iterator[str]:
    """`text` behind each `end` that stands in no quotes, brackets or braces, without it."""
    depth, start, quote = 0, 0, ""
    for at, char in enumerate(text):
        if quote or char in "\"'":
            quote = "" if char == quote else quote or char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if char == end and not depth and not quote:
            yield text[start:at]
            start = at + 1
    if text[start:]:
        yield text[start:]


def used(selector: str) -> bool:
    """Whether a selector may match something: what stands in :not() never keeps it from that."""
    while group := _GROUP.search(selector):
        inside = next(pieces(selector[group.end() :], ")"))
        if group[1] != "not" and not any(used(each) for each in pieces(inside, ",")):
            return False
        selector = selector[: group.start()] + selector[group.end() + len(inside) + 1 :]
    return not any(
        element in ELEMENTS or {(name, None), (name, value)} & ATTRIBUTES or PSEUDO.fullmatch(pseudo)
        for name, value, pseudo, element in _SIMPLE.findall(selector)
    )


def rules(css: str) -> str:
    """The rules of a sheet that may match something."""
    kept = []
    for rule in pieces(css, "}"):
        head, _, body = rule.partition("{")
        if head.startswith("@keyframes"):
            kept.append(rule + "}")
        elif head.startswith("@"):
            inner = rules(body)
            kept += [f"{head}{{{inner}}}"] if inner else []
        elif selectors := [each for each in pieces(head, ",") if used(each)]:
            kept.append(f"{','.join(selectors)}{{{body}}}")
    return "".join(kept)


def without_unread(css: str, others: str) -> str:
    """The sheet without the animations and properties (`--name`) that neither it nor `others` read."""
    read = set(re.findall(r"var\((--[a-z0-9-]+)", css + others))

    def declared(body: re.Match[str]) -> str:
        held = [
            each
            for each in pieces(body[1], ";")
            if (name := each.partition(":")[0])[:2] != "--" or name in read
        ]
        return f"{{{';'.join(held)}}}"

    css = re.sub(r"\{((?:\"[^\"]*\"|[^{}\"])*)\}", declared, css)
    for name in re.findall(r"@keyframes ([a-z-]+)", css):
        if not re.search(rf"(?<!@keyframes )\b{name}\b", css):
            css = re.sub(rf"@keyframes {name}\{{(?:[^{{}}]*\{{[^{{}}]*\}})*\}}", "", css)
    return re.sub(r"(?:^|(?<=[{}]))[^{}]*\{\}", "", css)


def cut(css: str, others: str) -> str:
    """What of a release is to be served beside the sheet `others`."""
    banner, _, body = css.partition("*/")
    found = rules(body)
    while (less := without_unread(found, others)) != found:
        found = less
    return f"{banner}*/{found}\n"


def main() -> None:
    """Write the sheet."""
    TARGET.write_text(cut(RELEASE.read_text(), (WEB / "static" / "staff.css").read_text()))


if __name__ == "__main__":
    main()
