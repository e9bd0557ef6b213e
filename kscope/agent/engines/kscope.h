/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
 *
 * Definitions for every Kernelscope program. The bcc engine inserts this text before the program
 * (bcc rewrites map calls only in the main file, so it cannot be an #include).
 *
 * Constants that the engine defines:
 *   KS_PID, KS_TID    trace only this process, this thread; 0: all
 *   KS_CHILDREN       1: also trace the descendants of KS_PID
 *   KS_CGROUP         trace only this cgroup (its id, cgroup v2); 0: all
 *   KS_KEYS           number of keys of the aggregating map
 *   KS_STACKS, KS_DEPTH  number of stacks of a generation, of frames of a stack: see stacks.h
 *   KS_MAP_BYTES      largest size of a map; KS_CPUS: number of values per key of a per-CPU map
 */
#include <uapi/linux/ptrace.h>

/* A drain reads the whole ring buffer. */
#define KS_RING_BYTES (KS_MAP_BYTES < 64 << 20 ? KS_MAP_BYTES : 64 << 20)

/* The kernel allocates the whole map when the program is loaded. */
#ifdef BPF_F_TABLE
#undef BPF_TABLE
/* By the lengths of their names, which are constant expressions: percpu_hash, percpu_array, lru_percpu_hash. */
#define KS_PER_CPU(type) (sizeof(type) == 12 || sizeof(type) == 13 || sizeof(type) == 16)
#define KS_MAP_SIZE(type, key, leaf, n) \
    ((u64)(n) * (sizeof(key) + sizeof(leaf) * (KS_PER_CPU(type) ? KS_CPUS : 1)))
#define BPF_TABLE(type, key, leaf, name, n) \
    BPF_F_TABLE(type, key, leaf, name, n, 0); \
    _Static_assert(KS_MAP_SIZE(type, key, leaf, n) <= KS_MAP_BYTES, \
                   "the map " #name " is larger than a quarter of the memory: give it fewer entries")
#endif

/* bcc recognises a map by its section, and reads key, leaf, max_entries, flags and methods from the
 * members of its struct. So these two macros can be redefined with a check of the size.
 */
#define KS_MAP(kind, name, entries, flag, members) \
    struct name##_table_t { members u32 max_entries; int flags; }; \
    __attribute__((section("maps/" kind))) \
    struct name##_table_t name = { .max_entries = (entries), .flags = (flag) }
#ifdef BPF_QUEUESTACK
#undef BPF_QUEUESTACK
#define BPF_QUEUESTACK(kind, name, type, n, flag) \
    _Static_assert((u64)(n) * sizeof(type) <= KS_MAP_BYTES, \
                   "the map " #name " is larger than a quarter of the memory: give it fewer entries"); \
    KS_MAP(kind, name, n, flag, \
           type leaf; \
           int *(*push)(type *, u64); int *(*pop)(type *); int *(*peek)(type *);); \
    BPF_ANNOTATE_KV_PAIR_QUEUESTACK(name, type)
#endif
#ifdef BPF_RINGBUF_OUTPUT
#undef BPF_RINGBUF_OUTPUT
#define BPF_RINGBUF_OUTPUT(name, pages) \
    _Static_assert((u64)(pages) * PAGE_SIZE <= KS_RING_BYTES, \
                   "the ring buffer " #name " is larger than 64 MiB or than a quarter of the memory: " \
                   "give it fewer pages"); \
    _Static_assert((pages) > 0 && !((pages) & ((pages) - 1)), \
                   "the pages of the ring buffer " #name " must be a power of two, such as 64"); \
    KS_MAP("ringbuf", name, (pages) * PAGE_SIZE, 0, \
           int key; u32 leaf; \
           int (*ringbuf_output)(void *, u64, u64); void *(*ringbuf_reserve)(u64); \
           void (*ringbuf_submit)(void *, u64); void (*ringbuf_discard)(void *, u64);)
#endif

/* Slots of ks_lost: losses of the program. The agent reads them at each drain. */
enum ks_loss {
    KS_LOST_STACK_COLLISION, /* another stack holds the slot */
    KS_LOST_STACK_FULL,
    KS_LOST_STACK_OTHER,
    KS_LOST_KEY,             /* the aggregating map is full */
    KS_LOST_START,           /* the map of unfinished events is full */
    KS_LOST_EVENT,           /* the event buffer is full */
    KS_LOSS_KINDS,
};
BPF_ARRAY(ks_lost, u64, KS_LOSS_KINDS);

/* Slots of ks_control, written by the agent while the program runs. */
enum ks_control_slot {
    KS_GENERATION,  /* flips at each drain: the agent reads the half that is not written to */
    KS_RAISED_US,   /* added to the threshold by the overhead governor */
    KS_CONTROL_SLOTS,
};
BPF_ARRAY(ks_control, u64, KS_CONTROL_SLOTS);

static inline void ks_lose(int kind)
{
    u64 *n = ks_lost.lookup(&kind);
    if (n)
        __sync_fetch_and_add(n, 1);
}

static inline u64 ks_read(int slot)
{
    u64 *value = ks_control.lookup(&slot);
    return value ? *value : 0;
}

/* Contracts: what a program promises to the agent. The category lists them as `provides`, and the
 * agent compares both. The function is a mark in the compiled program; it never runs.
 */
#define KS_PROVIDES(contract) int ks_provides_##contract(void *ctx) { return 0; }

/* threshold: the program records nothing that is shorter than ks_threshold() microseconds, so that
 * --max-overhead can raise it.
 */
#define KS_THRESHOLD(us) \
    static inline u64 ks_threshold(void) { return (us) + ks_read(KS_RAISED_US); } \
    KS_PROVIDES(threshold)

/* waiting: the stack ids of threads that wait are in this map, by thread id, so that a drain keeps
 * their stacks. The ids are in the struct itself or in its member `key`.
 */
#define KS_WAITING(type) \
    BPF_HASH(waiting, u32, type, KS_KEYS); \
    KS_PROVIDES(waiting)

static inline u32 ks_generation(void)
{
    return ks_read(KS_GENERATION) & 1;
}

/* floor(log2(v)), 0 for 0: the slot of a `histogram` column. */
static inline u32 ks_log2(u64 v)
{
    return v ? bpf_log2l(v) - 1 : 0;
}

/* The same for `u32 slots[32]`; the last slot counts all larger values. */
static inline u32 ks_slot(u64 v)
{
    u32 slot = ks_log2(v);
    return slot < 31 ? slot : 31;
}

#if KS_CHILDREN
BPF_HASH(ks_family, u32, u8, 16384);

TRACEPOINT_PROBE(sched, sched_process_fork)
{
    u32 parent = bpf_get_current_pid_tgid() >> 32, child = args->child_pid;
    u8 one = 1;
    if (parent == KS_PID || ks_family.lookup(&parent))
        ks_family.update(&child, &one);
    return 0;
}

TRACEPOINT_PROBE(sched, sched_process_free)
{
    u32 pid = args->pid;
    ks_family.delete(&pid);
    return 0;
}
#endif

/* Whether the filters select the current thread; never the idle task. */
static inline bool ks_wanted(void)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 tgid = id >> 32;
    if (!(u32)id)
        return false;
#if KS_TID
    if ((u32)id != KS_TID)
        return false;
#endif
#if KS_PID && KS_CHILDREN
    if (tgid != KS_PID && !ks_family.lookup(&tgid))
        return false;
#elif KS_PID
    if (tgid != KS_PID)
        return false;
#endif
#if KS_CGROUP
    if (bpf_get_current_cgroup_id() != KS_CGROUP)
        return false;
#endif
    return true;
}

/* Whether another process is that of --pid, or a descendant: for events that happen to a process. */
static inline bool ks_is_target(u32 tgid)
{
#if KS_PID && KS_CHILDREN
    return tgid == KS_PID || ks_family.lookup(&tgid);
#else
    return KS_PID && tgid == KS_PID;
#endif
}

/* Whether there is a filter: if so, events with an unknown owner are omitted. */
#define KS_FILTERED (KS_PID || KS_TID || KS_CGROUP)

/* For events on top of any thread, including the idle task. */
static inline bool ks_wanted_or_idle(void)
{
    return !KS_FILTERED || ks_wanted();
}
