"""Logging of every process: one line an event, plain or JSON, outside numbers masked."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime

import msgspec

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
    return mask(record.getMessage()).encode("utf-8", "backslashreplace").decode()


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.name,
            "message": _message(record),
        }
        if record.exc_info:
            text = mask(self.formatException(record.exc_info))
            entry["exception"] = text.encode("utf-8", "backslashreplace").decode()
        return msgspec.json.encode(entry).decode()


class _Plain(logging.Formatter):
    """`12:00:01 edge  message`, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        name = record.name.removeprefix("provisioner.")
        line = f"{at} {record.levelname[0]} {name}: {_message(record).translate(_CONTROLS)}"
        return line + ("\n" + mask(self.formatException(record.exc_info)) if record.exc_info else "")


def set_up(form: str = "plain", level: int = logging.INFO) -> None:
    """Log to standard error as `form` (`plain` or `json`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Plain())
    logging.basicConfig(level=level, handlers=[handler], force=True)
