"""What a session tells its listener, and how bodies of call messages are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from provisioner.sip.message import Message, Request, Response
from provisioner.sip.sdp import audio_part
from provisioner.sip.transaction import ServerTransaction

SDP = "application/sdp"
DIGITS = (
    "application/dtmf-relay", "application/dtmf", "application/vnd.nortelnetworks.digits",
    "audio/telephone-event",
)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """A provisional answer, 101 to 199; `sdp` is empty without early media."""

    status: int
    sdp: bytes
    response: Response


@dataclass(frozen=True)
class Answered:
    """The peer accepted our INVITE. `sdp`: of its 2xx, else what this fork said before it."""

    sdp: bytes
    response: Response


@dataclass(frozen=True)
class Failed:
    """Our INVITE came to nothing; 408 when nobody answered, 503 when it could not be delivered."""

    status: int
    reason: str
    response: Response | None = None


@dataclass(frozen=True)
class Confirmed:
    """ACK of our 2xx, PRACK of our reliable 1xx, or a refresh of ours; `sdp` is the answer to our offer."""

    sdp: bytes


@dataclass(frozen=True)
class Offered:
    """A re-INVITE, UPDATE or PRACK; reply with `Session.answer` or `transaction.reply(488)`.

    `sdp` is empty when we are to offer.
    """

    sdp: bytes
    transaction: ServerTransaction


@dataclass(frozen=True)
class Info:
    """A body of one of the types `DIGITS` in an INFO request (RFC 6086); already answered 200."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class Ended:
    """The peer is gone: `how` is "bye", "cancelled" or "timeout"; `reason` its Reason header (RFC 3326)."""

    how: Literal["bye", "cancelled", "timeout"]
    reason: str = ""


Event = Progress | Answered | Failed | Confirmed | Offered | Info | Ended


def body_of(message: Request | Response) -> bytes:
    """The SDP in a message, b"" without one."""
    return audio_part(message.get("content-type"), message.body)


MAX_TOKENS = 64  # a core that lists all it can do lists about 20


def speaks(request: Request) -> bool:
    """Whether the body of an INVITE, if there is one, can be understood (8.2.3)."""
    kind = request.get("content-type").partition(";")[0].strip().lower()
    optional = "handling=optional" in request.get("content-disposition").replace(" ", "").lower()
    plain = request.get("content-encoding", "identity").lower() == "identity"
    return not request.body or optional or (plain and (kind == SDP or kind.startswith("multipart/")))


def tokens(message: Message, name: str) -> list[str]:
    """The option tags, or methods, that a header lists, over all its lines; no more than MAX_TOKENS are looked at."""
    found: list[str] = []
    for value in message.all(name):
        found += [item.strip() for item in value.split(",", MAX_TOKENS)[:MAX_TOKENS] if item.strip()]
        if len(found) >= MAX_TOKENS:
            break
    return found[:MAX_TOKENS]


def lists(message: Message, name: str, token: str) -> bool:
    """Whether a header lists `token` (option tags compare without case, RFC 3261 7.3.1)."""
    return token.lower() in [item.lower() for item in tokens(message, name)]
