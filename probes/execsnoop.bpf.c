/* SPDX-License-Identifier: GPL-2.0-only
 *
 * New programs: each execve, with its arguments, and those that failed.
 *
 * Arguments are read when the call begins: after it has succeeded, the old memory is gone. A thread
 * that succeeds continues with its process's id, so old_pid is read.
 */
#define MAX_ARGUMENTS 20
#define ARGUMENT_BYTES 128
#define ARGUMENTS_BYTES 1024
#define SEPARATOR 0x1f /* between arguments; their own NUL would end the text */
#define CLONE_THREAD 0x00010000

struct call {
    char path[256];
    char arguments[2 * ARGUMENTS_BYTES]; /* the last one may be longer than the space left */
};

struct exec_event {
    u64 ns;
    u32 tgid;
    u32 parent;
    u32 uid;
    u32 error;
    char comm[16];
    char path[256];
    char arguments[ARGUMENTS_BYTES];
};

BPF_HASH(calls, u32, struct call, 1024);
BPF_HASH(parents, u32, u32, KS_KEYS);
BPF_PERCPU_ARRAY(new_call, struct call, 1);
BPF_PERCPU_ARRAY(new_event, struct exec_event, 1);
BPF_RINGBUF_OUTPUT(events, 128);

/* No tracepoint of exec has the parent as an argument, so it is stored at the fork. */
TRACEPOINT_PROBE(task, task_newtask)
{
    u32 child = args->pid, parent = bpf_get_current_pid_tgid() >> 32;
    if (!(args->clone_flags & CLONE_THREAD) && ks_wanted())
        parents.update(&child, &parent);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u32 tid = bpf_get_current_pid_tgid();
    parents.delete(&tid);
    return 0;
}

static inline void remember(const char *path, const char *const *argv)
{
    int z = 0;
    u32 tid = bpf_get_current_pid_tgid();
    u64 at = 0;
    struct call *call = new_call.lookup(&z);
    if (!call)
        return;
    bpf_probe_read_user_str(&call->path, sizeof(call->path), path);
#pragma unroll
    for (int i = 0; i < MAX_ARGUMENTS; i++) {
        const char *argument = 0;
        if (bpf_probe_read_user(&argument, sizeof(argument), &argv[i]) || !argument)
            break;
        if (at >= ARGUMENTS_BYTES)
            break;
        /* The masks change no value. The verifier needs them, and clang would remove them. */
        asm volatile("" : "+r"(at));
        long read = bpf_probe_read_user_str(&call->arguments[at & (ARGUMENTS_BYTES - 1)],
                                            ARGUMENT_BYTES, argument);
        if (read <= 0)
            break;
        at += read;
        asm volatile("" : "+r"(at));
        call->arguments[(at - 1) & (2 * ARGUMENTS_BYTES - 1)] = SEPARATOR;
    }
    call->arguments[at & (2 * ARGUMENTS_BYTES - 1)] = 0;
    if (calls.update(&tid, call))
        ks_lose(KS_LOST_START);
}

TRACEPOINT_PROBE(syscalls, sys_enter_execve)
{
    if (ks_wanted())
        remember(args->filename, args->argv);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_enter_execveat)
{
    if (ks_wanted())
        remember(args->filename, args->argv);
    return 0;
}

static inline void report(u32 tid, u32 error)
{
    int z = 0;
    struct exec_event *e = new_event.lookup(&z);
    struct call *call = calls.lookup(&tid);
    if (!call || !e)
        return;
    e->ns = bpf_ktime_get_ns();
    e->tgid = bpf_get_current_pid_tgid() >> 32;
    u32 *parent = parents.lookup(&e->tgid);
    e->parent = parent ? *parent : 0;
    e->uid = bpf_get_current_uid_gid();
    e->error = error;
    bpf_get_current_comm(&e->comm, sizeof(e->comm));
    __builtin_memcpy(&e->path, &call->path, sizeof(e->path));
    bpf_probe_read_kernel(&e->arguments, sizeof(e->arguments), &call->arguments);
    e->arguments[ARGUMENTS_BYTES - 1] = 0;
    calls.delete(&tid);
    if (events.ringbuf_output(e, sizeof(*e), 0))
        ks_lose(KS_LOST_EVENT);
}

TRACEPOINT_PROBE(sched, sched_process_exec)
{
    report(args->old_pid, 0);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_execve)
{
    if (args->ret < 0)
        report(bpf_get_current_pid_tgid(), -args->ret);
    return 0;
}

TRACEPOINT_PROBE(syscalls, sys_exit_execveat)
{
    if (args->ret < 0)
        report(bpf_get_current_pid_tgid(), -args->ret);
    return 0;
}
