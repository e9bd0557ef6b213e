/* SPDX-License-Identifier: GPL-2.0-only
 *
 * System calls by name: how many, how long, and how many failed.
 *
 * A call is counted when it returns. exit_group never returns, and a successful execve returns only
 * in the new program.
 */
KS_THRESHOLD(MIN_US)

struct call {
    u64 ns;
    u32 number;
};

struct call_key {
    u32 tgid;
    u32 number;
    u32 generation;
    char comm[16];
};

struct call_value {
    u64 ns;
    u64 n;
    u64 failed;
    u32 slots[32];
};

BPF_HASH(calls, u32, struct call, KS_KEYS);
BPF_HASH(agg, struct call_key, struct call_value, KS_KEYS);

TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    u32 tid = bpf_get_current_pid_tgid();
    struct call call = {};
    if (!ks_wanted())
        return 0;
    call.ns = bpf_ktime_get_ns();
    call.number = args->id;
    if (calls.update(&tid, &call))
        ks_lose(KS_LOST_START);
    return 0;
}

TRACEPOINT_PROBE(raw_syscalls, sys_exit)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 tid = id;
    struct call_key key = {};
    struct call_value zero = {}, *value;
    struct call *call = calls.lookup(&tid);
    if (!call || call->number != (u32)args->id)
        return 0;
    u64 ns = bpf_ktime_get_ns() - call->ns, us = ns / 1000;
    calls.delete(&tid);
    if (us < ks_threshold())
        return 0;
    key.tgid = id >> 32;
    key.number = args->id;
    key.generation = ks_generation();
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    value = agg.lookup_or_try_init(&key, &zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return 0;
    }
    __sync_fetch_and_add(&value->ns, ns);
    __sync_fetch_and_add(&value->n, 1);
    if (args->ret < 0 && args->ret >= -4095) /* lower values are addresses */
        __sync_fetch_and_add(&value->failed, 1);
    __sync_fetch_and_add(&value->slots[ks_slot(us)], 1);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 tid = bpf_get_current_pid_tgid();
    calls.delete(&tid);
    return 0;
}
