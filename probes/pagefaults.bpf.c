/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Page faults: the stacks that touch memory which is not mapped, or not for that access.
 */
#define ERROR_WRITE 0x2
#define ERROR_FETCH 0x10

struct fault_key {
    u32 tgid;
    u32 kind;
    int kstack;
    int ustack;
    u32 generation;
    char comm[16];
};

enum { READ, WRITE, EXECUTE };

BPF_HASH(agg, struct fault_key, u64, KS_KEYS);

static inline int fault(void *ctx, u64 error, bool by_kernel)
{
    struct fault_key key = {};
    u64 zero = 0, *n;
    if (!ks_wanted())
        return 0;
    key.tgid = bpf_get_current_pid_tgid() >> 32;
    key.kind = error & ERROR_FETCH ? EXECUTE : error & ERROR_WRITE ? WRITE : READ;
    /* The kernel's frames are the same in all faults of user space. */
    key.kstack = by_kernel ? ks_stack(ctx, 0) : -14;
    key.ustack = ks_stack(ctx, BPF_F_USER_STACK);
    key.generation = ks_generation();
    bpf_get_current_comm(&key.comm, sizeof(key.comm));
    n = agg.lookup_or_try_init(&key, &zero);
    if (n)
        __sync_fetch_and_add(n, 1);
    else
        ks_lose(KS_LOST_KEY);
    return 0;
}

TRACEPOINT_PROBE(exceptions, page_fault_user)
{
    return fault(args, args->error_code, false);
}

TRACEPOINT_PROBE(exceptions, page_fault_kernel)
{
    return fault(args, args->error_code, true);
}
