"""The whole API is called as its document says, and as it does not: by an administrator, a viewer, and a stranger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import api_practice
import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from provisioner.web import openapi

EXAMPLES = 6  # of each call, good and bad
GOOD = [
    "2xx",
    "304",
    "404",
    "409",
    "412",
    "422",
]  # what is there, and what the rules of the practice say, decides
REFUSED = ["400", "404", "409", "412", "413", "415", "422"]
GENTLE_FIRST = {"get": 0, "patch": 1, "put": 2, "post": 3, "delete": 5}
GONE_AFTER = "/retire"

Called = Counter[tuple[str, int]]
last: list[Any] = []  # answer, for the message of a failure


def _raw(_context: Any, value: Any) -> dict[str, Any]:
    return {"data": value if isinstance(value, bytes) else repr(value).encode()}


for media in ("audio/wav", "application/x-pem-file", "application/zip", "application/toml"):
    schemathesis.serializer(media)(_raw)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with api_practice.running(tmp_path_factory.mktemp("state")) as found:
        yield found


@pytest.fixture(scope="module")
def operations(app: Flask) -> list[Any]:
    """All calls, those last that take away what others need."""
    schema = schemathesis.openapi.from_dict(openapi.document(app))
    schema.app = app
    schema.config.checks.negative_data_rejection.expected_statuses = REFUSED
    found = [each.ok() for each in schema.get_all_operations()]
    return sorted(
        found, key=lambda each: (GENTLE_FIRST[each.method] + 1.5 * each.path.endswith(GONE_AFTER), each.label)
    )


def bearer(app: Flask, role: str) -> dict[str, str]:
    token = app.extensions["provisioner"].inventory.new_token("api", 3600, role)
    return {"Authorization": f"Bearer {token}"}


def call(
    operation: Any, mode: GenerationMode, examples: int, headers: dict[str, str], called: Called
) -> None:
    """Make so many calls; each answer must be as the document says."""
    there = api_practice.known(operation.path)

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), use=st.integers(0, 3))
    def run(case: Case, use: int) -> None:
        if mode is GenerationMode.POSITIVE and use:
            case.path_parameters.update(there)
        response = case.call(headers=headers)
        called[operation.label, response.status_code] += 1
        last[:] = [response.status_code, response.content[:300]]
        case.validate_response(response, headers=headers)

    run()


def all_of(operations: list[Any], statuses: Sequence[str], *how: Any) -> str:
    """What went wrong, by call. `statuses`: what a good request may hear."""
    failures = []
    check = operations[0].schema.config.checks.positive_data_acceptance
    for operation in operations:
        # A program's token has no password and no second factor of its own.
        own = "/account" in operation.path
        check.expected_statuses = [*statuses, "403"] if own else list(statuses)
        try:
            call(operation, *how)
        except BaseExceptionGroup as group:
            failures += [f"{operation.label}: {each} {last}" for each in group.exceptions]
        except Exception as error:
            failures.append(f"{operation.label}: {error} {last}")
    return "\n".join(failures)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_an_administrator(app: Flask, operations: list[Any], mode: GenerationMode) -> None:
    called: Called = Counter()
    assert all_of(operations, GOOD, mode, EXAMPLES, bearer(app, "administrator"), called) == ""
    if mode is GenerationMode.POSITIVE:
        done = {label for label, status in called if 200 <= status < 300}
        assert len(done) > 0.6 * len(operations), {each.label for each in operations} - done


def test_a_viewer_changes_nothing(app: Flask, operations: list[Any]) -> None:
    called: Called = Counter()
    before = app.extensions["provisioner"].inventory.snapshot_revision()
    good = [*GOOD, "403"]
    assert all_of(operations, good, GenerationMode.POSITIVE, 2, bearer(app, "viewer"), called) == ""
    assert app.extensions["provisioner"].inventory.snapshot_revision() == before
    more = {each.label for each in operations if each.definition.raw["x-role"] != "viewer"}
    assert len(more) > 60
    assert {status for label, status in called if label in more} == {403}


def test_a_stranger_hears_401(app: Flask, operations: list[Any]) -> None:
    called: Called = Counter()
    assert all_of(operations, ["401"], GenerationMode.POSITIVE, 1, {}, called) == ""
    assert {status for _, status in called} == {401}
