from __future__ import annotations

import pytest
from hypothesis import settings

from tests import needs

# No test asserts how long something takes, and hypothesis would.
settings.register_profile("kscope", deadline=None)
settings.load_profile("kscope")
pytest_plugins = ["tests.enginefixtures", "tests.browserfixtures", "tests.packagefixtures"]
# Characters of a text that names a test.
MAX_ID = 100

# One marker per engine: it names what the machine must have, and keeps the tests that share the
# engine in one xdist worker, so that two never fight over it. Each worker has a separate MariaDB
# and a separate ClickHouse: there a module is what stays together. Tests of other programs' output,
# which look at nothing else that is traced, are a group by themselves: `xdist_group("tools")`. So
# are those of the cluster of old servers: its four processes are never quite idle.
ENGINES = {
    "bpf": needs.bpf,
    "qemu": needs.qemu,
    "browser": needs.chromium,
    "mysql": needs.mariadb,
    "clickhouse": needs.clickhouse,
}
OF_EACH_WORKER = {"mysql", "clickhouse"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        engine = next((name for name in ENGINES if item.get_closest_marker(name)), None)
        if engine and not item.get_closest_marker("xdist_group"):
            group = f"{engine} {item.path.stem}" if engine in OF_EACH_WORKER else engine
            item.add_marker(pytest.mark.xdist_group(group))
        elif not engine and _shares_a_fixture(item) and not item.get_closest_marker("xdist_group"):
            # Each worker that has one of the tests makes what the module shares: mostly a server.
            path = item.path.relative_to(item.config.rootpath).with_suffix("")
            item.add_marker(pytest.mark.xdist_group(" ".join(path.parts)))


def _shares_a_fixture(item: pytest.Item) -> bool:
    found = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(each[-1].scope == "module" for each in found.values() if each)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, need in ENGINES.items():
        if item.get_closest_marker(name):
            need()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long text, or bytes that are no text, by their length.

    A worker passes the name to each program that it starts, and all workers must agree on it: a
    compressed text holds the time.
    """
    if isinstance(val, str | bytes) and len(val) > MAX_ID:
        return f"{argname}-{len(val)}"
    if isinstance(val, bytes) and not (val.isascii() and b"\0" not in val):
        return f"{argname}-{len(val)}"
    return None
