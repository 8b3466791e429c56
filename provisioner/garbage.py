"""What garbage collections are spared: a full one, of all that lives for good, stops a process for 50 ms."""

from __future__ import annotations

import gc

YOUNG = 10_000  # objects made before the young ones are searched: a call makes some hundreds, a page some thousands


def settle() -> None:
    """Leave all that was imported and made by now out of collections, and search what is new less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
