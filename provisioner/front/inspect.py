"""What staff may ask of phones' files: where each setting comes from, and what a phone would be given."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from provisioner.errors import OperatorError
from provisioner.ipc import Method
from provisioner.phones.explain import explain, view
from provisioner.phones.identity import normal_mac
from provisioner.phones.render import Renderer
from provisioner.store.journal import Journal
from provisioner.store.records import Phone

Json = dict[str, Any]


class Inspector:
    """The control calls `explain`, `files`, `view` and `file`; only the last one's answer holds secrets."""

    def __init__(
        self, renderer: Callable[[], Renderer | None], journal: Callable[[], Journal | None]
    ) -> None:
        self._renderer = renderer
        self._journal = journal
        self.methods: dict[str, Method] = {
            "explain": self.explain,
            "files": self.files,
            "view": self.view,
            "file": self.file,
        }

    async def explain(self, args: Json) -> Json:
        """`{"mac"}` to `provisioner.phones.explain.explain`."""
        renderer, phone = self._phone(args)
        journal = self._journal()
        served = await asyncio.to_thread(journal.served, phone.id) if journal else []
        return await asyncio.to_thread(explain, renderer, phone, served)

    async def files(self, args: Json) -> Json:
        """`{"mac"}` to `{"files": [{"name", "kind", "bytes", "rule", …}]}`."""
        return {"files": (await self.explain(args))["files"]}

    async def view(self, args: Json) -> Json:
        """`{"mac", "name"}` to `provisioner.phones.explain.view`."""
        renderer, phone = self._phone(args)
        return await asyncio.to_thread(view, renderer, phone, str(args.get("name", "")))

    def file(self, args: Json) -> Json:
        """`{"mac", "name"}` to `{"data"}` in base 64: what the phone gets, with its secrets."""
        renderer, phone = self._phone(args)
        name = str(args.get("name", "")).lower()
        for asked, who in renderer.files(phone):
            made = renderer.rendered(asked, who) if asked.name == name else None
            if made:
                return {"data": base64.b64encode(made.data).decode()}
        raise OperatorError(f"{phone.id} gets no file {name!r}", "name one as the list of its files shows it")

    def _phone(self, args: Json) -> tuple[Renderer, Phone]:
        renderer = self._renderer()
        if renderer is None:
            raise OperatorError("the inventory has not been read yet", "try again in a second")
        given = str(args.get("mac", ""))
        phone = renderer.snapshot.phones.get(normal_mac(given) or "")
        if phone is None:
            raise OperatorError(
                f"no phone {given} is adopted", "give the MAC of one that `phones list` shows"
            )
        return renderer, phone
