"""The command `provisioner`: its subcommands and their options; every error is one line."""

from __future__ import annotations

import os
import random
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from provisioner import __version__, cli_api, cli_settings, cli_table, ipc, logs
from provisioner.cli_addresses import number_commands, providers, training
from provisioner.cli_emergency import emergency
from provisioner.cli_keeping import backup, export_settings, import_settings, restore
from provisioner.cli_people import audit, tokens, users
from provisioner.cli_phones import phones
from provisioner.cli_plan import check_extensions
from provisioner.errors import OperatorError, ProvisionerError, UsageError
from provisioner.options import demo_directory, json_option, state_option
from provisioner.options import state_directory as _state
from provisioner.paths import StateDir
from provisioner.supervisor import die_with_parent

F = TypeVar("F", bound=Callable[..., Any])
# Each process is imported by its own subcommand only: a phone system of six processes pays for every import.

log_option = click.option(
    "--log-format",
    "log",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="PROVISIONER_LOG_FORMAT",
    show_default=True,
    help="Form of the log lines.",
)

EVERYWHERE = "0.0.0.0"  # noqa: S104 - phones are on every network of the practice
bind_option = click.option(
    "--bind", default=EVERYWHERE, envvar="PROVISIONER_BIND", show_default=True, help="Address to listen on."
)


def _port_option(name: str, default: int | None = None, what: str = "") -> Callable[[F], F]:
    return click.option(
        f"--{name}-port",
        type=click.IntRange(0, 65535),
        default=default,
        envvar=f"PROVISIONER_{name.upper().replace('-', '_')}_PORT",
        help=f"Port of {what or name.upper()}; 0: any free one.",
    )


legacy_option = _port_option(
    "legacy-https", what="HTTPS for old phones' files, with TLS 1.0 and 1.1 [closed]"
)


def _begin(state: Path | None, log: str) -> StateDir:
    """What every process does first."""
    die_with_parent()
    logs.set_up(log, process=click.get_current_context().info_name or "")
    return _state(state)


@click.group(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Phones, numbers, emergency addresses and the SIP edge of a practice, on one appliance."""


cli.add_command(training)
for _command in (users, tokens, audit, backup, restore, export_settings, import_settings):
    cli.add_command(_command)


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


@cli.command()
@click.option("--demo", is_flag=True, help="A practice with three phones and a stand-in core; loopback only.")
@state_option
@click.option("--bind", envvar="PROVISIONER_BIND", help="Address to listen on. [demo: 127.0.0.1, else all]")
@_port_option("http")
@_port_option("https")
@legacy_option
@_port_option("sip")
@_port_option("sips")
@_port_option("tftp")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Written (JSON) when all is up.")
@click.option("--core", default="", metavar="SIP-URI", help="Send the trunk to this core.")
@click.option(
    "--transfer", type=click.Choice(["edge", "core"]), help="Who plays the menus of a warm transfer."
)
@click.option("--no-life", is_flag=True, help="No simulated phones and patients in the demo.")
@log_option
def run(
    demo: bool,
    state: Path | None,
    bind: str | None,
    ready_file: Path | None,
    core: str,
    transfer: str | None,
    no_life: bool,
    log: str,
    **ports: int | None,
) -> None:
    """Run the appliance: all its processes, under one supervisor."""
    from provisioner import launch

    if core and not core.startswith(("sip:", "sips:")):
        raise UsageError(f"{core!r} is no SIP URI: give --core as sip:HOST:PORT")
    logs.set_up(log, process="supervisor")
    options = launch.Options(
        state=_state(state, demo_directory() if demo else None),
        demo=demo,
        bind=bind or (launch.LOOPBACK if demo else EVERYWHERE),
        ports={
            name.removesuffix("_port").replace("_", "-"): port
            for name, port in ports.items()
            if port is not None
        },
        ready_file=ready_file,
        core=core,
        transfer=transfer or "",
        life=not no_life,
        log=log,
    )
    launch.run(options, os.getpid(), random.SystemRandom())


@cli.command()
@click.option("--now", is_flag=True, help="Even while an emergency call is on.")
@state_option
def stop(state: Path | None, now: bool) -> None:
    """Stop the appliance, as soon as no emergency call is on."""
    from provisioner import stopping

    stopping.stop(_state(state, demo_directory()), now)


@cli.command()
@state_option
@log_option
def media(state: Path | None, log: str) -> None:
    """Run the audio process alone."""
    directory = _begin(state, log)
    from provisioner.media.process import main

    main(directory)


@cli.command()
@state_option
@bind_option
@_port_option("sip", 5060)
@_port_option("sips", 5061)
@log_option
def edge(state: Path | None, bind: str, sip_port: int, sips_port: int, log: str) -> None:
    """Run the SIP edge alone."""
    directory = _begin(state, log)
    from provisioner.edge.process import main

    main(directory, bind, sip_port, sips_port)


@cli.command()
@state_option
@log_option
def notifier(state: Path | None, log: str) -> None:
    """Run alone what tells of emergency calls by e-mail and webhook."""
    directory = _begin(state, log)
    from provisioner.notifier.process import main

    main(directory)


@cli.command()
@state_option
@log_option
def web(state: Path | None, log: str) -> None:
    """Run the staff pages and the API alone; the front is the way to them."""
    directory = _begin(state, log)
    from provisioner.web.process import main

    main(directory)


@cli.command()
@state_option
@bind_option
@_port_option("http", 80)
@_port_option("https", 443)
@legacy_option
@_port_option("tftp", 69)
@click.option("--sip-host", default="", help="Address by which phones reach the edge.")
@_port_option("sip", 5060)
@log_option
def front(state: Path | None, log: str, **where: Any) -> None:
    """Run alone what phones and browsers talk to: HTTP, HTTPS and TFTP."""
    directory = _begin(state, log)
    from provisioner.front.process import main

    main(directory, **where)


@cli.command()
@state_option
@click.option("--bind", default="127.0.0.1", show_default=True)
@_port_option("sip", 0)
@click.option("--edge-sip", default="", metavar="HOST:PORT", help="The edge that it calls.")
@click.option("--life", is_flag=True, help="A patient calls now and then.")
@click.option("--menus", is_flag=True, help="It plays the menus of warm transfers (way core).")
@log_option
def core(state: Path | None, log: str, **where: Any) -> None:
    """Run the stand-in cloud core of the demo alone."""
    directory = _begin(state, log)
    from provisioner.core.process import main

    main(directory, **where)


server_option = click.option(
    "--server",
    default="",
    metavar="URL",
    help="Where the phones read their files. [the appliance of --state]",
)
phones_bind_option = click.option(
    "--bind", default="127.0.0.1", show_default=True, help="The phones' own address."
)


def _served(server: str, state: Path | None) -> str:
    """The server that is named, else that of the appliance that runs in the state directory. Raises UsageError."""
    if server:
        return server
    try:
        return str(ipc.ask(StateDir(state or demo_directory()).socket("front"), "status")["phones"])
    except ipc.Gone:
        raise UsageError(
            "say where the phones read their files: --server http://HOST:PORT/,"
            " or --state DIR of an appliance that runs"
        ) from None


@cli.group(invoke_without_command=True)
@server_option
@click.option("--mac", default="", help="One phone with this MAC. [the three of the demo]")
@click.option("--vendor", default="", help="Maker of that phone, where the MAC does not tell.")
@click.option("--model", default="", help="Its model. [the maker's in the demo]")
@click.option("--life", is_flag=True, help="People use the phones: they transfer calls and call each other.")
@click.option("--do", default="", metavar="SCRIPT", help='As "call 101; wait 3; press *1103#; hangup".')
@phones_bind_option
@state_option
@log_option
@click.pass_context
def simulate(context: click.Context, /, state: Path | None, log: str, **what: Any) -> None:
    """Run simulated phones, one of each maker, that boot, register and call like the real ones."""
    if context.invoked_subcommand:
        return
    what["server"] = _served(what["server"], state)
    die_with_parent()
    logs.set_up(log, process="simulate")
    from provisioner.simulate.process import main

    main(**what)


@simulate.command()
@server_option
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=30, show_default=True, help="So many phones."
)
@click.option("--mix", default="", help="As polycom=2,yealink/w,grandstream/GRP2614=3. [every family alike]")
@click.option(
    "--phones", type=click.Path(path_type=Path), help="These, from a CSV file as `phones export` writes it."
)
@click.option("--register/--no-register", default=True, help="Whether they register.  [register]")
@click.option("--wait", type=float, default=0.0, show_default=True, help="Seconds to wait for adoption.")
@click.option(
    "--at-once", type=click.IntRange(1, 1000), default=50, show_default=True, help="Phones under way."
)
@click.option("--ca", type=click.Path(path_type=Path), help="Certificate of who certifies an https server.")
@click.option("--pnp", is_flag=True, help="Phones that do so ask by multicast first.")
@phones_bind_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a phone, and one for them all.")
@state_option
@log_option
def fleet(state: Path | None, log: str, **how: Any) -> None:
    """Boot many phones of all models: what each asked for, why it restarted, whether it registered."""
    how["server"] = _served(how["server"], state)
    logs.set_up(log, process="simulate")
    from provisioner.simulate.fleet import main

    click.get_current_context().exit(main(**how))


@cli.command()
@click.argument("digits", nargs=-1, required=True)
@click.option("--demo", is_flag=True, help="In the demo practice as it begins; nothing needs to run.")
@click.option("--from", "extension", default="", metavar="EXT", help="The line that dials. [the first one]")
@click.option(
    "--origin",
    type=click.Choice(["keypad", "software", "transfer"]),
    default="keypad",
    show_default=True,
    help="Its keys, click-to-call, or the transfer menu.",
)
@state_option
@json_option
def dial(state: Path | None, demo: bool, digits: tuple[str, ...], **how: Any) -> None:
    """Say where a call to DIGITS would go, and with which calling number, without placing it."""
    from provisioner import dialled

    directory = None if demo else _state(state, demo_directory())
    dialled.dial(directory, " ".join(digits), **how)


@cli.command("sign-in")
@state_option
def sign_in(state: Path | None) -> None:
    """Print a link that signs in to the staff page, once, within ten minutes."""
    from provisioner import console

    console.sign_in(_state(state, demo_directory()))


@cli.group()
def protection() -> None:
    """List addresses that are shut out of the phone service, and let one in again."""


@protection.command("list")
@state_option
@json_option
def list_bans(state: Path | None, as_json: bool) -> None:
    """List the addresses that are shut out: why, until when, and what was dropped."""
    from provisioner import console

    console.list_bans(_state(state, demo_directory()), as_json)


@protection.command("unban")
@click.argument("source")
@state_option
@json_option
def unban(source: str, state: Path | None, as_json: bool) -> None:
    """Let an address in again, as `list` shows it."""
    from provisioner import console

    console.unban(_state(state, demo_directory()), source, as_json)


_OWN: dict[str, Iterable[click.Command]] = {  # what is not, or is more than, one call of the API
    "phones": phones.commands.values(),
    "extensions": (check_extensions,),
    "numbers": number_commands,
    "emergency": emergency.commands.values(),
    "providers": providers.commands.values(),
    "settings": cli_settings.commands,
}
for _name, _help in cli_table.GROUPS.items():
    cli.add_command(cli_api.Table(_name, _help, _OWN.get(_name, ())))
for _single in cli_api.singles():
    cli.add_command(_single)
cli.add_command(cli_api.any_call)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 ok, 1 failed at work, 2 wrong use. An error is one line on standard error."""
    try:
        return cli.main(arguments, prog_name="provisioner", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except ProvisionerError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", 1)
    except OSError as error:
        return _fail(str(OperatorError(str(error), "check the file, the disk and this user's rights")), 1)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return _fail(f"a fault in the program ({type(error).__name__} at {place}): please report it", 1)


def _fail(message: str, code: int) -> int:
    print(f"provisioner: {' '.join(message.split())}", file=sys.stderr)
    return code
