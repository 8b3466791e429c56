"""What a call of the API takes and gives, said once beside its code: the wrapper holds it, OpenAPI tells it.

    @calls.put("/phones/<mac>/keys")
    @contract.call(record=Phone, refuses="The keys were not changed")
    def put_keys(mac: str, body: list[Key]) -> tuple[Key, ...]:
        \"""Make the list in the body the keys of the phone.\"""

The names `body` and `query` are the request's body and query, read as the types that they are annotated with; a body
with a default may be left out. All other names are of the path. What is returned is the answer, as JSON of the
annotated type; None is 204 without a body.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Annotated, Any, Generic, Protocol, TypeVar, get_type_hints

import msgspec
from flask import Response, abort, request, url_for
from msgspec import Meta

from provisioner.errors import Invalid, ProvisionerError
from provisioner.ipc import Gone
from provisioner.store.inventory import Conflict
from provisioner.store.records import Record
from provisioner.web import once
from provisioner.web.language import gettext as _
from provisioner.web.session import sources

PAGE = 100  # entries without a limit
MAX_PAGE = 1000
MAX_OFFSET = 10_000_000  # further back nobody reads page by page
JSON, PROBLEM = "application/json", "application/problem+json"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
T = TypeVar("T")
Text = Annotated[str, Meta(max_length=500)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what calls take: what has another name is a mistake, and is told."""


Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="So many entries at most.")]
Offset = Annotated[int, Meta(ge=0, le=MAX_OFFSET, description="So many entries are left out first.")]


class Paging(Body, frozen=True):
    """Which part of a list."""

    limit: Limit = PAGE
    offset: Offset = 0


class Window(Protocol):
    """A query with a limit and an offset: Paging, or one of other names that has both."""

    @property
    def limit(self) -> int: ...

    @property
    def offset(self) -> int: ...


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list. `next`: the address of the next one, null on the last; `total`: null where not counted."""

    items: Sequence[T]
    next: str | None
    total: int | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with a request. `pointer`: where in the body (RFC 6901, 6); `parameter`: of the query."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457): `title` in short, `detail` with what to do, `errors` field by field."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    errors: list[Fault] = []


PATH: dict[str, tuple[str, str]] = {
    "mac": ("^[0-9a-f]{12}$", "MAC address of a phone: twelve hex digits, lower case, as `0004f2000101`."),
    "extension": ("^[0-9]{1,15}$", "An extension, as `101`."),
    "number": (r"^\+[1-9][0-9]{1,14}$", "A telephone number in E.164, as `+14155550101`."),
    "layer": (
        "^(site|(vendor|model|group|phone):[^\\x00-\\x1f]{1,100})$",
        "A layer of settings: `site`, `vendor:NAME`, `model:MAKER/MODEL`, `group:ID` or `phone:MAC`.",
    ),
}
_OTHER = ("^[^/\\x00-\\x1f\\x7f]{1,200}$", "The id.")


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said of one call; see `call`."""

    summary: str
    description: str
    path: tuple[str, ...]
    query: Any
    body: Any
    optional: bool
    answer: Any
    status: int
    record: type[Record] | None
    name: str
    refuses: str
    refusal: int
    problems: tuple[int, ...]
    takes: str
    gives: str
    secret: bool


def call(
    *,
    status: int = 200,
    answer: object = None,
    body: Any = None,
    record: type[Record] | None = None,
    name: str = "",
    refuses: str = "",
    refusal: int = 409,
    problems: tuple[int, ...] = (),
    takes: str = "",
    gives: str = "",
    secret: bool = False,
) -> Callable[[Callable[..., object]], Callable[..., Response]]:
    """Say a call's contract, and hold it.

    `answer`: the type of the answer where the annotation does not say it (a call that gives a Response or a dict).
    `body`: the type of the body likewise, where it is made (`partial`).
    `record`: the kind of record that it is about, which gives the ETag; its id is the last name of the path, or `name`.
    `refuses`: the title of the problem (`refusal`) by which it answers a ProvisionerError. `problems`: more statuses.
    `takes`, `gives`: media types where they are not JSON; such a body the call reads itself. `secret`: its answer holds
    a secret, and is not kept for a repeated request.
    """

    said = {
        "record": record, "name": name, "refuses": refuses, "refusal": refusal, "problems": problems,
        "takes": takes, "gives": gives or JSON, "secret": secret,
    }  # fmt: skip

    def wrap(function: Callable[..., object]) -> Callable[..., Response]:
        contract = _contract(function, status, answer, body, said)

        @wraps(function)
        def inner(**path: str) -> Response:
            return _carry_out(contract, function, path)

        inner.contract = contract  # type: ignore[attr-defined]
        return inner

    return wrap


def _contract(
    function: Callable[..., object], status: int, answer: object, body: Any, said: dict[str, Any]
) -> Contract:
    """The contract of a call: what its signature and docstring tell, and what is `said` beside them."""
    hints, signature = get_type_hints(function, include_extras=True), inspect.signature(function)
    words = inspect.cleandoc(function.__doc__ or "")
    made = hints.get("return") if answer is None else answer
    given = signature.parameters.get("body")
    return Contract(
        summary=words.partition("\n")[0].rstrip("."),
        description=words,
        path=tuple(each for each in signature.parameters if each not in ("body", "query")),
        query=hints.get("query"),
        body=hints.get("body") if body is None else body,
        optional=given is not None and given.default is not given.empty,
        answer=None if made is type(None) or made is Response else made,
        status=204 if made is type(None) else status,
        **said,
    )


def contract_of(view: object) -> Contract | None:
    """The contract of a view function; None for one without."""
    found = getattr(view, "contract", None)
    return found if isinstance(found, Contract) else None


def path_pattern(name: str) -> tuple[str, str]:
    """What a name of a path may be (a regular expression), and in words."""
    return PATH.get(name, _OTHER)


def changes(body: msgspec.Struct) -> dict[str, Any]:
    """What a body names: its fields that are not UNSET."""
    found = ((name, getattr(body, name)) for name in body.__struct_fields__)
    return {name: value for name, value in found if value is not msgspec.UNSET}


def given(body: msgspec.Struct) -> dict[str, Any]:
    """All fields of a body as plain values, those that are UNSET left out."""
    found: dict[str, Any] = msgspec.to_builtins(body)
    return found


def whole(record: type[msgspec.Struct], name: str, without: Sequence[str] = ("id",)) -> Any:
    """The body, called `name`, of a PUT of `record`: its fields but those `without`, with their defaults."""
    fields: list[Any] = []
    for each in msgspec.structs.fields(record):
        if each.name in without:
            continue
        if each.required:
            fields.append((each.encode_name, each.type))
        elif each.default_factory is not msgspec.NODEFAULT:
            fields.append((each.encode_name, each.type, msgspec.field(default_factory=each.default_factory)))
        else:
            fields.append((each.encode_name, each.type, each.default))
    about = {"__doc__": inspect.getdoc(record)}
    return msgspec.defstruct(
        name, fields, namespace=about, frozen=True, kw_only=True, forbid_unknown_fields=True
    )


def partial(record: type[msgspec.Struct], name: str, without: Sequence[str] = ("id",)) -> Any:
    """The body, called `name`, of a PATCH of `record`: all its fields but those `without`, each may be left out."""
    fields = [
        (each.encode_name, each.type | msgspec.UnsetType, msgspec.UNSET)
        for each in msgspec.structs.fields(record)
        if each.name not in without
    ]
    about = {"__doc__": f"What is to be changed of: {inspect.getdoc(record)}"}
    return msgspec.defstruct(
        name, fields, namespace=about, frozen=True, kw_only=True, forbid_unknown_fields=True
    )


def answer(body: object, status: int = 200) -> Response:
    """`body` as JSON."""
    return Response(msgspec.json.encode(body), status, mimetype=JSON)


def problem(status: int, title: str, detail: str, errors: Sequence[Fault] = ()) -> Response:
    """An error as RFC 9457 section 3 says."""
    body = msgspec.to_builtins(Problem(title=title, status=status, detail=detail, errors=list(errors)))
    return Response(msgspec.json.encode({"type": "about:blank", **body}), status, mimetype=PROBLEM)


def listed(rows: Sequence[T], query: Window, total: int | None = -1) -> Page[T]:
    """One page of `rows`; `rows` may end after the first entry of the next page, with `total` None."""
    end = query.offset + query.limit
    following = None
    if len(rows) > end:
        asked = {**request.args.to_dict(), **(request.view_args or {}), "limit": query.limit, "offset": end}
        following = url_for(str(request.endpoint), **asked)
    return Page(items=rows[query.offset : end], next=following, total=len(rows) if total == -1 else total)


# requests


class Wrong(Exception):  # noqa: N818
    """The request is not what the contract says; `response` tells it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def _carry_out(contract: Contract, function: Callable[..., object], path: dict[str, str]) -> Response:
    _check_path(contract, path)
    name = contract.name or (path[contract.path[-1]] if contract.path else "")
    try:
        given = _given(contract)
        with once.guarded(contract.secret) as kept:
            if kept.response is None:
                kept.response = _done(contract, function, {**path, **given}, name)
        response = kept.response
    except Wrong as wrong:
        return wrong.response
    return response


def _done(contract: Contract, function: Callable[..., object], named: dict[str, Any], name: str) -> Response:
    try:
        with _expecting(contract, name):
            made = function(**named)
    except Conflict as error:
        stale = "If-Match" in request.headers or "If-None-Match" in request.headers
        return problem(412 if stale else 409, "It is not as it was", f"{error}.")
    except Invalid as error:
        wrong = [Fault(pointer=f"#/{name}", detail=detail) for name, detail in error.errors.items()]
        return problem(422, _(contract.refuses), str(error), wrong)
    except Gone:
        raise
    except ProvisionerError as error:
        if not contract.refuses:
            raise
        return problem(contract.refusal, _(contract.refuses), str(error))
    if isinstance(made, Response):
        response = made
    elif contract.status == 204:
        response = Response(status=204)
    else:
        response = answer(made, contract.status)
    return _tagged(response, contract, name)


def _check_path(contract: Contract, path: Mapping[str, str]) -> None:
    for name, value in path.items():
        pattern, words = path_pattern(name)
        if not re.fullmatch(pattern, value):
            abort(404, f"Nothing has this name: it must be another. {words}")


def _given(contract: Contract) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if contract.query is not None:
        found["query"] = _query(contract.query)
    elif request.args:
        raise Wrong(_bad([Fault(parameter=next(iter(request.args)), detail="is not known: there are none")]))
    if contract.body is not None and not (contract.optional and not request.get_data()):
        found["body"] = _body(contract.body)
    elif contract.takes and request.mimetype not in (contract.takes, "", "application/octet-stream"):
        raise Wrong(problem(415, "Unsupported Media Type", f"The body must be {contract.takes}."))
    return found


def _query(kind: Any) -> Any:
    doubled = [name for name, values in request.args.lists() if len(values) > 1]
    if doubled:
        raise Wrong(_bad([Fault(parameter=name, detail="was given more than once") for name in doubled]))
    given = request.args.to_dict()
    found, wrong = read(given, kind, strict=False)
    if wrong:
        raise Wrong(_bad([Fault(parameter=(each.pointer or "")[2:], detail=each.detail) for each in wrong]))
    return found


def _body(kind: Any) -> Any:
    if not request.get_data() and not request.mimetype:
        raise Wrong(_bad([Fault(pointer="#", detail="is missing")]))
    if request.mimetype != JSON:
        raise Wrong(problem(415, "Unsupported Media Type", f"The body must be {JSON}."))
    try:
        given = _integral(msgspec.json.decode(request.get_data()))
    except (ValueError, RecursionError) as error:
        detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Wrong(_bad([Fault(pointer="#", detail=f"is no JSON: {detail}")])) from None
    found, wrong = read(given, kind)
    if wrong:
        raise Wrong(_bad(wrong))
    return found


def _integral(value: Any) -> Any:
    """`value` with 4 for 4.0: both are the same number in JSON (and an integer in JSON Schema 2020-12, 4.2.3)."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, list):
        return [_integral(each) for each in value]
    return {name: _integral(each) for name, each in value.items()} if isinstance(value, dict) else value


def _bad(faults: Sequence[Fault]) -> Response:
    places = [each.parameter or (each.pointer or "")[2:] or "the body" for each in faults]
    detail = "; ".join(f"{place} {each.detail}" for place, each in zip(places, faults, strict=True))
    return problem(400, "The request is not as it should be", f"{detail}.", faults)


def read(given: Any, kind: Any, strict: bool = True) -> tuple[Any, list[Fault]]:
    """`given` (of JSON, or texts when not `strict`) as `kind`, or None and all that is wrong, field by field."""
    try:
        return msgspec.convert(given, kind, strict=strict), []
    except msgspec.ValidationError as error:
        whole = _fault("#", str(error))
    if not (isinstance(given, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return None, [whole]
    fields = {each.encode_name: each for each in msgspec.structs.fields(kind)}
    wrong = [
        Fault(pointer=f"#/{name}", detail="is missing")
        for name, field in fields.items()
        if field.required and name not in given
    ]
    for name, value in given.items():
        if name not in fields:
            wrong.append(
                Fault(pointer=f"#/{name}", detail=f"is not known: there are {', '.join(fields) or 'none'}")
            )
            continue
        try:
            msgspec.convert(value, fields[name].type, strict=strict)
        except msgspec.ValidationError as error:
            wrong.append(_fault(f"#/{name}", str(error)))
    return None, wrong or [whole]


def _fault(pointer: str, message: str) -> Fault:
    """A message of msgspec, `Expected …, got … - at `$.lines[0]``, as a fault at that place under `pointer`."""
    words, _, place = message.partition(" - at `$")
    known = place.rstrip("`").partition("[...]")[0]  # it does not say which key of an object
    inside = re.sub(r"\[(\d+)\]", r"/\1", known.replace(".", "/"))
    return Fault(
        pointer=pointer + inside, detail=f"is wrong: {words[:1].lower()}{words[1:]}".replace("`", "'")
    )


# revisions: an ETag is `"<revision>"` for a record as it is, `"<revision>.<digest>"` for more than the record


def _revision(contract: Contract, name: str) -> int:
    assert contract.record is not None
    held = sources().inventory.get(contract.record, name)
    return held[1] if held else 0


def _expecting(contract: Contract, name: str) -> AbstractContextManager[None]:
    """What the record's revision must be, by If-Match and If-None-Match (RFC 9110 section 13.1)."""
    if contract.record is None or request.method in SAFE:
        return nullcontext()
    match, none = request.if_match, request.if_none_match
    if not match and not none:
        return nullcontext()
    wanted, unwanted = ({(tag or "").partition(".")[0] for tag in each} for each in (match, none))

    def fits(revision: int) -> bool:
        good = not match or (match.star_tag and revision > 0) or str(revision) in wanted
        return good and not (none.star_tag and revision > 0) and str(revision) not in unwanted

    if not fits(_revision(contract, name)):
        raise Conflict("Somebody changed it meanwhile, or it is not there: read it again, then repeat")
    return sources().inventory.expecting(contract.record, name, fits)


def _tagged(response: Response, contract: Contract, name: str) -> Response:
    """The ETag of what was read or written; 304 for who has just that."""
    if response.status_code >= 300 or response.status_code == 204:
        return response
    if response.is_streamed or response.direct_passthrough:  # a file, which is not read for its digest
        return response
    digest = hashlib.sha256(response.get_data()).hexdigest()[:16]
    if contract.record is None:
        tag = digest if request.method in SAFE else ""
    else:
        revision = str(_revision(contract, name))
        tag = revision if contract.answer is contract.record else f"{revision}.{digest}"
    if tag:
        response.set_etag(tag)
    if request.method in SAFE:
        response.make_conditional(request)
    return response
