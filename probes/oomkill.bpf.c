/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Out-of-memory kills: the process that was killed, and the one that asked for memory.
 *
 * Older kernels report only the victim's pid. Its name comes from the signal that the kernel sends
 * to it just before.
 */
#define SIGKILL 9
#define SI_KERNEL 0x80

struct victim {
    u32 pid;
    char comm[16];
};

struct kill_event {
    u64 ns;
    u64 rss;
    u64 total;
    u64 tables;
    u64 cgroup;
    u32 pid;
    u32 trigger_tgid;
    int score_adj;
    char comm[16];
    char trigger[16];
};

BPF_PERCPU_ARRAY(killed, struct victim, 1);
BPF_RINGBUF_OUTPUT(events, 16);

TRACEPOINT_PROBE(signal, signal_generate)
{
    int z = 0;
    struct victim v = {};
    if (args->sig != SIGKILL || args->code != SI_KERNEL)
        return 0;
    v.pid = args->pid;
    __builtin_memcpy(&v.comm, args->comm, sizeof(v.comm));
    killed.update(&z, &v);
    return 0;
}

TRACEPOINT_PROBE(oom, mark_victim)
{
    int z = 0;
    struct kill_event e = {};
    struct victim *v = killed.lookup(&z);
    /* The process that asks for memory runs the killer; the victim may be another. */
    if (!ks_wanted() && !ks_is_target(args->pid))
        return 0;
    e.ns = bpf_ktime_get_ns();
    e.pid = args->pid;
    e.cgroup = bpf_get_current_cgroup_id();
    e.trigger_tgid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(&e.trigger, sizeof(e.trigger));
    if (v && v->pid == e.pid)
        __builtin_memcpy(&e.comm, v->comm, sizeof(e.comm));
#if HAVE_SIZES /* in KiB */
    e.rss = (args->anon_rss + args->file_rss + args->shmem_rss) << 10;
    e.total = args->total_vm << 10;
    e.tables = args->pgtables << 10;
    e.score_adj = args->oom_score_adj;
#endif
    if (events.ringbuf_output(&e, sizeof(e), 0))
        ks_lose(KS_LOST_EVENT);
    return 0;
}
