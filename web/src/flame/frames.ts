// The kind of a frame, read from its name.

export type Kind =
  "kernel" | "user" | "library" | "interpreted" | "jit" | "unknown" | "rest" | "group";

export interface Frame {
  /** The name without the suffixes that mark its kind. */
  label: string;
  kind: Kind;
  library: string;
}

const LIBRARY = /^(.*) \[([^\]]+)\]$/s;
/** As the agent writes a Python function: with its file and line. */
const SCRIPT = /^(.+) (\S+\.(?:py|rb|php|lua|pl):\d+)$/s;
/** As Node's perf map marks what its interpreter runs, and what it has compiled. */
const V8 = /^(?:JS|LazyCompile|Function|Script|Eval|RegExp):([~^*+]?)/;
/** Java's and .NET's perf maps write a signature, with dots in the name of the class. */
const MANAGED = /^[\w$.[\]<>]+ (?:\[[^\]]+\] [\w$.`]+::[\w$<>.]+|[\w$]+(?:\.[\w$<>]+)+)\(/;
/** A function without a name: its file, and the address at which it starts. */
const NAMELESS = /^(.+)\+0x[0-9a-f]+$/s;

/** One frame for all groups beyond the limit of an answer; no row has this name. */
export const OTHERS = "[other groups]";

/** Frames that represent many stacks, with the reason. */
export const REST = new Map([
  ["[over the stack limit]", "stacks that were new after the host's limit for the hour, together"],
  ["[over the string limit]", "names that were new after the host's limit for the hour, together"],
  [OTHERS, "the sum of all groups that are not shown"],
]);

/** Frames at the root end of stacks whose root is missing, with the reason. */
export const ENDS = new Map([
  ["[truncated]", "they are deeper than --depth, so that their outermost frames are missing"],
  ["[broken]", "the walk did not find the caller, so that their outermost frames are missing"],
]);

export function isRest(name: string): boolean {
  return name.startsWith("[") && REST.has(name);
}

const known = new Map<string, Frame>();

/** Kernel frames end in `_[k]`, frames of a library in ` [name]`, as FlameGraph marks them. */
export function frame(name: string): Frame {
  let found = known.get(name);
  if (!found) {
    if (known.size > 200_000) known.clear();
    known.set(name, (found = read(name)));
  }
  return found;
}

function read(name: string): Frame {
  if (name.endsWith("_[k]")) {
    const label = name.slice(0, -4);
    return { label, kind: label.startsWith("[unknown") ? "unknown" : "kernel", library: "" };
  }
  if (isRest(name)) return { label: name, kind: "rest", library: "" };
  if (/^\[(unknown|missed|lost|truncated|broken)/i.test(name)) {
    return { label: name, kind: "unknown", library: "" };
  }
  const nameless = NAMELESS.exec(name);
  if (nameless) return { label: name, kind: "unknown", library: nameless[1] };
  const match = LIBRARY.exec(name);
  if (match) return { label: match[1], kind: "library", library: match[2] };
  const script = SCRIPT.exec(name);
  if (script) return { label: name, kind: "interpreted", library: script[2] };
  const compiled = V8.exec(name);
  if (compiled)
    return { label: name, kind: compiled[1] === "~" ? "interpreted" : "jit", library: "" };
  if (MANAGED.test(name)) return { label: name, kind: "jit", library: "" };
  return { label: name, kind: "user", library: "" };
}

/**
 * Frames that say that a thread waits, or how it came there, and not for what; the server's list is
 * in kscope/query/changes/telling.py.
 */
const DULL = new RegExp(
  "^(?:__|_)*(?:x64_sys|se_sys|do_sys|entry_SYSCALL|do_syscall|syscall|schedule|io_schedule|" +
    "ret_from|do_futex|futex|hrtimer|do_nanosleep|finish_task|asm_|sysvec|irqentry|exit_to|" +
    "kthread$|clone|start_thread|_?start$|libc_start|main$|preempt|wait_woken|do_wait|" +
    "sem_(?:clock|timed)?wait|pthread_cond_|pthread_mutex_lock|pthread_rwlock|lll_lock_wait|" +
    "PyThread_acquire_lock|PyMutex_Lock|swait_|wait_for_completion)",
);

export function tells(name: string): boolean {
  return !DULL.test(name) && !name.startsWith("[");
}

/** The frame that tells most of a stack: the deepest that is not common to most of them. */
export function telling(stack: string[]): string {
  return frame(stack.findLast(tells) ?? stack.at(-1) ?? "").label;
}

export const KIND_TEXT: Record<Kind, string> = {
  kernel: "kernel",
  user: "user",
  library: "library",
  interpreted: "interpreted",
  jit: "JIT",
  unknown: "no symbol",
  rest: "many together",
  group: "group",
};

/** FNV-1a: the same name has the same shade on every page and every day. */
export function hash(text: string): number {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  }
  return value >>> 0;
}
