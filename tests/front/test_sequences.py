"""What real phones were seen to send, byte for byte over a socket: each request gets its status and its file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provisioner.phones.boot import file_asked
from provisioner.phones.identity import Identity, identify
from provisioner.phones.render import Renderer
from provisioner.store.records import Credential, Line, LineCredential, Phone
from tests.front.harness import Front, read_until
from tests.phones.samples import ADDRESSES, snapshot

SEQUENCES = {
    path.stem: tomllib.loads(path.read_text())
    for path in sorted((Path(__file__).parents[1] / "phones" / "sequences").glob("*.toml"))
}


def practice(sequence: dict[str, Any]) -> Renderer:
    """A practice whose only phone is the one of the sequence, when it is adopted."""
    mac = sequence["mac"]
    phone = Phone(id=mac, vendor=sequence["vendor"], model=sequence["model"], lines=(Line(extension="101"),))
    secret = Credential(id=mac, lines=(LineCredential(auth_user=mac, password="p" * 24),))
    adopted = sequence.get("adopted", True)
    whole = msgspec.structs.replace(
        snapshot(),
        phones={mac: phone} if adopted else {},
        credentials={mac: secret} if adopted else {},
    )
    return Renderer(whole, ADDRESSES)


def head_of(request: dict[str, Any]) -> bytes:
    """The request as the makers' phones write it: only what they need, in this order."""
    body = str(request.get("body", "")).encode()
    length = f"Content-Length: {len(body)}\r\n" if request["method"] in ("PUT", "POST") else ""
    version = request.get("version", "1.1")
    return (
        f"{request['method']} {request['path']} HTTP/{version}\r\nHost: 192.0.2.10:8080\r\n"
        f"User-Agent: {request['agent']}\r\nAccept: */*\r\n{length}\r\n"
    ).encode() + body


def ask(front: Front, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own, and all that came for it."""
    with front.connect() as sock:
        sock.sendall(head_of(request))
        head, _, body = read_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        length = 0 if request["method"] == "HEAD" else int(headers["Content-Length"])
        while len(body) < length:
            piece = sock.recv(65536)
            assert piece, "closed early"
            body += piece
        sock.shutdown(1)
        while piece := sock.recv(65536):
            body += piece
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_of_a_real_phone(front: Front, name: str) -> None:
    sequence = SEQUENCES[name]
    renderer = front.lookup.renderer = practice(sequence)
    assert renderer.catalogue.model(sequence["vendor"], sequence["model"])
    for request in sequence["requests"]:
        status, headers, body = ask(front, request)
        about = f"{request['method']} {request['path']}: {front.journal.of('requests')[-1]['rule']}"
        assert status == request["status"], about
        assert "Transfer-Encoding" not in headers, about
        if request["method"] == "HEAD":
            assert body == b"", about
            continue
        assert int(headers["Content-Length"]) == len(body), about
        asked = file_asked(request["path"])
        assert (asked.kind if asked else "") == request["kind"], about
        if status == 200 and asked:
            assert body
            who = identify(request["path"], request["agent"])
            assert isinstance(who, Identity), about
            made = renderer.rendered(asked, who, "/sealed/" in request["path"])
            assert made, about
            assert body == made.data, about


def test_the_sequences_of_the_facts_are_all_there() -> None:
    for name in ("vvx500", "soundpoint", "ccx", "w52p", "grp"):
        assert any(name in each for each in SEQUENCES), name
