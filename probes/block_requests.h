/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Block I/O requests before they complete: queued, issued, merged, requeued.
 *
 * Device and sector identify a request. Its process is read when it is queued, because any process
 * may issue what is in the queue; requests that skip the queue are issued by their own process. So
 * the requests of all processes are stored, and only those of chosen processes are `wanted`.
 *
 * A program that includes this file removes a request from the map when it completes.
 */
/* Two members of one size: padding between them would be a part of the key with random content. */
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

/* rwbs is [F](R|W|D|F|N)...: a leading F before another letter means "flush first". */
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
    /* An entry that is already issued belongs to an earlier request, whose end was not seen. */
    if (!r || r->issued) {
        begin(&key, args->bytes, operation_of(args->rwbs[0], args->rwbs[1]), true);
        return 0;
    }
    r->issued = true;
    r->bytes = args->bytes; /* other requests may have been merged into it */
    r->issued_ns = bpf_ktime_get_ns();
    return 0;
}

/* The request will be issued again. */
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

/* A request that grows at its front begins at another sector from then on. */
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
