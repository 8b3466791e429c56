"""Requests that are sent again are carried out once: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from flask import Response, abort, request

from provisioner.store.answers import Kept
from provisioner.web.session import sources, who

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = "^[!-~]{1,200}$"


class Outcome(msgspec.Struct):
    """The answer to a request: of the first time when it was seen before, else to be filled in."""

    response: Response | None = None


def fingerprint() -> str:
    """What tells one request from another: method, path with query, media type and body."""
    digest = hashlib.sha256()
    for part in (request.method, request.full_path, request.mimetype):
        digest.update(part.encode() + b"\0")
    digest.update(request.get_data())
    return digest.hexdigest()


@contextmanager
def guarded(secret: bool) -> Iterator[Outcome]:
    """Around a request's work: the answer that its key had is given again, one that is filled in is kept.

    Aborts with 400 for a bad key, 409 while the first is under way (or its answer held a `secret` and is not kept),
    422 when the key was used for something else.
    """
    key = request.headers.get(HEADER)
    outcome = Outcome()
    if key is None or request.method != "POST":
        yield outcome
        return
    if not re.fullmatch(KEY, key):
        abort(400, "The Idempotency-Key must be 1 to 200 characters: letters, digits, signs.")
    answers, name = sources().answers, hashlib.sha256(f"{who()}\0{key}".encode()).hexdigest()
    before = answers.begin(name, fingerprint())
    if before is not None:
        outcome.response = _again(before)
        yield outcome
        return
    try:
        yield outcome
    except BaseException:
        answers.forget(name)
        raise
    done = outcome.response
    if done is None or done.status_code >= 500 or done.is_streamed:
        answers.forget(name)
    else:
        body = b"" if secret else done.get_data()
        answers.keep(name, Kept(0 if secret else done.status_code, str(done.mimetype), body))


def _again(before: Kept) -> Response:
    if before.status < 0:
        abort(422, "This Idempotency-Key was used for another request.")
    if before.status == 0:
        abort(409, "A request with this Idempotency-Key was begun before: look whether it is done.")
    response = Response(before.body, before.status, mimetype=before.mimetype)
    response.headers[REPLAYED] = "true"
    return response
