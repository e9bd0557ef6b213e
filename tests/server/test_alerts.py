"""The alert rules in packaging/: Prometheus takes them, and each fires when it should."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kscope.server.http.metric_list import METRICS, PARTS
from tests import needs
from tests.server.test_metrics import eventually
from tests.serving import ROOT, few, serving

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "packaging"
FILE = FOLDER / "prometheus-alerts.yaml"
RULES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["groups"][0]["rules"]
TESTS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "prometheus-alerts.test.yaml").read_text())[
    "tests"
]


def promtool(*arguments: str, folder: Path = FOLDER) -> None:
    program = needs.program("promtool", "prometheus")
    ran = subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", FILE.name)


def test_each_alert_fires_at_its_figures_and_not_at_others() -> None:
    """Prometheus evaluates them itself."""
    promtool("test", "rules", "prometheus-alerts.test.yaml")


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES])
def test_each_alert_is_tried_both_ways(alert: str) -> None:
    tried = [each["alert_rule_test"] for each in TESTS]
    fires = [bool(one["exp_alerts"]) for (one,) in tried if one["alertname"] == alert]
    assert sorted(fires) == [False, True]


def test_the_rules_use_metrics_that_a_server_has(tmp_path: Path) -> None:
    """A metric that is renamed takes its alert along; test_workers.py has those of --workers."""
    used = {
        name
        for rule in RULES
        for name in re.findall(r"kscope_[a-z_]+", re.sub(r'"[^"]*"', "", rule["expr"]))
    }
    with serving(tmp_path, *few(tmp_path), "--sqlite", tmp_path / "m.db") as server:
        last = "kscope_retention_last_run_timestamp_seconds"
        eventually(server, lambda found: last in found)
        text = server.get("/metrics").text
    there = set(re.findall("^# TYPE ([a-z_]+)", text, re.MULTILINE))
    there |= {f"{name}{part}" for name in there for part in PARTS}
    there |= {name for name, metric in METRICS.items() if metric.only == "--workers"}
    assert used - there == set()


def test_the_example_of_a_scrape_is_valid(tmp_path: Path) -> None:
    """With the rules beside it, and with a token."""
    text = (FOLDER / "prometheus.yaml").read_text()
    with_token = text.replace("# authorization:", "authorization:")
    assert with_token != text
    shutil.copy(FILE, tmp_path)
    (tmp_path / "kernelscope.token").write_text("x")
    (tmp_path / "prometheus.yaml").write_text(with_token)
    promtool("check", "config", "prometheus.yaml", folder=tmp_path)
