/* SPDX-License-Identifier: GPL-2.0-only */
struct inner { u32 number; char name[8]; };
struct key {
    u64 address; /* of the kernel: above 2^63-1 */
    s64 negative;
    u32 minus_one;
    s8 small;
    bool truth;
    u8 flags : 3;
    u8 rest : 5;
    u32 tgid;
    u32 generation;
    u8 v6[16];
    u32 v4;
    u32 words[4];
    struct inner inner;
    union { u32 as_number; u8 as_octets[4]; } both;
    void *pointer;
    double real;
    int kstack;
    int lonely_ustack;
    char comm[16];
    char long_text[300];
};
struct value { u64 n; u32 slots[32]; u64 many[65]; };
BPF_PERCPU_ARRAY(zero_key, struct key, 1);
BPF_PERCPU_ARRAY(zero_value, struct value, 1);
BPF_HASH(agg, struct key, struct value, 64);
TRACEPOINT_PROBE(raw_syscalls, sys_enter)
{
    int z = 0;
    struct key *key = zero_key.lookup(&z);
    struct value *zero = zero_value.lookup(&z), *value;
    if (!ks_wanted() || !key || !zero)
        return 0;
    key->address = 0xffffffff81000000ULL;
    key->negative = -3;
    key->minus_one = -1;
    key->small = -5;
    key->truth = 0;
    key->flags = 5;
    key->tgid = bpf_get_current_pid_tgid() >> 32;
    key->generation = ks_generation();
    key->v6[15] = 1;
    key->v4 = 0x0100007f;
    key->words[3] = 0x01000000;
    key->inner.number = 10;
    key->inner.name[0] = 'x';
    key->both.as_number = 2;
    key->pointer = (void *)0xffffffff81000001ULL;
    key->kstack = -14;
    key->lonely_ustack = -14;
    key->comm[0] = 'a';
    value = agg.lookup_or_try_init(key, zero);
    if (value) {
        value->n = 1ULL << 40;
        value->slots[3] = 7;
    }
    return 0;
}
