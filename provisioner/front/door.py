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
    """All requests for phones' files go through here. `publish` is told of each new quarantine; `file`: contacts."""

    def __init__(
        self,
        file: Path,
        neighbours: Neighbours,
        publish: Callable[[str, dict[str, Any]], None],
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits | None = None,
        kept: Callable[[Asked], bytes | None] = lambda _asked: None,
    ) -> None:
        self._file = file
        self._neighbours = neighbours
        self._publish = publish
        self._now = now
        self._clock = clock
        self.trust = Trust(now, clock, os.urandom(32), self._tell, limits, kept)

    def load(self) -> None:
        """Read the contacts of the last run. What cannot be read is as if no phone had had its files yet."""
        try:
            self.trust.proofs.contacts.load(self._file.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning(
                "%s cannot be read (%s): phones may prove themselves anew", self._file, type(error).__name__
            )

    async def tick(self, renderer: Renderer | None) -> None:
        """About once a second: take what the kernel told, keep the contacts."""
        self._neighbours.refresh()
        contacts = self.trust.proofs.contacts
        if contacts.changed and renderer:
            data = contacts.dump(renderer.snapshot.phones)
            try:
                await asyncio.to_thread(write_atomically, self._file, data, 0o600)
            except OSError as error:
                contacts.changed = True
                _log.warning("%s cannot be written (%s): free some disk space", self._file, error.strerror)

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

    def _row(self, held: Quarantine) -> dict[str, Any]:
        return {
            "source": held.source,
            "address": held.address,
            "mac": held.source if ":" not in held.source and "." not in held.source else "",
            "reason": held.reason,
            "until": self._now() + held.until - self._clock(),
            "hits": held.hits,
        }

    def _tell(self, held: Quarantine) -> None:
        row = self._row(held)
        who = f"{held.address} (MAC {row['mac']})" if row["mac"] else held.address
        _log.warning(
            "%s %s: it gets nothing more without proof; see the page Protection", who, _WORDS[held.reason]
        )
        self._publish("quarantine", row)
