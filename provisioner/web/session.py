"""Who is asking: one-time sign-in links, the session cookie, API tokens, and the forms' protection."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Response, abort, current_app, g, request

from provisioner.people import users
from provisioner.store.tokens import AT_CONSOLE, Token
from provisioner.web.language import gettext as _
from provisioner.web.sources import Sources

SESSION_SECONDS = 12 * 3600  # one working day, whatever is done in it
IDLE_SECONDS = 2 * 3600.0  # without a request of the person's own; those that an open page makes do not count
_PLAIN, _SECURE = (
    "provisioner",
    "__Host-provisioner",
)  # the prefix binds the cookie to this host (RFC 6265bis 4.1.3)
CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_AGENT = 200  # characters of a browser's name that are kept
CONSOLE = "console link"  # who signed in by a link, in the audit log


class Session(msgspec.Struct, frozen=True):
    """A signed-in person: the cookie's token and its number, the role, the user's login name ("": by a link)."""

    token: str
    role: str
    user: str = ""
    number: int = 0

    @property
    def who(self) -> str:
        """As the audit log names them."""
        return self.user or CONSOLE


def sources() -> Sources:
    """The running app's Sources."""
    found = current_app.extensions["provisioner"]
    assert isinstance(found, Sources)
    return found


def current() -> Session | None:
    """The session of this request, None without a good cookie. Raises OperatorError without a store."""
    if "session" not in g:
        g.session = _find()
    found: Session | None = g.session
    return found


def cookie(name: str) -> str:
    """What a cookie of ours is called. Over HTTPS only the bound one counts: others can be planted over HTTP."""
    return f"__Host-{name}" if request.is_secure else name


def _cookie_token() -> str:
    return request.cookies.get(_SECURE) or request.cookies.get(cookie(_PLAIN), "")


def _find() -> Session | None:
    token = _cookie_token()
    by_itself = "HX-Request" in request.headers or request.endpoint == "staff.session_state"
    tokens = sources().inventory.tokens
    found = tokens.check("session", token, IDLE_SECONDS, used=not by_itself) if token else None
    return _theirs(found, token) if found else None


def _theirs(found: Token, token: str) -> Session | None:
    """The session of a good token: with the user's role as it is now, none of who is disabled or gone."""
    if not found.user:
        return Session(token, found.role, number=found.id)
    user = users.find(sources().inventory, found.user)
    if user is None or user.disabled:
        return None
    g.preferred_language = user.language
    return Session(token, user.role, user.id, found.id)


def begin(response: Response, role: str, user: str = "") -> None:
    """Start a session, of a user or of who used a link, and give its cookie to the browser; the old one ends."""
    inventory = sources().inventory
    old = _cookie_token()
    if old:
        inventory.revoke_token("session", old)
    agent = request.headers.get("User-Agent", "")[:MAX_AGENT]
    about = {"user": user, "address": request.remote_addr or "", "agent": agent}
    token = inventory.new_token("session", SESSION_SECONDS, role, **about)
    keep(response, _PLAIN, token, SESSION_SECONDS)


def keep(response: Response, name: str, value: str, seconds: int) -> None:
    """Give the browser a cookie that it sends to this host only, and shows to no script."""
    secure = request.is_secure
    response.set_cookie(
        cookie(name), value, max_age=seconds, secure=secure, httponly=True, samesite="Strict", path="/"
    )


def end(response: Response) -> None:
    """End this request's session, in the store and in the browser."""
    session = current()
    if session:
        sources().inventory.revoke_token("session", session.token)
    for name, secure in ((_PLAIN, False), (_SECURE, True)):
        if name in request.cookies:
            response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="Strict")


def csrf() -> str:
    """The token that each form of this session must carry; empty without a session."""
    session = current()
    if session is None:
        return ""
    key = sources().inventory.secret("csrf")
    return hmac.new(key, session.token.encode(), hashlib.sha256).hexdigest()


def check_csrf() -> None:
    """Abort with 403 when a request that changes something does not carry this session's token."""
    if request.method in _SAFE:
        return
    given = request.form.get("csrf") or request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf().encode()):
        abort(403, "This form is out of date. Go back, load the page again and repeat.")


def check_origin() -> None:
    """Abort with 403 when another site's page makes a browser change something here (Fetch Metadata; RFC 6454)."""
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site", ""), request.headers.get("Origin", "")
    same = site in ("same-origin", "none") or (not site and (not origin or _host(origin) == request.host))
    if not same:
        abort(403, _("Another site asked for this. Nothing was changed."))


def _host(origin: str) -> str:
    """Host and port of an origin, as the Host header has them; "" for `null`."""
    parts = urlsplit(origin)
    return parts.netloc if parts.scheme in ("http", "https") else ""


def bearer() -> Token | None:
    """The request's API token; None without one. Aborts with 401 when it is not good."""
    if "bearer" not in g:
        g.bearer = _bearer()
    found: Token | None = g.bearer
    return found


def _bearer() -> Token | None:
    if request.environ.get(AT_CONSOLE):
        return Token(
            id=0, kind="api", role="administrator", created=0.0, expires=float("inf"), name="console"
        )
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    found = sources().inventory.tokens.check("api", token.strip())
    if found is None:
        abort(401, "The API token is not known or has expired.")
    if not found.user:
        return found
    maker = users.find(sources().inventory, found.user)
    if maker is None or maker.disabled:
        abort(401, "Who made this API token may not use the appliance any more.")
    return msgspec.structs.replace(found, role=users.lesser(found.role, maker.role))


def install(app: Flask) -> None:
    """Give the templates `csrf()` and `session()`."""
    app.jinja_env.globals.update(csrf=csrf, session=current)
    app.before_request(check_origin)


def who() -> str:
    """Who makes this request, as the audit log names them: the user, `console link`, or `token` and its name."""
    if request.environ.get(AT_CONSOLE):
        return "console"
    token = bearer()
    if token and token.agent == AT_CONSOLE:
        return "console"
    if token:
        return f"token {token.name}" if token.name else "api token"
    found = current()
    return found.who if found else ""
