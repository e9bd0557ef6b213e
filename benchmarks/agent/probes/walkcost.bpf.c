/* Times one walk of the user stack at each switch: ours or get_stackid's, by chance, so that both
 * meet the same stacks, and neither finds them in the cache because of the other.
 */
struct walk_key {
    u32 tgid;
    int kstack;
    int ustack;
    u32 generation;
    char comm[16];
};

struct walk_value {
    u64 walks, ns, frames;
    u64 kernel_walks, kernel_ns, kernel_frames;
};

BPF_HASH(agg, struct walk_key, struct walk_value, KS_KEYS);
BPF_STACK_TRACE(kernel_stacks, KS_STACKS);

static inline void add_ours(void *ctx, struct walk_key *key, struct walk_value *by)
{
    struct ks_walk *walk = ks_state();
    u64 began = bpf_ktime_get_ns();
    key->ustack = ks_stack(ctx, BPF_F_USER_STACK);
    by->ns = bpf_ktime_get_ns() - began;
    by->walks = 1;
    by->frames = walk ? walk->n : 0;
}

static inline void add_the_kernels(void *ctx, struct walk_value *by)
{
    struct ks_walk *walk = ks_state();
    u64 began = bpf_ktime_get_ns();
    kernel_stacks.get_stackid(ctx, BPF_F_USER_STACK);
    by->kernel_ns = bpf_ktime_get_ns() - began;
    by->kernel_walks = 1;
    if (walk) {
        long size = bpf_get_stack(ctx, walk->frames, KS_KERNEL_DEPTH * 8, BPF_F_USER_STACK);
        by->kernel_frames = size > 0 ? size / 8u : 0;
    }
}

TRACEPOINT_PROBE(sched, sched_switch)
{
    struct walk_key key = {};
    struct walk_value by = {}, zero = {}, *sum;
    if (!ks_wanted())
        return 0;
    key.tgid = bpf_get_current_pid_tgid() >> 32;
    key.kstack = -14;
    key.ustack = -14;
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    if (bpf_get_prandom_u32() & 1)
        add_ours(args, &key, &by);
    else
        add_the_kernels(args, &by);
    key.generation = ks_generation();
    sum = agg.lookup_or_try_init(&key, &zero);
    if (!sum) {
        ks_lose(KS_LOST_KEY);
        return 0;
    }
    __sync_fetch_and_add(&sum->walks, by.walks);
    __sync_fetch_and_add(&sum->ns, by.ns);
    __sync_fetch_and_add(&sum->frames, by.frames);
    __sync_fetch_and_add(&sum->kernel_walks, by.kernel_walks);
    __sync_fetch_and_add(&sum->kernel_ns, by.kernel_ns);
    __sync_fetch_and_add(&sum->kernel_frames, by.kernel_frames);
    return 0;
}
