"""Who is asking: one-time sign-in links, the session cookie, API tokens, and the forms' protection."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
from flask import Flask, Response, abort, current_app, g, request

from provisioner.store.tokens import Token
from provisioner.web.sources import Sources

SESSION_SECONDS = 12 * 3600  # one working day
_PLAIN, _SECURE = (
    "provisioner",
    "__Host-provisioner",
)  # the prefix binds the cookie to this host (RFC 6265bis 4.1.3)
CSRF_HEADER = "X-CSRF-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


CONSOLE = "console link"  # who signed in by a link, in the audit log


class Session(msgspec.Struct, frozen=True):
    """A signed-in person: the cookie's token, the role that it gives, and the user's login name ("": by a link)."""

    token: str
    role: str
    user: str = ""

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


def _find() -> Session | None:
    for name in (_SECURE, _PLAIN):
        token = request.cookies.get(name, "")
        found = sources().inventory.tokens.check("session", token) if token else None
        if found is not None:
            return Session(token, found.role, found.user)
    return None


def begin(response: Response, role: str) -> None:
    """Start a session for `role` and give its cookie to the browser."""
    token = sources().inventory.new_token("session", SESSION_SECONDS, role)
    response.set_cookie(
        _SECURE if request.is_secure else _PLAIN,
        token,
        max_age=SESSION_SECONDS,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
        path="/",
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


def bearer() -> Token | None:
    """The request's API token; None without one. Aborts with 401 when it is not good."""
    if "bearer" not in g:
        g.bearer = _bearer()
    found: Token | None = g.bearer
    return found


def _bearer() -> Token | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    found = sources().inventory.tokens.check("api", token.strip())
    if found is None:
        abort(401, "The API token is not known or has expired.")
    return found


def install(app: Flask) -> None:
    """Give the templates `csrf()` and `session()`."""
    app.jinja_env.globals.update(csrf=csrf, session=current)


def who() -> str:
    """Who makes this request, as the audit log names them: the user, `console link`, or the token's name."""
    token = bearer()
    if token:
        return token.name or "api token"
    found = current()
    return found.who if found else ""
