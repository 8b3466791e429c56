"""What is fuzzed: each target takes bytes and raises when something does not hold."""

from __future__ import annotations

import re
from collections.abc import Callable

from provisioner.errors import PeerError
from provisioner.sip import sdp
from provisioner.sip.digest import Authenticator, answer, parse_credentials
from provisioner.sip.headers import NameAddr, Uri, Via, format_params, parse_params, split_list
from provisioner.sip.message import MAX_MESSAGE, MessageError, Stream, parse
from tests.fuzz.seeds import BRANCH, CALL, OURS, SEQ
from tests.sip.lone import ANSWER, OFFER, Lone, request

Target = Callable[[bytes], None]


def whole(data: bytes) -> None:
    """A message reads as it did after it was written again."""
    try:
        message = parse(data)
    except MessageError:
        return
    again = parse(message.encode())
    kept = [header for header in message.headers if header[0] != "content-length"]
    assert again.start_line == message.start_line
    assert again.headers == [*kept, ("content-length", str(len(message.body)))]
    assert again.body == message.body


def stream(data: bytes) -> None:
    """A stream ends in messages or one error, and holds no more than a message."""
    machine, size = Stream(), 1 + len(data) // (1 + len(data) % 50)
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        while True:
            try:
                found = machine.feed(piece)
            except MessageError as error:
                if not error.framed:
                    return
                found = [None]
            assert len(machine._held) <= MAX_MESSAGE + size
            if not found:
                break
            piece = b""


def headers(data: bytes) -> None:
    """What a header value was read as stays the same once written."""
    value = data[:2000].decode("utf-8", "surrogateescape")
    split_list(value)
    for kind in (Uri.parse, NameAddr.parse, Via.parse, lambda text: format_params(parse_params(text))):
        try:
            found = str(kind(value))
        except PeerError:
            continue
        assert str(kind(found)) == found


def offers(data: bytes) -> None:
    """SDP and multipart bodies."""
    _, _, body = data.rpartition(b"\r\n\r\n")
    for judge in (sdp.MediaSession.answer, sdp.MediaSession.accept):
        try:
            judge(sdp.MediaSession("10.0.0.1", 5000, 1), body)
        except PeerError:
            continue
    sdp.audio_part("multipart/mixed;boundary=b", data)


GUARD = Authenticator("r", b"s", lambda: 0.0, ("SHA-256", "MD5"))


def digest(data: bytes) -> None:
    """Credentials and challenges."""
    value = data[:1000].decode("utf-8", "surrogateescape")
    value = value if value.startswith("Digest") else f"Digest {value}"
    parse_credentials(value)
    answer(value, "u", "p", "BYE", "sip:h", "c")
    GUARD.check(value, "BYE", "h", {"alice": "p"}.get)


class Calls:
    """An agent in the middle of its work: a call in each state; what comes names the one or the other.

    After `each` inputs everything must come to its end: no table may hold anything.
    """

    def __init__(self, each: int = 100) -> None:
        self.each = each
        self.inputs: list[bytes] = []  # since the state was made anew, to play a crash again
        self.made = 0
        self._begin()

    def _begin(self) -> None:
        self.inputs.clear()
        self.lone = lone = Lone()
        party = lone.party
        party.listen = self._listen
        party.on_call = lambda session: session.accept(ANSWER)
        lone.hear(request("INVITE", branch="z9hG4bKup", body=OFFER))  # up
        tag = party.sessions[0].dialog.local.tag.encode()
        lone.hear(request("ACK", branch="z9hG4bKupack", to_tag=tag.decode()))
        party.on_call = lambda session: session.progress(180)
        lone.hear(request("INVITE", branch="z9hG4bKring", body=OFFER).replace(b": one", b": two"))  # incoming
        self.dialogs = [(b"z9hG4bK0", tag, b"one")]
        self.dialogs += [(b"z9hG4bKring", party.sessions[1].dialog.local.tag.encode(), b"two")]
        self.calls = []
        for _ in range(2):  # calling; the second is answered
            self.calls.append(lone.call(credentials=lambda realm: ("u", "p")))
            ours = lone.last("INVITE")
            branch = Via.parse(ours.get("via")).branch.encode()
            self.dialogs.append(
                (branch, NameAddr.parse(ours.get("from")).tag.encode(), ours.call_id.encode())
            )
        reply = lone.last("INVITE").response(200, "", "far")
        reply.headers += [("contact", "<sip:bob@10.0.0.2:5060>"), ("content-type", "application/sdp")]
        reply.body = ANSWER
        lone.hear(reply)

    def _listen(self, session: object, event: object) -> None:
        """Answer what is offered, as an application would."""
        transaction = getattr(event, "transaction", None)
        if transaction is not None:
            try:
                session.answer(transaction, self.lone.party.media.answer(event.sdp) if event.sdp else OFFER)
            except PeerError:
                transaction.reply(488)

    def fill(self, data: bytes) -> bytes:
        """The placeholders of the seeds made to name one of the calls."""
        self.made += 1
        branch, tag, call = self.dialogs[self.made & 3]
        if self.made & 31 and data[:4] != b"SIP/":  # once in a while a repeat, or a CANCEL that fits
            branch = b"z9hG4bK%d" % self.made
        data = data.replace(BRANCH, branch).replace(OURS, tag).replace(CALL, call)
        return data.replace(SEQ, b"%d" % (self.made % 1000000 + 1))

    def __call__(self, data: bytes) -> None:
        data = self.fill(data)
        self.inputs.append(data)
        self.lone.agent.receive(data, self.lone.flow)
        if len(self.inputs) >= self.each:
            self.finish()

    def finish(self) -> None:
        """Hang up and wait: nothing may be left."""
        lone = self.lone
        lone.run_until(40)
        for session in (*lone.party.sessions, *self.calls):
            session.hangup()
        lone.run_until(900)
        assert lone.idle(), "something is kept for ever"
        self._begin()


TARGETS: dict[str, Callable[[], Target]] = {
    "parse": lambda: whole,
    "stream": lambda: stream,
    "headers": lambda: headers,
    "sdp": lambda: offers,
    "digest": lambda: digest,
    "agent": Calls,
}
_LINE = re.compile(rb"\r\n[\w\-]+ ?: ?([^\r\n]*)")


def shape(name: str, data: bytes) -> bytes:
    """The part of a message that a target is about."""
    if name == "headers":
        values = _LINE.findall(data)
        return values[len(data) % len(values)] if values else data
    if name == "digest":
        at = data.find(b"Digest ")
        return data[at : at + 400] if at >= 0 else data[:200]
    return data
