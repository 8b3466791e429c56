"""The location server for phones over HTTP: `POST /held`, and the location URIs below it (RFC 5985, 6753)."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from provisioner.emergency import documents, held, moved, pidf, references
from provisioner.errors import OperatorError
from provisioner.front import answers
from provisioner.front.connection import Request
from provisioner.front.lookup import Lookup
from provisioner.front.neighbours import plain
from provisioner.front.record import Recorder
from provisioner.phones.identity import normal_mac, of_agent
from provisioner.phones.limits import source_of
from provisioner.phones.proof import Asker
from provisioner.phones.trust import Verdict
from provisioner.store.records import Snapshot

PATH = "/held"
_PRIVATE = (("Cache-Control", "private"), ("Expires", "0"))


class Registered:
    """Which phone registers from which address, as the edge tells it."""

    def __init__(self) -> None:
        self._addresses: dict[str, dict[str, str]] = {}  # address: extension: MAC

    def replace(self, rows: Iterable[dict[str, Any]]) -> None:
        """All registrations (`registrations` of the edge's status)."""
        self._addresses = {}
        for row in rows:
            self.heard(row)

    def heard(self, row: dict[str, Any]) -> None:
        """One registration that came, or went (`expires_in` 0)."""
        address, extension, mac = (str(row.get(name, "")) for name in ("address", "extension", "mac"))
        host = address.rpartition(":")[0].strip("[]")
        held = self._addresses.setdefault(host := plain(host), {})
        held.pop(extension, None)
        if row.get("expires_in") and mac:
            held[extension] = mac
        if not held:
            del self._addresses[host]

    def mac(self, host: str) -> str:
        """The one phone that registers from `host`; "" for none, and for several behind one address."""
        macs = set(self._addresses.get(plain(host), {}).values())
        return macs.pop() if len(macs) == 1 else ""


class Locations:
    """Answers from memory. `base`: where the path is reached over HTTPS, "" before that is known; `key`: of tokens."""

    def __init__(self, lookup: Lookup, recorder: Recorder, now: Callable[[], float] = time.time) -> None:
        self._lookup = lookup
        self._recorder = recorder
        self._now = now
        self.registered = Registered()
        self.base = ""
        self.key = b""

    @staticmethod
    def owns(path: str) -> bool:
        """Whether a path is one of ours."""
        return path == PATH or path.startswith(f"{PATH}/")

    async def answer(self, request: Request) -> None:
        """Take the body and answer. Whoever asks too much is told so, as with phones' files."""
        asker = self._asker(request)
        phone = self._phone(asker)
        sources = self._lookup.door.trust.sources
        source = source_of(asker.address, asker.neighbour)
        if sources.phone(phone) if phone else sources.admit(source, asker.address, asker.local):
            self._send(request, phone, 429, b"", "text/plain")
            return
        body = bytearray()
        try:
            while len(body) <= documents.MAX_DOCUMENT and (piece := await request.body.read()):
                body += piece
        except ConnectionError:
            return
        path = request.target.partition("?")[0]
        token = path.removeprefix(PATH).strip("/")
        status = _refusal(request, bool(token), len(body))
        if status:
            self._send(request, "", status, b"", "text/plain")
        elif token:
            self._dereference(request, token, bytes(body))
        else:
            self._send(request, phone, 200, self._located(request, phone, bytes(body)), held.CONTENT_TYPE)

    def _located(self, request: Request, phone: str, body: bytes) -> bytes:
        address = request.connection.address
        snapshot = self._snapshot
        practice = snapshot.practice if snapshot else None
        inside = moved.is_private(address)
        trusted = False
        if practice:
            inside = moved.within(address, practice.phone_networks) if practice.phone_networks else inside
            trusted = moved.within(address, practice.location_askers)
        asker = held.Asker(address, phone, inside, trusted)
        return held.answer(body, asker, self._knowledge())

    def _dereference(self, request: Request, token: str, body: bytes) -> None:
        """Who holds a location URI reads it; nothing tells a wrong one from one that has expired."""
        snapshot = self._snapshot
        mac = references.phone(self.key, token, snapshot.phones if snapshot else (), self._now())
        if not mac:
            self._send(request, "", 404, b"", "text/plain")
            return
        if pidf.CONTENT_TYPE in request.header("accept").lower():
            document, kind = self._bare(mac), pidf.CONTENT_TYPE
        else:
            document = held.dereferenced(body if request.method == "POST" else None, mac, self._knowledge())
            kind = held.CONTENT_TYPE
        self._send(request, "", 200 if document else 404, document or b"", kind)

    def _bare(self, mac: str) -> bytes | None:
        try:
            return held.presence(mac, self._knowledge())
        except OperatorError:
            return None

    # who asks

    @property
    def _snapshot(self) -> Snapshot | None:
        return self._lookup.renderer.snapshot if self._lookup.renderer else None

    def _knowledge(self) -> held.Knowledge:
        return held.Knowledge(
            self._snapshot, self._now(), lambda: secrets.token_hex(8), self.registered.mac, self._reference
        )

    def _reference(self, mac: str) -> tuple[str, float] | None:
        if not self.key or not self.base:
            return None
        expires = int(self._now()) + references.SECONDS
        return f"{self.base}/{references.token(self.key, mac, expires, secrets.token_bytes(8))}", expires

    def _asker(self, request: Request) -> Asker:
        connection = request.connection
        return self._lookup.door.asker(
            request.target,
            connection.address,
            request.header("user-agent"),
            certificate=connection.subject,
            authorization=request.header("authorization"),
            method=request.method,
            scheme=connection.scheme,
            forwarded=bool(request.header("forwarded") or request.header("x-forwarded-for")),
        )

    def _phone(self, asker: Asker) -> str:
        """The phone that the asker is beyond doubt: by what it proves, else by where it registers from."""
        snapshot = self._snapshot
        if snapshot is None:
            return ""
        if asker.certificate:
            mac = normal_mac(asker.certificate) or ""
        elif asker.neighbour:  # on the link: what it says of itself counts for nothing
            mac = asker.neighbour
        else:
            mac = self._proved(asker, snapshot) or self.registered.mac(asker.address)
        return mac if mac in snapshot.phones else ""

    def _proved(self, asker: Asker, snapshot: Snapshot) -> str:
        """The phone whose user and password the asker has, over TLS; "" without."""
        if asker.scheme != "https" or asker.authorization[:6].lower() != "basic ":
            return ""
        try:
            said = base64.b64decode(asker.authorization[6:].strip(), validate=True)
        except ValueError:
            return ""
        user = said.partition(b":")[0]
        for mac, credential in snapshot.credentials.items():
            known = f"{credential.http_user}:{credential.http_password}".encode()
            if user == credential.http_user.encode() and credential.http_password:
                return mac if secrets.compare_digest(said, known) else ""
        return ""

    def _send(self, request: Request, mac: str, status: int, body: bytes, kind: str) -> None:
        connection = request.connection
        if not request.body.complete:
            request.keep_alive = False
        who = of_agent(request.header("user-agent"))._replace(mac=mac)
        path = PATH if request.target.partition("?")[0] == PATH else f"{PATH}/***"  # a token is a secret
        agent = request.header("user-agent")
        verdict = Verdict("location", who)
        self._recorder.answered(verdict, connection.address, request.method, path, status, len(body), agent)
        head = request.method == "HEAD"
        connection.transport.write(
            answers.whole(status, body, kind, keep_alive=request.keep_alive, only_head=head, extra=_PRIVATE)
        )
        connection.done(request)


def _refusal(request: Request, is_reference: bool, size: int) -> int:
    """The HTTP status of a request that is none of HELD (RFC 5985, section 8); 0 for one that is."""
    names = {name for name, _ in request.headers}
    kind = request.header("content-type").partition(";")[0].strip().lower()
    accepts = request.header("accept").lower()
    takes = (held.CONTENT_TYPE, pidf.CONTENT_TYPE, "application/*", "*/*") if is_reference else (
        held.CONTENT_TYPE, "application/*", "*/*",
    )  # fmt: skip
    refusals = (
        (404, is_reference and request.connection.scheme != "https"),  # RFC 6753, section 3
        (404, not is_reference and request.method in ("GET", "HEAD")),
        (405, request.method not in ("GET", "HEAD", "POST")),
        (501, bool(names & {"expect", "range"})),
        (412, any(name.startswith("if-") for name in names)),
        (413, size > documents.MAX_DOCUMENT),
        (406, request.method == "POST" and kind != held.CONTENT_TYPE),
        (406, bool(accepts) and not any(each in accepts for each in takes)),
    )
    return next((status for status, refused in refusals if refused), 0)
