"""Keys in SIP INFO (RFC 6086): what the bodies in use say, which no RFC defines, and a sender that keeps order."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from provisioner.sip.events import DIGITS

if TYPE_CHECKING:
    from provisioner.sip.message import Response
    from provisioner.sip.session import Session

RELAY = DIGITS[0]
KEYS = "0123456789*#ABCD"
LENGTH = 250  # ms of a press that does not say how long it was
SHORTEST, LONGEST = 40, 5000  # ms
WAITING = 24  # presses that wait for an answer to the one before

_BY_CODE = {str(code): key for code, key in enumerate(KEYS)}  # 10 and 11 are * and # (RFC 4733 3.2)
_FIELD = re.compile(r"(signal|duration|event|d)\s*=\s*(?:digits\s*=)?\s*([^\s;]+)", re.I)


class Key(NamedTuple):
    """One press; `milliseconds` long."""

    digit: str
    milliseconds: int = LENGTH


def parse(content_type: str, body: bytes) -> tuple[Key, ...]:
    """The keys that the body of an INFO names, in order; none when it names no key, as of a hook flash.

    `application/dtmf-relay` has lines `Signal=5` and `Duration=160` (ms); `application/dtmf` the key or its code;
    Nortel's `d=Digits=5`; `audio/telephone-event` fields `Event=5` and `Duration=160`.
    """
    kind = content_type.partition(";")[0].strip().lower()
    text = body.decode("ascii", "replace").strip()
    fields = {name.lower(): value for name, value in _FIELD.findall(text)}
    if kind == "application/dtmf":
        signal = fields.get("signal", text)
    else:
        signal = fields.get("signal") or fields.get("event") or fields.get("d") or ""
    milliseconds = _milliseconds(fields.get("duration", ""))
    if kind == "application/vnd.nortelnetworks.digits":
        return tuple(Key(digit, milliseconds) for digit in signal.upper() if digit in KEYS)
    digit = _BY_CODE.get(signal, signal.upper())
    return (Key(digit, milliseconds),) if len(digit) == 1 and digit in KEYS else ()


def _milliseconds(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        return LENGTH
    return max(SHORTEST, min(int(text), LONGEST))


def body_of(key: Key) -> bytes:
    """The body of an `application/dtmf-relay`."""
    return f"Signal={key.digit}\r\nDuration={key.milliseconds}\r\n".encode()


class InfoSender:
    """Sends presses in a session's dialog, each after the answer to the one before: INFO keeps no order by itself."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: deque[Key] = deque(maxlen=WAITING)
        self._busy = False
        self._overtaken: Key | None = None

    def send(self, key: Key) -> None:
        """Send a press, now or after those before it."""
        self._waiting.append(key)
        self._next()

    def _next(self) -> None:
        session = self._session
        dialog = session.present
        if self._busy or not self._waiting or session.state == "over" or dialog is None:
            return
        key = self._waiting.popleft()
        request = dialog.request("INFO")
        request.headers.append(("content-type", RELAY))
        request.body = body_of(key)
        self._busy = True
        hop = session.agent.hop(dialog)
        session.agent.request(
            request, hop, lambda response: self._answered(key, response), session.credentials
        )

    def _answered(self, key: Key, response: Response | None) -> None:
        if response is not None and response.status < 200:
            return
        self._busy = False
        if response is not None and response.status == 500 and self._overtaken != key:
            self._overtaken = key  # by another request of the dialog (12.2.2): not looked at, so once more
            self._waiting.appendleft(key)
        else:
            self._overtaken = None
        if response is not None and response.status == 481:
            self._session.lost()  # the dialog is no more (RFC 3261 12.2.1.2)
        self._next()
