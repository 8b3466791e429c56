"""Logging of every process: one line an event, as text or JSON, outside numbers masked (docs/monitoring.md)."""

from __future__ import annotations

import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

import msgspec

request_id: ContextVar[str] = ContextVar("request_id", default="")  # of the request that is answered now

_NUMBER = re.compile(
    r"(?<![\w.-])(?:\+|%2B)?"  # not inside a name, a version or a UUID
    r"(?!(?:001565|000413)\d{6}(?!\d))"  # the two makers of phones whose MACs may be digits only; no numbers
    r"(?:\d{5,16}|(?:1[ .-])?\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{2})(\d{2})"
    r"(?!\w|[.:]\d|-\w)",
    re.I,
)
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}  # a peer's text must not move the cursor


def mask(text: str) -> str:
    """`text` with every public telephone number (7 digits and more) reduced to its last two digits."""
    return _NUMBER.sub(lambda found: "…" + found.group(1), text)


def _message(record: logging.LogRecord) -> str:
    return _safe(record.getMessage())


def _safe(text: str) -> str:
    return mask(text).encode("utf-8", "backslashreplace").decode()


def _fields(record: logging.LogRecord) -> dict[str, str | int | float | bool]:
    """What was logged with `extra={"fields": {…}}`, and the request."""
    given = getattr(record, "fields", None)
    found = dict(given) if isinstance(given, dict) else {}
    if request := request_id.get():
        found.setdefault("request", request)
    return {
        str(name): value if isinstance(value, int | float | bool) else _safe(str(value))
        for name, value in found.items()
    }


class _Json(logging.Formatter):
    """One JSON object a line. `event`: the words without what is put into them, to count and to search by."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "event": _safe(str(record.msg)),
            "message": _message(record),
        }
        if fields := _fields(record):
            entry["fields"] = fields
        if record.exc_info:
            entry["exception"] = _safe(self.formatException(record.exc_info))
        return msgspec.json.encode(entry).decode()


class _Plain(logging.Formatter):
    """`12:00:01 edge  message`, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("provisioner.")
        line = f"{at} {record.levelname[0]} {name}: {_message(record).translate(_CONTROLS)}"
        return line + ("\n" + mask(self.formatException(record.exc_info)) if record.exc_info else "")


def set_up(form: str = "text", level: int = logging.INFO, process: str = "") -> None:
    """Log to standard error as `form` (`text` or `json`); `process`: who we are."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if form == "json" else _Plain())
    logging.basicConfig(level=level, handlers=[handler], force=True)
