"""One front for a module's tests would share its clock: each test has its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner import certificates as tls
from tests.front.harness import Front


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RSA keys take long to make: made once."""
    folder = tmp_path_factory.mktemp("certificates")
    tls.context(folder / "tls", ["127.0.0.1"])
    return folder / "tls"


@pytest.fixture
def front(tmp_path: Path, certificates: Path) -> Iterator[Front]:
    (tmp_path / "tls").symlink_to(certificates)
    each = Front(tmp_path)
    each.start()
    yield each
    each.stop()
