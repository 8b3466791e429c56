"""Commands that are calls of the API, made of the table in `cli_table` and the contracts of the calls."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import click
import msgspec

from provisioner import client as api
from provisioner.cli_table import ROWS, Row
from provisioner.errors import UsageError
from provisioner.options import demo_directory, json_option, state_directory, state_option
from provisioner.output import show_one, show_rows

SECRET = frozenset(
    {"password", "passphrase", "current", "mail_password", "webhook_key", "code"}
)  # never on a command line
TAKEN = frozenset({"state", "url", "token", "json", "ca", "all", "output"})


class Field(NamedTuple):
    """One field of a body or a query. `kind`: its Python type, without what it may also be; `all`: "all" will do."""

    name: str
    kind: Any
    required: bool
    help: str
    of_query: bool
    all: bool


class Way(NamedTuple):
    """How a command reaches the appliance."""

    client: api.Client
    as_json: bool


def way(
    state: Path | None, url: str, token: str, token_file: str | None, authority: Path | None, as_json: bool
) -> Way:
    """From the options of `way_options`. Raises UsageError."""
    if not url:
        return Way(api.Here(state_directory(state, demo_directory())), as_json)
    given = Path(token_file).read_text("utf-8").strip() if token_file else token
    if not given:
        raise UsageError("give the API token in PROVISIONER_TOKEN, or a file with it: --token-file FILE")
    return Way(api.There(url, given, authority), as_json)


def way_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--state, or --url and what goes with it; --json."""
    file = click.Path(exists=True, dir_okay=False, path_type=Path)
    for option in (
        json_option,
        click.option("--ca", "authority", type=file, help="Certificate of its authority: its ca.pem."),
        click.option(
            "--token-file", type=click.Path(exists=True, dir_okay=False), help="File with an API token."
        ),
        click.option(
            "--token", envvar="PROVISIONER_TOKEN", default="", help="API token; better in the variable."
        ),
        click.option(
            "--url", envvar="PROVISIONER_URL", default="", help="An appliance elsewhere: https://HOST."
        ),
        state_option,
    ):
        command = option(command)
    return command


def _plain(kind: Any) -> Any:
    """A type without its limits, UNSET and None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        left = [each for each in get_args(kind) if each not in (msgspec.UnsetType, type(None))]
        first = _plain(left[0])
        return first if len(left) == 1 or get_origin(first) is list else Any
    return kind


def _words(kind: Any) -> str:
    """What is said of a type in its Meta."""
    metas = getattr(kind, "__metadata__", ())
    found = next((meta.description for meta in metas if meta.description), "")
    return found or next((text for each in get_args(kind) if (text := _words(each))), "")


def _is_record(kind: Any) -> bool:
    kind = _plain(kind)
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _fields(kind: Any, of_query: bool) -> list[Field]:
    kind = _plain(kind)
    if not _is_record(kind):
        return []
    return [
        Field(
            each.encode_name,
            _plain(each.type),
            each.required,
            _words(each.type),
            of_query,
            Literal["all"] in get_args(each.type),
        )
        for each in msgspec.structs.fields(kind)
    ]


@cache
def contracts() -> dict[tuple[str, str], Any]:
    """All contracts by method and path. Imports the whole web room: only for who asks for a command of it."""
    from provisioner.paths import StateDir
    from provisioner.web import openapi
    from provisioner.web.app import create_app

    app = create_app(StateDir(Path("/nonexistent")))
    return {
        (each.method, each.path.removeprefix(api.ROOT)): each.contract for each in openapi.operations(app)
    }


def _flag(name: str) -> str:
    """The option of a field; those of `way_options` have their names first."""
    return f"of-{name}" if name in TAKEN else name.replace("_", "-")


def _option(field: Field) -> click.Parameter:
    """A field as an option; what is neither text, number, choice nor list is JSON."""
    flag, help, name = f"--{_flag(field.name)}", field.help or None, f"f_{field.name}"
    more: dict[str, Any] = {"help": help, "required": field.required, "default": None}
    if field.name in SECRET:
        return click.Option(
            [f"{flag}-file", name],
            type=click.File("r"),
            **{**more, "help": "A file with it; -: the input."},
        )
    if field.kind is bool:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], **more)
    if get_origin(field.kind) is Literal:
        return click.Option(
            [flag, name], type=click.Choice([str(each) for each in get_args(field.kind)]), **more
        )
    if _listed(field.kind):
        return click.Option([flag, name], multiple=True, help=help, required=field.required)
    if field.kind in (int, float, str):
        return click.Option([flag, name], type=field.kind, **more)
    return click.Option([flag, name], metavar="JSON", **more)


def _listed(kind: Any) -> bool:
    """Whether it is a list of texts, or of texts and more."""
    items = get_args(kind)
    return (
        get_origin(kind) in (list, tuple) and bool(items) and str in (_plain(items[0]), *get_args(items[0]))
    )


def _value(field: Field, given: Any) -> Any:
    """What was typed as the API takes it. Raises UsageError."""
    if field.name in SECRET:
        return given.read().rstrip("\n")
    if _listed(field.kind):
        return list(given) if isinstance(given, tuple) else given
    if field.kind in (bool, int, float, str) or get_origin(field.kind) is Literal:
        return given
    return _json(f"--{_flag(field.name)}", given, text=field.kind is Any)


def _json(name: str, given: str, text: bool = False) -> Any:
    """JSON that was typed, or is in a file after an @; what is none is a `text` where that may be."""
    try:
        return msgspec.json.decode(Path(given[1:]).read_bytes() if given.startswith("@") else given)
    except msgspec.DecodeError:
        if text:
            return given
        raise UsageError(f"{name} must be JSON, or @FILE with it") from None


def _argument(word: str, field: Field) -> click.Argument:
    many, free = word.endswith("..."), word.endswith("?")
    kind = field.kind if field.kind in (int, float) else str
    more = {"default": ""} if free and field.required else {}  # a default of None would be one to click
    return click.Argument(
        [f"f_{field.name}"],
        type=kind,
        metavar=_metavar(field.name, many or free) + ("..." if many else ""),
        required=not free and not (many and field.all),
        nargs=-1 if many else 1,
        **more,
    )


def _metavar(name: str, free: bool) -> str:
    return f"[{name.upper()}]" if free else name.upper()


def command(row: Row) -> click.Command:
    """The command of a row."""
    held = contracts()[row.method, row.path]
    fields = {each.name: each for each in [*_fields(held.query, True), *_fields(held.body, False)]}
    fixed = dict(word.split("=", 1) for word in row.arguments if "=" in word)
    words = [word for word in row.arguments if "=" not in word]
    named = {word.rstrip(".?") for word in words}
    parameters: list[click.Parameter] = [
        click.Argument([f"p_{name}"], metavar=_metavar(name, False)) for name in held.path
    ]
    parameters += [_argument(word, fields[word.rstrip(".?")]) for word in words]
    parameters += [_option(each) for name, each in fields.items() if name not in {*fixed, *named}]
    if any(word.endswith("...") and fields[word[:-3]].all for word in words):
        parameters.append(click.Option(["--all", "everything"], is_flag=True, help="All that there are."))
    if held.body is not None and not _is_record(held.body):
        parameters.append(click.Argument(["whole"], metavar="JSON"))
    if held.takes:
        parameters.append(click.Argument(["file"], type=click.File("rb")))
    if held.gives != "application/json":
        parameters.append(
            click.Option(["--output"], type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
        )

    def run(**given: Any) -> None:
        _run(row, held, fields, fixed, given)

    made = click.Command(
        row.name,
        params=parameters,
        callback=run,
        help=row.help or held.description,
        short_help=row.help or held.summary,
    )
    made.callback = way_options(run)
    made.params += made.callback.__click_params__[::-1]  # type: ignore[attr-defined]
    return made


def _run(
    row: Row, held: Any, fields: Mapping[str, Field], fixed: Mapping[str, str], given: dict[str, Any]
) -> None:
    how = way(*(given.pop(name) for name in ("state", "url", "token", "token_file", "authority", "as_json")))
    path = api.path_of(row.path, {name: _normal(name, given[f"p_{name}"]) for name in held.path})
    typed = {name[2:]: value for name, value in given.items() if name.startswith("f_")}
    if "everything" in given:
        typed = _many(typed, given["everything"])
    known = {name: value for name, value in typed.items() if value is not None and value != ()}
    values: dict[str, Any] = {**fixed, **{name: _value(fields[name], value) for name, value in known.items()}}
    query = {name: value for name, value in values.items() if fields[name].of_query}
    body = {name: value for name, value in values.items() if not fields[name].of_query}
    sent: Any = _json("JSON", given["whole"]) if "whole" in given else body
    sends = held.body is not None and (sent or not held.optional)
    raw = given["file"].read() if held.takes else None
    answer = api.call(
        how.client, row.method, path, query, sent if sends else None, raw, held.takes or "application/json"
    )
    if held.gives != "application/json":
        write(answer.body, given.get("output"))
    else:
        tell(how, answer, row.columns, limited=given.get("f_limit") is not None)


def _many(typed: dict[str, Any], everything: bool) -> dict[str, Any]:
    """`--all` in the place of the arguments that are any number. Raises UsageError unless it is one or the other."""
    name = next(name for name, value in typed.items() if isinstance(value, tuple))
    if everything == bool(typed[name]):
        raise UsageError(f"say which {name}: name some, or --all")
    return {**typed, name: "all"} if everything else typed


def _normal(name: str, value: str) -> str:
    """What people write, as the API takes it."""
    from provisioner.phones.bulk import e164
    from provisioner.phones.identity import normal_mac

    found = normal_mac(value) if name == "mac" else e164(value) if name == "number" else value
    return found or value


def write(data: bytes, path: Path | None) -> None:
    """Into a file, or to the standard output."""
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        path.write_bytes(data)


def tell(how: Way, answer: api.Answer, columns: tuple[str, ...], limited: bool) -> None:
    """Print an answer: as it is with --json, else as a table (all pages of it) or line by line."""
    if how.as_json:
        click.echo(answer.body or b"null")
        return
    if answer.status in (204, 304) or not answer.body:
        click.echo("Done.")
        return
    found = answer.json()
    if not (isinstance(found, dict) and {"items", "next"} <= found.keys()):
        show_one(found)
        return
    show_rows(found["items"] if limited else list(api.entries(how.client, found)), columns)


class Table(click.Group):
    """A group of commands of the table, made when they are asked for, and of others that are not calls of the API."""

    def __init__(self, name: str, help: str, others: Iterable[click.Command] = ()) -> None:
        super().__init__(name, help=help, no_args_is_help=True)
        self._rows = {row.name: row for row in ROWS if row.group == name}
        for each in others:
            self.add_command(each)

    def list_commands(self, context: click.Context) -> list[str]:
        """All names."""
        return sorted({*super().list_commands(context), *self._rows})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """One of them; the table's wins."""
        return command(self._rows[name]) if name in self._rows else super().get_command(context, name)


class Single(click.Command):
    """A command of the table without a group; the call's contract is looked up when it is used."""

    def __init__(self, row: Row) -> None:
        super().__init__(row.name, help=row.help)
        self._row = row

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Of the command that is made of the row."""
        return command(self._row).make_context(*args, **named)


def singles() -> list[click.Command]:
    """The commands of the table without a group."""
    return [Single(row) for row in ROWS if not row.group]


@click.command("api")
@click.argument("method", type=click.Choice(["GET", "POST", "PUT", "PATCH", "DELETE"], case_sensitive=False))
@click.argument("path")
@click.argument("body", required=False)
@click.option("--media", default="application/json", show_default=True, help="Media type of the body.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write the answer to."
)
@way_options
def any_call(method: str, path: str, body: str | None, media: str, output: Path | None, **how: Any) -> None:
    """Make any call of the API: METHOD and PATH, as `GET /phones`; BODY is JSON, or @FILE."""
    data = None
    if body is not None:
        data = Path(body[1:]).read_bytes() if body.startswith("@") else body.encode()
    known = way(**how)
    answer = api.call(known.client, method.upper(), path, raw=data, media=media)
    if output or answer.media not in ("application/json", ""):
        write(answer.body, output)
    elif known.as_json:
        click.echo(answer.body)
    else:
        click.echo(json.dumps(answer.json(), indent=2, ensure_ascii=False))
