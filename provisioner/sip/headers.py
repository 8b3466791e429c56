"""Values of SIP headers: URIs, name-addr, Via, parameters and lists (RFC 3261 sections 19.1, 20 and 25)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from urllib.parse import unquote

from provisioner.errors import PeerError

MAX_PARAMS = 64  # of one value; phones send up to 10
PARSED = 1024  # values that are kept as they were read: those of a dialog come again with each message

Params = dict[str, str | None]

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+\Z")
_DISPLAY = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ ]*\Z")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?:\s*:\s*([0-9]{1,5}))?\Z")
_BARE = re.compile(r"(?:[A-Za-z0-9\-.!%*_+`'~]+|[0-9A-Fa-f:.\[\]]+)\Z")  # needs no quotes: token or host
_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'  # up to the closing quote
_NAMED = re.compile(rf'({_QUOTED})"\s*<', re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_NOT_IN_URI = re.compile(r'[\0-\x1f\x7f<>"]')  # would end it early when it is written again
_ITEM = {  # what stands between separators; a quote or bracket that nobody closes reaches to the end
    separator: re.compile(rf"""(?:[^"<{separator}]++|{_QUOTED}(?:"|\\?\Z)|<[^>]*+>?)++""", re.S)
    for separator in ",;"
}
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*\Z")
_VIA = re.compile(r"\s*SIP\s*/\s*2\.0\s*/\s*([A-Za-z0-9\-.!%*_+`'~]+)\s+(\S.*)\Z", re.I | re.S)


def split_list(value: str, separator: str = ",") -> list[str]:
    """Split at `separator` outside quotes and angle brackets; empty items are dropped."""
    plain = '"' not in value and "<" not in value
    items = value.split(separator) if plain else _ITEM[separator].findall(value)
    return [text for item in items if (text := item.strip())]


def parse_params(text: str) -> Params:
    """`;a=b;lr` as {"a": "b", "lr": None}; names in lower case, quoted values unquoted.

    What has no token for a name is left out. Raises PeerError when there are too many.
    """
    items = split_list(text, ";")
    if len(items) > MAX_PARAMS:
        raise PeerError("too many parameters")
    params: Params = {}
    for item in items:
        name, equals, value = item.partition("=")
        name = name.strip().lower()
        if not _TOKEN.match(name):
            continue
        value = value.strip()
        if value[:1] == '"' and value[-1:] == '"' and len(value) > 1:
            value = _unescaped(value[1:-1])
        params[name] = value if equals else None
    return params


def _unescaped(text: str) -> str:
    """The text of a quoted-string without its quotes."""
    return "".join(_ESCAPED.split(text)) if "\\" in text else text


def format_params(params: Params) -> str:
    """The inverse of parse_params."""
    text = ""
    for name, value in params.items():
        if value is None:
            text += f";{name}"
        elif _BARE.match(value):
            text += f";{name}={value}"
        else:
            text += f";{name}={quoted(value)}"
    return text


def quoted(value: str) -> str:
    """`value` as a quoted-string (RFC 3261 25.1)."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def split_host(text: str, default_port: int | None = None) -> tuple[str, int | None]:
    """`host:port` apart; an IPv6 literal loses its brackets. Raises PeerError."""
    found = _HOST.match(text.strip())
    if not found:
        raise PeerError("bad host")
    port = int(found.group(2)) if found.group(2) else default_port
    if port is not None and port > 65535:
        raise PeerError("bad port")
    return found.group(1).strip("[]"), port


def join_host(host: str, port: int | None = None) -> str:
    """`host:port`, an IPv6 literal in brackets."""
    text = f"[{host}]" if ":" in host else host
    return text if port is None else f"{text}:{port}"


def default_port(transport: str) -> int:
    """5061 for TLS, else 5060 (RFC 3261 19.1.2)."""
    return 5061 if transport == "TLS" else 5060


def numeric(host: str) -> bool:
    """Whether a host is an IP address, brackets off, rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Uri:
    """A SIP, SIPS, TEL or URN URI. `user` stays escaped, as received; `opaque` is all of a tel or urn."""

    scheme: str
    host: str = ""
    port: int | None = None
    user: str = ""
    params: Params = field(default_factory=dict)
    headers: str = ""
    opaque: str = ""

    @classmethod
    @lru_cache(PARSED)
    def parse(cls, text: str) -> Uri:
        """Parse `text`. Raises PeerError: 400 when malformed, 416 when the scheme is not known."""
        scheme, colon, rest = text.strip().partition(":")
        scheme = scheme.lower()
        if not colon or not rest or not _SCHEME.match(scheme) or _NOT_IN_URI.search(rest):
            raise PeerError("bad URI")
        if scheme in ("tel", "urn"):
            if re.search(r"[\s<>\"]", rest):
                raise PeerError("bad URI")
            return cls(scheme, opaque=rest)
        if scheme not in ("sip", "sips"):
            raise PeerError("unknown URI scheme", 416)
        user, at, after = rest.partition("@")  # first of all: a user may hold ";" and "?"
        if not at:
            user, after = "", rest
        address, _, headers = after.partition("?")
        hostpart, _, tail = address.partition(";")
        host, port = split_host(hostpart)
        return cls(scheme, host, port, user.partition(":")[0], _uri_params(tail), headers)

    @property
    def dialled(self) -> str:
        """What a caller dialled: the user part unescaped, a tel number, or the whole URN."""
        if self.scheme == "urn":
            return f"urn:{self.opaque}".lower()
        return unquote(self.user if self.host else self.opaque).partition(";")[0]

    def __str__(self) -> str:
        if not self.host:
            return f"{self.scheme}:{self.opaque}"
        user = f"{self.user}@" if self.user else ""
        query = f"?{self.headers}" if self.headers else ""
        params = "".join(f";{name}" if v is None else f";{name}={v}" for name, v in self.params.items())
        return f"{self.scheme}:{user}{join_host(self.host, self.port)}{params}{query}"


def _uri_params(text: str) -> Params:
    """Like parse_params, but values stay as they are: a peer wants its own back, and none is quoted."""
    if text.count(";") >= MAX_PARAMS:
        raise PeerError("too many parameters")
    params: Params = {}
    for item in text.split(";") if text else ():
        name, equals, value = item.partition("=")
        if name:
            params[name.lower()] = value if equals else None
    return params


@dataclass(frozen=True)
class NameAddr:
    """A From, To, Contact, Route or P-Asserted-Identity value (RFC 3261 20.10)."""

    uri: Uri
    display: str = ""
    params: Params = field(default_factory=dict)

    @classmethod
    @lru_cache(PARSED)
    def parse(cls, text: str) -> NameAddr:
        """Parse one value. Without brackets the parameters belong to the header. Raises PeerError."""
        text = text.strip()
        if "<" not in text:
            uri, semicolon, params = text.partition(";")
            return cls(Uri.parse(uri), "", parse_params(semicolon + params))
        display, inside = _display(text)
        uri, bracket, params = inside.partition(">")
        if not bracket:
            raise PeerError("bad address")
        return cls(Uri.parse(uri), display, parse_params(params))

    @property
    def tag(self) -> str:
        return self.params.get("tag") or ""

    def with_tag(self, tag: str) -> NameAddr:
        """The same with that tag; without one when `tag` is empty."""
        params = {name: value for name, value in self.params.items() if name != "tag"}
        return replace(self, params={**params, "tag": tag} if tag else params)

    def __str__(self) -> str:
        display = self.display
        if display:
            display = f"{display} " if _DISPLAY.match(display) else f"{quoted(display)} "
        return f"{display}<{self.uri}>{format_params(self.params)}"


def _display(text: str) -> tuple[str, str]:
    """Display name, and what stands behind the opening bracket."""
    if not text.startswith('"'):
        display, _, rest = text.partition("<")
        return display.strip(), rest
    found = _NAMED.match(text)
    if not found:
        raise PeerError("bad display name")
    return _unescaped(found.group(1)[1:]), text[found.end() :]


@dataclass(frozen=True)
class Via:
    """One Via value (RFC 3261 20.42)."""

    transport: str
    host: str
    port: int | None
    params: Params

    @classmethod
    @lru_cache(PARSED)
    def parse(cls, text: str) -> Via:
        """Parse one value. Raises PeerError."""
        text, semicolon, params = text.partition(";")
        found = _VIA.match(text)
        if not found:
            raise PeerError("bad Via")
        host, port = split_host(found.group(2))
        return cls(found.group(1).upper(), host, port, parse_params(semicolon + params))

    @property
    def branch(self) -> str:
        return self.params.get("branch") or ""

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {join_host(self.host, self.port)}{format_params(self.params)}"
