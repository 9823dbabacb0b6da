"""What a plug-in declares."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec

from shelfwire.clock import Clock
from shelfwire.errors import ErrorCode
from shelfwire.jobs.nodes import Nodes
from shelfwire.settings import Settings

if TYPE_CHECKING:  # what runs jobs takes time to import, and the command line reads only declarations
    from shelfwire.jobs.pipeline import Pipeline


class PluginError(ValueError):
    """A plug-in or pipeline is misdeclared. The text names it, where it comes from, and what to do."""


class Labels(NamedTuple):
    """What the command line calls a kind of job.

    Attributes:
        doing: what it does, at the beginning of a line.
        noun: the job.
        item: one item of its input; several have an s at the end.
        done: what happened to an item that did not fail.
        again: what to do when the job no longer exists, as a sentence without a full stop.
        original: whether failed items can be had as they were sent, to be corrected; see `Pipeline.original`.
    """

    doing: str = "Working on"
    noun: str = "job"
    item: str = "item"
    done: str = "done"
    again: str = "Start it again"
    original: bool = False

    def counted(self, count: int) -> str:
        """Return a number of items in words."""
        return f"{count:,} {self.item}{'' if count == 1 else 's'}"


class ServiceError(Exception):
    """A service that a plug-in needs cannot be used. The text names it, and says why and what to do."""


class Command(NamedTuple):
    """A verb of the command line.

    Attributes:
        target: the function, as `package.module:function`; its parameters become flags, its docstring their help.
        help: what it does, as a sentence.
    """

    target: str
    help: str


class CommandGroup(NamedTuple):
    """A verb that has verbs of its own, such as `shelfwire catalogue build`.

    Attributes:
        help: what they have in common, as a sentence.
        commands: the commands, by their verbs.
    """

    help: str
    commands: Mapping[str, Command]


class Counter(NamedTuple):
    """A Prometheus counter.

    Attributes:
        name: without the prefix `shelfwire_` and the suffix `_total`.
        description: what is counted, as a sentence.
        labels: the names of its labels. Their values come from a fixed set: never ids or texts of users.
    """

    name: str
    description: str
    labels: Sequence[str] = ()


class ResultTable(NamedTuple):
    """Results as the command line shows them, below the counts.

    Attributes:
        columns: the columns, each a `rich.table.Column`.
        rows: the cells, as many as there are columns, each a text or a `rich.text.Text`; fit for a terminal.
    """

    columns: Sequence[Any]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class PluginContext:
    """What a plug-in can use of the application while it runs.

    Attributes:
        settings: the server's; `settings.section(…)` are the plug-in's own.
        clock: the time.
        count: adds to a counter of the plug-in: its name, how much, and the values of its labels by their names.
        nodes: returns the other processes that share the database, to share limits with them by `change_lane`; None
            while the application does not run, and where there are none.
    """

    settings: Settings
    clock: Clock
    count: Callable[..., None]
    nodes: Callable[[], Nodes | None] = lambda: None


class Plugin:
    """What a package adds to shelfwire. Inherit it and declare what there is; everything has a default.

    Attributes:
        name: its name in error messages.
        install: the command that installs the libraries it needs; empty where there is nothing to install.
        settings: a struct whose fields are flags of `shelfwire serve`, environment variables and keys of the file; each
            has a default and a `msgspec.Meta(description=…)`. Read them with `Settings.section`.
        codes: its error codes; None if it has none.
        labels: the words for its pipelines on the command line, by pipeline.
        tables: how the command line shows the results of its pipelines: by pipeline, a function as
            `package.module:function` that is given the inline results and returns a `ResultTable`.
        exports: what `shelfwire results --format` offers for its pipelines beside CSV and JSON: by name, a function as
            `package.module:function` that is given the items of the results as an asynchronous iterator of dicts, and
            returns the parts of a file as one of bytes.
        commands: its verbs of the command line.
        counters: what it counts, see `PluginContext.count`.
    """

    name: ClassVar[str]
    install: ClassVar[str] = ""
    settings: ClassVar[type[msgspec.Struct] | None] = None
    codes: ClassVar[type[ErrorCode] | None] = None
    labels: ClassVar[Mapping[str, Labels]] = {}
    tables: ClassVar[Mapping[str, str]] = {}
    exports: ClassVar[Mapping[str, str]] = {}
    commands: ClassVar[Mapping[str, Command | CommandGroup]] = {}
    counters: ClassVar[Sequence[Counter]] = ()

    def pipelines(self) -> "Iterable[Pipeline]":
        """Make one of each of its pipelines; called once, before `running`."""
        return ()

    def routes(self) -> Iterable[Any]:
        """Return its HTTP routes."""
        return ()

    def running(self, context: PluginContext) -> AbstractAsyncContextManager[None]:
        """Return a context manager for the application's lifespan, inside which the plug-in's services are available.

        It is entered before jobs run, and left after all have stopped.

        Raises:
            ServiceError: on entering: the application cannot run without a service that is not there.
        """
        del context
        return nullcontext()
