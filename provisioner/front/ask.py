"""What the front asks of trust: the one place where a request, over whatever it came, is put to the rules."""

from __future__ import annotations

from typing import NamedTuple

from provisioner.phones.render import Renderer
from provisioner.phones.trust import Verdict, judge, judge_upload


class Asker(NamedTuple):
    """Who asks, as the wire shows it. `subject`: the common name of a verified client certificate, or ""."""

    address: str
    agent: str = ""
    subject: str = ""
    authorization: str = ""


def fetch(renderer: Renderer | None, path: str, asker: Asker) -> Verdict:
    """What a read of `path` is answered with."""
    if renderer is None:
        # Never a file without an account: a phone would take it for its new configuration.
        return Verdict.unready()
    return judge(renderer, path, asker.agent)


def upload(renderer: Renderer | None, method: str, path: str, asker: Asker) -> Verdict:
    """Whether what is sent to `path` may be kept."""
    if renderer is None:
        return Verdict.unready()
    return judge_upload(renderer, method, path, asker.agent)
