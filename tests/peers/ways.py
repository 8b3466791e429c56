"""The way of a warm transfer to each of its states, as the desk user goes it."""

from collections.abc import Callable

from tests.peers.stage import Play


def to_menu(p: Play) -> None:
    p.go("desk", "menu")


def to_collecting(p: Play) -> None:
    to_menu(p)
    p.go("desk", "collecting")


def to_dialling(p: Play) -> None:
    to_collecting(p)
    p.go("desk", "dialling")


def to_consulting(p: Play) -> None:
    to_dialling(p)
    p.state("consulting")


def to_completing(p: Play) -> None:
    to_consulting(p)
    p.go("desk", "completing")


# by state: how many keys lead there, the way, and what the target does
WAYS: dict[str, tuple[int, Callable[[Play], None], str]] = {
    "talking": (0, lambda p: None, ""),
    "menu": (1, to_menu, ""),
    "collecting": (2, to_collecting, ""),
    "dialling": (3, to_dialling, "ring"),
    "consulting": (3, to_consulting, "answer"),
    "completing": (4, to_completing, "answer"),
}


def keys(p: Play, count: int = 5) -> list[str]:
    """The desk user's keys for a whole transfer, or its beginning."""
    return ["*", "1", f"{p.target.extension}#", "*", "1"][:count]
