"""The OpenAPI 3.1 document of the API, made from the contracts of its calls, and the page that shows it to people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, get_args, get_origin

import msgspec
from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.routing import Rule

from provisioner import __version__
from provisioner.web import api, api_page, contract, once, roles, scopes, session, staff
from provisioner.web.contract import JSON, PROBLEM, SAFE, Contract, Page, Problem, contract_of
from provisioner.web.session import sources

ROOT = "/api/v1"
COOKIE = "__Host-provisioner"  # over HTTPS
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ALWAYS = (400, 401, 403, 500, 503)
WORDS = {
    400: "The request is not as this document says; `errors` tells each fault.",
    401: "No API token or session, or one that is not good any more.",
    403: "The role of who asks does not do, or a session sent no CSRF token.",
    404: "There is no such thing.",
    409: "It cannot be done as things are; `detail` says why and what to do.",
    410: "It was there once.",
    412: "`If-Match` or `If-None-Match` does not hold: somebody changed it meanwhile.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "What was given cannot be, or the `Idempotency-Key` was used for another request.",
    429: "Too many requests; try again later.",
    500: "A fault in the program; nothing was changed.",
    503: "A part of the appliance does not answer now.",
}
ABOUT = """\
Everything that the staff pages can do. Times are seconds since 1970 (UTC), numbers E.164, MAC addresses twelve
lower-case hex digits. Send an API token as `Authorization: Bearer …`; a session of the staff pages does too, and then
sends its CSRF token with each change.

Lists come in pages: `limit` and `offset`; `next` is the address of the next page, null on the last one.

Answers have an `ETag`. Send it as `If-None-Match` to hear 304 when nothing has changed, and as `If-Match` with a change
to have it refused (412) when somebody else was faster. Both are optional. Of an ETag such as `"17.3af0"` only the
revision before the dot counts for changes.

A `POST` with an `Idempotency-Key` is carried out once: who repeats it within a day gets the first answer again, with
`Idempotency-Replayed: true`. The same key with another request is refused (422), and so is one whose first request is
still under way (409).

Every error is a problem document (RFC 9457). While the pages restart it is a 502 with `Retry-After`.
"""
TAGS = {
    "overview": "What is wrong first",
    "phones": "Desk phones: adoption, settings, files, keys, orders",
    "phone-groups": "Groups of phones",
    "settings": "The vocabulary of phone settings",
    "layers": "What each layer of settings says",
    "extensions": "The extension plan",
    "extension-ranges": "Ranges of the extension plan",
    "numbers": "Numbers and their emergency addresses",
    "locations": "Where phones are",
    "calls": "Calls, live and past",
    "dial": "Where a call would go",
    "dial-through": "Temporary numbers",
    "emergency": "Emergency calls, tests, readiness",
    "requests": "What phones asked for",
    "practice": "The practice's own settings",
    "ring-groups": "Who rings for a number",
    "trunks": "Ways to calling services",
    "providers": "Telephone providers",
    "jobs": "The appliance's own long work",
    "users": "Who may sign in",
    "tokens": "API tokens",
    "audit": "Who changed what",
    "recordings": "What callers hear",
    "status": "The appliance",
    "trust": "Which phones get anything",
    "protection": "Who is shut out of the phone service, or gets no files",
    "certificates": "Certificate authorities",
    "dhcp": "What the DHCP server tells phones",
    "openapi": "This document",
    "account": "One's own name, password, second factor and sessions",
    "addresses": "Reading addresses as people type them",
    "backups": "Backups",
    "restores": "Putting a backup back",
    "discovery": "Phones that were seen on the network",
    "https": "The certificate of the staff page",
    "setup": "The first start",
    "trends": "Figures over time",
}

calls = Blueprint("openapi_api", __name__, url_prefix=ROOT)
calls.before_request(api.guard)
pages = Blueprint("openapi", __name__, url_prefix="/staff/api")
pages.before_request(staff.guard)


class Operation(NamedTuple):
    """One method of one path of the API."""

    path: str
    method: str
    rule: Rule
    contract: Contract


def operations(app: Flask) -> Iterator[Operation]:
    """All calls, by path and method."""
    found = []
    for rule in app.url_map.iter_rules():
        held = contract_of(app.view_functions[rule.endpoint])
        if rule.rule.startswith(f"{ROOT}/") and held is not None:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            methods = (rule.methods or set()) & set(METHODS)
            found += [Operation(path, method, rule, held) for method in methods]
    yield from sorted(found, key=lambda each: (each.path, METHODS.index(each.method)))


def document(app: Flask) -> dict[str, Any]:
    """The document, made once for an app."""
    held: dict[str, Any] | None = app.extensions.get("provisioner_openapi")
    if held is None:
        held = app.extensions["provisioner_openapi"] = _document(list(operations(app)))
    return held


def _document(found: list[Operation]) -> dict[str, Any]:
    types = [
        kind for each in found for kind in (each.contract.answer, each.contract.body) if kind is not None
    ]
    schemas, components = _schemas([Problem, *types])
    paths: dict[str, dict[str, Any]] = {}
    for each in found:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    used = sorted({_tag(each.path) for each in found})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Provisioner",
            "version": __version__,
            "summary": "Phones, numbers, emergency addresses and the SIP edge of a practice",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "This appliance"}],
        "security": [{"bearer": []}, {"session": []}],
        "tags": [{"name": tag, "description": TAGS.get(tag, tag)} for tag in used],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _security_schemes()},
    }


def _security_schemes() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API token."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": COOKIE,
            "description": "The session of the staff pages.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": session.CSRF_HEADER,
            "description": "The CSRF token of the session, with each change.",
        },
    }


def _item(kind: Any) -> Any:
    """The type of the entries of a page, None for what is no page."""
    return get_args(kind)[0] if get_origin(kind) is Page else None


def _schemas(types: list[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema for each type (by its repr), and the components that they name."""
    items = [_item(kind) or kind for kind in types]
    made, components = msgspec.json.schema_components(
        items, schema_hook=_hook, ref_template="#/components/schemas/{name}"
    )
    found = {
        repr(kind): _page(schema) if _item(kind) else schema for kind, schema in zip(types, made, strict=True)
    }
    short = re.sub(
        rb'([/"])provisioner\.(?:\w+\.)*(\w+\.\w+)"', rb'\1\2"', msgspec.json.encode((found, components))
    )
    found, components = msgspec.json.decode(short)
    return found, dict(sorted(components.items()))


def _page(item: dict[str, Any]) -> dict[str, Any]:
    """Of a Page; a generic's own name would not tell two of them apart."""
    return {
        "type": "object",
        "required": ["items", "next", "total"],
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {
                "type": ["string", "null"],
                "description": "The address of the next page; null: this is the last.",
            },
            "total": {"type": ["integer", "null"], "description": "So many there are; null: not counted."},
        },
    }


def _hook(kind: type) -> dict[str, Any]:
    if kind is object:
        return {}
    raise NotImplementedError


def _tag(path: str) -> str:
    return path.removeprefix(f"{ROOT}/").partition("/")[0].partition(".")[0]


def _operation(each: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    held, safe = each.contract, each.method in SAFE
    told: dict[str, Any] = {
        "operationId": _identifier(each),
        "summary": held.summary,
        "description": held.description,
        "tags": [_tag(each.path)],
        "x-role": roles.least(each.rule.endpoint, each.method),
        "x-scope": scope(each),
        "parameters": [*_parameters(each), *_query(held), *_headers(each)],
        "responses": _responses(each, schemas),
    }
    if not safe:
        told["security"] = [{"bearer": []}, {"session": [], "csrf": []}]
    if held.body is not None or held.takes:
        schema = schemas[repr(held.body)] if held.body is not None else {}
        media = {"schema": schema} if held.body is not None else {}
        told["requestBody"] = {"required": not held.optional, "content": {held.takes or JSON: media}}
    return told


def scope(each: Operation) -> str:
    """The scope that a token with scopes needs for a call; "": one with scopes cannot make it."""
    area, reading = scopes.area(each.rule.endpoint), roles.reads(each.rule.endpoint, each.method)
    return f"{area}:{'read' if reading else 'write'}" if area else ""


def _identifier(each: Operation) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", each.path.removeprefix(ROOT).lower()).strip("_")
    return f"{each.method.lower()}_{words}"


def _parameters(each: Operation) -> Iterator[dict[str, Any]]:
    for name in each.contract.path:
        pattern, words = contract.path_pattern(name)
        schema = {"type": "string", "pattern": pattern}
        yield {"name": name, "in": "path", "required": True, "description": words, "schema": schema}


def _query(held: Contract) -> Iterator[dict[str, Any]]:
    if held.query is None:
        return
    for field in msgspec.structs.fields(held.query):
        schema = dict(msgspec.json.schema(field.type))
        words = schema.pop("description", "")
        if (
            not field.required
            and field.default is not msgspec.NODEFAULT
            and field.default is not msgspec.UNSET
        ):
            schema["default"] = msgspec.to_builtins(field.default)
        yield {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": schema,
            **({"description": words} if words else {}),
        }


def _headers(each: Operation) -> Iterator[dict[str, Any]]:
    def header(name: str, words: str, **schema: Any) -> dict[str, Any]:
        return {
            "name": name,
            "in": "header",
            "required": False,
            "description": words,
            "schema": {"type": "string", **schema},
        }

    if each.method == "GET" and each.contract.gives == JSON:
        yield header("If-None-Match", "ETag of the answer that you have.")
    elif each.method not in SAFE and each.contract.record is not None:
        yield header("If-Match", "ETag of what you read; refused (412) when it has changed.")
        if each.method == "PUT":
            yield header("If-None-Match", "`*`: only when there is none yet.")
    if each.method == "POST":
        yield header(
            once.HEADER,
            "What is repeated with the same key within a day is not carried out again.",
            pattern=once.KEY,
        )


def statuses(each: Operation) -> list[int]:
    """The statuses of all problems that a call may answer."""
    held = each.contract
    found = {*ALWAYS, *held.problems}
    found |= {404} if held.path or each.method == "DELETE" else set()
    found |= {422} if held.query is not None else set()
    if each.method not in SAFE:
        found |= {409, 413}
        found |= {415, 422} if held.body is not None or held.takes else set()
        found |= {412} if held.record is not None else set()
        found |= {422} if each.method == "POST" else set()
    elif held.refuses:
        found |= {held.refusal}
    return sorted(found)


def _responses(each: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    held = each.contract
    good: dict[str, Any] = {"description": HTTPStatus(held.status).phrase}
    if held.status != 204:
        schema = schemas[repr(held.answer)] if held.answer is not None else None
        media = {"schema": schema} if schema is not None and held.gives == JSON else {}
        good["content"] = {held.gives: media}
        if held.gives == JSON and (each.method in SAFE or held.record is not None):
            good["headers"] = {"ETag": {"description": "What is given here.", "schema": {"type": "string"}}}
    told = {str(held.status): good}
    if each.method == "GET" and held.gives == JSON:
        told["304"] = {"description": "It is as you have it."}
    problem = {PROBLEM: {"schema": schemas[repr(Problem)]}}
    for status in statuses(each):
        words = WORDS.get(status, HTTPStatus(status).phrase)
        told[str(status)] = {"description": words, "content": problem}
    return told


@calls.get("/openapi.json")
@contract.call(answer=dict[str, Any])
def told() -> Response:
    """This document: OpenAPI 3.1."""
    return contract.answer(document(current_app))


@pages.get("")
def page() -> Response:
    """All calls for people: what there is, and one part of it in full, for all at once would be a heavy page."""
    groups = parts(current_app)
    part = request.args.get("part", "")
    return staff.page(
        "api.html",
        sources().world(),
        tags=TAGS,
        groups={part: groups[part]} if part in groups else groups,
        about=ABOUT.split("\n\n"),
        part=part if part in groups else "",
        roles=roles.WORDS,
    )


def parts(app: Flask) -> dict[str, list[api_page.Call]]:
    """All calls as they are shown, made once for an app."""
    held: dict[str, list[api_page.Call]] | None = app.extensions.get("provisioner_api_page")
    if held is None:
        held = app.extensions["provisioner_api_page"] = api_page.parts(document(app))
    return held
