"""The command `shelfwire`: what can be typed, and what each way to end means."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from typing import Final, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.text import Text

from shelfwire import __version__
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.extensions import check_command, check_verbs, plugins
from shelfwire.cli.running import Interrupted
from shelfwire.plugins import Command, CommandGroup

BROKEN_PIPE: Final = 141
INTERRUPTED: Final = 130
WIDTH_DIGITS: Final = 5
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Why nothing more goes into an output that was sent to a file."""
STARTED: Final = "Make room, or send it elsewhere. A job that was started is kept; see: shelfwire jobs"
EPILOGUE: Final = """\
Exit codes:
  0    the job is complete; items that failed are listed
  1    the job failed
  2    usage or input: no such file, a bad setting, an unknown job,
       a server that cannot start
  3    the job was canceled
  4    the server cannot be reached, or refused
  130  interrupted by Ctrl-C, 143 by SIGTERM; nothing is lost, see watch"""
SETTINGS: Final = """\
Run a server until it is stopped.

Each setting can also come as an environment variable, such as SHELFWIRE_JOB_TTL, or as a key of the file that --config
or SHELFWIRE_CONFIG names. A flag wins over the environment, the environment over the file."""


def _one_line(error: CycloptsError) -> Text:
    return Text(f"shelfwire: {error} See: shelfwire --help")


DEFAULT: Final = Parameter(negative="", show_default=False)
_COMMANDS: Final[dict[str, Command | CommandGroup]] = {
    "watch": Command(
        "shelfwire.cli.commands:watch", "Come back to a job: show how it goes, and go on with it if nobody else does."
    ),
    "jobs": Command("shelfwire.cli.commands:jobs", "List the jobs of the last 30 days, and the state of each."),
    "pause": Command("shelfwire.cli.commands:pause", "Pause a job until it is resumed, over restarts too."),
    "resume": Command("shelfwire.cli.commands:resume", "Let a paused job go on, and show how it goes."),
    "cancel": Command("shelfwire.cli.commands:cancel", "Cancel a job. What was done until then is kept."),
    "retry": Command("shelfwire.cli.commands:retry", "Try the items of an ended job that failed again, as a new job."),
    "results": Command(
        "shelfwire.cli.commands:results", "Print what came of each item, as CSV, JSON or what another program imports."
    ),
    "delete": Command("shelfwire.cli.commands:delete", "Delete a job with its input and results."),
    "serve": Command("shelfwire.cli.serve:serve", SETTINGS),
    "admin": CommandGroup(
        "See and steer the jobs of everybody, on the server's own machine or with a key of the role admin.",
        {
            "open": Command("shelfwire.cli.admin:page", "Open the operator's page on the server's own machine."),
            "overview": Command("shelfwire.cli.admin:overview", "Show how the server stands."),
            "bulk": Command("shelfwire.cli.admin:bulk", "Cancel, pause, resume, retry or delete all jobs that match."),
            "audit": Command("shelfwire.cli.admin:audit", "Show who did what to which job."),
        },
    ),
    "work": Command("shelfwire.cli.work:work", "Run pipelines here, for jobs that wait on a server."),
    "keys": CommandGroup(
        "Make, list and revoke API keys with roles.",
        {
            "new": Command("shelfwire.cli.keys:new", "Make an API key, and print it: only its digest is kept."),
            "list": Command("shelfwire.cli.keys:listed", "List the API keys by name, without their secrets."),
            "revoke": Command("shelfwire.cli.keys:revoke", "Erase an API key. A running server refuses it at once."),
        },
    ),
    "webhooks": CommandGroup(
        "Show the calls of a server when jobs have ended, and repeat them; for operators.",
        {
            "list": Command("shelfwire.cli.webhooks:listed", "List the webhooks of a server, the newest first."),
            "retry": Command("shelfwire.cli.webhooks:retry", "Try a webhook again at once, and for a day if need be."),
        },
    ),
    "migrate": Command(
        "shelfwire.cli.migrate:migrate", "Move the jobs of a data folder into a PostgreSQL database, for many servers."
    ),
    "schema": Command("shelfwire.cli.schema:schema", "Print a description of the server for programs, as JSON."),
    "completion": Command("shelfwire.cli.main:completion", "Print what makes a shell complete commands and flags."),
}
_WITHOUT_JOBS: Final = frozenset({"serve", "migrate", "schema", "completion"})
"""The commands whose exit codes say nothing of a job."""


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print what makes a shell complete commands and flags.

    Args:
        shell: The shell. For bash put this into ~/.bashrc: source <(shelfwire completion bash)
    """
    sys.stdout.write(_command_line().generate_completion(shell=shell))
    return Exit.OK


def _command_line() -> App:
    """The verbs of plug-ins, then ours, then groups. They are named, not imported: only what is called costs time."""
    app = App(
        name="shelfwire",
        version=f"shelfwire {__version__}",
        help="Run long jobs with live progress that survives crashes and lost connections.",
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        error_formatter=_one_line,
        error_console=Console(stderr=True, soft_wrap=True),
        default_parameter=DEFAULT,
    )
    added = [verb for plugin in plugins() for verb in plugin.commands.items()]
    check_verbs(_COMMANDS)
    verbs = sorted([*added, *_COMMANDS.items()], key=lambda verb: isinstance(verb[1], CommandGroup))
    for order, (name, command) in enumerate(verbs):
        if isinstance(command, Command):
            more = {"help_epilogue": ""} if name in _WITHOUT_JOBS else {}
            app.command(command.target, name=name, help=command.help, sort_key=order, **more)
            continue
        group = App(name=name, help=command.help, sort_key=order, default_parameter=DEFAULT)
        for part, own in command.commands.items():
            group.command(own.target, name=part, help=own.help)
        app.command(group)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: what was typed after `shelfwire`; the process's own unless given.
    """
    _open_closed_streams()
    _drop_impossible_width()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(typed)
        sys.stdout.flush()
    except CommandError as error:
        from shelfwire.cli.progress_summary import clean  # noqa: PLC0415 - only what failed has to be fit for a terminal

        sys.stderr.write(f"shelfwire: {clean(str(error))}\n")
        return error.exit_code
    except Interrupted as interrupted:
        return interrupted.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except OSError as error:
        sys.stderr.write(f"shelfwire: {_reason(error)}\n")
        return Exit.USAGE
    return code


def _reason(error: OSError) -> str:
    """Return what the system refused, and what to do; this is the environment's fault, and a traceback helps nobody."""
    if error.filename is None and error.errno in FULL:
        _drop_output()
        return f"The output cannot be written: {error.strerror}. {STARTED}"
    what = f"{error.filename}: " if isinstance(error.filename, str) else ""
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return f"{what}{error.strerror}. Allow more, such as with: ulimit -n 1024"
    return f"{what}{error.strerror or error}"


def _run(typed: Sequence[str]) -> int:
    app = _command_line()
    try:
        check_command(typed)
        return int(app(typed, result_action="return_int_as_exit_code_else_zero"))
    except ImportError as error:
        missing = _missing_library(error)
        if missing is None:
            raise
        install = next((plugin.install for plugin in plugins() if typed and typed[0] in plugin.commands), "")
        raise CommandError(f"This command needs the library {missing}. Install it: {install or missing}") from None


def _missing_library(error: BaseException | None) -> str | None:
    """The library that is not installed, if that is the reason; None for a module of our own, which is a defect."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != "shelfwire":
            return error.name
        error = error.__cause__
    return None


def _open_closed_streams() -> None:
    """Let what goes to a closed standard stream go nowhere; the next file or socket would take its number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, os.fdopen(nowhere, "r" if name == "stdin" else "w", encoding="utf-8"))


def _drop_impossible_width() -> None:
    """Let the terminal say how wide it is where `COLUMNS` says what no terminal is; rich fails at a width of 0."""
    columns = os.environ.get("COLUMNS", "")
    if columns and not (columns.isdecimal() and len(columns) <= WIDTH_DIGITS and int(columns)):
        del os.environ["COLUMNS"]


def _drop_output() -> None:
    """Let nothing more be written, not even what waits for the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
