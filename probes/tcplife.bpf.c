/* SPDX-License-Identifier: GPL-2.0-only
 *
 * TCP connections that have ended: their process, addresses, duration and bytes (bytes only with
 * HAVE_BTF, because the counters are in the socket).
 *
 * State changes caused by packets run in the process that the packet interrupts. Only connect
 * and close are sure to run in the owner, so the owner is read then.
 */
#define IPPROTO_TCP 6

enum { ESTABLISHED = 1, SYN_SENT = 2, FIN_WAIT1 = 4, CLOSED = 7, LAST_ACK = 9 };

struct life {
    u64 ns;
    u32 tgid;
    u32 owned;
    u32 connected; /* from this side */
    char comm[16];
};

struct life_event {
    u64 ns;
    u64 us;
    u64 sent;
    u64 received;
    u32 tgid;
    u32 connected;
    u16 sport;
    u16 dport;
    u8 saddr[16];
    u8 daddr[16];
    char comm[16];
};

BPF_HASH(lives, u64, struct life, KS_KEYS);
BPF_RINGBUF_OUTPUT(events, 64);

static inline void own(struct life *life)
{
    life->tgid = bpf_get_current_pid_tgid() >> 32;
    life->owned = 1;
    bpf_get_current_comm(&life->comm, sizeof(life->comm));
}

/* Counts payload only: bytes that were sent again count once, and a FIN, which uses a sequence
 * number, does not count.
 */
static inline void count_bytes(u64 sk, struct life_event *e)
{
#if HAVE_BTF
    struct tcp_sock *tcp = (struct tcp_sock *)sk;
    u64 again = 0;
    unsigned long flags = 0;
    bpf_probe_read_kernel(&e->sent, sizeof(e->sent), &tcp->bytes_sent);
    bpf_probe_read_kernel(&again, sizeof(tcp->bytes_retrans), &tcp->bytes_retrans);
    e->sent -= again;
    bpf_probe_read_kernel(&e->received, sizeof(e->received), &tcp->bytes_received);
    bpf_probe_read_kernel(&flags, sizeof(flags), &((struct sock *)sk)->__sk_common.skc_flags);
    if ((flags & (1 << SOCK_DONE)) && e->received)
        e->received--;
#endif
}

TRACEPOINT_PROBE(sock, inet_sock_set_state)
{
    u64 sk = (u64)args->skaddr;
    int state = args->newstate;
    struct life *life;
    if (args->protocol != IPPROTO_TCP)
        return 0;
    if (state == SYN_SENT || state == ESTABLISHED) {
        struct life new = {};
        if (lives.lookup(&sk) || (state == SYN_SENT && !ks_wanted()))
            return 0;
        /* Skip an outgoing connection whose start was not seen: its owner is not known. */
        if (state == ESTABLISHED && args->oldstate == SYN_SENT)
            return 0;
        new.ns = bpf_ktime_get_ns();
        new.connected = state == SYN_SENT;
        if (new.connected)
            own(&new);
        if (lives.update(&sk, &new))
            ks_lose(KS_LOST_START);
        return 0;
    }
    life = lives.lookup(&sk);
    if (!life)
        return 0;
    if ((state == FIN_WAIT1 || state == LAST_ACK) && !life->owned && ks_wanted())
        own(life);
    if (state != CLOSED)
        return 0;
    struct life_event e = {};
    e.ns = bpf_ktime_get_ns();
    e.us = (e.ns - life->ns) / 1000;
    e.tgid = life->tgid;
    e.connected = life->connected;
    __builtin_memcpy(&e.comm, life->comm, sizeof(e.comm));
    u32 owned = life->owned;
    lives.delete(&sk);
    if (!owned && KS_FILTERED)
        return 0;
    count_bytes(sk, &e);
    e.sport = args->sport;
    e.dport = args->dport;
    /* An IPv4 socket also has its address in the mapped form. */
    __builtin_memcpy(&e.saddr, args->saddr_v6, sizeof(e.saddr));
    __builtin_memcpy(&e.daddr, args->daddr_v6, sizeof(e.daddr));
    if (events.ringbuf_output(&e, sizeof(e), 0))
        ks_lose(KS_LOST_EVENT);
    return 0;
}
