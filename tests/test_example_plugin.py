"""The example plug-in, installed beside shelfwire: a server and the command line have every part of it."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from shelfwire import RefusedError, Settings, Shelfwire, Upload
from shelfwire.plugins import PluginContext, ServiceError, checked
from shelfwire_glossary import Glossary, GlossaryPlugin, GlossarySettings
from shelfwire_glossary.client import BlockingGlossaryClient, GlossaryClient
from shelfwire_glossary.command import table

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"
TEXT = Upload("text.txt", b"A blacklist of books\nA clean line\nMaster and slave, and the blacklist\n")
TERMS = "blacklist\tblocklist\nslave\treplica\na line without a replacement\n"


class Server(NamedTuple):
    """A server that has the plug-in, and the environment in which it is installed."""

    url: str
    environ: dict[str, str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("plugin")
    terms = folder / "terms.tsv"
    terms.write_text(TERMS, encoding="utf-8")
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(install(folder / "site")), *(entry for entry in sys.path if entry)]),
        "SHELFWIRE_STATE": str(folder / "state"),
        "COLUMNS": "100",
    }
    words = ["serve", "--port", "0", "--data", str(folder / "data"), "--glossary", str(terms), "--create-limit", "0"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "shelfwire", *words], env=environ, text=True, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            found = re.match(r"Listening on (http://[\d.:]+),", process.stdout.readline())
            assert found is not None
            yield Server(found[1], environ)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def install(site: Path) -> Path:
    """Put the package into a folder of `sys.path`, as pip would by its pyproject.toml."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    points = project["entry-points"]["shelfwire.plugins"]
    lines = ["[shelfwire.plugins]", *(f"{name} = {target}" for name, target in points.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    (site / "shelfwire_glossary").symlink_to(EXAMPLE / "shelfwire_glossary")
    return site


async def test_its_pipeline_folds_its_typed_results(server: Server) -> None:
    async with GlossaryClient(server.url) as client:
        job = await client.check(TEXT)
        await client.follow(job).run()
        state = await client.state(job)
    assert state["results"] == {
        "lines": [
            {"line": 1, "terms": ["blacklist"]},
            {"line": 2, "terms": []},
            {"line": 3, "terms": ["slave", "blacklist"]},
        ],
        "terms": {"blacklist": 2, "slave": 1},
        "errors": [],
    }


async def test_its_options_come_with_the_request_and_its_codes_and_members_with_failures(server: Server) -> None:
    async with GlossaryClient(server.url) as client:
        job = await client.check(TEXT, strict=True, only="slave")
        await client.follow(job).run()
        [failed] = [item async for item in client.results(job, status="failed")]
    assert failed["index"] == 2
    assert failed["error"] == {
        "code": "E_OLD_TERM",
        "message": "The line has terms that the glossary replaces",
        "userMessage": "Line 3: write “replica” for “slave”.",
        "retryable": False,
        "replacements": {"slave": "replica"},
    }


async def test_an_option_that_cannot_be_used_is_refused_before_there_is_a_job(server: Server) -> None:
    async with GlossaryClient(server.url) as client:
        with pytest.raises(RefusedError) as refused:
            await client.check(TEXT, only="books")
    assert (refused.value.status, refused.value.code) == (422, "E_UNKNOWN_TERM")


async def test_its_result_has_a_column_for_each_field(server: Server) -> None:
    async with GlossaryClient(server.url) as client:
        job = await client.check(TEXT)
        await client.follow(job).run()
        exported = b"".join([part async for part in client.export(job, kind="csv")]).decode()
    assert exported.splitlines()[:2] == [
        "index,sourceIndex,ok,title,code,userMessage,line,terms",
        "0,,true,A blacklist of books,,,1,blacklist",
    ]


async def test_its_routes_answer_and_are_documented(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.url) as http:
        shown = (await http.get("/api/glossary")).json()
        document = (await http.get("/schema/openapi.json")).json()
    assert shown == {"replacements": {"blacklist": "blocklist", "slave": "replica"}}
    creation = document["paths"]["/api/glossary/checks"]["post"]
    assert {"strict", "only"} <= {parameter["name"] for parameter in creation["parameters"] if "name" in parameter}
    assert {"422", "501"} <= creation["responses"].keys()
    assert document["paths"]["/api/glossary"]["get"]["summary"].startswith("Return the terms that are replaced")


async def test_its_counter_is_among_the_metrics(server: Server) -> None:
    async with GlossaryClient(server.url) as client, httpx2.AsyncClient(base_url=server.url) as http:
        before = await counted(http)
        await client.follow(await client.check(TEXT)).run()
        after = await counted(http)
    assert (after["yes"] - before["yes"], after["no"] - before["no"]) == (2, 1)


async def counted(http: httpx2.AsyncClient) -> dict[str, float]:
    """The lines that were checked, by whether a term was found."""
    figures = (await http.get("/metrics")).text
    samples = re.findall(r'^shelfwire_glossary_lines_total\{found="(yes|no)"\} (\S+)$', figures, re.MULTILINE)
    return {"yes": 0.0, "no": 0.0, **{found: float(count) for found, count in samples}}


def test_its_client_has_a_twin_for_scripts(server: Server) -> None:
    with BlockingGlossaryClient(server.url) as client:
        job = client.check(TEXT)
        assert [message.type for message in client.follow(job)][-1] == "job_complete"
        assert client.state(job)["successCount"] == 3


def test_its_verb_shows_a_job_in_its_own_words(server: Server, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(TEXT.data)
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "shelfwire", "check", str(text), "--only", "blacklist", "--server", server.url],
        env=server.environ,
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^3 lines in .*: 3 checked", done.stdout, re.MULTILINE)
    assert "blacklist\t2" in done.stdout.splitlines()


def test_its_table_has_a_row_for_each_term() -> None:
    results: dict[str, Any] = {"lines": [], "terms": {"slave": 1, "blacklist": 2}, "errors": []}
    assert table(results).rows == [("blacklist", "2"), ("slave", "1")]


async def test_without_its_setting_jobs_are_refused_with_what_the_operator_has_to_do(tmp_path: Path) -> None:
    app = Shelfwire(Settings(data=tmp_path), plugins=[GlossaryPlugin()])
    async with (
        app.lifespan(),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://shelfwire") as http,
    ):
        refused = await http.post("/api/glossary/checks", files={"file": ("text.txt", TEXT.data)})
    assert (refused.status_code, refused.json()["code"]) == (501, "E_NO_GLOSSARY")


async def test_a_service_that_is_set_and_not_there_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", sections=(GlossarySettings(glossary=tmp_path / "terms.tsv"),))
    with pytest.raises(ServiceError, match=r"terms\.tsv cannot be read: .*\. Name another file"):
        async with Shelfwire(settings, plugins=[GlossaryPlugin()]).lifespan():
            await asyncio.Event().wait()
    assert not settings.data.exists()


async def test_its_service_is_gone_once_the_application_has_ended(tmp_path: Path) -> None:
    terms = tmp_path / "terms.tsv"
    terms.write_text(TERMS, encoding="utf-8")
    glossary = Glossary()
    settings = Settings(data=tmp_path, sections=(GlossarySettings(glossary=terms),))
    async with glossary.open(PluginContext(settings, clock=None, count=lambda *_, **__: None)):  # type: ignore[arg-type]
        assert glossary.replacements["slave"] == "replica"
    assert glossary.replacements == {}


def test_its_declarations_pass_the_check_of_the_start() -> None:
    checked([GlossaryPlugin()])
