/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
 *
 * ks_stack(ctx, 0) and ks_stack(ctx, BPF_F_USER_STACK): the stack of the current thread, as an id.
 * The bcc engine inserts this text behind kscope.h.
 *
 * User stacks are walked by the rules of .eh_frame, in tables that the agent loads while the program
 * runs, and by frame pointers where there is no table. A frame is a file and an offset in it, so
 * that it keeps its meaning when the process ends or maps another file at that address.
 *
 * Further constants that the engine defines:
 *   KS_UNWIND        0: the kernel walks user stacks, by frame pointers (before Linux 5.15)
 *   KS_ARM64         1 on arm64
 *   KS_AT_*          offsets in the kernel's structs, from its BTF
 *   KS_FILES         number of files that have a number
 *   KS_ALLOCATES     1 if hash maps can allocate entries in any context (Linux 6.1)
 *   KS_KERNEL_DEPTH  number of frames of a stack that the kernel walks
 */
#ifdef KS_STACKS

/* Functions that the kernel verifies once, however often they are called. bcc cannot call functions,
 * so each call has a number in place of a helper's, which the agent replaces by the function
 * (kscope/agent/host/subprograms.py). Argument and result are numbers; what they share is in
 * ks_walks.
 */
#define KS_SUBPROGRAM(number, name) u64 ks_sub##number##_##name(u64 argument)
#define KS_CALL(number) ((u64 (*)(u64))(0x4b530000 + (number)))
#define ks_intern KS_CALL(1)
#define ks_walk_user KS_CALL(2)
#define ks_step KS_CALL(3)
#define ks_find KS_CALL(4)
#define ks_walk_python KS_CALL(5)
#define ks_keep_python KS_CALL(6)
#define ks_find_python_thread KS_CALL(7)
#define ks_step_python KS_CALL(8)

/* Why a walk ended; walk.py names them. */
enum ks_end {
    KS_CONTINUES,
    KS_ROOTED,        /* at the start of the thread */
    KS_TRUNCATED,     /* at the limit of frames */
    KS_NO_CODE,       /* the return address is in no executable mapping */
    KS_NO_MEMORY,     /* the stack cannot be read, as it is not in memory */
    KS_NO_RULE,       /* the file has rules, but none here that fits in a table */
    KS_NO_TABLE,      /* no frame pointer, and the table of the file is not loaded */
    KS_NO_POINTER,    /* no frame pointer, and no rules for this place */
    KS_BY_KERNEL,     /* the kernel walked: it does not tell */
    KS_PYTHON_CUT,    /* as KS_ROOTED, but Python functions are missing at the limit of frames */
};

/* A stack as it is stored: frames from the leaf on. */
#define KS_STACK_TYPE(name, most) struct name { u64 hash; u32 n; u32 end; u64 frames[most]; }
KS_STACK_TYPE(ks_short, 32);
KS_STACK_TYPE(ks_middle, 128);
KS_STACK_TYPE(ks_long, 512);

#if KS_DEPTH > 128
#define KS_ROOM 512
#define KS_LONGEST 2
#elif KS_DEPTH > 32
#define KS_ROOM 128
#define KS_LONGEST 1
#else
#define KS_ROOM 32
#define KS_LONGEST 0
#endif

/* Tells the verifier that an index is below a power of two, which the compiler knows already. */
#define KS_BOUND(at, power) asm volatile("%0 &= %1" : "+r"(at) : "i"((power) - 1))

/* State of the walk on this CPU. While a program runs, the kernel runs no other one on that CPU. */
struct ks_walk {
    u64 ip, sp, fp, lr; /* registers of the next frame */
    u64 mm;
    u64 start, end, to_file;  /* mapping of the last frame; `to_file`: address to offset in the file */
    u64 base;
    u32 file, shift, chunks, exact, found;
    u32 chained; /* 1: the frame pointer was saved by code that keeps frame pointers */
    u32 native;        /* how many frames are not Python's */
    u32 read, python;  /* `python`: the file that contains CPython, 0 for none */
    u64 base_of_python; /* where that file's first byte would be, in front of its code */
    u64 words[34];
    u64 hash; /* from here on a ks_short, ks_middle or ks_long */
    u32 n;
    u32 ended;
    u64 frames[KS_ROOM];
};
BPF_PERCPU_ARRAY(ks_walks, struct ks_walk, 1);

static inline struct ks_walk *ks_state(void)
{
    int zero = 0;
    return ks_walks.lookup(&zero);
}

/* Stacks by id; two generations: while the agent reads and empties one, the program fills the other. */
#define KS_STACK_MAP(name, type, entries) \
    BPF_F_TABLE("hash", u32, struct type, name, entries, KS_ALLOCATES ? BPF_F_NO_PREALLOC : 0)
KS_STACK_MAP(ks_short_stacks, ks_short, 2 * KS_STACKS);
#if KS_ROOM > 32
KS_STACK_MAP(ks_middle_stacks, ks_middle, KS_STACKS);
#endif
#if KS_ROOM > 128
KS_STACK_MAP(ks_long_stacks, ks_long, KS_STACKS / 4);
#endif
#define KS_STACK_GENERATION_BIT 30
#define KS_STACK_LENGTH_BIT 28
#define KS_TRIES 4

/* Each returns 0 if the stack is stored under the id, 1 if another one is, or a negative errno. */
static inline long ks_put_short(u32 id, struct ks_walk *w)
{
    struct ks_short *is = ks_short_stacks.lookup(&id);
    if (!is) {
        long failed = ks_short_stacks.insert(&id, (struct ks_short *)&w->hash);
        if (failed != -17)
            return failed;
        is = ks_short_stacks.lookup(&id);
    }
    return !(is && is->hash == w->hash && is->n == w->n);
}
#if KS_ROOM > 32
static inline long ks_put_middle(u32 id, struct ks_walk *w)
{
    struct ks_middle *is = ks_middle_stacks.lookup(&id);
    if (!is) {
        long failed = ks_middle_stacks.insert(&id, (struct ks_middle *)&w->hash);
        if (failed != -17)
            return failed;
        is = ks_middle_stacks.lookup(&id);
    }
    return !(is && is->hash == w->hash && is->n == w->n);
}
#endif
#if KS_ROOM > 128
static inline long ks_put_long(u32 id, struct ks_walk *w)
{
    struct ks_long *is = ks_long_stacks.lookup(&id);
    if (!is) {
        long failed = ks_long_stacks.insert(&id, (struct ks_long *)&w->hash);
        if (failed != -17)
            return failed;
        is = ks_long_stacks.lookup(&id);
    }
    return !(is && is->hash == w->hash && is->n == w->n);
}
#endif

/* Stores the stack in ks_walks, in the generation `argument`. Returns its id or a negative errno. */
KS_SUBPROGRAM(1, intern)
{
    struct ks_walk *w = ks_state();
    if (!w)
        return -14;
    u64 hash = w->ended + 1;
    u32 n = w->n;
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < KS_ROOM; i++) {
        /* From memory: the compiler would count to a number that the verifier does not know. */
        if (i >= *(volatile u32 *)&w->n)
            break;
        hash = (hash ^ w->frames[i]) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
    }
    w->hash = hash;
    u32 length = n <= 32 ? 0 : n <= 128 ? 1 : 2;
    long put = -17;
#pragma clang loop unroll(disable)
    for (u32 i = 0; i < KS_TRIES; i++) {
        u32 id = hash >> (i * 8) & ((1 << KS_STACK_LENGTH_BIT) - 1);
        id |= (argument & 1) << KS_STACK_GENERATION_BIT | length << KS_STACK_LENGTH_BIT;
        if (!length)
            put = ks_put_short(id, w);
#if KS_ROOM > 32
        else if (length == 1)
            put = ks_put_middle(id, w);
#endif
#if KS_ROOM > 128
        else
            put = ks_put_long(id, w);
#endif
        if (!put)
            return id;
        /* A map that allocates has none left for the moment: the map of longer stacks may have. */
        if (put == -12 && length < KS_LONGEST)
            length++;
        else if (put < 0)
            return put;
    }
    return put < 0 ? put : -17;
}

#if KS_UNWIND
/* `changed` is the time of the last change, in seconds: a file can be overwritten in place. */
struct ks_file_key {
    u64 inode, size, changed;
    u32 device, generation;
};

enum { KS_UNKNOWN, KS_OPEN, KS_READ };

/* `known`: whether the agent has opened the file, and then read its rules. The head of its table
 * follows, with 0 chunks if ks_tables has none.
 */
struct ks_file {
    u32 number;
    u32 known;
    u64 asked;   /* when the agent was last told of it, in ns */
    u64 base;
    u32 shift, chunks;
    u32 python;  /* 1: it contains CPython, and ks_python_layouts has it */
    u32 unused;
};

/* Tells the agent of a file, while a process maps it. */
struct ks_new_file {
    struct ks_file_key key;
    u32 number, tgid;
    u64 start, end;
};

BPF_HASH(ks_files, struct ks_file_key, struct ks_file, KS_FILES);
BPF_RINGBUF_OUTPUT(ks_new_files, 16);
BPF_QUEUE(ks_numbers, u32, 1024);
BPF_F_TABLE("array", int, u64, ks_no_table, 1, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
BPF_ARRAY_OF_MAPS(ks_tables, "ks_no_table", KS_FILES);

#define KS_VDSO 1
#define KS_PYTHON_FRAME 0xffffull
#define KS_FILE_BIT 48
#define KS_ASK_AGAIN_NS 2000000

static inline struct ks_file *ks_numbered(struct ks_file_key *key)
{
    struct ks_file fresh = {};
    struct ks_file *file = ks_files.lookup(key);
    if (file)
        return file;
    if (ks_numbers.pop(&fresh.number))
        return 0;
    if (ks_files.insert(key, &fresh))
        ks_numbers.push(&fresh.number, 0);
    return ks_files.lookup(key);
}

static inline void ks_tell(struct ks_walk *w, struct ks_file_key *key, struct ks_file *file)
{
    u64 now = bpf_ktime_get_ns();
    struct ks_new_file *told = (void *)w->words;
    if (now - file->asked < KS_ASK_AGAIN_NS)
        return;
    file->asked = now;
    told->key = *key;
    told->number = file->number;
    told->tgid = bpf_get_current_pid_tgid() >> 32;
    told->start = w->start;
    told->end = w->end;
    ks_new_files.ringbuf_output(told, sizeof(*told), 0);
}

/* A member of the struct that was read into `words`. */
#define KS_WORD(at) (*(u64 *)((void *)w->words + (at)))

/* Finds the file of a mapping: its number, and where its rules are. */
static inline void ks_open(struct ks_walk *w, u64 file)
{
    struct ks_file_key key = {};
    u64 inode = 0;
    struct ks_file *known;
    bpf_probe_read_kernel(&inode, 8, (void *)(file + KS_AT_file__f_inode));
    bpf_probe_read_kernel(w->words, KS_AT_inode__end, (void *)inode);
    key.inode = KS_WORD(KS_AT_inode__i_ino);
    key.size = KS_WORD(KS_AT_inode__i_size);
    key.changed = KS_WORD(KS_AT_inode__changed);
    bpf_probe_read_kernel(&key.generation, 4, (void *)inode + KS_AT_inode__i_generation);
    bpf_probe_read_kernel(&key.device, 4,
                          (void *)KS_WORD(KS_AT_inode__i_sb) + KS_AT_super_block__s_dev);
    known = ks_numbered(&key);
    if (!known)
        return;
    w->file = known->number;
    w->base = known->base;
    w->shift = known->shift;
    w->chunks = known->chunks;
    w->read = known->known == KS_READ;
    w->found = known->python;
    if (!known->known)
        ks_tell(w, &key, known);
}

/* Returns the mapping of an address: the vm_area_struct, or 0. */
static inline u64 ks_mapping(struct ks_walk *w, u64 address)
{
    u64 entry = 0;
    bpf_probe_read_kernel(&entry, 8, (void *)(w->mm + KS_AT_mm_struct__tree));
#if KS_AT_maple_tree
    /* A node of a maple tree: its parent, then pivots, then slots; see linux/maple_tree.h. */
    if ((entry & 3) != 2 || entry <= 4096)
        return entry;
#pragma clang loop unroll(disable)
    for (int level = 0; level < 8; level++) {
        u32 type = entry >> 3 & 15, pivots = type == 3 ? 9 : 15, slot;
        if (bpf_probe_read_kernel(w->words, 256, (void *)(entry & ~255ull)))
            return 0;
#pragma clang loop unroll(disable)
        for (slot = 0; slot < 15; slot++) {
            u64 pivot = w->words[1 + slot];
            if (slot >= pivots || address <= pivot || (slot && !pivot))
                break;
        }
        entry = w->words[(1 + pivots + slot) & 31];
        if (type < 2)
            return entry;
    }
    return 0;
#else
    /* A red-black tree (before 6.1): right child, left child, behind the parent. */
    u64 found = 0;
#pragma clang loop unroll(disable)
    for (int level = 0; level < 40; level++) {
        if (!entry)
            break;
        u64 area = entry - KS_AT_vm_area_struct__vm_rb;
        if (bpf_probe_read_kernel(w->words, 16, (void *)area) ||
            bpf_probe_read_kernel(&w->words[2], 24, (void *)entry))
            break;
        if (address >= w->words[1]) {
            entry = w->words[3];
        } else {
            found = area;
            if (address >= w->words[0])
                break;
            entry = w->words[4];
        }
    }
    return found;
#endif
}

/* Finds the executable mapping of an address. Returns KS_CONTINUES or KS_NO_CODE. */
KS_SUBPROGRAM(4, find)
{
    struct ks_walk *w = ks_state();
    if (!w)
        return KS_NO_CODE;
    u64 area = ks_mapping(w, argument), page, file, vdso = 0;
    w->end = 0;
    if (!area || bpf_probe_read_kernel(w->words, KS_AT_vm_area_struct__end, (void *)area))
        return KS_NO_CODE;
    w->start = KS_WORD(KS_AT_vm_area_struct__vm_start);
    if (argument < w->start || argument >= KS_WORD(KS_AT_vm_area_struct__vm_end) ||
        !(KS_WORD(KS_AT_vm_area_struct__vm_flags) & 4))
        return KS_NO_CODE;
    w->end = KS_WORD(KS_AT_vm_area_struct__vm_end);
    page = KS_WORD(KS_AT_vm_area_struct__vm_pgoff);
    file = KS_WORD(KS_AT_vm_area_struct__vm_file);
    w->file = 0;
    w->read = 0;
    w->chunks = 0;
    w->to_file = 0;
    if (file) {
        w->found = 0;
        ks_open(w, file);
        if (w->file)
            w->to_file = (page << 12) - w->start;
        if (w->found) {
            w->python = w->file;
            w->base_of_python = w->start - (page << 12);
        }
        return KS_CONTINUES;
    }
    bpf_probe_read_kernel(&vdso, 8, (void *)(w->mm + KS_AT_mm_struct__vdso));
    if (vdso == w->start) {
        struct ks_file_key key = {};
        struct ks_file *known = ks_files.lookup(&key);
        if (known) {
            w->file = known->number;
            w->read = 1;
            w->to_file = -w->start;
            w->base = known->base;
            w->shift = known->shift;
            w->chunks = known->chunks;
        }
    }
    return KS_CONTINUES;
}

static inline u64 *ks_word(void *table, u32 at)
{
    return bpf_map_lookup_elem(table, &at);
}

/* Returns the rule for an offset in the file; 0 if the table has none. */
static inline u32 ks_rule(struct ks_walk *w, u64 at)
{
    u32 file = w->file;
    u64 chunk = (at - w->base) >> (w->shift & 31), aim = at << 32 | 0xffffffff, rule = 0;
    void *table;
    u64 *low, *high;
    if (at < w->base || chunk >= w->chunks)
        return 0;
    table = ks_tables.lookup(&file);
    if (!table)
        return 0;
    low = ks_word(table, 2 + chunk);
    high = ks_word(table, 3 + chunk);
    if (!low || !high)
        return 0;
    /* The row in front of the chunk's first one reaches into it. */
    u32 first = 3 + w->chunks, from = *low > first ? *low - 1 : first, to = *high;
#pragma clang loop unroll(disable)
    for (int i = 0; i < 20; i++) {
        if (from >= to)
            break;
        u32 middle = (from + to) >> 1;
        u64 *row = ks_word(table, middle);
        if (!row)
            break;
        if (*row <= aim) {
            rule = *row;
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return rule;
}

/* By its number: for the name, bcc reads all symbols of the kernel, which takes longer than the rest. */
static long (*ks_user)(void *to, u32 size, u64 from) = (void *)BPF_FUNC_probe_read_user;

enum { KS_NONE, KS_SP, KS_FP, KS_PLT, KS_END_HERE, KS_SIGNAL, KS_AT_SP, KS_AT_FP, KS_OTHER, KS_LEAF,
    KS_POINTER };

#if KS_ARM64
/* Not run yet: there is no such machine among those that test. */
#define KS_REGISTERS 272 /* struct user_pt_regs */
#define KS_IS_USER(words) (!((words)[33] & 15))
#define KS_IS_32_BIT(words) ((words)[33] & 16)

static inline void ks_registers(struct ks_walk *w)
{
    w->fp = w->words[29];
    w->lr = w->words[30];
    w->sp = w->words[31];
    w->ip = w->words[32];
}

/* Goes to the code that a signal interrupted, by the registers in struct ucontext. */
static inline u64 ks_to_interrupted(struct ks_walk *w)
{
    if (ks_user(w->words, 32, w->sp + 544))
        return KS_NO_MEMORY;
    w->fp = w->words[0];
    w->lr = w->words[1];
    w->sp = w->words[2];
    w->ip = w->words[3];
    w->exact = 1;
    return KS_CONTINUES;
}

static inline u64 ks_to_caller(struct ks_walk *w, u32 kind, s64 slot, u64 cfa)
{
    if (kind == KS_LEAF) {
        w->ip = w->lr;
    } else {
        if (ks_user(w->words, 16, cfa + slot * 8))
            return KS_NO_MEMORY;
        w->fp = w->words[0];
        w->ip = w->words[1];
    }
    w->ip &= (1ull << 48) - 1; /* without the signature of the pointer */
    return KS_CONTINUES;
}
#else
#define KS_REGISTERS 168 /* struct pt_regs */
#define KS_IS_USER(words) (((words)[17] & 3) == 3)
#define KS_IS_32_BIT(words) ((words)[17] == 0x23)

static inline void ks_registers(struct ks_walk *w)
{
    w->fp = w->words[4];
    w->lr = w->words[14]; /* rdi */
    w->ip = w->words[16];
    w->sp = w->words[19];
}

/* Goes to the code that a signal interrupted, by the registers in struct ucontext. */
static inline u64 ks_to_interrupted(struct ks_walk *w)
{
    if (ks_user(&w->fp, 8, w->sp + 120) || ks_user(w->words, 16, w->sp + 160))
        return KS_NO_MEMORY;
    w->sp = w->words[0];
    w->ip = w->words[1];
    w->exact = 1;
    return KS_CONTINUES;
}

static inline u64 ks_to_caller(struct ks_walk *w, u32 kind, s64 slot, u64 cfa)
{
    if (kind == KS_LEAF) {
        w->ip = w->lr;
        return w->n == 1 ? KS_CONTINUES : KS_NO_RULE;
    }
    /* Both are near each other: one read, unless it reaches into a page that is not there. */
    if (slot < -1 && slot >= -8 && !ks_user(w->words, 64, cfa - 64)) {
        w->fp = w->words[(slot + 8) & 7];
        w->ip = w->words[7];
        return KS_CONTINUES;
    }
    if (ks_user(&w->ip, 8, cfa - 8))
        return KS_NO_MEMORY;
    if (slot && ks_user(&w->fp, 8, slot == -128 ? w->fp : cfa + slot * 8))
        return KS_NO_MEMORY;
    return KS_CONTINUES;
}
#endif

/* Goes to the caller by a rule. Returns KS_CONTINUES, or why there is none. */
static inline u64 ks_by_rule(struct ks_walk *w, u32 rule, u64 look)
{
    u32 kind = rule & 15;
    s64 offset = (s16)(rule >> 16), slot = (s8)(rule >> 8);
    u64 cfa, failed;
    if (kind == KS_END_HERE)
        return KS_ROOTED;
    if (kind == KS_OTHER)
        return KS_NO_RULE;
    if (kind == KS_SIGNAL)
        return ks_to_interrupted(w);
    if (kind == KS_PLT)
        cfa = w->sp + 8 + ((look & 15) >= (u64)offset ? 8 : 0);
    else
        cfa = kind == KS_FP || kind == KS_AT_FP ? w->fp : w->sp;
    if (kind == KS_SP || kind == KS_FP || kind == KS_LEAF)
        cfa += (offset * 16 + (rule >> 4 & 15)) * 8;
    else if (kind == KS_AT_SP || kind == KS_AT_FP)
        cfa += offset;
    if (kind == KS_AT_SP || kind == KS_AT_FP) {
        if (ks_user(&cfa, 8, cfa))
            return KS_NO_MEMORY;
        cfa += (rule >> 4 & 15) * 8;
    }
    failed = ks_to_caller(w, kind, slot, cfa);
    if (failed)
        return failed;
    w->sp = cfa;
    w->exact = 0;
    w->chained = 0;
    return w->ip ? KS_CONTINUES : KS_ROOTED;
}

/* The next two are of code that a program writes while it runs, and return what ks_above_return does. */

/* Code of CPython for -X perf, without a frame pointer: `sub rsp, 8; call rcx; add rsp, 8; ret`. */
static inline int ks_in_trampoline(struct ks_walk *w)
{
#pragma clang loop unroll(disable)
    for (u32 places = 0x0a040006, i = 0; i < 4; i++, places >>= 8) {
        u64 code[2] = {};
        u32 place = places & 15; /* of the next instruction in the code; behind the call if !exact */
        if (!ks_user(code, 11, w->ip - place) && code[0] == 0x8348d1ff08ec8348 && code[1] == 0xc308c4)
            return place == 4 || place == 6 ? 8 : 0;
        if (!w->exact)
            break;
    }
    return -1;
}

/* At a function's first instructions, `push rbp; mov rbp, rsp`, or at its last, `ret`. */
static inline int ks_at_border(struct ks_walk *w)
{
    u32 code = 0;
    if (!w->exact || ks_user(&code, 4, w->ip - 1))
        return -1;
    if ((u8)(code >> 8) == 0x55 || (u8)(code >> 8) == 0xc3)
        return 0;
    return code == 0xe5894855 ? 8 : -1;
}

/* In code of libc that has no rules behind a system call: clone and clone3, which use no stack. */
static inline bool ks_at_system_call(struct ks_walk *w)
{
    u16 code = 0;
    return w->n == 1 && w->chunks && !ks_user(&code, 2, w->ip - 2) && code == 0x050f;
}

/* Returns how many bytes are on the stack above the return address, -1 if the frame pointer must tell. */
static inline int ks_above_return(struct ks_walk *w, bool anywhere)
{
    int bytes;
    if (KS_ARM64)
        return -1;
    if (w->file)
        return !anywhere && ks_at_system_call(w) ? 0 : -1;
    bytes = ks_at_border(w);
    return bytes < 0 ? ks_in_trampoline(w) : bytes;
}

/* Without a table the walk takes anything in the register for a frame pointer. */
static inline bool ks_lacks_table(struct ks_walk *w)
{
    return w->file && !w->read;
}

/* `anywhere`: the frame pointer may lead to another stack. */
static inline u64 ks_by_pointer(struct ks_walk *w, bool anywhere)
{
    int bytes = ks_above_return(w, anywhere);
    if (bytes >= 0) {
        w->exact = 0;
        w->sp += bytes + 8;
        return ks_user(&w->ip, 8, w->sp - 8) ? KS_NO_MEMORY : KS_CONTINUES;
    }
    /* The first function of a program may have no rules. So may that of a process of Erlang, which
     * ends a chain of frame pointers; other compiled code is called by others.
     */
    if (!w->fp && (w->file || w->chained))
        return ks_lacks_table(w) ? KS_NO_TABLE : KS_ROOTED;
    if ((w->fp < w->sp && !anywhere) || (w->fp & 7))
        return ks_lacks_table(w) ? KS_NO_TABLE : KS_NO_POINTER;
    if (ks_user(w->words, 16, w->fp))
        return ks_lacks_table(w) ? KS_NO_TABLE : KS_NO_MEMORY;
    w->sp = w->fp + 16;
    w->fp = w->words[0];
    w->ip = w->words[1];
    w->exact = 0;
    w->chained = 1;
    return w->ip ? KS_CONTINUES : KS_ROOTED;
}

/* Adds the frame and goes to its caller. Returns KS_CONTINUES, or why the walk ends. */
KS_SUBPROGRAM(3, step)
{
    struct ks_walk *w = ks_state();
    if (!w)
        return KS_NO_CODE;
    u64 look = w->exact ? w->ip : w->ip - 1;
    if ((look < w->start || look >= w->end) && ks_find(look))
        return w->n && ks_lacks_table(w) ? KS_NO_TABLE : KS_NO_CODE;
    u64 at = look + w->to_file;
    u32 n = w->n;
    if (n >= KS_DEPTH || n >= KS_ROOM)
        return KS_TRUNCATED;
    w->frames[n] = (u64)w->file << KS_FILE_BIT | (at & ((1ull << KS_FILE_BIT) - 1));
    w->n = n + 1;
    u32 rule = w->chunks ? ks_rule(w, at) : 0;
    u32 kind = rule & 15;
    if (kind == KS_NONE || kind == KS_POINTER)
        return ks_by_pointer(w, kind == KS_POINTER);
    return ks_by_rule(w, rule, look);
}

#include "python.h"

/* Walks the user stack into ks_walks. Returns KS_BY_KERNEL if the kernel must walk it, KS_NO_CODE if there
 * is none, or KS_CONTINUES.
 */
KS_SUBPROGRAM(2, walk_user)
{
    struct ks_walk *w = ks_state();
    struct task_struct *task = bpf_get_current_task_btf();
    u64 mm = 0, end = KS_TRUNCATED;
    if (!w)
        return KS_NO_CODE;
    bpf_probe_read_kernel(&mm, 8, (void *)task + KS_AT_task_struct__mm);
    if (!mm || bpf_probe_read_kernel(w->words, KS_REGISTERS, (void *)bpf_task_pt_regs(task)))
        return KS_NO_CODE;
    if (!KS_IS_USER(w->words))
        return KS_NO_CODE;
    if (KS_IS_32_BIT(w->words))
        return KS_BY_KERNEL;
    ks_registers(w);
    w->mm = mm;
    w->start = w->end = 0;
    w->exact = 1;
    w->chained = 0;
    w->n = 0;
    w->python = 0;
#pragma clang loop unroll(disable)
    for (int i = 0; i <= KS_DEPTH; i++) {
        u64 ended = ks_step(0);
        if (ended) {
            end = ended;
            break;
        }
    }
    w->ended = end;
    if (w->python)
        ks_walk_python(0);
    return KS_CONTINUES;
}
#endif

/* Returns a stack's id, or a negative errno, which is counted if it is a loss. */
static inline int ks_stack(void *ctx, u64 flags)
{
    struct ks_walk *w = ks_state();
    u64 walked = KS_BY_KERNEL;
    int id;
    /* The idle task does not have a user half. */
    if (!w || ((flags & BPF_F_USER_STACK) && !(bpf_get_current_pid_tgid() >> 32)))
        return -14;
#if KS_UNWIND
    if (flags & BPF_F_USER_STACK)
        walked = ks_walk_user(0);
    if (walked == KS_NO_CODE)
        return -14;
#endif
    if (walked == KS_BY_KERNEL) {
        long size = bpf_get_stack(ctx, w->frames, KS_KERNEL_DEPTH * 8, flags);
        if (size <= 0)
            return -14;
        w->n = size >> 3;
        w->ended = w->n < KS_KERNEL_DEPTH ? KS_BY_KERNEL : KS_TRUNCATED;
    }
    id = ks_intern(ks_generation());
    if (id == -17)
        ks_lose(KS_LOST_STACK_COLLISION);
    else if (id < 0 && id != -14)
        ks_lose(KS_LOST_STACK_FULL);
    return id;
}
#endif
