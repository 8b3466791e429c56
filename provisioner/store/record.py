"""What all records of the inventory are."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=str.lower, omit_defaults=False):
    """Base of all records; `id` is unique within a kind."""

    id: str
