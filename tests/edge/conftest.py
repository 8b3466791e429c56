"""Fixtures of the edge's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from provisioner.store import records
from provisioner.store.records import Snapshot
from tests.edge.orders import Desk, Setting
from tests.edge.world import EXTENSIONS, Make, World, practice


@pytest.fixture
def world() -> Iterator[World]:
    """A practice with its three phones registered; afterwards nothing may be left of any call."""
    world = World()
    world.register_all()
    yield world
    world.end()
    world.assert_nothing_left()


@pytest.fixture
def make() -> Iterator[Make]:
    """Worlds of a test's own; afterwards nothing may be left in them."""
    worlds: list[World] = []

    def made(*features: records.LineFeatures, **more: Any) -> World:
        world = World(practice(line_features={each.id: each for each in features}, **more))
        world.register_all()
        worlds.append(world)
        return world

    yield made
    for world in worlds:
        world.end()
        world.assert_nothing_left()


@pytest.fixture
def setting() -> Setting:
    """Worlds whose phones know what to do when they are told something."""

    def made(snapshot: Snapshot | None = None) -> tuple[World, list[Desk]]:
        world = World(snapshot)
        world.register_all()
        return world, [Desk(world, extension) for extension in EXTENSIONS]

    return made
