"""Log lines: one line each, numbers of people masked and nothing else."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from provisioner.logs import mask, request_id, set_up


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call from +14155550123 to 101", "call from …23 to 101"),
        ("call from 4155550123", "call from …23"),
        ("to 4155550123.", "to …23."),
        ("to 4155550123, 4155550199;", "to …23, …99;"),
        ("<sip:+14155550123@10.0.0.5:5060;user=phone>", "<sip:…23@10.0.0.5:5060;user=phone>"),
        ("tel:+14155550123", "tel:…23"),
        ("sip:4155550123@practice.example", "sip:…23@practice.example"),
        ("From: 4155550123", "From: …23"),
        ("from=4155550123&to=%2B14155550123", "from=…23&to=…23"),
        ('"+14155550123"', '"…23"'),
        ("[14155550123]", "[…23]"),
        ("/calls/4155550123/", "/calls/…23/"),
        ("011525512345678", "…78"),
        ("01144201234567890", "…90"),
        ("(415) 555-0123", "…23"),
        ("+1 415 555 0123", "…23"),
        ("1-415-555-0123", "…23"),
        ("415.555.0123", "…23"),
        ("5550123", "…23"),
        ("…23", "…23"),
    ],
)
def test_numbers_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "extension 101, 1119 and 911",
        "0004f2123456",
        "0004F2123456.cfg",
        "00:04:f2:12:34:56",
        "00-15-65-12-34-56",
        "001565123456",
        "/000413123456.xml",
        "805ec0123456-directory.xml",
        "10.0.0.5:5060",
        "192.168.100.200:65535",
        "[2001:db8::1234:5678]:5061",
        "http://10.0.0.5:8080/phones",
        "2026-11-22 08:30:00",
        "5.9.7.4477",
        "z9hG4bK0123456789abcdef",
        "a0123456789",
        "550e8400-e29b-41d4-a716-446655440000",
        "took 12345 ms",
        "64 bytes, 200 OK",
    ],
)
def test_everything_else_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_plain_lines(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up()
    logging.getLogger("provisioner.edge").info("call from %s\r\n\x1b[2Jforged", "+14155550123")
    logging.getLogger("provisioner.edge").debug("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    assert line[2] == line[5] == ":"
    assert line[8:] == r" I edge: call from …23\x0d\x0a\x1b[2Jforged"


def test_json_lines(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", logging.WARNING, "edge")
    logger = logging.getLogger("provisioner.edge")
    logger.info("not shown")
    logger.warning("from %s\n%s", "4155550123", "\udcff")
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "level": "warning",
        "process": "edge",
        "logger": "provisioner.edge",
        "event": "from %s\n%s",
        "message": "from …23\n\\udcff",
    }


def test_fields_and_the_request(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", process="web")
    token = request_id.set("0123abcd")
    fields = {"status": 303, "number": "+14155550123", "good": True}
    logging.getLogger("provisioner.web").info("changed 4155550123", extra={"fields": fields})
    request_id.reset(token)
    logging.getLogger("provisioner.web").info("later", extra={"fields": "none"})
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first["fields"] == {"status": 303, "number": "…23", "good": True, "request": "0123abcd"}
    assert first["event"] == first["message"] == "changed …23"
    assert "fields" not in second


@pytest.mark.parametrize("form", ["text", "json"])
def test_numbers_in_exceptions_are_masked(
    form: str, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(form)
    try:
        raise ValueError("no route to 4155550123")
    except ValueError:
        logging.getLogger("provisioner.edge").exception("failed")
    said = capsys.readouterr().err
    assert "ValueError: no route to …23" in said
    assert "4155550123" not in said
    assert sys.exc_info() == (None, None, None)
