/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Each block I/O request: who, where, how much, how long in the queue and in the device.
 *
 * A request is known by device and sector. Who it is for is asked when it is queued, because it
 * may be issued by a kernel worker; requests that skip the queue are issued by their own process.
 */
/* Two words of one size: padding between them would be part of the key, and hold anything. */
struct request_key {
    u64 dev;
    u64 sector;
};

struct request {
    u64 queued_ns;
    u64 issued_ns;
    u32 tgid;
    u32 bytes;
    char operation;
    char comm[16];
};

struct io_event {
    u64 ns;
    u64 sector;
    u64 us;
    u64 queued_us;
    u32 tgid;
    u32 dev;
    u32 bytes;
    u32 error;
    u32 operation;
    char comm[16];
};

BPF_HASH(requests, struct request_key, struct request, KS_KEYS);
BPF_RINGBUF_OUTPUT(events, 64);

/* rwbs is [F](R|W|D|F|N)..., a leading F before another letter being "flush first". */
static inline char operation_of(char first, char second)
{
    if (first == 'F' && (second == 'R' || second == 'W' || second == 'D'))
        return second;
    return first;
}

static inline void begin(struct request_key *key, u32 bytes, char operation)
{
    struct request r = {};
    r.queued_ns = r.issued_ns = bpf_ktime_get_ns();
    r.tgid = bpf_get_current_pid_tgid() >> 32;
    r.bytes = bytes;
    r.operation = operation;
    bpf_get_current_comm(&r.comm, sizeof(r.comm));
    if (requests.update(key, &r))
        ks_lose(KS_LOST_START);
}

TRACEPOINT_PROBE(block, block_rq_insert)
{
    struct request_key key = {};
    if (!ks_wanted_or_idle())
        return 0;
    key.dev = args->dev;
    key.sector = args->sector;
    begin(&key, args->bytes, operation_of(args->rwbs[0], args->rwbs[1]));
    return 0;
}

TRACEPOINT_PROBE(block, block_rq_issue)
{
    struct request_key key = {};
    key.dev = args->dev;
    key.sector = args->sector;
    struct request *r = requests.lookup(&key);
    if (!r) {
        if (ks_wanted_or_idle())
            begin(&key, args->bytes, operation_of(args->rwbs[0], args->rwbs[1]));
        return 0;
    }
    r->bytes = args->bytes; /* others may have been merged into it */
    r->issued_ns = bpf_ktime_get_ns();
    return 0;
}

TRACEPOINT_PROBE(block, block_rq_complete)
{
    struct request_key key = {};
    struct io_event e = {};
    key.dev = args->dev;
    key.sector = args->sector;
    struct request *r = requests.lookup(&key);
    if (!r)
        return 0;
    e.ns = bpf_ktime_get_ns();
    e.us = (e.ns - r->issued_ns) / 1000;
    e.queued_us = (r->issued_ns - r->queued_ns) / 1000;
    e.tgid = r->tgid;
    e.bytes = r->bytes;
    e.operation = r->operation;
    __builtin_memcpy(&e.comm, r->comm, sizeof(e.comm));
    requests.delete(&key);
    e.dev = key.dev;
    e.sector = key.sector;
    e.error = args->error < 0 ? -args->error : args->error;
    if (e.us < MIN_US + ks_read(KS_RAISED_US))
        return 0;
    if (events.ringbuf_output(&e, sizeof(e), 0))
        ks_lose(KS_LOST_EVENT);
    return 0;
}
