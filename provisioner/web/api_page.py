"""The calls of the API for people: what each takes and gives, and how to try it, from the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Document = Mapping[str, Any]
BEARER = '-H "Authorization: Bearer $TOKEN"'


class Field(NamedTuple):
    """A parameter, or a field of a body or an answer. `type`: in words, with its limits."""

    name: str
    type: str
    words: str


class Call(NamedTuple):
    """One call as it is shown."""

    id: str
    method: str
    path: str
    summary: str
    words: str
    role: str
    scope: str
    parameters: list[Field]
    body: list[Field]
    answer: list[Field]
    statuses: list[tuple[str, str]]
    curl: str


def parts(document: Document) -> dict[str, list[Call]]:
    """All calls by tag, in the order of the document."""
    found: dict[str, list[Call]] = {each["name"]: [] for each in document["tags"]}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            found[told["tags"][0]].append(_call(document, path, method.upper(), told))
    return found


def _call(document: Document, path: str, method: str, told: Mapping[str, Any]) -> Call:
    asked = (each for each in told["parameters"] if each["in"] != "header")
    sent = told.get("requestBody", {}).get("content", {})
    good = next(each for status, each in told["responses"].items() if status.startswith("2"))
    return Call(
        id=told["operationId"],
        method=method,
        path=path,
        summary=told["summary"],
        words=told["description"].rstrip("."),
        role=told["x-role"],
        scope=told["x-scope"],
        parameters=[
            Field(each["name"], kind(document, each["schema"]), each["description"]) for each in asked
        ],
        body=list(_fields(document, sent)),
        answer=list(_fields(document, good.get("content", {}))),
        statuses=[(status, each["description"]) for status, each in told["responses"].items()],
        curl=curl(document, path, method, told),
    )


def _resolved(document: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a $ref leads to."""
    if "$ref" not in schema:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _fields(document: Document, content: Mapping[str, Any]) -> Iterator[Field]:
    """The fields of a body or an answer; of a list those of its entries."""
    for media, each in content.items():
        if "schema" not in each:
            yield Field("", media, "")
            continue
        schema = _resolved(document, each["schema"])
        items = schema.get("items") or schema.get("properties", {}).get("items", {}).get("items")
        inner = _resolved(document, items) if items else schema
        before = "items[]." if items and "properties" in schema else "[]." if items else ""
        words = inner.get("description", "")
        yield Field(before.rstrip("."), kind(document, items or each["schema"]), words)
        needed = inner.get("required", ())
        for name, field in inner.get("properties", {}).items():
            must = (
                "" if name in needed or "default" not in field else f", {_value(field['default'])} without it"
            )
            yield Field(before + name, kind(document, field) + must, field.get("description", ""))


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def kind(document: Document, schema: Mapping[str, Any]) -> str:
    """A schema in few words."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return " | ".join(map(_value, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(kind(document, each) for each in schema["anyOf"])
    name = schema.get("type", "any")
    named = " | ".join(name) if isinstance(name, list) else str(name)
    if named == "array":
        return f"list of {kind(document, schema.get('items') or {})}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {kind(document, schema['additionalProperties'])}"
    return named + _limits(schema)


def _limits(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" {low} to {high}"
    if "maxLength" in schema:
        return f", at most {schema['maxLength']} characters"
    return f" from {low}" if low is not None else ""


def curl(document: Document, path: str, method: str, told: Mapping[str, Any]) -> str:
    """A command that makes the call; what is in capitals is to be replaced."""
    where = path.replace("{", "").replace("}", "")
    for each in told["parameters"]:
        if each["in"] == "path":
            where = (
                where.replace(each["name"], each["name"].upper(), 1)
                if f"{{{each['name']}}}" in path
                else where
            )
    words = ["curl", BEARER] + ([f"-X {method}"] if method != "GET" else [])
    for media, each in told.get("requestBody", {}).get("content", {}).items():
        sent = (
            json.dumps(sample(document, each["schema"]), ensure_ascii=False) if "schema" in each else "@FILE"
        )
        words += [f'-H "Content-Type: {media}"', f"--data-binary '{sent}'"]
    return " \\\n  ".join([*words, f'"https://ADDRESS{where}"'])


def sample(document: Document, schema: Mapping[str, Any]) -> Any:
    """A body that shows the form: what is needed, or all fields where nothing is."""
    found = _resolved(document, schema)
    if "anyOf" in found:
        return sample(document, found["anyOf"][0])
    if found.get("type") == "array":
        return [sample(document, found.get("items") or {})]
    if "properties" in found:
        names = found.get("required") or list(found["properties"])[:3]
        return {name: sample(document, found["properties"][name]) for name in names}
    if "enum" in found:
        return found["enum"][0]
    plain = {"integer": 1, "number": 1.0, "boolean": True, "object": {}, "null": None}
    return found["default"] if found.get("default") else plain.get(str(found.get("type")), "…")
