"""Fixtures of the edge's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A practice with its three phones registered; afterwards nothing may be left of any call."""
    world = World()
    world.register_all()
    yield world
    world.end()
    world.assert_nothing_left()
