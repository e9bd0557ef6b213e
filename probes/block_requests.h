/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Block I/O requests on their way: queued, issued, merged, put back.
 *
 * A request is known by device and sector. Who it is for is asked when it is queued, because
 * whoever comes by issues what is in the queue; requests that skip the queue are issued by their
 * own process. So everybody's are noted, and only those that were asked for are `wanted`.
 *
 * Whoever includes this takes a request out of the map when it completes.
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
    bool wanted;
    bool issued;
    char comm[16];
};

BPF_HASH(requests, struct request_key, struct request, KS_KEYS);

/* rwbs is [F](R|W|D|F|N)..., a leading F before another letter being "flush first". */
static inline char operation_of(char first, char second)
{
    if (first == 'F' && (second == 'R' || second == 'W' || second == 'D'))
        return second;
    return first;
}

static inline void begin(struct request_key *key, u32 bytes, char operation, bool issued)
{
    struct request r = {};
    r.queued_ns = r.issued_ns = bpf_ktime_get_ns();
    r.tgid = bpf_get_current_pid_tgid() >> 32;
    r.bytes = bytes;
    r.operation = operation;
    r.wanted = ks_wanted_or_idle();
    r.issued = issued;
    bpf_get_current_comm(&r.comm, sizeof(r.comm));
    if (requests.update(key, &r))
        ks_lose(KS_LOST_START);
}

TRACEPOINT_PROBE(block, block_rq_insert)
{
    struct request_key key = {};
    key.dev = args->dev;
    key.sector = args->sector;
    begin(&key, args->bytes, operation_of(args->rwbs[0], args->rwbs[1]), false);
    return 0;
}

TRACEPOINT_PROBE(block, block_rq_issue)
{
    struct request_key key = {};
    key.dev = args->dev;
    key.sector = args->sector;
    struct request *r = requests.lookup(&key);
    /* One that was issued already is of another request, whose end we did not see. */
    if (!r || r->issued) {
        begin(&key, args->bytes, operation_of(args->rwbs[0], args->rwbs[1]), true);
        return 0;
    }
    r->issued = true;
    r->bytes = args->bytes; /* others may have been merged into it */
    r->issued_ns = bpf_ktime_get_ns();
    return 0;
}

/* It will be issued again. */
TRACEPOINT_PROBE(block, block_rq_requeue)
{
    struct request_key key = {};
    key.dev = args->dev;
    key.sector = args->sector;
    struct request *r = requests.lookup(&key);
    if (r)
        r->issued = false;
    return 0;
}

/* A request that becomes a part of another never completes. */
#if HAVE_MERGE
TRACEPOINT_PROBE(block, block_rq_merge)
{
    struct request_key key = {};
    key.dev = args->dev;
    key.sector = args->sector;
    requests.delete(&key);
    return 0;
}
#endif

/* One that grows at its front begins elsewhere from then on. */
TRACEPOINT_PROBE(block, block_bio_frontmerge)
{
    struct request_key old = {}, key = {};
    old.dev = key.dev = args->dev;
    key.sector = args->sector;
    old.sector = args->sector + args->nr_sector;
    struct request *r = requests.lookup(&old);
    if (!r)
        return 0;
    struct request moved = *r;
    requests.delete(&old);
    requests.update(&key, &moved);
    return 0;
}
