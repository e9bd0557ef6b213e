/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Run queue latency: the time from when a thread can run until it runs, if it was woken, is new,
 * or was preempted by another.
 *
 * The process of a thread is known only while the thread runs, so it is stored when the thread
 * leaves the CPU, or when a new thread is made. A thread that has slept since before the probe
 * began is counted from its second wake-up.
 */
#define CLONE_THREAD 0x00010000

struct lat_key {
    u32 tgid;
    u32 generation;
    char comm[16];
};

struct lat_value {
    u64 ns;
    u64 n;
    u32 slots[32];
};

BPF_HASH(owners, u32, u32, KS_KEYS); /* thread -> its process */
BPF_HASH(queued, u32, u64, KS_KEYS); /* thread -> when it joined the run queue */
BPF_HASH(agg, struct lat_key, struct lat_value, KS_KEYS);

static inline void enqueue(u32 tid)
{
    u64 now = bpf_ktime_get_ns();
    if (queued.update(&tid, &now))
        ks_lose(KS_LOST_START);
}

TRACEPOINT_PROBE(task, task_newtask)
{
    u32 tid = args->pid;
    u32 tgid = bpf_get_current_pid_tgid() >> 32;
    if (!ks_wanted())
        return 0;
    if (!(args->clone_flags & CLONE_THREAD)) {
#if KS_PID && !KS_CHILDREN
        return 0;
#endif
        tgid = tid;
    }
    if (owners.update(&tid, &tgid))
        ks_lose(KS_LOST_START);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_wakeup)
{
    u32 tid = args->pid;
    if (owners.lookup(&tid))
        enqueue(tid);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_wakeup_new)
{
    u32 tid = args->pid;
    if (owners.lookup(&tid))
        enqueue(tid);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_switch)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 prev = id, tgid = id >> 32, next = args->next_pid;
    struct lat_key key = {};
    struct lat_value zero = {}, *value;
    if (ks_wanted()) {
        if (args->prev_state & 0x30) { /* dead: it does not run again */
            owners.delete(&prev);
        } else {
            if (owners.update(&prev, &tgid))
                ks_lose(KS_LOST_START);
            if (!(args->prev_state & 0xff))
                enqueue(prev);
        }
    }
    u64 *since = queued.lookup(&next);
    u32 *owner = owners.lookup(&next);
    if (!since || !owner)
        return 0;
    u64 ns = bpf_ktime_get_ns() - *since;
    queued.delete(&next);
    key.tgid = *owner;
    key.generation = ks_generation();
    __builtin_memcpy(&key.comm, args->next_comm, sizeof(key.comm));
    value = agg.lookup_or_try_init(&key, &zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return 0;
    }
    __sync_fetch_and_add(&value->ns, ns);
    __sync_fetch_and_add(&value->n, 1);
    __sync_fetch_and_add(&value->slots[ks_slot(ns / 1000)], 1);
    return 0;
}
