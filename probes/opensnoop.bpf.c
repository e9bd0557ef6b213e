/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Each opening of a file: its path and flags, how long it took, and its error.
 *
 * The path is read when the call returns. The kernel has read it by then, so its page is in memory;
 * before the call it may not be.
 */
KS_THRESHOLD(MIN_US)

#define O_WRONLY 01
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_PATH 010000000

struct call {
    u64 ns;
    u64 path;
    u64 flags;
};

struct open_event {
    u64 ns;
    u64 us;
    u32 tgid;
    u32 flags;
    u32 access;
    u32 create;
    u32 error;
    char comm[16];
    char path[256];
};

BPF_HASH(calls, u32, struct call, KS_KEYS);
BPF_PERCPU_ARRAY(new_event, struct open_event, 1);
BPF_RINGBUF_OUTPUT(events, 128);

static inline int begin(const char *path, u64 flags)
{
    u32 tid = bpf_get_current_pid_tgid();
    struct call call = {};
    if (!ks_wanted())
        return 0;
    call.ns = bpf_ktime_get_ns();
    call.path = (u64)path;
    call.flags = flags;
    if (calls.update(&tid, &call))
        ks_lose(KS_LOST_START);
    return 0;
}

static inline int end(long ret)
{
    int z = 0;
    u64 id = bpf_get_current_pid_tgid();
    u32 tid = id;
    struct call *call = calls.lookup(&tid);
    struct open_event *e = new_event.lookup(&z);
    if (!call || !e)
        return 0;
    e->ns = bpf_ktime_get_ns();
    e->us = (e->ns - call->ns) / 1000;
    e->tgid = id >> 32;
    e->flags = call->flags;
    e->access = call->flags & O_PATH ? 4 : call->flags & 3;
    e->create = !!(call->flags & O_CREAT);
    e->error = ret < 0 ? -ret : 0;
    bpf_get_current_comm(&e->comm, sizeof(e->comm));
    if (bpf_probe_read_user_str(&e->path, sizeof(e->path), (void *)call->path) < 0)
        e->path[0] = 0;
    calls.delete(&tid);
    if (ONLY_FAILED && !e->error)
        return 0;
    if (e->us < ks_threshold())
        return 0;
    if (events.ringbuf_output(e, sizeof(*e), 0))
        ks_lose(KS_LOST_EVENT);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_openat) { return begin(args->filename, args->flags); }
TRACEPOINT_PROBE(syscalls, sys_exit_openat) { return end(args->ret); }

#if HAVE_OPEN /* not on arm64, which has only openat */
TRACEPOINT_PROBE(syscalls, sys_enter_open) { return begin(args->filename, args->flags); }
TRACEPOINT_PROBE(syscalls, sys_exit_open) { return end(args->ret); }
#endif

#if HAVE_CREAT
TRACEPOINT_PROBE(syscalls, sys_enter_creat)
{
    return begin(args->pathname, O_CREAT | O_WRONLY | O_TRUNC);
}
TRACEPOINT_PROBE(syscalls, sys_exit_creat) { return end(args->ret); }
#endif

#if HAVE_OPENAT2
TRACEPOINT_PROBE(syscalls, sys_enter_openat2)
{
    u64 flags = 0; /* the first field of struct open_how */
    bpf_probe_read_user(&flags, sizeof(flags), (void *)args->how);
    return begin(args->filename, flags);
}
TRACEPOINT_PROBE(syscalls, sys_exit_openat2) { return end(args->ret); }
#endif
