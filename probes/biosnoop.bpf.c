/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Each block I/O request: its process, device and size, and its time in the queue and the device.
 */
KS_THRESHOLD(MIN_US)

#include "block_requests.h"

struct io_event {
    u64 ns;
    s64 sector;
    u64 us;
    u64 queued_us;
    u32 tgid;
    u32 dev;
    u32 bytes;
    u32 error;
    u32 operation;
    char comm[16];
};

BPF_RINGBUF_OUTPUT(events, 64);

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
    bool wanted = r->wanted;
    requests.delete(&key);
    if (!wanted)
        return 0;
    e.dev = key.dev;
    e.sector = key.sector;
    e.error = args->error < 0 ? -args->error : args->error;
    if (e.us < ks_threshold())
        return 0;
    if (events.ringbuf_output(&e, sizeof(e), 0))
        ks_lose(KS_LOST_EVENT);
    return 0;
}
