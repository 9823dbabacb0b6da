from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.live import MakeServer, Server, live_server
from tests.processes import share_certificates

# A busy machine is no reason to fail.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

share_certificates()


@pytest.fixture
def make_server(tmp_path: Path) -> MakeServer:
    def make(*, gated: bool = False, **options: Any) -> AbstractAsyncContextManager[Server]:
        return live_server(tmp_path / "data", gated=gated, **options)

    return make
