"""A shard of two servers: each of them answers questions, and the first one takes the rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.commands import command
from tests.old_clickhouse import PAIR
from tests.serving import serving
from tests.store.test_cluster import (
    CATEGORY,
    HOSTS,
    answer,
    configured,
    eventually,
    one_more,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.old_clickhouse import OldCluster

pytestmark = [pytest.mark.clickhouse, pytest.mark.xdist_group("old clickhouse")]


@pytest.fixture
def config(old_clickhouse: OldCluster, tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "waits.yaml").write_text(CATEGORY.format(table="waits"))
    made = configured(tmp_path, old_clickhouse, old_clickhouse.new_database())
    found = json.loads(made.read_text())
    found["database"]["clickhouse"]["cluster"] = PAIR
    made.write_text(json.dumps(found))
    return made


def test_questions_go_on_while_the_first_server_is_away(
    old_clickhouse: OldCluster, tmp_path: Path, config: Path
) -> None:
    """Rows wait with their senders: the other server may not have all keys of batches yet."""
    first = old_clickhouse.shards[0]
    with serving(tmp_path, "--config", config) as server:
        assert one_more(server, HOSTS[0]).status_code == 200
        first.kill()
        try:
            for question in ("top/waits", "flamegraph/waits", "overview"):
                found = answer(server, question, **({"by": "process"} if "/" in question else {}))
                assert not found.get("meta", {}).get("missing")
            refused = one_more(server, HOSTS[1])
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) > 0
            assert "kscope_shards_missing 0" in server.get("/metrics").text
        finally:
            first.start()
        eventually(lambda: one_more(server, HOSTS[1]).status_code == 200)
        assert one_more(server, HOSTS[0]).json()["duplicate"]


def test_a_server_that_was_away_gets_the_tables_over_all_shards(
    old_clickhouse: OldCluster, tmp_path: Path, config: Path
) -> None:
    """The first one is enough to store rows."""
    second = old_clickhouse.shards[1]
    assert command("migrate", "--config", config).returncode == 0
    database = json.loads(config.read_text())["database"]["clickhouse"]["database"]
    listed = f"SHOW TABLES FROM {database}_all LIKE 'kscope_rows_waits'"
    assert second.sql(listed).strip()
    second.sql(f"DROP TABLE {database}_all.kscope_rows_waits")
    second.kill()
    try:
        with serving(tmp_path, "--config", config) as server:
            assert one_more(server, HOSTS[0]).status_code == 200
            second.start()
            eventually(lambda: second.sql(listed).strip())
    finally:
        if not second.processes:
            second.start()


def test_a_column_is_not_dropped_from_replicas(config: Path) -> None:
    """Each would build the table again for itself."""
    assert command("migrate", "--config", config).returncode == 0
    lines = CATEGORY.format(table="waits").splitlines(keepends=True)
    file = config.parent / "mine" / "waits.yaml"
    file.write_text("".join(line for line in lines if "count" not in line))
    refused = command("migrate", "--drop", "waits.count", "--config", config)
    assert refused.returncode == 2
    assert "declare 'count' with a default instead" in refused.stderr
