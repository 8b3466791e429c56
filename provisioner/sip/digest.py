"""Digest authentication, both sides (RFC 3261 section 22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from provisioner.errors import PeerError
from provisioner.sip.headers import Params, parse_params, quoted, split_list

NONCE_SECONDS = 300.0
_NOBODY = "x" * 24  # hashed for unknown users: as long as the passwords that we make
MAX_NONCES = 4096  # counts of used nonces that are remembered; the oldest go first

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


_NONCE = re.compile(r"(?<![a-z])nonce\s*=\s*(\"[^\"]*\"|[^,\s]+)", re.I)


def _hash(algorithm: str, *parts: str) -> str:
    return _HASHES[algorithm](":".join(parts).encode("utf-8", "surrogateescape"))


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode("utf-8", "replace"), given.encode("utf-8", "replace"))


def parse_credentials(value: str) -> Params:
    """Parameters of an Authorization or WWW-Authenticate value; {} when it is no Digest that can be read."""
    scheme, rest = (*value.split(None, 1), "", "")[:2]
    try:
        return parse_params(";".join(split_list(rest))) if scheme.lower() == "digest" else {}
    except PeerError:
        return {}


def _response(algorithm: str, ha1: str, method: str, params: Params) -> str:
    ha2 = _hash(algorithm, method, params.get("uri") or "")
    nonce = params.get("nonce") or ""
    if params.get("qop"):
        middle = (nonce, params.get("nc") or "", params.get("cnonce") or "", params.get("qop") or "")
        return _hash(algorithm, ha1, *middle, ha2)
    return _hash(algorithm, ha1, nonce, ha2)


def answer(
    challenge: str, user: str, password: str, method: str, uri: str, cnonce: str, count: int = 1
) -> str | None:
    """Value of (Proxy-)Authorization for a `challenge` value; None when we cannot answer it."""
    offered = parse_credentials(challenge)
    algorithm = (offered.get("algorithm") or "MD5").upper()
    if algorithm not in _HASHES or "nonce" not in offered:
        return None
    realm = offered.get("realm") or ""
    params: Params = {
        "username": user,
        "realm": realm,
        "nonce": offered["nonce"],
        "uri": uri,
        "algorithm": algorithm,
    }
    qops = [qop.strip() for qop in (offered.get("qop") or "").split(",") if qop.strip()]
    if qops and "auth" not in qops:
        return None
    if qops:
        params |= {"qop": "auth", "nc": f"{count:08x}", "cnonce": cnonce}
    params["response"] = _response(algorithm, _hash(algorithm, user, realm, password), method, params)
    if offered.get("opaque"):
        params["opaque"] = offered["opaque"]
    bare = {"algorithm", "qop", "nc"}
    return "Digest " + ", ".join(
        f"{k}={v}" if k in bare else f"{k}={quoted(v or '')}" for k, v in params.items()
    )


class Challenges:
    """The challenges that a client answers, by header of the answer and realm; counts how often each was used."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], tuple[str, int]] = {}

    def nonces(self) -> set[str]:
        """The nonces that `authorize` uses."""
        return {parse_credentials(challenge).get("nonce") or "" for challenge, _ in self._held.values()}

    def take(self, header: str, challenges: list[str], used: set[str]) -> bool:
        """Keep, of each realm, the first challenge that we can answer; a nonce that was `used` proves us wrong.

        `header` is that of the answer. False when there is none.
        """
        taken: set[str] = set()
        for challenge in challenges:
            offered = parse_credentials(challenge)
            realm, nonce = offered.get("realm") or "", offered.get("nonce") or ""
            if realm in taken or nonce in used or answer(challenge, "", "", "", "", "") is None:
                continue
            taken.add(realm)
            self._held[header, realm] = (challenge, 0)
        return bool(taken)

    def authorize(
        self, password_of: Callable[[str], tuple[str, str] | None], method: str, uri: str, cnonce: str
    ) -> list[tuple[str, str]]:
        """The headers that answer all challenges so far, each with its next nonce count."""
        headers = []
        for (header, realm), (challenge, count) in self._held.items():
            known = password_of(realm)
            value = answer(challenge, *known, method, uri, cnonce, count + 1) if known else None
            if value:
                self._held[header, realm] = (challenge, count + 1)
                headers.append((header, value))
        return headers

    def next_nonce(self, info: str) -> None:
        """Authentication-Info of a success may bring the nonce to use next (RFC 7616 3.5)."""
        nonce = parse_credentials(f"Digest {info}").get("nextnonce")
        if nonce and len(self._held) == 1:
            ((key, (challenge, _)),) = self._held.items()
            fresh = _NONCE.sub(lambda _found: f"nonce={quoted(nonce)}", challenge, count=1)
            self._held[key] = (fresh, 0)


class Account:
    """User and password of ours at one peer; with `realm`, for that one only. Remembers the peer's last nonces."""

    def __init__(self, user: str, password: str, realm: str = "") -> None:
        self._user = user
        self._password = password
        self._realm = realm
        self.challenges = Challenges()

    def __call__(self, realm: str) -> tuple[str, str] | None:
        return (self._user, self._password) if self._realm in ("", realm) else None


@dataclass(frozen=True)
class Verdict:
    """What a request's credentials are worth; `user` is the digest username when it gave one."""

    outcome: Literal["ok", "none", "stale", "wrong"]
    user: str = ""


class Authenticator:
    """The server side. Nonces are an HMAC over time and source, so nothing is kept but their counts."""

    def __init__(
        self, realm: str, secret: bytes, clock: Callable[[], float], algorithms: tuple[str, ...] = ("MD5",)
    ) -> None:
        self.realm = realm
        self._secret = secret
        self._clock = clock
        self._algorithms = algorithms
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._made = 0

    def _nonce(self, stamp: str, source: str) -> str:
        return stamp + hmac.new(self._secret, f"{stamp}|{source}".encode(), "sha256").hexdigest()[:32]

    def challenges(self, source: str, stale: bool = False) -> list[str]:
        """Values of WWW-/Proxy-Authenticate for a peer at address `source`, strongest algorithm first."""
        self._made += 1  # two lines of one phone may be challenged within a millisecond
        nonce = self._nonce(f"{int(self._clock() * 1000):012x}{self._made & 0xFFFF:04x}", source)
        tail = ", stale=true" if stale else ""
        return [
            f'Digest realm={quoted(self.realm)}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{tail}'
            for algorithm in self._algorithms
        ]

    def check(
        self, value: str, method: str, source: str, password_of: Callable[[str], str | None]
    ) -> Verdict:
        """Judge an Authorization value. What is wrong with it makes no difference to the work that it costs."""
        params = parse_credentials(value)
        user, nonce = params.get("username") or "", params.get("nonce") or ""
        named = (params.get("algorithm") or "MD5").upper()
        ours = params.get("realm") == self.realm and named in self._algorithms
        algorithm = named if ours else self._algorithms[0]
        password = password_of(user)
        ha1 = _hash(algorithm, user, self.realm, _NOBODY if password is None else password)
        right = _same(_response(algorithm, ha1, method, params), params.get("response") or "")
        if not user or not ours:
            return Verdict("none")
        if not right or password is None:
            return Verdict("wrong", user)
        if not _same(self._nonce(nonce[:16], source), nonce) or not self._fresh(nonce, params):
            return Verdict("stale", user)
        return Verdict("ok", user)

    def _fresh(self, nonce: str, params: Params) -> bool:
        """Whether the nonce is young and its count was not used before (RFC 7616 3.4)."""
        age = self._clock() - int(nonce[:12], 16) / 1000
        if not -1 <= age <= NONCE_SECONDS:
            return False
        try:  # without qop (RFC 2069) a nonce is good for once, else an answer could be replayed
            count = int(params.get("nc") or "", 16) if params.get("qop") else 1
        except ValueError:
            return False
        if count <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = count
        self._counts.move_to_end(nonce)
        if len(self._counts) > MAX_NONCES:
            self._counts.popitem(last=False)
        return True
