"""A new day makes a new renderer, since the rules of a time zone may have changed; the same day does not."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

from provisioner.front.watch import Watch
from provisioner.paths import StateDir
from provisioner.phones.render import Renderer
from provisioner.store.inventory import Inventory
from provisioner.store.records import Practice
from tests.phones.samples import ADDRESSES


def test_each_day(tmp_path: Path) -> None:
    state = StateDir.create(tmp_path)
    inventory = Inventory.open(state.inventory)
    with inventory.change(who="test") as change:
        change.put(Practice(id="practice", name="Clinic", main_number="+14155550100"))
    inventory.close()
    made: list[Renderer] = []
    days = [date(2026, 12, 31)]
    watch = Watch(state, ADDRESSES, made.append, {"mac": "1.2.3.4"}, lambda: days[-1])
    asyncio.run(watch.reload())
    asyncio.run(watch.reload())
    assert [each.today for each in made] == days
    days.append(date(2027, 1, 1))
    asyncio.run(watch.reload())
    assert [each.today for each in made] == days
