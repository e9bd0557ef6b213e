/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
 *
 * The stacks of naps, from each kind of program that can see them.
 */
struct key {
    u32 kind;
    u32 tgid;
    int kstack;
    int ustack;
    u32 generation;
};
BPF_HASH(calls, struct key, u64, KS_KEYS);

static inline int count(void *ctx, u32 kind)
{
    struct key key = {};
    if (!ks_wanted())
        return 0;
    key.kind = kind;
    key.tgid = bpf_get_current_pid_tgid() >> 32;
    key.kstack = ks_stack(ctx, 0);
    key.ustack = ks_stack(ctx, BPF_F_USER_STACK);
    key.generation = ks_generation();
    calls.increment(key);
    return 0;
}

int kprobe__hrtimer_nanosleep(struct pt_regs *ctx)
{
    return count(ctx, 1);
}

int kretprobe__hrtimer_nanosleep(struct pt_regs *ctx)
{
    return count(ctx, 2);
}

KFUNC_PROBE(hrtimer_nanosleep)
{
    return count(ctx, 3);
}

KRETFUNC_PROBE(hrtimer_nanosleep)
{
    return count(ctx, 4);
}

RAW_TRACEPOINT_PROBE(sched_switch)
{
    return count(ctx, 5);
}
