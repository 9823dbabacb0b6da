import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shelfwire.app import Shelfwire
from shelfwire.errors import Code
from shelfwire.jobs.telemetry import Figure

DEPLOY = Path(__file__).parents[1] / "deploy"
ALERTS = DEPLOY / "alerts.yaml"
DASHBOARD = DEPLOY / "grafana.json"
PROMTOOL = shutil.which("promtool")


def expressions() -> list[str]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules = msgspec.yaml.decode(ALERTS.read_bytes())["groups"][0]["rules"]
    return [*shown, *(rule["expr"] for rule in rules)]


def known() -> set[str]:
    """The names of all series, as a query writes them."""
    endings = {
        "counter": ("_total",),
        "gauge": ("",),
        "histogram": ("_bucket", "_sum", "_count"),
    }
    metrics = Shelfwire()._context.metrics
    families = [*metrics._registry.collect(), *metrics._families()]
    return {family.name + ending for family in families for ending in endings.get(family.type, ("",))}


def test_every_metric_that_the_dashboard_and_the_alerts_name_exists() -> None:
    named = {name for expression in expressions() for name in re.findall(r"shelfwire_\w+", expression)}
    assert len(named) > 10
    assert named - known() == set()


def test_every_label_that_they_ask_for_is_one_that_there_is() -> None:
    text = " ".join(expressions())
    assert set(re.findall(r'code="(\w+)"', text)) <= set(Code)
    assert set(re.findall(r'figure="(\w+)"', text)) <= set(Figure)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool, of Prometheus, is not installed")
def test_the_alert_rules_are_such_to_prometheus() -> None:
    assert PROMTOOL is not None
    command = [PROMTOOL, "check", "rules", str(ALERTS)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own file
    assert checked.returncode == 0, checked.stdout + checked.stderr
