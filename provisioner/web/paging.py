"""One page of a long list: 50 rows, where they lie in the whole, and the addresses of the pages beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from flask import request, url_for

from provisioner.web import forms

ROWS = 50
T = TypeVar("T")


class Window(NamedTuple, Generic[T]):
    """The rows of one page; `page` counts from 1."""

    rows: Sequence[T]
    page: int
    pages: int
    total: int

    @property
    def first(self) -> int:
        """The place of the first row in the whole list, 0 for none."""
        return (self.page - 1) * ROWS + 1 if self.total else 0

    @property
    def last(self) -> int:
        """The place of the last row in the whole list."""
        return min(self.page * ROWS, self.total)


def window(rows: Sequence[T]) -> Window[T]:
    """The page that the request asks for by `page`, the last one when it is beyond."""
    asked = request.args.get("page", "")
    pages = max(1, -(-len(rows) // ROWS))
    number = min(max(1, forms.whole(asked, 6) or 1), pages)
    return Window(rows[(number - 1) * ROWS : number * ROWS], number, pages, len(rows))


def linker() -> Callable[..., str]:
    """`link(**changes)`: the address of this list with other arguments, from its first page unless that is given."""
    endpoint, here = str(request.endpoint), dict(request.view_args or {})

    def link(**changes: str | int) -> str:
        wanted = {**request.args.to_dict(), "page": "", **changes}
        return url_for(endpoint, **here, **{name: value for name, value in wanted.items() if value})  # type: ignore[arg-type]

    return link
