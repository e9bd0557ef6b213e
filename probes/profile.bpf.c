/* SPDX-License-Identifier: GPL-2.0-only
 *
 * On-CPU profile: the stacks that run when a timer samples each CPU.
 *
 * The event is the kernel's cpu-clock, which also exists on machines without hardware counters
 * (virtual machines). Each sample stands for the time since the sample before.
 */
struct sample_key {
    u32 tgid;
    u32 tid;
    int kstack;
    int ustack;
    u32 generation;
    char comm[16];
};

struct sample_value {
    u64 us;
    u64 n;
};

BPF_HASH(agg, struct sample_key, struct sample_value, KS_KEYS);

int take_sample(struct pt_regs *ctx)
{
    struct sample_key key = {};
    struct sample_value zero = {}, *value;
    u64 id = bpf_get_current_pid_tgid();
    if (!ks_wanted())
        return 0;
    key.tgid = id >> 32;
#if PER_THREAD
    key.tid = id;
#endif
    key.kstack = USER_ONLY ? -14 : ks_stack(ctx, 0);
    key.ustack = KERNEL_ONLY ? -14 : ks_stack(ctx, BPF_F_USER_STACK);
    key.generation = ks_generation();
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    value = agg.lookup_or_try_init(&key, &zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return 0;
    }
    __sync_fetch_and_add(&value->us, 1000000 / FREQUENCY);
    __sync_fetch_and_add(&value->n, 1);
    return 0;
}
