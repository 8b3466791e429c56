"""Do-not-disturb, forwarding and screening of an extension: a form on the page of its phone, and the API."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.dialing.classify import Plan
from provisioner.dialing.forwarding import checked
from provisioner.errors import UsageError
from provisioner.phones import handling as rules
from provisioner.store.records import LineFeatures, RingGroup, Snapshot
from provisioner.web import api, contract, forms, handling, staff
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who

SWITCHES = {"do_not_disturb": N_("Do not disturb"), "screening": N_("Ask who picks up (press 1 to accept)")}
TARGETS = {
    "forward_always": N_("Forward all calls to"),
    "forward_busy": N_("Forward when busy to"),
    "forward_no_answer": N_("Forward when not answered to"),
}
SECONDS = range(5, 121)

pages = Blueprint("features", __name__, url_prefix="/staff")
pages.before_request(staff.guard)
calls = Blueprint("features_api", __name__, url_prefix="/api/v1")
calls.before_request(api.guard)


def of(extension: str) -> LineFeatures:
    """The features of an extension."""
    return sources().snapshot().line_features.get(extension) or LineFeatures(id=extension)


def store(extension: str, values: dict[str, Any], who: str) -> LineFeatures:
    """Check `values`, keep them, tell the edge. What is left out stays. Raises UsageError with what is wrong."""
    snapshot = sources().snapshot()
    plan = Plan(frozenset(snapshot.extensions()), extension, snapshot.practice.extension_length)
    unknown = set(values) - {*SWITCHES, *TARGETS, "forward_no_answer_seconds"}
    if unknown:
        raise UsageError(f"There is no such feature: {min(unknown)}")
    for name in TARGETS.keys() & values.keys():
        if not isinstance(values[name], str):
            raise UsageError(f"{name} must be a number or an extension as text, empty for none")
        values[name] = checked(values[name], plan)
    with sources().inventory.change(who) as change:
        stored = change.get(LineFeatures, extension)
        known = stored[0] if stored else LineFeatures(id=extension)
        try:
            features = msgspec.convert({**msgspec.to_builtins(known), **values}, LineFeatures)
        except msgspec.ValidationError as error:
            raise UsageError(f"That is no setting of an extension: {error}") from None
        if features.forward_no_answer_seconds not in SECONDS:
            raise UsageError(
                f"A phone rings for {SECONDS[0]} to {SECONDS[-1]} seconds before a call is forwarded"
            )
        change.put(features)
    sources().reload()
    return features


def _known(extension: str) -> None:
    if sources().snapshot().line(extension) is None:
        abort(404, "No phone has this extension.")


@calls.get("/extensions/<extension>/features")
@contract.call(record=LineFeatures)
def show(extension: str) -> LineFeatures:
    """What becomes of calls to an extension."""
    _known(extension)
    return of(extension)


@calls.put("/extensions/<extension>/features")
@contract.call(
    record=LineFeatures,
    body=contract.partial(LineFeatures, "Features"),
    refuses="The features were not changed",
    refusal=422,
)
def change(extension: str, body: msgspec.Struct) -> LineFeatures:
    """Change those that the body names."""
    _known(extension)
    return store(extension, contract.given(body), who())


@pages.get("/extensions/<extension>")
def page(extension: str) -> Response:
    """What becomes of calls to an extension, and the form that changes it."""
    _known(extension)
    return _page(extension, of(extension))


def _page(extension: str, features: LineFeatures, status: int = 200, error: str = "") -> Response:
    world = sources().world()
    line = world.snapshot.line(extension)
    return staff.page(
        "features.html",
        world,
        status,
        extension=extension,
        mac=line[0].id if line else "",
        features=features,
        switches=SWITCHES,
        targets=TARGETS,
        seconds=SECONDS,
        error=error,
        changed="changed" in request.args,
        name=line[0].lines[line[1]].name if line else "",
        steps=handling.told(
            world.snapshot,
            rules.of_extension(world.snapshot, extension),
            handling.registered(world.edge),
            linked=False,
        ),
        numbers=sorted(each.id for each in world.snapshot.numbers.values() if each.extension == extension),
        groups=[
            each for each in world.snapshot.ring_groups.values() if _rings(world.snapshot, each, extension)
        ],
    )


def _rings(snapshot: Snapshot, group: RingGroup, extension: str) -> bool:
    """Whether an extension is a member, by itself or by its number."""
    own = {each.id for each in snapshot.numbers.values() if each.extension == extension} | {extension}
    return any(member.target in own for member in group.each)


@pages.post("/extensions/<extension>")
def form(extension: str) -> Response:
    """All fields of the form at once."""
    _known(extension)
    values: dict[str, Any] = {name: name in request.form for name in SWITCHES}
    values |= {name: request.form.get(name, "") for name in TARGETS}
    seconds = request.form.get("forward_no_answer_seconds", "")
    values["forward_no_answer_seconds"] = forms.whole(seconds) or 0
    try:
        store(extension, dict(values), who())
    except UsageError as error:
        return _page(extension, LineFeatures(id=extension, **values), 409, str(error))
    return make_response(redirect(url_for("features.page", extension=extension, changed=1), 303))
