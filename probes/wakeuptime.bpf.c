/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Wake-up time: how long threads slept, by the stack of the thread that woke them.
 *
 * sched_waking runs in the waker. sched_wakeup may run on the woken thread's CPU, where the stack
 * belongs to another thread. When an interrupt wakes a thread, `current` is the interrupted thread:
 * the agent recognises this by the kernel's frames and leaves out the thread.
 */
KS_THRESHOLD(MIN_US)

struct sleeper {
    u64 ns;
    u32 tgid;
    char comm[16];
};

struct wake_key {
    u32 waker_tgid;
    u32 target_tgid;
    int waker_kstack;
    int waker_ustack;
    u32 generation;
    char waker_comm[16];
    char target_comm[16];
};

struct wake_value {
    u64 us;
    u64 n;
};

BPF_HASH(sleeping, u32, struct sleeper, KS_KEYS);
BPF_HASH(agg, struct wake_key, struct wake_value, KS_KEYS);

TRACEPOINT_PROBE(sched, sched_switch)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 tid = id;
    struct sleeper s = {};
    /* Bits S and D: neither the runnable nor the dead are woken. */
    if (!(args->prev_state & 0x3) || !ks_wanted())
        return 0;
    s.ns = bpf_ktime_get_ns();
    s.tgid = id >> 32;
    bpf_get_current_comm(&s.comm, sizeof(s.comm));
    if (sleeping.update(&tid, &s))
        ks_lose(KS_LOST_START);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_waking)
{
    u32 tid = args->pid;
    struct sleeper *s = sleeping.lookup(&tid);
    struct wake_key key = {};
    struct wake_value zero = {}, *value;
    if (!s)
        return 0;
    u64 us = (bpf_ktime_get_ns() - s->ns) / 1000;
    key.target_tgid = s->tgid;
    __builtin_memcpy(&key.target_comm, s->comm, sizeof(key.target_comm));
    sleeping.delete(&tid);
    if (us < ks_threshold())
        return 0;
    key.waker_tgid = bpf_get_current_pid_tgid() >> 32;
    key.waker_kstack = ks_stack(args, 0);
    key.waker_ustack = KERNEL_ONLY ? -14 : ks_stack(args, BPF_F_USER_STACK);
    key.generation = ks_generation();
    bpf_get_current_comm(&key.waker_comm, sizeof(key.waker_comm));
    value = agg.lookup_or_try_init(&key, &zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return 0;
    }
    __sync_fetch_and_add(&value->us, us);
    __sync_fetch_and_add(&value->n, 1);
    return 0;
}
