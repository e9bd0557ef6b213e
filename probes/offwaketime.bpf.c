/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Off-CPU time with its cause: the stack that slept and above it, upside down, the stack that
 * woke it. Only sleeps count: nothing wakes a thread that was preempted.
 *
 * If finish_task_switch can be probed (HAVE_SWITCHED_IN), the stack that slept is walked when the
 * thread runs again, so that sleeps under the threshold cost the walk of their waker alone.
 */
KS_THRESHOLD(MIN_US)

struct wait_key {
    u32 tgid;
    u32 waker_tgid;
    int kstack;
    int ustack;
    int waker_kstack;
    int waker_ustack;
    u32 generation;
    char comm[16];
    char waker_comm[16];
};

struct wait_value {
    u64 us;
    u64 n;
};

struct parked {
    u64 ns;
    struct wait_key key;
};

KS_WAITING(struct parked)
BPF_HASH(agg, struct wait_key, struct wait_value, KS_KEYS);

/* Runs in the thread that wakes another; sched_wakeup may not. In an interrupt, that is the thread
 * it interrupted: the agent recognises this by the kernel's frames and leaves out the thread.
 */
TRACEPOINT_PROBE(sched, sched_waking)
{
    u32 tid = args->pid;
    struct parked *p = waiting.lookup(&tid);
    if (!p || p->key.waker_comm[0])
        return 0;
    p->key.waker_tgid = bpf_get_current_pid_tgid() >> 32;
    p->key.waker_kstack = ks_stack(args, 0);
    p->key.waker_ustack = KERNEL_ONLY ? -14 : ks_stack(args, BPF_F_USER_STACK);
    bpf_get_current_comm(&p->key.waker_comm, sizeof(p->key.waker_comm));
    return 0;
}

static inline void walk(void *ctx, struct wait_key *key)
{
    key->kstack = ks_stack(ctx, 0);
    key->ustack = KERNEL_ONLY ? -14 : ks_stack(ctx, BPF_F_USER_STACK);
}

static inline void park(void *ctx)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 tid = id;
    struct parked p = {};
    p.ns = bpf_ktime_get_ns();
    p.key.tgid = id >> 32;
    p.key.kstack = p.key.ustack = p.key.waker_kstack = p.key.waker_ustack = -14;
#if !HAVE_SWITCHED_IN
    walk(ctx, &p.key);
#endif
    bpf_get_current_comm(&p.key.comm, sizeof(p.key.comm));
    if (waiting.update(&tid, &p))
        ks_lose(KS_LOST_START);
}

/* The thread `tid` runs again: it is about to, or with HAVE_SWITCHED_IN it does. */
static inline void unpark(void *ctx, u32 tid)
{
    struct wait_value zero = {}, *value;
    struct parked *p = waiting.lookup(&tid);
    if (!p)
        return;
    u64 us = (bpf_ktime_get_ns() - p->ns) / 1000;
    struct wait_key key = p->key;
    waiting.delete(&tid);
    if (us < ks_threshold())
        return;
#if HAVE_SWITCHED_IN
    walk(ctx, &key);
#endif
    key.generation = ks_generation();
    value = agg.lookup_or_try_init(&key, &zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return;
    }
    __sync_fetch_and_add(&value->us, us);
    __sync_fetch_and_add(&value->n, 1);
}

TRACEPOINT_PROBE(sched, sched_switch)
{
    /* `current` is still the thread that leaves. It sleeps if bit S or D of the state is set. */
    u32 prev = bpf_get_current_pid_tgid();
    if (ks_wanted()) {
        if (args->prev_state & 0x3)
            park(args);
        else /* Left if Linux skipped the program when it ran again. */
            waiting.delete(&prev);
    }
#if !HAVE_SWITCHED_IN
    unpark(args, args->next_pid);
#endif
    return 0;
}

#if HAVE_SWITCHED_IN
int switched_in(struct pt_regs *ctx)
{
    unpark(ctx, bpf_get_current_pid_tgid());
    return 0;
}
#endif
