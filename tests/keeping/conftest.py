"""An appliance that was used, a new one, and backups of the first."""

from __future__ import annotations

from pathlib import Path

import appliance
import pytest

from provisioner.keeping import making
from provisioner.paths import StateDir


@pytest.fixture(scope="session")
def used(tmp_path_factory: pytest.TempPathFactory) -> StateDir:
    """An appliance in use; do not change it."""
    return appliance.in_use(tmp_path_factory.mktemp("used"))


@pytest.fixture(scope="session")
def whole(used: StateDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with all that there is."""
    path = tmp_path_factory.mktemp("made") / "whole.zip"
    want = appliance.wanted(appliance.PASSPHRASE, "calls", "requests", "firmware")
    making.make(used, path, want, now=lambda: appliance.NOW, cost=appliance.COST)
    return path


@pytest.fixture(scope="session")
def plain(used: StateDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup without a passphrase."""
    path = tmp_path_factory.mktemp("made") / "plain.zip"
    making.make(used, path, appliance.wanted(""), now=lambda: appliance.NOW)
    return path


@pytest.fixture
def new(tmp_path: Path) -> StateDir:
    """An appliance that was just started."""
    return appliance.fresh(tmp_path / "new")
