"""What plug-ins declare wrongly: refused at the start, in one line that names the plug-in and says what to do."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shelfwire.app import Shelfwire
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.plugins import (
    Command,
    CommandGroup,
    Counter,
    Labels,
    Plugin,
    PluginContext,
    PluginError,
    ServiceError,
    checked,
)
from shelfwire.settings import Settings
from shelfwire.web.creation import FORM_TYPE, FormIntake, creation_route
from shelfwire.web.route import Answer, Context, Route


class Words(Pipeline):
    name = "words"

    async def run(self, job: Job) -> str:
        await job.start(total=0)
        return "Done"


class Acme(Plugin):
    name = "acme"


class Other(Plugin):
    name = "other"


def plugin(base: type[Plugin] = Acme, **members: Any) -> Plugin:
    made: Plugin = type("Acme", (base,), members)()
    return made


def struct(name: str, *fields: Any, **options: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct(name, fields, **options)


def described(kind: Any) -> Any:
    return Annotated[kind, Meta(description="A setting.")]


def setting(name: str, kind: Any = int, default: Any = 1, **options: Any) -> type[msgspec.Struct]:
    return struct("AcmeSettings", (name, described(kind), default), **options)


def running_of(opened: Any) -> Plugin:
    return plugin(running=opened)


async def handler(request: Request, context: Context) -> Response:
    """Answer."""
    del request, context
    return JSONResponse({})


def plain(request: Request, context: Context) -> Response:
    """Answer, and not wait."""
    del request, context
    return JSONResponse({})


def route(path: str, method: Any = "GET", **members: Any) -> Route:
    made: dict[str, Any] = {"handler": handler, "answers": {200: Answer()}, "operation_id": f"{method}{path}"}
    return Route(method=method, path=path, **(made | members))


def routing(*routes: Any, base: type[Plugin] = Acme) -> Plugin:
    return plugin(base, routes=lambda _: routes)


def working(*pipelines: Any, base: type[Plugin] = Acme) -> Plugin:
    return plugin(base, pipelines=lambda _: pipelines)


def words(**members: Any) -> Pipeline:
    made: Pipeline = type("Words", (Words,), members)()
    return made


def raising(error: Exception) -> Any:
    def make(_: Plugin) -> Any:
        raise error

    return make


JSON = "application/json"
FORM = {FORM_TYPE: FormIntake(field="file")}


@pytest.mark.parametrize(
    ("plugins", "words"),
    [
        ([Acme], "Acme is a class where an instance is needed. Write Acme()"),
        ([None], "The plug-in None does not inherit shelfwire.plugins.Plugin"),
        ([plugin(name=7)], "The plug-in Acme has no name"),
        ([plugin(name="two\nlines")], "The plug-in Acme has no name"),
        ([Acme(), Acme()], "'acme' and 'acme' both have this name"),
        ([plugin(settings=int)], "'acme' has the settings int. Name a class that inherits msgspec.Struct"),
        ([plugin(settings=struct("S", ("a", described(int))))], "'a' of the plug-in 'acme' has no default"),
        ([plugin(settings=struct("S", ("a", int, 1)))], "'a' of the plug-in 'acme' has no description"),
        ([plugin(settings=setting("port"))], "'acme' has the name port, and so has shelfwire itself. Rename it"),
        ([plugin(settings=setting("config"))], "'acme' has the name config, and so has the command line"),
        ([plugin(settings=setting("sections"))], "'acme' has the name sections, and so has the command line"),
        ([plugin(settings=setting("a")), plugin(Other, settings=setting("a"))], "'other' has the name a, and so has"),
        ([plugin(settings=setting("a_b", rename="camel"))], "'acme' is named 'aB'"),
        ([plugin(settings=setting("a", dict[str, int], None))], "'acme' has a type that no text can be"),
        ([plugin(settings=setting("a", list[str], ()))], "'acme' has a type that no text can be"),
        ([plugin(commands=[Command("a:b", "Do.")])], "'acme' has the commands [Command("),
        ([plugin(commands={7: Command("a:b", "Do.")})], "'acme' has the command 7. "),
        ([plugin(commands={"--do": Command("a:b", "Do.")})], "'acme' has the command '--do'. "),
        ([plugin(commands={"do": "a:b"})], "'acme' has the command 'do' as 'a:b'. Write: Command(target, help)"),
        ([plugin(commands={"do": Command("a", "Do.")})], "'do' with the target 'a'. Write: package.module:function"),
        ([plugin(commands={"do": CommandGroup("Do.", {"it": Command("a", "Do.")})})], "'it' with the target 'a'"),
        ([plugin(counters=Counter("lines", "Lines."))], "'acme' has the counters Counter. Write a list"),
        ([plugin(counters=["lines"])], "'acme' has the counter 'lines'. Write: Counter(name, description)"),
        ([plugin(counters=[Counter("Lines", "Lines.")])], "'acme' has the counter 'Lines'. Names are made of"),
        ([plugin(counters=[Counter("lines", "Lines.", "found")])], "'lines' with the labels 'found'. Write a list"),
        ([plugin(counters=[Counter("lines", "Lines.", ["a-b"])])], "'lines' with the labels ['a-b']"),
        (
            [plugin(counters=[Counter("items", "Items.")])],
            "'acme' has the counter 'items', and there is another figure",
        ),
        ([plugin(counters=[Counter("jobs", "Jobs.")])], "'acme' has the counter 'jobs', and there is another figure"),
        ([plugin(labels={"words": "word"})], "'acme' has the labels 'word' of 'words'. Write: Labels("),
        ([plugin(exports={"xml": "nowhere"})], "'acme' has the export 'xml' by 'nowhere'. Write: package.module:"),
        ([plugin(tables={"words": "nowhere"})], "'acme' has the table 'nowhere' of 'words'. Write: package.module:"),
        (
            [plugin(pipelines=raising(ImportError("No\nacme")))],
            "'acme' cannot make its pipelines: ImportError: No acme",
        ),
        (
            [plugin(pipelines=raising(ImportError("x")), install="pip install a")],
            "Install what it needs: pip install a",
        ),
        ([plugin(pipelines=lambda _: None)], "'acme' cannot make its pipelines: TypeError"),
        ([working(Words)], "Words in the plug-in 'acme' is a class where an instance is needed. Write Words()"),
        ([working(Words(), Words())], "The plug-in 'acme' has two pipelines named 'words'"),
        ([working(Words()), working(Words(), base=Other)], "'acme' and 'other' both have the pipeline 'words'"),
        ([working(words(options=struct("O", ("a", complex, 1j))))], "'acme' has options that JSON cannot express"),
        ([working(words(options=struct("O", ("a", int, 1), array_like=True)))], "'acme' has the options O"),
        ([working(words(options=struct("O", ("jobId", str, ""))))], "'acme' has the option jobId"),
        ([working(words(result="Title"))], "'acme' has a result that JSON cannot express"),
        ([working(words(failure=int))], "'acme' has the failure int. Name a msgspec.Struct"),
        ([working(words(failure=struct("F", ("code", int))))], "'acme' has the failure member code"),
        ([plugin(routes=raising(ValueError("bad")))], "'acme' cannot make its routes: ValueError: bad"),
        ([routing("GET /api/x")], "'acme' has the route 'GET /api/x'. Write: Route("),
        ([routing(route("/health/live"))], "'acme' has the route GET /health/live, and so has shelfwire itself"),
        (
            [routing(route("/api/x")), routing(route("/api/x"), base=Other)],
            "'other' has the route GET /api/x, and so has",
        ),
        ([routing(route("/a"), route("/b", operation_id="GET/a"))], "'acme' has the operation_id 'GET/a', and so has"),
        ([routing(route("/ws/progress"))], "GET /ws/progress, and there is the socket of that path"),
        (
            [routing(route("/api/jobs/{it}", "PUT", path_parameters={"it": "A job."}))],
            "PUT /api/jobs/{it}, and there is /api/jobs/{job_id}",
        ),
        ([routing(route("api/x"))], "GET api/x, whose path cannot be served"),
        ([routing(route("/api/x/"))], "GET /api/x/, whose path cannot be served"),
        ([routing(route("/api/{x}/{x}", path_parameters={"x": "It."}))], "/api/{x}/{x}, whose path cannot be served"),
        ([routing(route("/api/{x}"))], "GET /api/{x}, whose path_parameters are not those of its path"),
        ([routing(route("/api/x", "get"))], "get /api/x, whose method is none of GET, POST"),
        ([routing(route("/api/x", handler=plain))], "GET /api/x, whose handler is no coroutine"),
        ([routing(route("/api/x", answers={299: Answer()}))], "GET /api/x, whose answers have a status"),
        (
            [routing(creation_route("/api/x", "words", FORM, operation_id="x", summary="X."))],
            "POST /api/x, which makes jobs of the pipeline 'words', and there is none of that name",
        ),
        (
            [
                plugin(
                    pipelines=lambda _: [words(options=struct("O", ("file", str, "")))],
                    routes=lambda _: [creation_route("/api/x", "words", FORM, operation_id="x", summary="X.")],
                )
            ],
            "POST /api/x, whose form field file is an option of the pipeline, too",
        ),
        (
            [routing(route("/api/x", answers={200: Answer(content={JSON: struct("State", ("acme", int))})}))],
            "State have one name in /schema/openapi.json. Rename one",
        ),
        (
            [routing(route("/api/x", answers={200: Answer(content={JSON: struct("Acme", ("a", complex))})}))],
            "A route names a type that JSON cannot express",
        ),
        (
            [working(words(result=struct("Line", ("a", int))), words(name="more", result=struct("Line", ("b", int))))],
            "have one name in /schema/openapi.json. Rename one",
        ),
    ],
)
def test_what_is_misdeclared_is_refused_in_one_line(tmp_path: Path, plugins: Any, words: str) -> None:
    with pytest.raises(PluginError) as refused:
        Shelfwire(Settings(data=tmp_path), plugins=plugins)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_that_cannot_be_made_by_default_are_refused() -> None:
    class AcmeSettings(msgspec.Struct):
        size: Annotated[int, Meta(description="A size.")] = 0

        def __post_init__(self) -> None:
            if not self.size:
                raise ValueError("size is needed")

    with pytest.raises(
        PluginError, match=r"'acme' has settings without usable defaults \(ValueError: size is needed\)"
    ):
        checked([plugin(settings=AcmeSettings)])


def test_names_that_only_look_alike_are_taken(tmp_path: Path) -> None:
    """Options are described field by field, so two pipelines may both call them `Options`."""
    options = struct("Options", ("a", int, 1)), struct("Options", ("b", str | None, None))
    pipelines = [words(name=f"words_{place}", options=kind) for place, kind in enumerate(options)]
    taken = [route("/api/x"), route("/api/x", "POST"), route("/api/{x}", path_parameters={"x": "It."})]
    one = plugin(
        pipelines=lambda _: pipelines, routes=lambda _: taken, labels={"words_0": Labels()}, settings=setting("a")
    )
    document = Shelfwire(Settings(data=tmp_path), plugins=[one]).openapi()
    assert {"/api/x", "/api/{x}"} < document["paths"].keys()


@asynccontextmanager
async def broken(_: Plugin, __: PluginContext) -> AsyncIterator[None]:
    raise ValueError("no\nnetwork")
    yield


@asynccontextmanager
async def empty(_: Plugin, __: PluginContext) -> AsyncIterator[None]:
    if _ is None:
        yield


@contextmanager
def blocking(_: Plugin, __: PluginContext) -> Iterator[None]:
    yield


@asynccontextmanager
async def without_a_file(_: Plugin, __: PluginContext) -> AsyncIterator[None]:
    raise FileNotFoundError("glossary.tsv")
    yield


@pytest.mark.parametrize(
    ("running", "words"),
    [
        (broken, "ValueError: no network"),
        (empty, "RuntimeError: generator didn't yield"),
        (blocking, "TypeError: "),
        (lambda *_: None, "TypeError: "),
        (without_a_file, "FileNotFoundError: glossary.tsv"),
    ],
)
async def test_services_that_cannot_be_opened_stop_the_start_in_one_line(
    tmp_path: Path, running: Any, words: str
) -> None:
    app = Shelfwire(Settings(data=tmp_path), plugins=[plugin(running=running)])
    with pytest.raises(ServiceError, match=r"^The plug-in 'acme' cannot open its services: ") as refused:
        async with app.lifespan():
            pass
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not any(os.scandir(tmp_path))


@pytest.mark.parametrize(
    ("body", "typed", "words"),
    [
        (
            "commands = {'serve': Command('a:b', 'Do.')}",
            "--help",
            "has the command 'serve', and so has shelfwire itself",
        ),
        ("commands = {'do': Command('nowhere:b', 'Do.')}", "do", "'acme' names nowhere:b for this command"),
        ("commands = {'do': Command('json:nothing', 'Do.')}", "do", "json:nothing for this command, which cannot be"),
        ("commands = {'do': CommandGroup('Do.', {'it': Command('json:no', 'Do.')})}", "do it", "json:no for this"),
        ("commands = {'do': Command('acme_needs:do', 'Do.')}", "do", "This command needs the library a_missing_one."),
        # Here, since the table of codes has every subclass that a process has ever made.
        ("codes = ErrorCode('C', {'X': ('E_ACME', CodeEntry(7, False, 'm', 'u'))})", "jobs", "E_ACME without a status"),
        ("settings = int", "jobs", "'acme' has the settings int"),
        ("pipelines = lambda self: 1 / 0", "schema openapi", "'acme' cannot make its pipelines: ZeroDivisionError"),
        ("running = lambda *_: 1 / 0", "serve --port 0", "'acme' cannot open its services: ZeroDivisionError"),
    ],
)
def test_the_command_line_says_so_in_one_line_and_ends_with_2(
    tmp_path: Path, body: str, typed: str, words: str
) -> None:
    imports = "from shelfwire import *\nfrom shelfwire.plugins import *"
    code = f"{imports}\nclass Acme(Plugin):\n    name = 'acme'\n    {body}\n"
    (tmp_path / "acme_plugin.py").write_text(code, encoding="utf-8")
    (tmp_path / "acme_needs.py").write_text("import a_missing_one", encoding="utf-8")
    info = tmp_path / "acme_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-plugin\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[shelfwire.plugins]\nacme = acme_plugin:Acme\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *(entry for entry in sys.path if entry)])
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "shelfwire", *typed.split()],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "SHELFWIRE_DATA": str(tmp_path / "data")},
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1
