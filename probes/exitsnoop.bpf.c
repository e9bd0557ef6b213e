/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Ends of processes: how old they were and what ended them.
 *
 * The tracepoint has neither age nor exit code, so the kernel's structs are read. A process ends
 * when its main thread ends; exit_group or a signal sets an exit code for the whole process.
 */
#define SIGNAL_GROUP_EXIT 0x00000004

struct exit_event {
    u64 ns;
    u64 age_us;
    u32 tgid;
    u32 parent;
    u32 uid;
    u32 code;
    u32 signal;
    u32 core;
    char comm[16];
};

BPF_RINGBUF_OUTPUT(events, 64);

#define READ(to, from) bpf_probe_read_kernel(&(to), sizeof(to), &(from))

TRACEPOINT_PROBE(sched, sched_process_exit)
{
    u64 id = bpf_get_current_pid_tgid(), started = 0;
    struct task_struct *task = (struct task_struct *)bpf_get_current_task(), *parent = 0;
    struct signal_struct *signal = 0;
    struct exit_event e = {};
    int code = 0, flags = 0;
    if ((u32)id != (u32)(id >> 32) || !ks_wanted())
        return 0;
    READ(started, task->start_time);
    READ(parent, task->real_parent);
    READ(e.parent, parent->tgid);
    READ(code, task->exit_code);
    READ(signal, task->signal);
    READ(flags, signal->flags);
    if (flags & SIGNAL_GROUP_EXIT)
        READ(code, signal->group_exit_code);
    e.ns = bpf_ktime_get_ns();
    e.age_us = (e.ns - started) / 1000;
    e.tgid = id >> 32;
    e.uid = bpf_get_current_uid_gid();
    e.code = (code >> 8) & 0xff;
    e.signal = code & 0x7f;
    e.core = !!(code & 0x80);
    bpf_get_current_comm(&e.comm, sizeof(e.comm));
    if (ONLY_FAILED && !e.code && !e.signal)
        return 0;
    if (events.ringbuf_output(&e, sizeof(e), 0))
        ks_lose(KS_LOST_EVENT);
    return 0;
}
