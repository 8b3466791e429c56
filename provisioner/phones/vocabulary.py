"""The neutral vocabulary: every setting of a phone as a typed row, before any maker's spelling."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from provisioner.errors import OperatorError
from provisioner.phones.clock import is_zone

Value = str | int | bool | tuple[str, ...] | dict[str, str]
Stored = str | int | bool | list[str] | dict[str, str]  # as a PhoneSettings record holds it

CODECS = ("PCMU", "PCMA", "G722", "G729", "Opus")
RINGS = ("internal", "external", "group", "emergency", "silent")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `type`: bool, int, text, choice, host, url, zone, list or map (to one of `choices`).

    `low`, `high`: of an int, both allowed. `pattern`: of a text, or of each item of a list. `choices`: of a
    choice, of a list's items, of a map's values. `unit`: of an int. `optional`: may be "" (off, or none).
    """

    name: str
    type: str
    default: Value
    help: str
    unit: str = ""
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    pattern: str = ""
    optional: bool = False

    @property
    def allowed(self) -> str:
        """What the setting takes, in words."""
        return _ALLOWED[self.type](self) + (', or ""' if self.optional else "")


def _int(name: str, default: int, low: int, high: int, unit: str, text: str) -> Setting:
    return Setting(name=name, type="int", default=default, low=low, high=high, unit=unit, help=text)


def _bool(name: str, default: bool, text: str) -> Setting:
    return Setting(name=name, type="bool", default=default, help=text)


def _choice(name: str, choices: str, text: str) -> Setting:
    """The first choice is the default."""
    words = tuple(choices.split())
    return Setting(name=name, type="choice", default=words[0], choices=words, help=text)


def _host(name: str, text: str, *, default: str = "", optional: bool = False) -> Setting:
    return Setting(name=name, type="host", default=default, optional=optional, help=text)


_SETTINGS = (
    _host("registrar_host", "Where accounts register; without one, this appliance's address."),
    _int("registrar_port", 5060, 1, 65535, "port", "Its port; without one, the edge's for the transport."),
    _host("registrar_2_host", "A second registrar, for when the first does not answer.", optional=True),
    _int("registrar_2_port", 5060, 1, 65535, "port", "Its port."),
    _choice("transport", "udp tcp tls", "Transport of SIP."),
    _choice("srtp", "off optional required", "Encryption of the audio (RFC 3711); ask for it with tls only."),
    _int("register_seconds", 600, 60, 86400, "seconds", "Expiry of a registration."),
    _int("subscribe_seconds", 3600, 60, 86400, "seconds", "Expiry of subscriptions, as for lamps."),
    Setting(
        name="codecs",
        type="list",
        default=("PCMU", "PCMA"),
        choices=CODECS,
        help="Codecs in order of preference; all others are off.",
    ),
    _choice("dtmf", "rfc4733 info inband", "How keys pressed in a call are sent."),
    _int("dtmf_payload", 101, 96, 127, "payload type", "Of telephone-event (RFC 4733)."),
    _int("digit_map_pause_seconds", 3, 1, 10, "seconds", "What counts as a pause in dialling."),
    Setting(
        name="emergency_numbers",
        type="list",
        default=("911", "933", "988", "112"),
        pattern=r"[0-9]{2,6}",
        help="Dialled on a locked phone too; 911 is always among them.",
    ),
    _bool("call_waiting", True, "A second call knocks while one is on."),
    _bool(
        "phone_do_not_disturb",
        False,
        "The phone's own do-not-disturb key: it would refuse the call-back of an emergency centre.",
    ),
    _bool("phone_forward", False, "The phone's own forwarding: it would lead such a call-back away."),
    _bool("phone_conference", True, "The phone's own three-way conference."),
    _bool(
        "auto_answer", False, "A call whose Alert-Info or Call-Info says so is answered by itself (intercom)."
    ),
    Setting(
        name="voicemail_number",
        type="text",
        default="",
        pattern=r"[0-9*#+]{1,32}",
        optional=True,
        help="What the message key dials; with one, the phone subscribes to its lamp.",
    ),
    _bool("directory", True, "The practice's extensions as the phone's directory."),
    Setting(
        name="ring_tones",
        type="map",
        default={word: word for word in RINGS[:4]},
        choices=RINGS,
        help="A word in a call's Alert-Info to the way that it rings.",
    ),
    Setting(
        name="time_zone",
        type="zone",
        default="",
        optional=True,
        help="IANA name, the practice's unless a layer has another; none: the clock stays as it is.",
    ),
    _host("ntp_server", "Where the clock is set from.", default="pool.ntp.org"),
    _choice("time_format", "12 24", "Hours of the clock."),
    _choice("date_format", "mdy dmy ymd", "Order of month, day and year."),
    _choice("language", "en es fr de it ja ko pt ru zh", "Of menus and of the phone's page (ISO 639-1)."),
    _bool("call_history", False, "The phone's lists of calls: they would show callers to whoever passes."),
    _bool("redial_list", False, "The redial key and its list."),
    _bool("show_caller", True, "What the edge says of a caller is on the display."),
    _bool("hide_digits", False, "Keys pressed in a call are not shown."),
    _int(
        "screen_saver", 600, 0, 7200, "seconds", "Idle until the screen saver covers the display; 0: never."
    ),
    _bool("phone_web_page", False, "The phone's own web page."),
    _int("vlan_id", 0, 0, 4094, "VLAN", "Of the phone; 0: none by settings."),
    _int("vlan_priority", 5, 0, 7, "802.1p", "Of the phone's frames in it."),
    _int("pc_vlan_id", 0, 0, 4094, "VLAN", "Of the computer port; 0: none."),
    _bool("lldp", True, "The phone learns its VLAN by LLDP-MED."),
    _bool("cdp", True, "The phone learns its VLAN by CDP."),
    _bool("dhcp_vlan", True, "The phone learns its VLAN from DHCP."),
    _int("qos_signalling", 26, 0, 63, "DSCP", "Of SIP."),
    _int("qos_audio", 46, 0, 63, "DSCP", "Of RTP."),
    _host("syslog_host", "Where phones send their logs.", optional=True),
    _choice("syslog_level", "warning error notice info debug", "From which severity on."),
    _choice("provisioning_scheme", "http https tftp", "How phones fetch their files."),
    _host("provisioning_host", "From where; without one, this appliance's address."),
    _int("provisioning_port", 80, 1, 65535, "port", "Its port; without one, the front's for the scheme."),
    _int("poll_seconds", 7200, 60, 604800, "seconds", "How often phones ask for their files again."),
    _bool("provisioning_auth", True, "Phones show a user and password of their own where they have one."),
    _bool(
        "encrypt_files",
        False,
        "A phone's own file goes out encrypted once it has its key, on phones that can read that.",
    ),
    _bool("vendor_clouds", False, "The makers' own provisioning and management services."),
    _bool("pnp", False, "SIP plug-and-play by multicast at each start: anyone near may answer it."),
    _bool("dhcp_provisioning", False, "An address of a server in DHCP wins over the settings."),
    Setting(
        name="firmware_server",
        type="url",
        default="",
        optional=True,
        help="Folder from which phones fetch firmware; none: they keep theirs.",
    ),
)
SETTINGS: dict[str, Setting] = {row.name: row for row in _SETTINGS}

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]{2,45}\]?")
_URL = re.compile(r"(https?|ftps?|tftp)://[^\s<>\"'&|\\]{1,400}")


def _one_of(words: tuple[str, ...]) -> str:
    return " ".join(words)


_ALLOWED: dict[str, Callable[[Setting], str]] = {
    "bool": lambda row: "true or false",
    "int": lambda row: f"{row.low} to {row.high} ({row.unit})",
    "text": lambda row: "text",
    "choice": lambda row: f"one of {_one_of(row.choices)}",
    "host": lambda row: "a host name or an address",
    "url": lambda row: "a URL",
    "zone": lambda row: "an IANA time zone",
    "list": lambda row: f"a list of {_one_of(row.choices) or 'codes'}",
    "map": lambda row: f"a table of words to {_one_of(row.choices)}",
}


def _is_list(row: Setting, items: tuple[Any, ...]) -> bool:
    fits = all(
        isinstance(item, str) and (item in row.choices if row.choices else re.fullmatch(row.pattern, item))
        for item in items
    )
    whole = row.name != "emergency_numbers" or "911" in items
    return fits and whole and 0 < len(items) <= 16 and len(set(items)) == len(items)


def _is_map(row: Setting, found: dict[Any, Any]) -> bool:
    words = all(isinstance(word, str) and re.fullmatch(r"[\w.;=-]{1,60}", word, re.ASCII) for word in found)
    return words and len(found) <= 10 and all(value in row.choices for value in found.values())


# Type of a row: the Python type that a value must have, and whether it fits.
_CHECKS: dict[str, tuple[type, Callable[[Setting, Any], Any]]] = {
    "bool": (bool, lambda row, value: True),
    "int": (int, lambda row, value: row.low <= value <= row.high),
    "text": (str, lambda row, value: re.fullmatch(row.pattern, value)),
    "choice": (str, lambda row, value: value in row.choices),
    "host": (str, lambda row, value: _HOST.fullmatch(value)),
    "url": (str, lambda row, value: _URL.fullmatch(value)),
    "zone": (str, lambda row, value: is_zone(value)),
    "list": (tuple, _is_list),
    "map": (dict, _is_map),
}


def check(name: str, value: object, where: str = "") -> Value:
    """The value of a setting as templates get it (lists become tuples). Raises OperatorError.

    `where`: the layer that holds it, for the error's words.
    """
    row = SETTINGS.get(name)
    place = f" (in {where})" if where else ""
    if row is None:
        raise OperatorError(f"there is no setting {name!r}{place}", "docs/phones.md lists the settings")
    value = tuple(value) if isinstance(value, list) else value
    kind, fits = _CHECKS[row.type]
    # bool is an int to Python; a page's "1" is not one to us.
    right = type(value) is kind and ((row.optional and value == "") or fits(row, value))
    if not right:
        raise OperatorError(f"{name} cannot be {_shown(value)}{place}", f"it takes {row.allowed}")
    return value  # type: ignore[return-value] # its type is the row's


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def shown(value: object) -> str:
    """A value for people to read."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{word} → {way}" for word, way in value.items())
    return str(value) if value != "" else "none"


def from_text(name: str, text: str) -> Stored:
    """The value that somebody typed into a form: lists with spaces or commas, a table as `word=way`.

    Raises OperatorError.
    """
    row = SETTINGS.get(name)
    kind = row.type if row else ""
    text = text.strip()
    value: Stored = text
    if kind == "bool" and text in ("true", "false"):
        value = text == "true"
    elif kind == "int" and re.fullmatch(r"[0-9]{1,9}", text):
        value = int(text)
    elif kind == "list":
        value = re.findall(r"[^\s,;]+", text)
    elif kind == "map":
        pairs = (pair.partition("=") for pair in re.split(r"[,\n]", text) if pair.strip())
        value = {word.strip(): way.strip() for word, _, way in pairs}
    check(name, value)
    return value


def as_text(value: object) -> str:
    """A value as `from_text` takes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{word}={way}" for word, way in value.items())
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
