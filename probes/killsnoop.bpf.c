/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Signals: the sender, the target, the signal and the result.
 *
 * signal_generate sees every signal that reaches a process, from any sender. A call that fails
 * earlier (no permission, or no target) is seen when it returns.
 */
#define FAILED 5 /* follows the kernel's TRACE_SIGNAL_* results */

struct call {
    u32 target;
    u32 signal;
};

struct signal_event {
    u64 ns;
    u32 tgid;
    u32 target;
    u32 signal;
    int source;
    u32 result;
    u32 error;
    char comm[16];
    char target_comm[16];
};

BPF_HASH(calls, u32, struct call, KS_KEYS);
BPF_RINGBUF_OUTPUT(events, 64);

static inline void submit(void *ctx, struct signal_event *e)
{
    e->ns = bpf_ktime_get_ns();
    e->tgid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(&e->comm, sizeof(e->comm));
    if (events.ringbuf_output(e, sizeof(*e), 0))
        ks_lose(KS_LOST_EVENT);
}

TRACEPOINT_PROBE(signal, signal_generate)
{
    struct signal_event e = {};
    if (!ks_wanted_or_idle() && !ks_is_target(args->pid))
        return 0;
    /* The kernel sends positive codes: a child ended, a bad address, a terminal's Ctrl-C. */
    if (!KERNEL_TOO && args->code > 0)
        return 0;
    e.target = args->pid;
    e.signal = args->sig;
    e.source = args->code > 0 ? 1 : args->code;
    e.result = args->result;
    __builtin_memcpy(&e.target_comm, args->comm, sizeof(e.target_comm));
    submit(args, &e);
    return 0;
}

static inline int begin(u32 target, u32 signal)
{
    u32 tid = bpf_get_current_pid_tgid();
    struct call call = {};
    if (!ks_wanted())
        return 0;
    call.target = target;
    call.signal = signal;
    if (calls.update(&tid, &call))
        ks_lose(KS_LOST_START);
    return 0;
}

static inline int end(void *ctx, long ret, int source)
{
    u32 tid = bpf_get_current_pid_tgid();
    struct call *call = calls.lookup(&tid);
    struct signal_event e = {};
    if (!call)
        return 0;
    e.target = call->target;
    e.signal = call->signal;
    calls.delete(&tid);
    if (ret >= 0)
        return 0;
    e.source = source;
    e.result = FAILED;
    e.error = -ret;
    submit(ctx, &e);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_kill) { return begin(args->pid, args->sig); }
TRACEPOINT_PROBE(syscalls, sys_exit_kill) { return end(args, args->ret, 0); }
TRACEPOINT_PROBE(syscalls, sys_enter_tkill) { return begin(args->pid, args->sig); }
TRACEPOINT_PROBE(syscalls, sys_exit_tkill) { return end(args, args->ret, -6); }
TRACEPOINT_PROBE(syscalls, sys_enter_tgkill) { return begin(args->pid, args->sig); }
TRACEPOINT_PROBE(syscalls, sys_exit_tgkill) { return end(args, args->ret, -6); }
