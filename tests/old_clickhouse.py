"""Two ClickHouse servers of Debian as the two shards of a cluster, in a temporary folder.

They are of 2018 (18.16): a proxy in front of each takes today's statements. What no library can do
is real here: tables over several servers, while one of them is down.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import needs
from tests.clickhouse import PASSWORD, USER, Node
from tests.serving import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLUSTER = "two"
# The same servers as one shard of two. Without a Keeper none gets the rows of the other.
PAIR = "pair"
# The shards have the same ports, as hosts of a cluster do. A server takes 127.0.0.1 for itself.
HOSTS = ("127.0.0.2", "127.0.0.3")
_CONFIG = """\
<yandex>
  <logger><level>warning</level><log>{folder}/log</log><errorlog>{folder}/errors</errorlog></logger>
  <http_port>{http}</http_port> <tcp_port>{tcp}</tcp_port> <listen_host>{host}</listen_host>
  <path>{folder}/data/</path> <tmp_path>{folder}/tmp/</tmp_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile> <default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
  <remote_servers>
    <{cluster}>{shards}</{cluster}>
    <{pair}><shard>{replicas}</shard></{pair}>
  </remote_servers>
</yandex>
"""
_REPLICA = "<replica><host>{host}</host><port>{tcp}</port></replica>"
_SHARD = f"<shard><internal_replication>true</internal_replication>{_REPLICA}</shard>"
_USERS = """\
<yandex>
  <profiles><default>
    <allow_experimental_low_cardinality_type>1</allow_experimental_low_cardinality_type>
    <max_memory_usage>2000000000</max_memory_usage>
  </default></profiles>
  <users><default>
    <password></password> <networks><ip>127.0.0.0/8</ip></networks>
    <profile>default</profile> <quota>default</quota>
  </default></users>
  <quotas><default/></quotas>
</yandex>
"""


class OldShard(Node):
    """`port` is the proxy's; the two that follow are the server's own."""

    def commands(self) -> list[list[str]]:
        servers = [f"http://{host}:{self.port + 1}/" for host in HOSTS]
        servers.sort(key=lambda each: self.host not in each)
        proxy = [sys.executable, "-P", "-m", "tests.old_clickhouse_proxy"]
        return [
            [needs.old_clickhouse(), f"--config-file={self.folder / 'config.xml'}"],
            [*proxy, self.host, str(self.port), str(self.folder), USER, PASSWORD, *servers],
        ]

    def configure(self) -> None:
        (self.folder / "data").mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        (self.folder / "users.xml").write_text(_USERS)
        tcp = self.port + 2
        config = _CONFIG.format(
            folder=self.folder,
            host=self.host,
            http=self.port + 1,
            tcp=tcp,
            cluster=CLUSTER,
            shards="".join(_SHARD.format(host=host, tcp=tcp) for host in HOSTS),
            pair=PAIR,
            replicas="".join(_REPLICA.format(host=host, tcp=tcp) for host in HOSTS),
        )
        (self.folder / "config.xml").write_text(config)


@dataclass(frozen=True)
class OldCluster:
    shards: tuple[OldShard, OldShard]

    def new_database(self) -> str:
        """Make a database on both shards."""
        first, second = self.shards
        name = first.new_database()
        second.sql(f"CREATE DATABASE {name}")
        return name

    def configuration(self, database: str) -> str:
        """Name the database and the cluster to `kscope serve --config`."""
        first = self.shards[0]
        server = {"host": first.host, "port": first.port, "user": USER, "password": PASSWORD}
        named = {**server, "database": database, "cluster": CLUSTER}
        return json.dumps({"database": {"clickhouse": named}})


@contextmanager
def old_cluster(folder: Path) -> Iterator[OldCluster]:
    port = free_port(following=2)
    first, second = (OldShard(folder / host, port, host) for host in HOSTS)
    try:
        for shard in (first, second):
            shard.configure()
            shard.start()
        yield OldCluster((first, second))
    finally:
        # Asked to end, a server first waits for its background work: up to ten seconds.
        first.kill()
        second.kill()
