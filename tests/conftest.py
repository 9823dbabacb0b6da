from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.live import MakeServer, Server, live_server


@pytest.fixture
def make_server(tmp_path: Path) -> MakeServer:
    def make(*, gated: bool = False, **options: Any) -> AbstractAsyncContextManager[Server]:
        return live_server(tmp_path / "data", gated=gated, **options)

    return make
