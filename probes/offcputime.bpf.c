/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Off-CPU time: how long threads wait, by the stack that waits.
 *
 * At switch-out, `current` is still the thread that leaves the CPU. If finish_task_switch can be
 * probed (HAVE_SWITCHED_IN), the wait is measured and its stack is walked in the thread itself when
 * it runs again, so that waits under the threshold cost no stack walk. Otherwise the stack is
 * walked when the thread leaves.
 */
KS_THRESHOLD(MIN_US)

struct wait_key {
    u32 tgid;
    u32 tid;
    u32 reason;
    int kstack;
    int ustack;
    u32 generation;
    u64 cgroup;
    char comm[16];
};

struct wait_value {
    u64 us;
    u64 n;
    u32 slots[32];
};

struct parked {
    u64 ns;
    u32 reason;
    struct wait_key key;
};

KS_WAITING(struct parked)
BPF_HASH(agg, struct wait_key, struct wait_value, KS_KEYS);
BPF_PERCPU_ARRAY(zero_value, struct wait_value, 1);

enum { BLOCKED, UNINTERRUPTIBLE, IDLE, PREEMPTED, STOPPED, DEAD };

/* prev_state in sched_switch: one bit of "RSDTtXZPI"; 0 and 0x100 are still runnable. */
static inline u32 reason_of(long state)
{
    if (state & 0x30)
        return DEAD;
    if (state & 0x80)
        return IDLE;
    if (state & 0x2)
        return UNINTERRUPTIBLE;
    if (state & 0x1)
        return BLOCKED;
    if (state & 0xc)
        return STOPPED;
    if (state & 0x40)
        return IDLE;
    return PREEMPTED;
}

/* A kernel thread has no user stack. */
static inline bool right_kind(void *ctx)
{
#if THREADS
    u64 ip = 0;
    bpf_get_stack(ctx, &ip, sizeof(ip), BPF_F_USER_STACK);
    return THREADS == 1 ? ip : !ip;
#else
    return true;
#endif
}

static inline void fill_key(void *ctx, struct wait_key *key)
{
    u64 id = bpf_get_current_pid_tgid();
    key->tgid = id >> 32;
#if PER_THREAD
    key->tid = id;
#endif
    key->kstack = USER_ONLY ? -14 : ks_stack(ctx, 0);
    key->ustack = KERNEL_ONLY ? -14 : ks_stack(ctx, BPF_F_USER_STACK);
#if WITH_CGROUP
    key->cgroup = bpf_get_current_cgroup_id();
#endif
    bpf_get_current_comm(&key->comm, sizeof(key->comm));
}

static inline bool long_enough(u64 us)
{
    if (us < ks_threshold())
        return false;
#if MAX_US
    if (us > MAX_US)
        return false;
#endif
    return true;
}

static inline void add(struct wait_key *key, u64 us)
{
    int z = 0;
    struct wait_value *zero = zero_value.lookup(&z), *value;
    if (!zero)
        return;
    key->generation = ks_generation();
    value = agg.lookup_or_try_init(key, zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return;
    }
    __sync_fetch_and_add(&value->us, us);
    __sync_fetch_and_add(&value->n, 1);
    __sync_fetch_and_add(&value->slots[ks_slot(us)], 1);
}

static inline bool recorded(void *ctx, u32 reason)
{
    return reason != DEAD && (ONLY_REASON < 0 || reason == ONLY_REASON) && right_kind(ctx);
}

static inline void park(void *ctx, u32 tid, u32 reason)
{
    struct parked p = {};
    p.ns = bpf_ktime_get_ns();
    p.reason = reason;
#if !HAVE_SWITCHED_IN
    fill_key(ctx, &p.key);
#endif
    if (waiting.update(&tid, &p))
        ks_lose(KS_LOST_START);
}

TRACEPOINT_PROBE(sched, sched_switch)
{
    u32 prev = bpf_get_current_pid_tgid();
    u32 reason = reason_of(args->prev_state);
    if (ks_wanted()) {
        if (recorded(args, reason))
            park(args, prev, reason);
        else /* Left if Linux skipped the program when it ran again; the number is used again. */
            waiting.delete(&prev);
    }
#if !HAVE_SWITCHED_IN
    u32 next = args->next_pid;
    struct parked *back = waiting.lookup(&next);
    if (!back)
        return 0;
    u64 us = (bpf_ktime_get_ns() - back->ns) / 1000;
    if (long_enough(us)) {
        struct wait_key key = back->key;
        key.reason = back->reason;
        add(&key, us);
    }
    waiting.delete(&next);
#endif
    return 0;
}

#if HAVE_SWITCHED_IN
int switched_in(struct pt_regs *ctx)
{
    u32 tid = bpf_get_current_pid_tgid();
    struct parked *back = waiting.lookup(&tid);
    if (!back)
        return 0;
    u64 us = (bpf_ktime_get_ns() - back->ns) / 1000;
    u32 reason = back->reason;
    waiting.delete(&tid);
    if (long_enough(us)) {
        struct wait_key key = {};
        fill_key(ctx, &key);
        key.reason = reason;
        add(&key, us);
    }
    return 0;
}
#endif
