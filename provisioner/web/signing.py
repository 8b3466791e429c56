"""Signing in by name and password, with a second factor where it is on; tries are throttled, never a name alone."""

from __future__ import annotations

import hashlib
import hmac
import math
import threading
from typing import NamedTuple

from flask import Blueprint, Response, current_app, make_response, redirect, render_template, request, url_for

from provisioner.errors import OperatorError
from provisioner.people import second_factor, users
from provisioner.people.passwords import Bench, Busy
from provisioner.people.throttle import Throttle
from provisioner.store.records import User, UserSecret
from provisioner.web import session
from provisioner.web.language import gettext as _
from provisioner.web.session import sources
from provisioner.web.sources import Sources

HALF_SECONDS = 300.0  # between password and code
DEVICE = "provisioner-device"  # the cookie of a browser that somebody signed in with
DEVICE_SECONDS = 400 * 86_400  # the longest that browsers keep one
MAX_PEOPLE = 5  # who sign in with one browser, that it is known to
MAX_NOTED = 60  # wrong tries within an hour that the audit log names; strangers must not fill it
HOUR = 3600.0

pages = Blueprint("signing", __name__, url_prefix="/staff/sign-in")


class Gate:
    """What is remembered about tries. `usual`, `known`: where passwords of strangers and of known browsers are hashed.

    A flood of strangers' tries keeps those waiting who sign in with a new browser, and nobody else.
    """

    def __init__(self, held: Sources) -> None:
        self._tries = held.tries
        self.throttle = Throttle(lambda: held.now(), self._tries)
        self.usual, self.known = Bench(), Bench()
        self._sources = held
        self._lock = threading.Lock()
        self._steps: dict[str, int] = {}
        self._noted: list[float] = []
        self.failures = 0

    def step(self, user: str, key: str, code: str) -> bool:
        """Whether `code` is good now; each is good once (RFC 6238, section 5.2)."""
        with self._lock:
            now = self._sources.now()
            used = max(self._steps.get(user, 0), self._tries.step(user))
            if used > second_factor.latest(now):
                used = 0  # the clock went back; else the owner would be out for as long
            found = second_factor.step_of(key, code, now, used)
            if found:
                self._steps[user] = found
                self._tries.use(user, found)
        return bool(found)

    def note(self, name: str, result: str, **more: str) -> None:
        """Into the audit log; of what went wrong only so much an hour."""
        if result != "signed in":
            now = self._sources.now()
            with self._lock:
                self.failures += 1
                self._noted = [at for at in self._noted if now - at < HOUR]
                if len(self._noted) > MAX_NOTED:
                    return
                self._noted.append(now)
                if len(self._noted) > MAX_NOTED:
                    name, result, more = "", "many more wrong tries in this hour", {}
        who = name if result == "signed in" else ""
        self._sources.inventory.note(who, "sign_in", name, {"result": result, **more})


class Try(NamedTuple):
    """Who tries, from where. `device`: the browser's own name where this user signed in with it before."""

    name: str
    address: str
    device: str


def gate() -> Gate:
    """The running app's Gate."""
    extensions = current_app.extensions
    if "provisioner.gate" not in extensions:
        extensions.setdefault("provisioner.gate", Gate(sources()))
    found: Gate = extensions["provisioner.gate"]
    return found


# the cookie of a known browser: its random name, and a proof for each user who signed in with it


def _proof(name: str, device: str) -> str:
    key = sources().inventory.secret("device")
    return hmac.new(key, f"{device}\0{name}".encode(), hashlib.sha256).hexdigest()[:32]


def _device() -> list[str]:
    held = request.cookies.get(session.cookie(DEVICE), "").split(".")
    return (
        held
        if len(held) <= 1 + MAX_PEOPLE and all(each.isalnum() and each.isascii() for each in held)
        else []
    )


def _known_as(name: str) -> str:
    """The browser's name when `name` signed in with it before."""
    held = _device()
    proof = _proof(name, held[0]) if held else ""
    return held[0] if any(hmac.compare_digest(each, proof) for each in held[1:]) else ""


def _remember(response: Response, name: str) -> None:
    device, *proofs = _device() or [hashlib.sha256(sources().inventory.tokens.random(32)).hexdigest()[:32]]
    own = _proof(name, device)
    kept = [own, *(each for each in proofs if each != own)][:MAX_PEOPLE]
    session.keep(response, DEVICE, ".".join((device, *kept)), DEVICE_SECONDS)


def _who_tries(name: str) -> Try:
    login = users.login_name(name)[:64]
    return Try(login, request.remote_addr or "", _known_as(login))


# pages


def page(status: int = 200, reason: str = "", **values: object) -> Response:
    """The sign-in page. `reason`: why it is shown; the form only where there is somebody to sign in."""
    there = bool(sources().inventory.all(User))
    values.setdefault("typed", request.form.get("name", ""))
    values.setdefault("onward", onward())
    return make_response(render_template("sign_in.html", reason=reason, users=there, **values), status)


def onward() -> str:
    """Where to go after signing in: the page that was asked for, or the one that the form names."""
    here = request.full_path.rstrip("?") if request.method == "GET" else ""
    wanted = here if request.blueprint != pages.name else request.values.get("next", "")
    plain = wanted.startswith("/staff/") and "\\" not in wanted and wanted.isprintable()
    return wanted if plain and not wanted.startswith(("/staff/sign-", "/staff/session")) else ""


@pages.get("")
def form() -> Response:
    """Where name and password are typed."""
    if session.current():
        return make_response(redirect(onward() or url_for("staff.overview"), 303))
    return page()


@pages.post("")
def password() -> Response:
    """Look at name and password."""
    tried = _who_tries(request.form.get("name", ""))
    wait = gate().throttle.begin(*tried)
    if wait:
        return _wait(tried, wait)
    try:
        user = _checked(tried, request.form.get("password", ""))
    except Busy:
        gate().throttle.unheard(*tried)
        return page(503, "busy")
    if user is None:
        gate().note(tried.name, "wrong name or password", address=tried.address)
        return page(401, "wrong")
    if user.second_factor:
        half = sources().inventory.new_token("half", HALF_SECONDS, user.role, user=user.id)
        return page(200, "code", half=half)
    return _let_in(tried, user)


def _checked(tried: Try, typed: str) -> User | None:
    """The user when the password is theirs. Raises Busy. It takes as long for a name that nobody has."""
    inventory = sources().inventory
    user, kept = users.find(inventory, tried.name), users.secret(inventory, tried.name)
    bench = gate().known if tried.device else gate().usual
    same = bench.same(kept.password if kept else "", typed)
    return user if same and user and not user.disabled else None


def same_password(name: str, typed: str) -> bool:
    """Whether `typed` is the password of who is signed in already. Raises OperatorError after many wrong ones."""
    tried = _who_tries(name)
    wait = gate().throttle.begin(*tried)
    if wait:
        seconds = _("{seconds} seconds").format(seconds=math.ceil(wait))
        raise OperatorError(_("too many wrong passwords"), _("try again in {time}").format(time=seconds))
    same = _checked(tried, typed) is not None
    if same:
        gate().throttle.good(*tried)
    else:
        gate().note(tried.name, "wrong password", address=tried.address)
    return same


def _wait(tried: Try, seconds: float) -> Response:
    gate().note(tried.name, "too many wrong tries", address=tried.address)
    response = page(429, "wait", wait=math.ceil(seconds))
    response.headers["Retry-After"] = str(math.ceil(seconds))
    return response


@pages.post("/code")
def code() -> Response:
    """Look at the code of the authenticator app, or a recovery code."""
    half = request.form.get("half", "")
    token = sources().inventory.tokens.check("half", half)
    user = users.find(sources().inventory, token.user) if token else None
    if user is None or user.disabled:
        return page(401, "late")
    tried = _who_tries(user.id)
    wait = gate().throttle.begin(*tried)
    if wait:
        return _wait(tried, wait)
    if not _second(user, request.form.get("code", "")):
        gate().note(user.id, "wrong code", address=tried.address)
        return page(401, "code", half=half, wrong=True)
    sources().inventory.revoke_token("half", half)
    return _let_in(tried, user)


def _second(user: User, typed: str) -> bool:
    inventory = sources().inventory
    secret: UserSecret | None = users.secret(inventory, user.id)
    if secret is None or not secret.totp:
        return False
    digits = "".join(typed.split())
    if digits.isdigit() and len(digits) == second_factor.DIGITS:
        return gate().step(user.id, secret.totp, digits)
    return users.use_code(inventory, user.id, typed[:64], user.id)


def _let_in(tried: Try, user: User) -> Response:
    gate().throttle.good(*tried)
    gate().note(user.id, "signed in", address=tried.address)
    response = make_response(redirect(onward() or url_for("staff.overview"), 303))
    session.begin(response, user.role, user.id)
    _remember(response, user.id)
    return response
