"""The built-in presets and the wall clock, on stacks of real programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from kscope.declare.files.catalog import load_catalog
from kscope.declare.model import Catalog
from tests.incident.stacks import WAITS
from tests.page import recording
from tests.query.world import NOON, World

TABLES = ("offcputime", "offwaketime", "profile", "wallclock")
IDLE = "without idle waits"
_SYSCALL = "entry_SYSCALL_64_after_hwframe_[k];do_syscall_64_[k];"
_FUTEX = f"{_SYSCALL}__x64_sys_futex_[k];do_futex_[k];futex_wait_[k];schedule_[k];__schedule_[k]"
_POLL = f"{_SYSCALL}__x64_sys_poll_[k];do_sys_poll_[k];schedule_hrtimeout_range_[k];schedule_[k]"
_EPOLL = f"{_SYSCALL}__x64_sys_epoll_wait_[k];do_epoll_wait_[k];ep_poll_[k];schedule_[k]"
_KTHREAD = "ret_from_fork_asm_[k];ret_from_fork_[k];kthread_[k];"
_PG = (
    "_start;__libc_start_main [libc.so.6];main;PostmasterMain;ServerLoop;BackendMain;PostgresMain;"
)
_THREAD = "clone3 [libc.so.6];start_thread [libc.so.6];"
_MARIADB = f"{_THREAD}handle_one_connection;do_handle_one_connection;do_command"
# Waits that nothing is held up by, and those that somebody waits in: their states.
STACKS = {
    f"{_PG}ReadCommand;SocketBackend;secure_read;WaitEventSetWait;epoll_wait [libc.so.6]"
    f";{_EPOLL}": "idle",
    f"{_PG}exec_simple_query;LockAcquire;ProcSleep;WaitLatch;WaitEventSetWait;"
    f"epoll_wait [libc.so.6];{_EPOLL}": "lock",
    f"{_MARIADB};my_net_read_packet;vio_read;vio_io_wait;poll [libc.so.6];{_POLL}": "idle",
    f"{_THREAD}handle_one_connection;do_handle_one_connection(CONNECT*, bool);"
    f"pthread_cond_timedwait [libc.so.6];{_FUTEX}": "idle",
    f"{_MARIADB};dispatch_command;mysql_execute_command;ha_commit_trans;MDL_wait::timed_wait;"
    f"inline_mysql_cond_timedwait;pthread_cond_timedwait [libc.so.6];{_FUTEX}": "lock",
    f"{_THREAD}execute_native_thread_routine [libstdc++.so.6];tpool::thread_pool_generic::"
    f"worker_main;tpool::thread_pool_generic::wait_for_tasks;std::condition_variable::wait_until"
    f";pthread_cond_clockwait [libc.so.6];{_FUTEX}": "idle",
    f"{_THREAD}Worker::run;Cache::get;pthread_mutex_lock [libc.so.6];{_FUTEX}": "lock",
    f"{_THREAD}Worker::run;pthread_mutex_lock [libc.so.6];{_FUTEX}": "lock",
    f"_start;main;PQexec;PQgetResult;pqSocketPoll;poll [libc.so.6];{_POLL}": "network",
    f"_start;main;g_main_loop_run;g_main_context_iterate;poll [libc.so.6];{_POLL}": "idle",
    f"runtime.mcall;runtime.park_m;runtime.schedule;runtime.findRunnable;runtime.stopm;"
    f"runtime.mPark;runtime.notesleep;runtime.futex;{_FUTEX}": "idle",
    f"main.handle;runtime.lock2;runtime.futexsleep;runtime.futex;{_FUTEX}": "lock",
    f"{_KTHREAD}rcu_gp_kthread_[k];rcu_gp_fqs_loop_[k];schedule_timeout_[k];schedule_[k]": "idle",
    f"{_KTHREAD}kswapd_[k];kswapd_try_to_sleep_[k];schedule_[k];__schedule_[k]": "idle",
    f"{_KTHREAD}worker_thread_[k];process_one_work_[k];wb_workfn_[k];ext4_writepages_[k];"
    "blk_mq_get_tag_[k];io_schedule_[k];schedule_[k]": "disk",
    f"_start;main;handle;retry;backoff;nanosleep [libc.so.6];{_SYSCALL}hrtimer_nanosleep_[k]"
    ";do_nanosleep_[k];schedule_[k]": "other waits",
    f"_start;main;nanosleep [libc.so.6];{_SYSCALL}hrtimer_nanosleep_[k];do_nanosleep_[k]": "idle",
    "": "other waits",
}


@pytest.fixture
def fleet(world: World) -> World:
    found = load_catalog(["builtin"])
    world.adopt(Catalog(tuple(each for each in found if each.table in TABLES)))
    return world


def insert(world: World, rows: list[dict[str, Any]]) -> None:
    common = {"time": NOON, "hostname": "h", "pid": 1}
    world.insert("offcputime", [common | row for row in rows])


def top(world: World, table: str, **asked: Any) -> Counter[str]:
    span = {"from": "2026-11-23", "to": "2026-11-24", "n": 1000}
    answer = world.get(f"/api/v1/top/{table}", span | asked)
    assert answer.status_code == 200, answer.text
    return Counter({each["key"][0]: each["value"] for each in answer.json()["entries"]})


def test_idle_waits_are_those_that_nothing_is_held_up_by(fleet: World) -> None:
    """Pools, loops and kernel threads at rest are hidden; locks, disks and answers are not."""
    rows = [
        {"process": name, "reason": "blocked", "stack": stack, "elapsed": 1, "count": 1}
        for name, stack in WAITS.items()
    ]
    insert(fleet, rows)
    shown = top(fleet, "offcputime", by="process", preset=IDLE)
    assert shown.keys() == {name for name in WAITS if not name.endswith("idle")}


def test_each_wait_has_its_state(fleet: World) -> None:
    """By its stack; a thread that could run waits to run, whatever its stack."""
    rows = [
        {"process": "p", "reason": "blocked", "stack": stack, "elapsed": 1, "count": 1}
        for stack in STACKS
    ]
    rows += [row | {"reason": "preempted"} for row in rows] + [rows[1] | {"reason": "idle"}]
    insert(fleet, rows)
    for stack, state in STACKS.items():
        found = top(fleet, "wallclock", by="state", stack=stack)
        assert found["waiting to run"] == 1
        assert found[state] >= 1, (stack, found)
    expected = Counter(STACKS.values()) + Counter({"waiting to run": len(STACKS), "idle": 1})
    assert top(fleet, "wallclock", by="state") == expected


def test_the_planted_contention_is_on_top_of_the_recording(fleet: World) -> None:
    """A lock that a checkpoint holds is what the shop's database waits for."""
    rows = [row for row in recording.rows() if row["process"] == "shopdb"]
    names = ("process", "reason", "stack", "elapsed", "count")
    insert(fleet, [{name: row[name] for name in names} for row in rows])
    frames: Counter[str] = Counter()
    for stack, value in top(fleet, "offcputime", by="stack", preset=IDLE).items():
        user = [frame for frame in stack.split(";") if not frame.endswith("_[k]")]
        frames[user[-1] if user else ""] += value
    assert next(iter(dict(frames.most_common(1)))) == "lock_wait"
    total = sum(row["elapsed"] for row in rows)
    states = top(fleet, "wallclock", by="state")
    assert sum(states.values()) == total
    assert states["lock"] > states["disk"] > states["network"]


def test_presets_of_the_same_waits_are_the_same() -> None:
    """offwaketime has the stacks of offcputime, and a label less."""
    presets = {each.table: each.presets for each in load_catalog(["builtin"]) if each.presets}
    assert presets.keys() == {"offcputime", "offwaketime", "wallclock"}
    patterns = {
        table: [each.text for each in found[0].filters if each.parameter == "stack__not_regex"]
        for table, found in presets.items()
    }
    assert patterns["offcputime"] == patterns["offwaketime"] != []
