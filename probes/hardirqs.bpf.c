/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Hardware interrupts of devices: how many of each, and how long their handlers used a CPU.
 * Timers and calls between CPUs have no handler of this kind.
 *
 * With a filter, only interrupts of the chosen processes count.
 */
struct handler {
    u64 ns;
    char name[32];
};

struct irq_key {
    u32 irq;
    u32 generation;
    char name[32];
};

struct irq_value {
    u64 ns;
    u64 n;
    u32 slots[32];
};

/* One handler at a time runs on a CPU. */
BPF_PERCPU_ARRAY(entered, struct handler, 1);
BPF_HASH(agg, struct irq_key, struct irq_value, 1024);

TRACEPOINT_PROBE(irq, irq_handler_entry)
{
    int z = 0;
    struct handler *h = entered.lookup(&z);
    if (!h)
        return 0;
    h->ns = 0;
    if (!ks_wanted_or_idle())
        return 0;
    /* The exit tracepoint does not have the name. */
    __builtin_memset(&h->name, 0, sizeof(h->name));
    TP_DATA_LOC_READ_STR(&h->name, name, sizeof(h->name));
    h->ns = bpf_ktime_get_ns();
    return 0;
}

TRACEPOINT_PROBE(irq, irq_handler_exit)
{
    int z = 0;
    struct irq_key key = {};
    struct irq_value zero = {}, *value;
    struct handler *h = entered.lookup(&z);
    if (!h || !h->ns)
        return 0;
    u64 ns = bpf_ktime_get_ns() - h->ns;
    h->ns = 0;
    key.irq = args->irq;
    key.generation = ks_generation();
    __builtin_memcpy(&key.name, h->name, sizeof(key.name));
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
