"""Checks what plug-ins and pipelines declare. What cannot work is refused with one line that says what to write."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from shelfwire.errors import Code, CodeEntry, ErrorCode
from shelfwire.plugins.declaration import Command, CommandGroup, Counter, Labels, Plugin, PluginError
from shelfwire.settings import SettingsError, check_sections

if TYPE_CHECKING:  # what runs jobs takes time to import, and the command line reads only declarations
    from shelfwire.jobs.pipeline import Pipeline

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
VERB: Final = re.compile(r"[a-z][a-z0-9-]*")
TARGET: Final = re.compile(r"[\w.]+:\w+")
CODE: Final = re.compile(r"E_[A-Z0-9_]{1,62}")
STATUSES: Final = range(400, 600)
ERRORS: Final = "errors"
"""What the list of failed items is called in the inline results of every pipeline."""
ERROR_MEMBERS: Final = frozenset({"code", "message", "userMessage", "retryable"})
"""The members that the error of every failed item has."""
MAX_QUOTE_CHARS: Final = 300
WRITE_TARGET: Final = "Write: package.module:function"


def checked(plugins: Iterable[Plugin]) -> None:
    """Check what plug-ins declare, by themselves and beside each other.

    Raises:
        PluginError: something is misdeclared, or two declare the same.
    """
    names: dict[str, str] = {}
    verbs: dict[str, str] = {}
    counters: dict[str, str] = {}
    for plugin in plugins:
        _check_plugin(plugin)
        _claim(names, plugin.name, plugin.name, "this name")
        for verb in plugin.commands:
            _claim(verbs, verb, plugin.name, f"the command {verb!r}")
        for counter in plugin.counters:
            _claim(counters, counter.name, plugin.name, f"the counter {counter.name!r}")
    try:
        check_sections([(plugin.name, plugin.settings) for plugin in plugins if plugin.settings is not None])
    except SettingsError as error:
        raise PluginError(str(error)) from None
    for plugin in plugins:
        _check_defaults(plugin)


def check_pipeline(pipeline: Any, source: str) -> "Pipeline":
    """Return a pipeline that can run jobs.

    Args:
        pipeline: what should.
        source: what to call it in errors, as the beginning of a sentence.

    Raises:
        PluginError: it cannot.
    """
    for reason_against in (_kind, _name, _run, _results_name, _options, _result, _failure, _fold, _slots):
        reason = reason_against(pipeline)
        if reason is not None:
            misdeclared(source, reason)
    able: Pipeline = pipeline
    _check_codes(source, able.codes)
    return able


def check_unique_codes(parts: Iterable[type[ErrorCode] | None]) -> None:
    """Check that no code is declared in two ways.

    Raises:
        PluginError: one is.
    """
    owners: dict[str, ErrorCode] = {}
    for code in (code for part in (Code, *parts) if part is not None for code in part):
        first = owners.setdefault(code.value, code)
        if first.entry != code.entry:
            names = " and ".join(f"{type(one).__module__}.{type(one).__name__}" for one in (first, code))
            raise PluginError(f"The error code {code} is declared differently by {names}. Rename one of them")


def misdeclared(source: str, reason: str) -> NoReturn:
    """Refuse what a source declares.

    Raises:
        PluginError: always.
    """
    raise PluginError(f"{source} {reason}")


def shown(value: Any) -> str:
    """Return what to call something that somebody has written or handed over."""
    if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
        return str(value.__name__)
    return quoted(repr(value)) if type(value).__module__ == "builtins" else type(value).__name__


def quoted(text: str) -> str:
    """Return a text that somebody else wrote as one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUOTE_CHARS else f"{line[: MAX_QUOTE_CHARS - 1]}…"


def described(error: BaseException) -> str:
    """Return the kind and the text of an exception as one line."""
    return quoted(f"{type(error).__name__}: {error}".removesuffix(": "))


def _check_plugin(plugin: Any) -> None:
    source = f"The plug-in {shown(plugin)}"
    if not isinstance(plugin, Plugin):
        if inspect.isclass(plugin) and issubclass(plugin, Plugin):
            misdeclared(source, f"is a class where an instance is needed. Write {plugin.__name__}()")
        misdeclared(source, "does not inherit shelfwire.plugins.Plugin. Write: class Mine(Plugin)")
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not name or not name.isprintable():
        misdeclared(source, 'has no name. Give its class one, such as: name = "acme"')
    source = f"The plug-in {name!r}"
    _check_codes(source, plugin.codes)
    _check_commands(source, plugin.commands)
    _check_counters(source, plugin.counters)
    _check_words(source, plugin)
    if plugin.settings is not None and not _is_struct(plugin.settings):
        misdeclared(source, f"has the settings {shown(plugin.settings)}. Name a class that inherits msgspec.Struct")


def _check_defaults(plugin: Plugin) -> None:
    try:
        if plugin.settings is not None:
            plugin.settings()
    except Exception as error:
        source = f"The plug-in {plugin.name!r}"
        raise PluginError(f"{source} has settings without usable defaults ({described(error)}). Change them") from error


def _check_commands(source: str, commands: Any) -> None:
    if not isinstance(commands, Mapping):
        misdeclared(source, f"has the commands {shown(commands)}. Write: {{verb: Command(target, help)}}")
    for verb, command in commands.items():
        if not isinstance(verb, str) or not VERB.fullmatch(verb):
            misdeclared(
                source, f"has the command {shown(verb)}. Verbs are made of a-z, 0-9 and - and begin with a letter"
            )
        if isinstance(command, CommandGroup):
            _check_commands(source, command.commands)
        elif not isinstance(command, Command):
            misdeclared(source, f"has the command {verb!r} as {shown(command)}. Write: Command(target, help)")
        elif not _is_target(command.target):
            misdeclared(source, f"has the command {verb!r} with the target {shown(command.target)}. {WRITE_TARGET}")


def _check_counters(source: str, counters: Any) -> None:
    if isinstance(counters, str | Counter) or not isinstance(counters, Sequence):
        misdeclared(source, f"has the counters {shown(counters)}. Write a list: [Counter(name, description)]")
    for counter in counters:
        if not isinstance(counter, Counter):
            misdeclared(source, f"has the counter {shown(counter)}. Write: Counter(name, description)")
        if not isinstance(counter.name, str) or not NAME.fullmatch(counter.name):
            misdeclared(source, f"has the counter {shown(counter.name)}. Names are made of a-z, 0-9 and _")
        labels = counter.labels
        if isinstance(labels, str) or not all(isinstance(label, str) and NAME.fullmatch(label) for label in labels):
            misdeclared(
                source,
                f"has the counter {counter.name!r} with the labels {shown(labels)}. Write a list of names, each made "
                "of a-z, 0-9 and _",
            )


def _check_words(source: str, plugin: Plugin) -> None:
    for pipeline, labels in plugin.labels.items():
        if not isinstance(labels, Labels):
            misdeclared(source, f"has the labels {shown(labels)} of {pipeline!r}. Write: Labels(doing, noun, …)")
    for pipeline, target in plugin.tables.items():
        if not _is_target(target):
            misdeclared(source, f"has the table {shown(target)} of {pipeline!r}. {WRITE_TARGET}")
    for name, target in plugin.exports.items():
        if not _is_target(target):
            misdeclared(source, f"has the export {name!r} by {shown(target)}. {WRITE_TARGET}")


def _is_target(target: Any) -> bool:
    return isinstance(target, str) and TARGET.fullmatch(target) is not None


def _is_struct(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, msgspec.Struct)


def _claim(taken: dict[str, str], key: str, name: str, what: str) -> None:
    if key in taken:
        raise PluginError(f"The plug-ins {taken[key]!r} and {name!r} both have {what}. Uninstall one of them")
    taken[key] = name


def _check_codes(source: str, codes: Any) -> None:
    if codes is None:
        return
    if not (inspect.isclass(codes) and issubclass(codes, ErrorCode)):
        misdeclared(source, f"has the codes {shown(codes)}. Name a class that inherits shelfwire.errors.ErrorCode")
    for code in codes:
        if not CODE.fullmatch(code):
            misdeclared(
                source, f"has the error code {quoted(repr(code.value))}. Codes are E_ and up to 62 of A-Z, 0-9, _"
            )
        if not isinstance(code.entry, CodeEntry) or code.entry.status not in STATUSES:
            misdeclared(source, f"has the error code {code} without a status from 400 to 599. Write: CodeEntry(422, …)")


def _kind(pipeline: Any) -> str | None:
    from shelfwire.jobs.pipeline import Pipeline  # noqa: PLC0415 - see above

    if inspect.isclass(pipeline) and issubclass(pipeline, Pipeline):
        if inspect.isabstract(pipeline):
            return "has no coroutine that runs a job. Give its class: async def run(self, job) -> str"
        return f"is a class where an instance is needed. Write {pipeline.__name__}()"
    if not isinstance(pipeline, Pipeline):
        kind = shown(pipeline) if inspect.isclass(pipeline) else type(pipeline).__name__
        return f"does not inherit Pipeline. Write: class {kind}(shelfwire.Pipeline)"
    return None


def _name(pipeline: Any) -> str | None:
    name = getattr(pipeline, "name", None)
    if name is None:
        return 'has no name. Give its class one, such as: name = "word_count"'
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return (
            f"has the name {quoted(repr(name))}. Names are made of up to 64 of a-z, 0-9 and _ and begin with a letter, "
            'such as: name = "word_count"'
        )
    return None


def _run(pipeline: Any) -> str | None:
    if not inspect.iscoroutinefunction(inspect.unwrap(pipeline.run)):
        return "has no coroutine that runs a job. Give its class: async def run(self, job) -> str"
    try:
        inspect.signature(pipeline.run).bind(None)
    except TypeError as error:
        return f"has a run that does not take a job alone ({error}). Write: async def run(self, job) -> str"
    return None


def _results_name(pipeline: Any) -> str | None:
    name = pipeline.results_name
    if isinstance(name, str) and name not in {"", ERRORS}:
        return None
    return f"has the results_name {quoted(repr(name))}. Choose a text other than {ERRORS!r}, which failed items have"


def _options(pipeline: Any) -> str | None:
    from shelfwire.jobs.pipeline import CALLBACK_URL, JOB_ID  # noqa: PLC0415 - see above

    kind = pipeline.options
    if not _is_struct(kind) or kind.__struct_config__.array_like:
        return f"has the options {shown(kind)}. Name a msgspec.Struct whose fields all have defaults"
    unfit = _unfit(kind)
    if unfit is not None:
        return f"has options that JSON cannot express ({unfit}). Use types that msgspec knows"
    needed = [field.name for field in msgspec.structs.fields(kind) if field.required]
    if needed:
        return f"has options without defaults: {', '.join(needed)}. Give them some: they may be left out of a request"
    for taken in (JOB_ID, CALLBACK_URL):
        if taken in kind.__struct_encode_fields__:
            return f"has the option {taken}, which every request that creates a job has for the server. Rename it"
    try:
        kind()
    except Exception as error:  # noqa: BLE001 - whatever the code of others raises
        return f"has options whose defaults cannot be used ({described(error)}). Change them"
    return None


def _result(pipeline: Any) -> str | None:
    unfit = _unfit(pipeline.result)
    return None if unfit is None else f"has a result that JSON cannot express ({unfit}). Use types that msgspec knows"


def _failure(pipeline: Any) -> str | None:
    kind = pipeline.failure
    if kind is None:
        return None
    if not _is_struct(kind):
        return f"has the failure {shown(kind)}. Name a msgspec.Struct, or leave it out"
    unfit = _unfit(kind)
    if unfit is not None:
        return f"has a failure that JSON cannot express ({unfit}). Use types that msgspec knows"
    taken = sorted(ERROR_MEMBERS.intersection(kind.__struct_encode_fields__))
    return f"has the failure member {taken[0]}, which every error has. Rename it" if taken else None


def _slots(pipeline: Any) -> str | None:
    if pipeline.slots is None or (type(pipeline.slots) is int and pipeline.slots > 0):
        return None
    return f"has the slots {shown(pipeline.slots)}. Write a number from 1, or leave it out"


def _unfit(kind: Any) -> str | None:
    """Return why a type has no JSON schema, or none that can be read; None if it has."""
    try:
        msgspec.json.schema(kind)
        msgspec.json.Decoder(kind)
    except (TypeError, NameError) as error:
        return quoted(str(error).splitlines()[-1])
    return None


def _fold(pipeline: Any) -> str | None:
    if not inspect.iscoroutinefunction(inspect.unwrap(pipeline.fold)):
        return None
    return "has a fold that is no plain function. Write: def fold(self, items) -> dict, and no async: it may not wait"
