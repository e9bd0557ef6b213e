/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Block I/O latency: the time from a request's issue to the device until its completion; with
 * QUEUED, the time since it came into the scheduler's queue.
 */
#include "block_requests.h"

struct io_key {
    u32 dev;
    u32 operation;
    u32 generation;
    char comm[16];
};

struct io_value {
    u64 us;
    u64 n;
    u64 bytes;
    u32 slots[32];
};

BPF_HASH(agg, struct io_key, struct io_value, KS_KEYS);

TRACEPOINT_PROBE(block, block_rq_complete)
{
    struct request_key start = {};
    struct io_key key = {};
    struct io_value zero = {}, *value;
    start.dev = args->dev;
    start.sector = args->sector;
    struct request *r = requests.lookup(&start);
    if (!r)
        return 0;
    u64 since = QUEUED ? r->queued_ns : r->issued_ns;
    u64 us = (bpf_ktime_get_ns() - since) / 1000, bytes = r->bytes;
    key.dev = start.dev;
    key.operation = r->operation;
    key.generation = ks_generation();
    __builtin_memcpy(&key.comm, r->comm, sizeof(key.comm));
    bool wanted = r->wanted;
    requests.delete(&start);
    if (!wanted)
        return 0;
    value = agg.lookup_or_try_init(&key, &zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return 0;
    }
    __sync_fetch_and_add(&value->us, us);
    __sync_fetch_and_add(&value->n, 1);
    __sync_fetch_and_add(&value->bytes, bytes);
    __sync_fetch_and_add(&value->slots[ks_slot(us)], 1);
    return 0;
}
