"""What all adapters share: one interface, requests and replies as values, and the ways in which an exchange fails.

An adapter does no I/O: each of its methods is a generator that yields Requests and is sent the Reply to each. Whoever
drives it (`drive`) throws Unreachable or Lost into it, and nothing that it raises holds a header or a body.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from provisioner.emergency.registration import Abilities, Corrected, Prepared, Read, Valid
from provisioner.errors import ProvisionerError
from provisioner.store.records import Postal, Registration

T = TypeVar("T")
MAX_WAIT = 3600.0  # seconds; a provider that asks for more is asked again after an hour all the same
MAX_REASON = 300  # characters of a provider's own words that are kept
PAGES = 100  # of a list; more is a provider that leads in circles


@dataclass(frozen=True)
class Request:
    """One HTTP request. `path` is below the account's URL; `writes`: it may change something at the provider."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def writes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    @property
    def target(self) -> str:
        """Path and query."""
        return self.path + ("?" + urlencode(self.query) if self.query else "")


@dataclass(frozen=True)
class Reply:
    """The answer to a Request; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


Steps = Generator[Request, Reply, T]
Send = Callable[[Request], Reply]


class WireError(ProvisionerError):
    """An exchange with a provider did not end as it should. `after`: seconds that it asks us to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Unreachable(WireError):  # noqa: N818
    """Nothing reached the provider."""


class Lost(WireError):  # noqa: N818
    """The request went out, and no whole answer came back."""


class Broken(WireError):  # noqa: N818
    """The provider failed, or answered what cannot be read; it may have done it all the same."""


class Throttled(WireError):  # noqa: N818
    """The provider did nothing, since it was asked too often."""


class Denied(WireError):  # noqa: N818
    """The provider refuses, and will again. `about` as in registration.Refused."""

    def __init__(self, reason: str, about: Literal["address", "account", "number"]) -> None:
        super().__init__(reason)
        self.about: Literal["address", "account", "number"] = about


class Forgotten(WireError):  # noqa: N818
    """The provider does not know the address that it took before."""


class Owned(NamedTuple):
    """A number of the account: E.164, and a word for people if the provider has one."""

    number: str
    label: str = ""


class Account(NamedTuple):
    """What an adapter is made from; its `repr` shows no secret."""

    account: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Account({self.account!r})"


class Adapter(Protocol):
    """One provider. All raise WireError; none does I/O."""

    abilities: Abilities
    url: str  # of the provider's live system, "" where it has none of its own

    def numbers(self) -> Steps[list[Owned]]:
        """All numbers of the account."""

    def read(self, number: str, held: Registration) -> Steps[Read]:
        """What the provider has for a number now."""

    def validate(self, number: str, address: Postal) -> Steps[Valid | Corrected]:
        """Judge an address, without keeping it."""

    def prepare(self, number: str, address: Postal, as_typed: bool = False) -> Steps[Prepared]:
        """Have the provider hold an address; the one that it holds already where there is one.

        `as_typed`: a person wants no correction; the provider is told so where it can be.
        """

    def assign(self, number: str, held: Registration) -> Steps[str]:
        """Make the number call 911 from the address `held.address_id`; the name of the order, if it is one."""

    def release(self, number: str, held: Registration) -> Steps[str]:
        """Make the number have no address."""

    def discard(self, address_id: str) -> Steps[None]:
        """Delete an address that we made, unless something uses it."""


def drive(steps: Steps[T], send: Send) -> T:
    """Carry out an adapter's method. Raises WireError."""
    try:
        request = next(steps)
        while True:
            try:
                reply = send(request)
            except WireError as error:
                request = steps.throw(error)
            else:
                request = steps.send(reply)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def basic(user: str, password: str) -> dict[str, str]:
    """The header of RFC 7617."""
    return {"Authorization": "Basic " + encoded(f"{user}:{password}")}


def encoded(text: str) -> str:
    """Text as base 64."""
    return b64encode(text.encode()).decode()


def retry_after(reply: Reply) -> float:
    """Seconds of Retry-After (RFC 9110, 10.2.3), a date measured by the provider's own clock; 0 without it."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), MAX_WAIT)
    try:
        until, now = (parsedate_to_datetime(value) for value in (text, reply.headers.get("date", "")))
        return min(max(0.0, _seconds(until, now)), MAX_WAIT)
    except (ValueError, TypeError):
        return 0.0


def _seconds(until: datetime, now: datetime) -> float:
    return (until.replace(tzinfo=None) - now.replace(tzinfo=None)).total_seconds()


def checked(reply: Reply, provider: str, words: Callable[[bytes], str]) -> Reply:
    """The reply, when the provider did as it was asked or refused this one request (400 to 422).

    `words` finds the provider's own words in a body. Raises Throttled, Denied (the account) and Broken.
    """
    if reply.status == 429:
        raise Throttled(f"{provider} was asked too often", retry_after(reply))
    if reply.status in (401, 403):
        said = own_words(reply, words)
        raise Denied(f"{provider} does not accept the credentials{said}: put good ones in", "account")
    if reply.status == 409:  # a duplicate: what is there is looked at before anything else is done
        raise Broken(f"{provider} has this already, or works on it{own_words(reply, words)}")
    if reply.status >= 500 or not 200 <= reply.status < 500 or 300 <= reply.status < 400:
        raise Broken(
            f"{provider} failed (status {reply.status}){own_words(reply, words)}", retry_after(reply)
        )
    return reply


def own_words(reply: Reply, words: Callable[[bytes], str]) -> str:
    """The provider's own words as `, it says "…"`; "" where it says nothing that can be read."""
    try:
        said = words(reply.body)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, msgspec.MsgspecError):
        return ""
    return f', it says "{said}"' if (said := plain(said)) else ""


def plain(said: object) -> str:
    """A provider's words without markup, control characters and what looks like credentials, cut."""
    words = re.sub(r"(?i)\b(?:basic|bearer)\s+[^\s,;\"']+", "…", str(said or ""))
    text = re.sub(r"<[^>]*>|[\x00-\x1f\x7f]", " ", words)
    return " ".join(text.split())[:MAX_REASON]


def json_of(reply: Reply, kind: type[T], provider: str) -> T:
    """The body as `kind`; whatever the content type says, for some providers say it wrong. Raises Broken."""
    try:
        return msgspec.json.decode(reply.body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        kind_said = plain(reply.headers.get("content-type", "")) or "nothing"
        raise Broken(f"{provider} gave an answer that cannot be read ({kind_said})") from None


def json_request(method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Request:
    """A request with a JSON body."""
    headers = {"Accept": "application/json"}
    if body is None:
        return Request(method, path, query or {}, headers)
    headers["Content-Type"] = "application/json"
    return Request(method, path, query or {}, headers, msgspec.json.encode(body))
