"""What the stand-in providers share: an account with numbers and addresses, and the ways in which they misbehave."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

Status = Literal["registered", "absent", "pending", "removing", "failed"]
FIELDS = ("street", "inside", "city", "state", "postcode", "country", "name")
SPOILED = 2  # requests that a bad behaviour spoils, before all is well
POLLS = 2  # looks for which an order is not done
SEEN = 4  # reads since the last write, after which a number that is registered changes without us
ELSEWHERE = "Northfield"  # the town that corrections name
ELSEWHERE_TOO = "Southfield"


class Behaviour(NamedTuple):
    """One way to behave. `on`: which requests it spoils; `does`: what it is, in words for people."""

    does: str
    on: Literal["none", "writes", "all"] = "none"


BEHAVIOURS = {
    "good": Behaviour("answers as it should"),
    "slow": Behaviour("takes longer than anybody waits, having done it", "writes"),
    "slow-reads": Behaviour("takes longer than anybody waits", "all"),
    "throttled": Behaviour("429 with Retry-After in seconds", "all"),
    "throttled-date": Behaviour("429 with Retry-After as a date, by a clock that is a day wrong", "all"),
    "throttled-bare": Behaviour("429 without Retry-After", "all"),
    "error-after": Behaviour("500 after having done it", "writes"),
    "error-before": Behaviour("503 without having done it", "writes"),
    "error-always": Behaviour("500 to everything", "all"),
    "vanishes": Behaviour("says yes and does nothing", "writes"),
    "late": Behaviour("does it after having said pending for a while"),
    "fails-late": Behaviour("says pending for a while, then that it failed"),
    "stuck": Behaviour("says pending for ever"),
    "wrong-type": Behaviour("says that its answers are HTML", "all"),
    "html": Behaviour("200 with an HTML page for people, having done it", "all"),
    "truncated": Behaviour("an answer that ends in the middle, having done it", "all"),
    "reset": Behaviour("ends the connection in the middle of the answer, having done it", "all"),
    "duplicate": Behaviour("says that what it is asked for is there already, having done it", "writes"),
    "corrects": Behaviour("knows the address only in another town"),
    "candidates": Behaviour("knows two addresses of that kind"),
    "refuses": Behaviour("does not know the address"),
    "no-credentials": Behaviour("accepts no credentials", "all"),
    "forbidden": Behaviour("403 to everything", "all"),
    "expired": Behaviour("401 to the first requests, as to credentials that have just ended", "all"),
    "unknown-number": Behaviour("does not know the number"),
    "skewed": Behaviour("lives a day in the future"),
    "pages": Behaviour("lists two numbers on each page"),
    "missing": Behaviour("404 to the first requests", "all"),
    "edited": Behaviour(
        "somebody changes the address in the provider's own pages, some looks after it was registered"
    ),
    "regresses": Behaviour("a number that was registered is not any more, some looks later"),
    "says-secrets": Behaviour("400 that repeats the credentials which it was shown", "writes"),
}
ALWAYS = frozenset({"error-always", "no-credentials", "forbidden", "says-secrets"})
_AFTER = frozenset(
    {"slow", "error-after", "html", "truncated", "reset", "duplicate"}
)  # it was done all the same


@dataclass
class Held:
    """A number: the address that it has, or is to have when `polls` looks have been taken, and its state then.

    `before`: the address in whose place `address` comes; it is in force until then where a provider swaps them.
    """

    address: str = ""
    before: str = ""
    status: Status = "absent"
    polls: int = 0
    then: Status = "absent"


@dataclass
class Account:
    """What a provider keeps for one customer; `user` and `password` are what it wants to be shown."""

    user: str = "user"
    password: str = "password-of-the-account"  # noqa: S105 - of a stand-in
    numbers: dict[str, Held] = field(default_factory=dict)
    addresses: dict[str, dict[str, str]] = field(default_factory=dict)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing: `asked` holds the requests."""


class Provider:
    """One stand-in: a Flask application on a port of its own. `seconds`: how long slow is."""

    name = ""

    def __init__(
        self, account: Account, behaviour: str = "good", times: int = SPOILED, seconds: float = 30.0
    ) -> None:
        self.account = account
        self.behaviour, self.left = behaviour, times
        self.asked: list[tuple[str, str]] = []  # method and path of each request
        self._seconds = seconds
        self._ids = itertools.count(1)
        self._reads = 0
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._server: BaseWSGIServer | None = None
        self.app = Flask(f"provider-{self.name}")
        self.app.before_request(self._before)
        self.app.after_request(self._after)
        self.routes(self.app)

    # for those who serve it

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, in a thread; the URL. Raises OSError."""
        self._server = make_server(host, port, self.app, threaded=True, request_handler=_Quiet)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://{host}:{self._server.port}"

    def close(self) -> None:
        """Stop; what was slow is over."""
        self._over.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    # for each provider

    def routes(self, app: Flask) -> None:
        """Add the provider's own paths."""
        raise NotImplementedError

    def authorised(self) -> bool:
        """Whether the request shows the account's credentials."""
        given = request.authorization
        return bool(
            given
            and given.type == "basic"
            and given.username == self.account.user
            and given.password == self.account.password
        )

    def error(self, status: int, code: int, words: str) -> Response:
        """An error in the provider's form."""
        raise NotImplementedError

    def writes(self) -> bool:
        """Whether this request changes something."""
        return request.method != "GET" and "validate" not in request.path and "oauth2" not in request.path

    # the account

    def new_id(self, prefix: str) -> str:
        """A name that was not given before."""
        return f"{prefix}{next(self._ids):032x}"

    def held(self, number: str) -> Held | None:
        """A number, one look later; None when it is not in the account."""
        if self.behaviour == "unknown-number":
            return None
        with self._lock:
            found = self.account.numbers.get(number)
            if found and found.status in ("pending", "removing") and self.behaviour != "stuck":
                found.polls -= 1
                if found.polls < 0:
                    found.status = found.then
                    found.address = "" if found.status == "absent" else found.address
            return found

    def assign(self, number: str, address: str) -> None:
        """Give a number an address, or take it away (""), as fast as the behaviour has it."""
        with self._lock:
            found = self.account.numbers[number]
            then: Status = "registered" if address else "absent"
            if address and self.behaviour == "fails-late" and self.left > 0:
                self.left -= 1
                then = "failed"
            found.before = found.address if found.status == "registered" else ""
            found.address = address or found.address
            if self.behaviour in ("late", "fails-late", "stuck"):
                found.status, found.polls, found.then = "pending" if address else "removing", POLLS, then
            else:
                found.status, found.address = then, address

    def judged(self, address: dict[str, str]) -> list[dict[str, str]]:
        """The addresses that the provider takes this for: itself, another, several, none."""
        if self.behaviour == "refuses":
            return []
        if self.behaviour not in ("corrects", "candidates") or address["city"].title() in (
            ELSEWHERE,
            ELSEWHERE_TOO,
        ):
            return [address]
        towns = (ELSEWHERE, ELSEWHERE_TOO) if self.behaviour == "candidates" else (ELSEWHERE,)
        return [{**address, "city": town} for town in towns]

    # misbehaviour

    def _spoils(self) -> bool:
        on = BEHAVIOURS[self.behaviour].on
        return on == "all" or (on == "writes" and self.writes())

    def _before(self) -> Response | None:
        self.asked.append((request.method, request.path))
        if self._spoils() and (self.left > 0 or self.behaviour in ALWAYS):
            self.left -= 1
            answer = self._instead()
            if answer is not None:
                return answer
            request.environ["spoiled"] = True
        if not self.authorised():
            return self.error(401, 20003, "Authenticate")
        self._drift()
        return None

    def _drift(self) -> None:
        """What happens at the provider without us, once."""
        self._reads = 0 if self.writes() else self._reads + 1
        if self.behaviour not in ("edited", "regresses") or self._reads <= SEEN or not self.left:
            return
        self.left = 0
        with self._lock:
            for held in self.account.numbers.values():
                if held.status == "registered" and self.behaviour == "regresses":
                    held.status = "absent"
                elif held.status == "registered":
                    self.account.addresses[held.address]["city"] = ELSEWHERE

    def _instead(self) -> Response | None:
        """What is answered with nothing done; None: it is done first."""
        say: dict[str, Callable[[], Response | None]] = {
            "slow-reads": self._slow,
            "throttled": lambda: self._throttled("7"),
            "throttled-date": lambda: self._throttled("Fri, 02 Jan 2026 00:00:07 GMT"),
            "throttled-bare": lambda: self._throttled(""),
            "error-before": lambda: self.error(503, 20500, "Try later"),
            "error-always": lambda: self.error(500, 20500, "Something broke"),
            "vanishes": self._nothing,
            "no-credentials": lambda: self.error(401, 20003, "Authenticate"),
            "expired": lambda: self.error(401, 20003, "Authenticate"),
            "missing": lambda: self.error(404, 20404, "The requested resource was not found"),
            "forbidden": lambda: self.error(403, 20403, "Not permitted"),
            "says-secrets": self._secrets,
        }
        return say.get(self.behaviour, lambda: None)()

    def _slow(self) -> Response:
        self._over.wait(self._seconds)
        return Response("", 200)

    def _throttled(self, after: str) -> Response:
        answer = self.error(429, 20429, "Too many requests")
        if after:
            answer.headers["Retry-After"] = after
            answer.headers["Date"] = "Fri, 02 Jan 2026 00:00:00 GMT"
        return answer

    def _secrets(self) -> Response:
        shown = request.headers.get("Authorization", "")
        return self.error(400, 21000, f"You sent {shown} for {self.account.user}:{self.account.password}")

    def _nothing(self) -> None:
        """The write is done, answered, and undone."""
        request.environ["undo"] = self._copy()

    def _copy(self) -> Any:
        numbers = {number: Held(**vars(held)) for number, held in self.account.numbers.items()}
        return numbers, dict(self.account.addresses)

    def _after(self, answer: Response) -> Response:
        if self.behaviour == "skewed":
            answer.headers["Date"] = "Fri, 02 Jan 2099 00:00:00 GMT"
        if "undo" in request.environ:
            self.account.numbers, self.account.addresses = request.environ["undo"]
        if self.behaviour == "wrong-type":
            answer.headers["Content-Type"] = "text/html"
        if request.environ.get("spoiled") and self.behaviour in _AFTER:
            return self._spoiled(answer)
        return answer

    def _spoiled(self, answer: Response) -> Response:
        body = answer.get_data()
        if self.behaviour == "slow":
            self._over.wait(self._seconds)
        elif self.behaviour == "error-after":
            return self.error(500, 20500, "Something broke")
        elif self.behaviour == "duplicate" and answer.status_code < 300:
            return self.error(409, 8033, "A duplicate of this is there already")
        elif self.behaviour == "html":
            return Response(
                "<!DOCTYPE html><html><body><h1>Down for <b>maintenance</b></h1></body></html>", 200
            )
        elif self.behaviour == "truncated":
            answer.set_data(body[: len(body) // 2])
        elif self.behaviour == "reset":
            answer.set_data(body[: len(body) // 2])
            answer.headers["Content-Length"] = str(len(body) + 10)
        return answer
