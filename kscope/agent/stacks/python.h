/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
 *
 * The Python frames of the current thread, for CPython 3.11 to 3.14. stacks.h includes this text where
 * it walks user stacks.
 */

/* A frame of a stack: this tag, 47 bits by which `ks_python_codes` knows the function, and bit 0 if
 * C code called it, so that it is the outermost Python frame of its C frame.
 */
#define KS_PYTHON_TAG (KS_PYTHON_FRAME << KS_FILE_BIT)
#define KS_PYTHON_ENTERED 1ULL
#define KS_PYTHON_UNREAD KS_PYTHON_TAG /* its code object could not be read */
/* In place of a function: a C frame of the interpreter that runs none, as it is about to return. */
#define KS_PYTHON_NONE (KS_PYTHON_TAG | 2 | KS_PYTHON_ENTERED)

#define KS_PYTHON_FILES 1024
#define KS_PYTHON_THREADS 8192
#define KS_PYTHON_CODES 8192
#define KS_PYTHON_NEW 32        /* functions that a walk adds, a power of two */
#define KS_PYTHON_SEARCHED 512  /* threads and interpreters */
/* Frames, and borders between them. */
#define KS_PYTHON_STEPS (KS_ROOM < 256 ? 2 * KS_ROOM : 512)
#define KS_PYTHON_BYTES 112     /* of a name */
#define KS_PYTHON_MIX 0x9e3779b97f4a7c15ULL
/* A thread that was not found, such as one that runs no Python, is not searched again for so long. */
#define KS_PYTHON_AGAIN_NS 20000000ULL

/* The interpreter in a file: where it keeps things; PythonLayout in python.py is the same. Addresses
 * count from where the file's first byte would be if it were mapped in front of its code.
 */
struct ks_python_layout {
    u64 runtime;          /* the address of _PyRuntime */
    u64 code_type;        /* the address of PyCode_Type */
    u32 interpreters;     /* _PyRuntimeState.interpreters.head */
    u32 next_interpreter; /* PyInterpreterState.next */
    u32 threads;          /* PyInterpreterState.threads.head */
    u16 next_thread;      /* PyThreadState.next, .interp, .native_thread_id */
    u16 interpreter;
    u16 native_id;
    u16 frame;            /* PyThreadState.current_frame, or .cframe */
    u16 in_cframe;        /* _PyCFrame.current_frame, 0xffff without a cframe */
    u16 owner;            /* _PyInterpreterFrame.owner, or .is_entry: 64 to 79 */
    u16 line;             /* PyCodeObject.co_firstlineno */
    u16 ascii;            /* where the bytes of an ASCII string, and of others, begin */
    u16 compact;
    u8 is_entry;          /* 1: 3.11, where a frame tells itself that C code called it */
    u8 padding;
};
/* By the number of the file. */
BPF_HASH(ks_python_layouts, u32, struct ks_python_layout, KS_PYTHON_FILES);

/* The thread state of a thread, 0 if it has none. */
struct ks_python_thread {
    u64 state;
    u64 looked; /* ns */
    u64 id;     /* by which the process itself knows the thread, in its pid namespace */
};
BPF_TABLE("lru_hash", u32, struct ks_python_thread, ks_python_threads, KS_PYTHON_THREADS);

/* A string: its length in characters, the flags of PyASCIIObject.state, and the `size` bytes from
 * `start` on.
 */
struct ks_python_text {
    u32 length;
    u32 state;
    u32 start;
    u32 size;
    u8 bytes[KS_PYTHON_BYTES];
};

/* A function that was seen in a stack. The agent reads and removes it; it returns when seen again. */
struct ks_python_code {
    u32 line;
    u32 is_shim; /* 1: code of the interpreter itself, which is no function */
    struct ks_python_text name;
    struct ks_python_text file;
};
BPF_HASH(ks_python_codes, u64, struct ks_python_code, KS_PYTHON_CODES);
BPF_PERCPU_ARRAY(ks_python_scratch, struct ks_python_code, 1);

/* Code objects of a walk whose functions are not in the map. */
struct ks_python_new {
    u64 n;
    u64 code[KS_PYTHON_NEW];
};
BPF_PERCPU_ARRAY(ks_python_unseen, struct ks_python_new, 1);

/* struct _PyInterpreterFrame. The owner is in `before` or `after`. */
struct ks_python_frame {
    u64 code;
    u64 previous;
    u64 unused[2];
    u64 code_311;
    u64 unused_too;
    u64 previous_311;
    u64 instruction;
    u64 before;
    u64 after;
};

/* The members of PyCodeObject from its 64th byte on, which never change but for `version`. */
struct ks_python_code_object {
    u32 before;
    u32 line_or_before;
    u32 line_or_after;
    u32 after;
    u64 cells;
    u32 free;
    u32 version;
    u64 names;
    u64 kinds;
    u64 file;
    u64 name;
    u64 qualname;
};

static inline u64 ks_python_word(u64 address)
{
    u64 word = 0;
    ks_user(&word, sizeof(word), address);
    return word;
}

/* Returns the id of the current thread in its pid namespace. */
static inline u32 ks_python_tid(void)
{
    u64 pid = 0;
    u32 level = 0, tid = 0;
    bpf_probe_read_kernel(&pid, sizeof(pid),
                          (void *)(bpf_get_current_task() + KS_AT_task_struct__thread_pid));
    bpf_probe_read_kernel(&level, sizeof(level), (void *)(pid + KS_AT_pid__level));
    /* struct upid: the number, and a pointer */
    bpf_probe_read_kernel(&tid, sizeof(tid),
                          (void *)(pid + KS_AT_pid__numbers + 16ULL * (level & 31)));
    return tid;
}

/* Looks for a thread in all interpreters. Returns the thread's state, 0 if there is none. */
KS_SUBPROGRAM(7, find_python_thread)
{
    struct ks_walk *w = ks_state();
    struct ks_python_layout *layout;
    u64 state = 0, interpreter;
    if (!w)
        return 0;
    layout = ks_python_layouts.lookup(&w->python);
    if (!layout)
        return 0;
    interpreter = ks_python_word(w->base_of_python + layout->runtime + layout->interpreters);
    if (interpreter)
        state = ks_python_word(interpreter + layout->threads);
#pragma clang loop unroll(disable)
    for (int i = 0; i < KS_PYTHON_SEARCHED; i++) {
        if (state) {
            if (ks_python_word(state + layout->native_id) == argument)
                return state;
            state = ks_python_word(state + layout->next_thread);
            continue;
        }
        if (!interpreter)
            return 0;
        interpreter = ks_python_word(interpreter + layout->next_interpreter);
        if (interpreter)
            state = ks_python_word(interpreter + layout->threads);
    }
    return 0;
}

static inline u64 ks_python_innermost(struct ks_python_layout *layout, u64 state)
{
    u64 frame = ks_python_word(state + layout->frame);
    if (frame && layout->in_cframe != 0xffff)
        frame = ks_python_word(frame + layout->in_cframe);
    return frame;
}

/* Returns the innermost Python frame of the current thread, 0 if it runs no Python. */
static inline u64 ks_python_frame(struct ks_python_layout *layout)
{
    u32 key = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns(), frame = 0;
    struct ks_python_thread *known = ks_python_threads.lookup(&key), found = {};
    if (known && known->state && ks_python_word(known->state + layout->native_id) == known->id)
        frame = ks_python_innermost(layout, known->state);
    if (frame || (known && now - known->looked < KS_PYTHON_AGAIN_NS))
        return frame;
    found.looked = now;
    found.id = ks_python_tid();
    found.state = ks_find_python_thread(found.id);
    ks_python_threads.update(&key, &found);
    return found.state ? ks_python_innermost(layout, found.state) : 0;
}

/* Reads a string: its first bytes, or its last ones. Returns 0 if it cannot be read. */
static inline int ks_python_read(struct ks_python_layout *layout, u64 address, bool is_end,
                                 struct ks_python_text *text)
{
    struct {
        u64 length;
        u64 hash;
        u32 state;
    } head;
    if (ks_user(&head, sizeof(head), address + 16))
        return 0;
    /* Bits of the state: kind 2 to 4, compact 5, ascii 6. */
    u32 kind = head.state >> 2 & 7;
    if (!(head.state & 32) || head.length >> 20)
        return 0;
    u64 size = head.length * kind, start = 0;
    if (size > KS_PYTHON_BYTES) {
        start = is_end ? size - KS_PYTHON_BYTES : 0;
        size = KS_PYTHON_BYTES;
    }
    text->length = head.length;
    text->state = head.state;
    text->start = start;
    text->size = size;
    address += (head.state & 64 ? layout->ascii : layout->compact) + start;
    asm volatile("%0 &= 127" : "+r"(size));
    if (size > KS_PYTHON_BYTES)
        return 0;
    return !ks_user(text->bytes, size, address);
}

/* Returns the frame of a code object. Two that were at one address one after the other differ, even if
 * their strings were at the same addresses too: by the lengths and hashes that strings keep.
 */
static inline u64 ks_python_function(u64 code, struct ks_python_code_object *object)
{
    u64 name[2] = {}, file[2] = {};
    ks_user(name, sizeof(name), object->name + 16);
    ks_user(file, sizeof(file), object->file + 16);
    u64 id = code ^ (bpf_get_current_pid_tgid() >> 32 << 32);
    id = (id ^ (id >> 29)) * KS_PYTHON_MIX + object->qualname;
    id = (id ^ (id >> 29)) * KS_PYTHON_MIX + object->file;
    id = (id ^ (id >> 29)) * KS_PYTHON_MIX + object->name;
    id = (id ^ (id >> 29)) * KS_PYTHON_MIX + ((u64)object->line_or_before << 32);
    id = (id ^ (id >> 29)) * KS_PYTHON_MIX + object->line_or_after;
    id = (id ^ (id >> 29)) * KS_PYTHON_MIX + name[0] + name[1];
    id = (id ^ (id >> 29)) * KS_PYTHON_MIX + file[0] + file[1];
    return KS_PYTHON_TAG | (id ^ (id >> 29)) >> 17 << 1;
}

/* Keeps the names of the function of a code object, which is seen for the first time. */
KS_SUBPROGRAM(6, keep_python)
{
    struct ks_walk *w = ks_state();
    int zero = 0;
    struct ks_python_code *kept = ks_python_scratch.lookup(&zero);
    struct ks_python_layout *layout;
    if (!w || !kept)
        return 0;
    layout = ks_python_layouts.lookup(&w->python);
    struct ks_python_code_object *object = (void *)w->words;
    if (!layout || ks_user(object, sizeof(*object), argument + 64) ||
        ks_python_word(argument + 8) != w->base_of_python + layout->code_type)
        return 0;
    u64 id = ks_python_function(argument, object), name = object->qualname, file = object->file;
    kept->line = layout->line == 68 ? object->line_or_before : object->line_or_after;
    /* The interpreter's own code has one string in both places. */
    kept->is_shim = file == object->name;
    if (ks_python_read(layout, name, false, &kept->name) &&
        ks_python_read(layout, file, true, &kept->file))
        ks_python_codes.update(&id, kept);
    return 0;
}

/* Adds the function of the Python frame at an address. Returns the address of its caller, or 0. */
KS_SUBPROGRAM(8, step_python)
{
    struct ks_walk *w = ks_state();
    int zero = 0;
    struct ks_python_new *unseen = ks_python_unseen.lookup(&zero);
    struct ks_python_layout *layout;
    if (!w || !unseen)
        return 0;
    layout = ks_python_layouts.lookup(&w->python);
    struct ks_python_frame *raw = (void *)w->words;
    if (!layout || ks_user(raw, sizeof(*raw), argument))
        return 0;
    bool is_entry = layout->is_entry;
    u64 caller = is_entry ? raw->previous_311 : raw->previous, id = KS_PYTHON_UNREAD, at = w->n;
    u64 code = (is_entry ? raw->code_311 : raw->code) & ~7ull; /* bits of a stack reference */
    u8 owner = (layout->owner & 8 ? raw->after : raw->before) >> 8 * (layout->owner & 7);
    bool is_border = !is_entry && owner >= 3;
    /* FRAME_OWNED_BY_CSTACK, in 3.14 FRAME_OWNED_BY_INTERPRETER: the function before it was entered. */
    if (is_border && w->n > w->native) {
        u64 last = at - 1;
        KS_BOUND(last, KS_ROOM);
        if (!(w->frames[last] & KS_PYTHON_ENTERED)) {
            w->frames[last] |= KS_PYTHON_ENTERED;
            return caller;
        }
    }
    if (at >= KS_DEPTH || at >= KS_ROOM) {
        if (w->ended == KS_ROOTED)
            w->ended = KS_PYTHON_CUT;
        return 0;
    }
    if (is_border) {
        KS_BOUND(at, KS_ROOM);
        w->frames[at] = KS_PYTHON_NONE;
        w->n = at + 1;
        return caller;
    }
    struct ks_python_code_object *object = (void *)w->words;
    if (!ks_user(object, sizeof(*object), code + 64)) {
        id = ks_python_function(code, object);
        if (!ks_python_codes.lookup(&id)) {
            u64 last = unseen->n++;
            KS_BOUND(last, KS_PYTHON_NEW);
            unseen->code[last] = code;
        }
    }
    KS_BOUND(at, KS_ROOM);
    w->frames[at] = id | (is_entry && owner ? KS_PYTHON_ENTERED : 0);
    w->n = at + 1;
    return caller;
}

/* Adds the Python functions of the current thread, the innermost one first. */
KS_SUBPROGRAM(5, walk_python)
{
    struct ks_walk *w = ks_state();
    int zero = 0;
    struct ks_python_new *unseen = ks_python_unseen.lookup(&zero);
    struct ks_python_layout *layout;
    u64 frame;
    if (!w || !unseen)
        return 0;
    layout = ks_python_layouts.lookup(&w->python);
    if (!layout)
        return 0;
    w->native = w->n;
    unseen->n = 0;
    frame = ks_python_frame(layout);
#pragma clang loop unroll(disable)
    for (int i = 0; i < KS_PYTHON_STEPS; i++) {
        if (!frame)
            break;
        frame = ks_step_python(frame);
    }
#pragma clang loop unroll(disable)
    for (int i = 0; i < KS_PYTHON_NEW; i++) {
        if (i >= unseen->n)
            break;
        ks_keep_python(unseen->code[i]);
    }
    return 0;
}
