"""`shelfwire work`: runs pipelines here, for jobs that wait on a server."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from shelfwire.cli.connect import KEY_VARIABLE, SERVER_VARIABLE
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.running import Interrupted, run
from shelfwire.client import RefusedError
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.protocol.reports import DEFAULT_LEASE
from shelfwire.remote import RemoteWorker
from shelfwire.remote.worker import GRACE_SECONDS, SLOTS
from shelfwire.server.logs import quiet_logs

HERE = "http://127.0.0.1:8787"


def work(
    *,
    pipelines: Annotated[list[str], Parameter(consume_multiple=True)],
    server: str | None = None,
    slots: int = SLOTS,
    lease: int = DEFAULT_LEASE,
    grace: float = GRACE_SECONDS,
) -> int:
    """Run pipelines here, for jobs that wait on a server, until stopped; then hand back what is not done.

    A key of the role work, where the server requires one, comes in SHELFWIRE_API_KEY.

    Args:
        pipelines: What to run: modules and classes, such as languages:Languages. They are looked for here, too.
        server: The server's URL, or SHELFWIRE_SERVER; http://127.0.0.1:8787 unless given.
        slots: How many jobs at once (4).
        lease: Seconds after which another worker may have a job, if this process dies (10).
        grace: Seconds that pipelines have to stop when this is interrupted (5).
    """
    url = server or os.environ.get(SERVER_VARIABLE) or HERE
    loaded = [_loaded(name) for given in pipelines for name in given.split(",")]
    names = ", ".join(pipeline.name for pipeline in loaded)

    async def run_worker() -> None:
        key = os.environ.get(KEY_VARIABLE)
        worker = RemoteWorker(url, key, pipelines=loaded, slots=slots, lease=lease, grace=grace)
        sys.stdout.write(f"Working on {names} for {url}, {slots} jobs at once\n")
        sys.stdout.flush()
        await worker.run()

    quiet_logs()
    try:
        run(run_worker())
    except ValueError as error:
        raise CommandError(str(error)) from None
    except (RefusedError, ShelfwireError) as error:
        raise CommandError(f"{url} gives no jobs of {names}: {error.message}", Exit.UNREACHABLE) from None
    except Interrupted:
        pass
    return Exit.OK


def _loaded(name: str) -> Pipeline:
    """Make the pipeline that a name such as `languages:Languages` means; a module of the working directory, too.

    Raises:
        CommandError: there is none.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise CommandError(f"{name!r} names no pipeline. A name is a module and a class, such as languages:Languages")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), attribute, None)
        pipeline = found() if isinstance(found, type) else found
    except Exception as error:  # noqa: BLE001 - whatever the code of others raises
        raise CommandError(f"{name} cannot be loaded: {type(error).__name__}: {error}") from None
    if pipeline is None:
        raise CommandError(f"The module {module} has no {attribute}")
    if not isinstance(pipeline, Pipeline):
        raise CommandError(f"{name} is no pipeline: it does not inherit shelfwire.Pipeline")
    return pipeline
