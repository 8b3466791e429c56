"""Pages and API for the sound of calls: what each prompt says, and the practice's own recordings and music."""

from __future__ import annotations

from hashlib import sha256

from flask import Blueprint, Response, abort, make_response, redirect, request, url_for

from provisioner.errors import ProvisionerError
from provisioner.media import prompts
from provisioner.media.recordings import MAX_BYTES, Recordings, as_wav
from provisioner.media.rtp import RATE
from provisioner.store.records import Recording
from provisioner.web import api, contract, staff, uploads
from provisioner.web.contract import Page, Paging
from provisioner.web.language import gettext as _
from provisioner.web.session import sources, who
from provisioner.web.shapes import Shape

pages = Blueprint("audio", __name__, url_prefix="/staff/audio")
calls = Blueprint("audio_api", __name__, url_prefix="/api/v1/recordings")

uploads.limit(MAX_BYTES + uploads.FORM, pages, calls)
pages.before_request(staff.guard)
calls.before_request(api.guard)


def _recordings() -> Recordings:
    return Recordings(sources().state.audio)


def _known(name: str) -> str:
    if name not in prompts.sentences():
        abort(404, "There is no such prompt.")
    return name


def _rows() -> list[dict[str, object]]:
    found = _recordings()
    own = set(found.own())
    return [
        {"name": name, "says": says, "own": name in own, "seconds": round(len(found.load(name)) / RATE, 1)}
        for name, says in prompts.sentences().items()
    ]


@pages.get("")
def index() -> Response:
    """All prompts, and the forms to replace them."""
    return _page()


def _page(status: int = 200, error: str = "") -> Response:
    return staff.page("audio.html", sources().world(), status, rows=_rows(), error=error)


@pages.get("/<name>.wav")
@calls.get("/<name>.wav")
@contract.call(gives="audio/wav")
def listen(name: str) -> Response:
    """What callers hear under that name."""
    response = make_response(as_wav(_recordings().load(_known(name))))
    response.mimetype = "audio/wav"
    return response


@pages.post("/<name>")
def upload(name: str) -> Response:
    """Take a recording, or with `remove` go back to what ships."""
    file = request.files.get("recording")
    if "remove" in request.form:
        _remove(_known(name), who())
    elif file is None or not file.filename:
        return _page(400, _("Choose a WAV file first."))
    else:
        try:
            _put(_known(name), file.read(), who())
        except ProvisionerError as error:
            return _page(409, str(error))
    return make_response(redirect(url_for("audio.index"), 303))


def _put(name: str, data: bytes, who: str) -> Recording:
    found = _recordings()
    seconds = found.put(name, data)
    record = Recording(id=name, seconds=round(seconds, 1), digest=sha256(found.load(name)).hexdigest())
    with sources().inventory.change(who) as change:
        change.put(record)
    return record


def _remove(name: str, who: str) -> None:
    _recordings().remove(name)
    with sources().inventory.change(who) as change:
        if change.get(Recording, name):
            change.delete(Recording, name)


class Prompt(Shape, frozen=True):
    """What callers hear under a name, and whether it is a recording of the practice's own."""

    name: str
    says: str
    own: bool
    seconds: float


@calls.get("")
@contract.call(answer=Page[Prompt])
def listed(query: Paging) -> Page[dict[str, object]]:
    """All prompts."""
    return contract.listed(_rows(), query)


@calls.put("/<name>")
@contract.call(record=Recording, takes="audio/wav", refuses="The recording was not kept")
def put(name: str) -> Recording:
    """Take a WAV file as what callers hear."""
    return _put(_known(name), request.get_data(), who())


@calls.delete("/<name>")
@contract.call(record=Recording)
def remove(name: str) -> None:
    """Back to what ships."""
    _remove(_known(name), who())
