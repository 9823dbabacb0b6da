"""The server inside this process. Only commands that start a server import this: it takes time."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from shelfwire.app import Shelfwire
from shelfwire.cli.errors import CommandError, FolderBusyError
from shelfwire.errors import ShelfwireError
from shelfwire.plugins import PluginError, ServiceError
from shelfwire.server.serving import serving
from shelfwire.settings import Settings, SettingsError
from shelfwire.stores.sqlite.data_folder import DataFolderBusyError


@asynccontextmanager
async def start(settings: Settings, *, work: bool = True) -> AsyncIterator[str]:
    """Serve until the context ends, and give the URL.

    Args:
        settings: how.
        work: whether to run jobs; without, they only wait.

    Raises:
        FolderBusyError: another process holds the data folder.
        CommandError: the server cannot start for another reason.
    """
    try:
        application = Shelfwire(settings, work=work)
    except (PluginError, SettingsError) as error:
        raise CommandError(f"The server cannot start. {error}") from None
    async with AsyncExitStack() as stack:
        try:
            url = await stack.enter_async_context(serving(application, settings))
        except DataFolderBusyError:
            raise FolderBusyError(settings.data) from None
        except ShelfwireError as error:
            raise CommandError(f"The server cannot start. {_reason(error, settings)}") from None
        except (ServiceError, OSError) as error:
            raise CommandError(f"The server cannot start. {error}") from None
        yield url


def _reason(error: ShelfwireError, settings: Settings) -> str:
    cause = error.__cause__
    if not isinstance(cause, OSError):
        return error.message
    why = "it is a file" if isinstance(cause, FileExistsError) else cause.strerror
    return f"The data folder {settings.data} cannot be used: {why}. Name another one: --data FOLDER"
