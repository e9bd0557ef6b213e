/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Soft interrupts: how many of each kind, and how long they used a CPU.
 *
 * With a filter, only those count that ran on top of the chosen processes: in their system calls,
 * or as an interrupt of them.
 */
struct irq_key {
    u32 vector;
    u32 generation;
};

struct irq_value {
    u64 ns;
    u64 n;
    u32 slots[32];
};

/* One handler at a time runs on a CPU. */
BPF_PERCPU_ARRAY(entered, u64, 1);
BPF_HASH(agg, struct irq_key, struct irq_value, 1024);

TRACEPOINT_PROBE(irq, softirq_entry)
{
    int z = 0;
    u64 now = ks_wanted_or_idle() ? bpf_ktime_get_ns() : 0;
    entered.update(&z, &now);
    return 0;
}

TRACEPOINT_PROBE(irq, softirq_exit)
{
    int z = 0;
    struct irq_key key = {};
    struct irq_value zero = {}, *value;
    u64 *since = entered.lookup(&z);
    if (!since || !*since)
        return 0;
    u64 ns = bpf_ktime_get_ns() - *since;
    *since = 0;
    key.vector = args->vec;
    key.generation = ks_generation();
    value = agg.lookup_or_try_init(&key, &zero);
    if (!value) {
        ks_lose(KS_LOST_KEY);
        return 0;
    }
    __sync_fetch_and_add(&value->ns, ns);
    __sync_fetch_and_add(&value->n, 1);
    __sync_fetch_and_add(&value->slots[ks_slot(ns)], 1);
    return 0;
}
