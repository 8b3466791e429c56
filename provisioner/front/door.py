"""What the front adds to a request before it is judged, and what is told and kept of the judgements."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from provisioner.front.neighbours import Neighbours
from provisioner.paths import write_atomically
from provisioner.phones.boot import Asked
from provisioner.phones.limits import Limits, Quarantine
from provisioner.phones.proof import Asker
from provisioner.phones.render import Renderer
from provisioner.phones.trust import Trust, Verdict

_log = logging.getLogger(__name__)
_WORDS = {"sweep": "asked for the files of too many phones", "flood": "asked for too much"}


class Door:
    """All requests for phones' files go through here. `publish` is told of each new quarantine.

    `folder` is where contacts and quarantine are kept over a restart.
    """

    def __init__(
        self,
        folder: Path,
        neighbours: Neighbours,
        publish: Callable[[str, dict[str, Any]], None],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        kept: Callable[[Asked], bytes | None] = lambda _asked: None,
    ) -> None:
        self._contacts = folder / "contacts.json"
        self._quarantined = folder / "quarantine.json"
        self._neighbours = neighbours
        self._publish = publish
        self._now = now
        self._clock = clock
        self.trust = Trust(now, clock, os.urandom(32), self._tell, limits, kept)

    def load(self) -> None:
        """Read contacts and quarantine of the last run. What cannot be read is as if there had been none."""
        sources = self.trust.sources
        for file, load, then in (
            (self._contacts, self.trust.proofs.contacts.load, "phones may prove themselves anew"),
            (self._quarantined, lambda data: sources.load(data, self._ahead), "nobody is in quarantine"),
        ):
            try:
                load(file.read_bytes())
            except FileNotFoundError:
                pass
            except (OSError, msgspec.MsgspecError) as error:
                _log.warning("%s cannot be read (%s): %s", file, type(error).__name__, then)

    async def tick(self, renderer: Renderer | None) -> None:
        """About once a second: take what the kernel told, keep contacts and quarantine."""
        self._neighbours.refresh()
        contacts, sources = self.trust.proofs.contacts, self.trust.sources
        if contacts.changed and renderer:
            data = contacts.dump(renderer.snapshot.phones)
            if not await _kept(self._contacts, data):
                contacts.changed = True
        if sources.changed and not await _kept(self._quarantined, sources.dump(self._ahead)):
            sources.changed = True

    def asker(
        self,
        path: str,
        address: str,
        user_agent: str = "",
        *,
        certificate: str = "",
        authorization: str = "",
        method: str = "GET",
        scheme: str = "http",
        forwarded: bool = False,
    ) -> Asker:
        """A request with what is known of its sender. `forwarded`: a proxy says that it speaks for another."""
        neighbours = self._neighbours
        local = neighbours.is_own(address) and not forwarded
        mac = "" if local else neighbours.mac(address)
        return Asker(path, user_agent, address, mac, certificate, authorization, method, scheme, local)

    def judge(self, renderer: Renderer, asker: Asker) -> Verdict:
        """What a request is answered with: `Trust`."""
        if asker.method in ("GET", "HEAD"):
            return self.trust.judge(renderer, asker)
        return self.trust.judge_upload(renderer, asker)

    # quarantine

    def quarantine(self) -> list[dict[str, Any]]:
        """The sources in quarantine, as the control call `quarantine` answers."""
        return [self._row(held) for held in self.trust.sources.quarantine()]

    def release(self, source: str) -> bool:
        """Take a source out of quarantine; False when it is not in it."""
        return self.trust.sources.release(source.strip())

    @property
    def _ahead(self) -> float:
        """Seconds that the wall clock is ahead of that of the quarantine."""
        return self._now() - self._clock()

    def _row(self, held: Quarantine) -> dict[str, Any]:
        return {
            "source": held.source,
            "address": held.address,
            "mac": held.source if ":" not in held.source and "." not in held.source else "",
            "reason": held.reason,
            "until": held.until + self._ahead,
            "hits": held.hits,
        }

    def _tell(self, held: Quarantine) -> None:
        row = self._row(held)
        who = f"{held.address} (MAC {row['mac']})" if row["mac"] else held.address
        _log.warning(
            "%s %s: it gets nothing more without proof; see the page Protection", who, _WORDS[held.reason]
        )
        self._publish("quarantine", row)


async def _kept(file: Path, data: bytes) -> bool:
    """Whether `data` is in the file now."""
    try:
        await asyncio.to_thread(write_atomically, file, data, 0o600)
    except OSError as error:
        _log.warning("%s cannot be written (%s): free some disk space", file, error.strerror)
        return False
    return True
