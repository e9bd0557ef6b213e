/* SPDX-License-Identifier: GPL-2.0-only
 *
 * TCP segments sent again: their addresses, state and process.
 *
 * Retransmission runs in timers and packet handlers, never in the owner, so owners are stored
 * when they connect and when they read (on newer kernels also when they write).
 */
enum { SYN_SENT = 2, CLOSED = 7 };

struct owner {
    u32 tgid;
    char comm[16];
};

struct retransmit_event {
    u64 ns;
    u32 tgid;
    u32 state;
    u16 sport;
    u16 dport;
    u8 saddr[16];
    u8 daddr[16];
    char comm[16];
};

BPF_HASH(owners, u64, struct owner, KS_KEYS);
BPF_RINGBUF_OUTPUT(events, 64);

static inline int own(u64 sk)
{
    struct owner owner = {};
    if (!ks_wanted())
        return 0;
    owner.tgid = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(&owner.comm, sizeof(owner.comm));
    if (owners.update(&sk, &owner))
        ks_lose(KS_LOST_START);
    return 0;
}

TRACEPOINT_PROBE(sock, inet_sock_set_state)
{
    u64 sk = (u64)args->skaddr;
    if (args->newstate == SYN_SENT)
        return own(sk);
    if (args->newstate == CLOSED)
        owners.delete(&sk);
    return 0;
}

TRACEPOINT_PROBE(tcp, tcp_rcv_space_adjust)
{
    u64 sk = (u64)args->skaddr;
    return owners.lookup(&sk) ? 0 : own(sk);
}

#if HAVE_SEND
TRACEPOINT_PROBE(sock, sock_send_length)
{
    u64 sk = (u64)args->sk;
    if (args->protocol != 6 || owners.lookup(&sk))
        return 0;
    return own(sk);
}
#endif

TRACEPOINT_PROBE(tcp, tcp_retransmit_skb)
{
    u64 sk = (u64)args->skaddr;
    struct owner *owner = owners.lookup(&sk);
    struct retransmit_event e = {};
    if (!owner && KS_FILTERED)
        return 0;
    e.ns = bpf_ktime_get_ns();
    if (owner) {
        e.tgid = owner->tgid;
        __builtin_memcpy(&e.comm, owner->comm, sizeof(e.comm));
    }
    e.state = args->state;
    e.sport = args->sport;
    e.dport = args->dport;
    __builtin_memcpy(&e.saddr, args->saddr_v6, sizeof(e.saddr));
    __builtin_memcpy(&e.daddr, args->daddr_v6, sizeof(e.daddr));
    if (events.ringbuf_output(&e, sizeof(e), 0))
        ks_lose(KS_LOST_EVENT);
    return 0;
}
