"""An inventory of its own for each test, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.store.inventory import Inventory


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inventory(tmp_path: Path, clock: Clock) -> Iterator[Inventory]:
    opened = Inventory.open(tmp_path / "inventory.db", clock=clock)
    yield opened
    opened.close()
