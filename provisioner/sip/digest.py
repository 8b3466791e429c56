"""Digest authentication, both sides (RFC 3261 section 22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import hmac
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
