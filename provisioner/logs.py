"""Logging of every process: one line an event, plain or JSON, outside numbers masked."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime

import msgspec

_NUMBER = re.compile(r"(?<![\w.:/-])(\+?\d{5,13})(\d{2})(?![\w.:/-])")


def mask(text: str) -> str:
    """`text` with every public telephone number (7 digits and more) reduced to its last two digits."""
    return _NUMBER.sub(lambda found: "…" + found.group(2), text)


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.name,
            "message": mask(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = mask(self.formatException(record.exc_info))
        return msgspec.json.encode(entry).decode()


class _Plain(logging.Formatter):
    """`12:00:01 edge  message`, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        line = f"{at} {record.levelname[0]} {record.name.removeprefix('provisioner.')}: {mask(record.getMessage())}"
        return line + ("\n" + mask(self.formatException(record.exc_info)) if record.exc_info else "")


def set_up(form: str = "plain", level: int = logging.INFO) -> None:
    """Log to standard error as `form` (`plain` or `json`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Plain())
    logging.basicConfig(level=level, handlers=[handler], force=True)
