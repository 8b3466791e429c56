"""Which file a phone asks for: the last segment of the path against a table of name patterns."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

POLYCOM, YEALINK, GRANDSTREAM = "polycom", "yealink", "grandstream"
VENDORS = (POLYCOM, YEALINK, GRANDSTREAM)

MAX_PATH = 512  # the longest real name, in three folders, is under 120


class Asked(NamedTuple):
    """A file that a phone asks for: its kind (a row of KINDS), the MAC in its name or "", the name."""

    kind: str
    mac: str
    name: str


class Kind(NamedTuple):
    """One row: what the kind is called, whose phones ask for it, and how its name looks."""

    kind: str
    vendors: tuple[str, ...]
    pattern: re.Pattern[str]


MAC = r"(?!0{12}|f{12})[0-9a-f]{12}"  # neither nobody's nor everybody's
_MAC = rf"(?P<mac>{MAC})"
_PART = r"(\d{4}-\d{5}-\d{3}\.)"


def _row(kind: str, vendors: str | tuple[str, ...], pattern: str) -> Kind:
    return Kind(kind, (vendors,) if isinstance(vendors, str) else vendors, re.compile(pattern))


# The first match wins. Names and their order of asking: docs/phones.md.
KINDS = (
    _row("fallback", POLYCOM, r"0{12}\.cfg"),
    _row("common-directory", POLYCOM, r"0{12}-directory\.xml"),
    _row("optional", POLYCOM, r"0{12}-(license|phone|web)\.cfg"),
    _row("phone", (POLYCOM, YEALINK), _MAC + r"\.cfg"),
    _row("line", POLYCOM, _MAC + r"-line\.cfg"),
    _row("keys", POLYCOM, _MAC + r"-keys\.cfg"),
    _row("site", POLYCOM, _MAC + r"-site\.cfg"),
    _row("waiting", POLYCOM, r"waiting\.cfg"),
    _row("override", POLYCOM, _MAC + r"-(phone|web)\.cfg"),
    _row("directory", POLYCOM, _MAC + r"-directory\.xml"),
    _row("call-list", POLYCOM, _MAC + r"-calls\.xml"),
    _row("upload", POLYCOM, _MAC + r"-(app|boot)(-?\d{1,3})?\.log"),
    # A phone's memory holds its secrets: a core is known by name, so that it can be refused.
    _row("core", POLYCOM, _MAC + r"-[\w.-]{0,32}core[\w.-]{0,32}"),
    _row("optional", POLYCOM, _MAC + r"-(license|user|settings)\.cfg"),
    # The phone puts its own part number before APP_FILE_PATH's name, even when that holds it already.
    _row("firmware", POLYCOM, _PART + r"{0,2}(sip|bootrom|updater|dect)\w{0,24}\.ld"),
    _row("optional", POLYCOM, _PART + r"{0,2}(sip|bootrom|updater)\.ver"),
    # What the configuration sets of the maker and of other servers name beside a phone's own files.
    _row(
        "optional", POLYCOM, r"(sip|site|phone1|common|features|local-settings|reg-basic|reg-advanced)\.cfg"
    ),
    _row("optional", POLYCOM, r"[a-z0-9]{1,24}-dictionary\.xml"),
    _row("optional", VENDORS, r"[\w-]{1,40}\.(jpe?g|png|bmp|wav)"),
    _row("common", YEALINK, r"y\d{12}\.cfg"),
    _row("optional", YEALINK, r"y\d{12}\.boot"),
    _row("boot", YEALINK, _MAC + r"\.boot"),
    _row("phonebook", YEALINK, _MAC + r"-phonebook\.xml"),
    _row("override", YEALINK, _MAC + r"-local\.cfg"),
    _row("optional", YEALINK, _MAC + r"-(contact|calllog)(\.xml)?"),
    # The keys of encrypted files: never there (docs/phones.md).
    _row("optional", YEALINK, r"y\d{12}(\.cfg)?(_security)?\.enc"),
    _row("optional", YEALINK, _MAC + r"(-local|-contact)?(\.cfg|\.xml)?(_security)?\.enc"),
    _row("optional", YEALINK, r"(directory|favorite)_setting\.xml|super_search\.xml"),
    # One image for several models, as `T46S(T48S,T42S,T41S)-66.86.0.15.rom`; `$PN` is in some bases' names.
    _row("firmware", YEALINK, r"[\w.()$&, -]+\.rom"),
    _row("config", GRANDSTREAM, "cfg" + _MAC + r"\.xml"),
    _row("binary", GRANDSTREAM, "cfg" + _MAC + r"(\.bin)?"),
    _row("optional", GRANDSTREAM, "dev" + _MAC + r"\.cfg"),
    _row("model_config", GRANDSTREAM, r"cfg[a-z]+\d\w*\.xml"),
    _row("maker_config", GRANDSTREAM, r"cfg\.xml"),
    _row("phonebook", GRANDSTREAM, r"(gs_)?phonebook\.xml"),
    _row(
        "optional",
        GRANDSTREAM,
        r"ring\d{1,2}\.bin|(idle_screen|gs_screen|screensaver)\.xml|wallpaper\.(jpg|png)",
    ),
    _row("optional", GRANDSTREAM, r"gxp\w*\.txt"),  # a language to download
    _row("firmware", GRANDSTREAM, r"[a-z0-9]+(fw|e)\.bin"),
)


def last_segment(path: str) -> str | None:
    """The name at the end of a request path, decoded, in lower case; None when the path is not to be trusted.

    The query is dropped. Folders are ignored, however many slashes lie between them; `..`, backslashes,
    control characters and bytes outside ASCII are refused, once decoded.
    """
    if len(path) > MAX_PATH:
        return None
    try:
        decoded = unquote_to_bytes(path.partition("?")[0]).decode("ascii")
    except UnicodeError:
        return None
    if not decoded.isprintable() or "\\" in decoded or "%" in decoded:
        return None
    segments = decoded.split("/")
    return None if ".." in segments else segments[-1].lower()


@lru_cache(maxsize=4096)
def _match(path: str) -> tuple[Kind, Asked] | None:
    name = last_segment(path)
    if not name:
        return None
    for row in KINDS:
        if found := row.pattern.fullmatch(name):
            return row, Asked(row.kind, found.groupdict().get("mac") or "", name)
    return None


def file_asked(path: str) -> Asked | None:
    """What the last segment of `path` asks for; None when it is not a phone's file."""
    found = _match(path)
    return found[1] if found else None


def vendors_of(path: str) -> tuple[str, ...]:
    """The makers whose phones ask for such a name; none when it is not a phone's file."""
    found = _match(path)
    return found[0].vendors if found else ()
