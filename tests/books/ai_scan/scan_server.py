"""A server in a process of its own, whose photos are read by their colour."""

from shelfwire.books.ai_scan.photo_readers import OfflineReader
from shelfwire.books.ai_scan.pipeline import AiScan
from shelfwire.books.ai_scan.worker_process import ImageWorkerProcess
from tests.books.ai_scan.scripted import COMMAND
from tests.servers import serve


class AnyReader(OfflineReader):
    """Reads with whatever its worker process starts, so that no extra is needed."""

    def ready(self) -> None:
        """It always can."""


if __name__ == "__main__":
    serve(AiScan(AnyReader(ImageWorkerProcess(COMMAND))))
