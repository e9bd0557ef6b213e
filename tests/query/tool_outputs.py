"""Short outputs of tools, as bcc 0.26, libbpf-tools 0.26 and bpftrace 0.17 print them."""

from __future__ import annotations

from tests.days import NOON

EXECSNOOP = """\
TIME     TIME(s) UID   PCOMM            PID     PPID    RET ARGS
09:10:01 0.100   1000  tmux: server     10474   10421     0 ./recvtool hello a b
09:10:03 2.350   0     a 1              10475   10421    -2 /no/such
"""
OPENSNOOP = """\
PID    COMM              FD ERR PATH
5550   work               3   0 work.tmp
1234567 Web Content       -1   2 /etc/a b
"""
EXITSNOOP = """\
TIME-UTC     PCOMM            PID     PPID    TID     AGE(s)  EXIT_CODE
10:20:22.997 cmp              8701    8700    8701    0.01    code 1
10:20:23.100 sleep            1967    1966    1967    7.31    signal 9 (KILL), core dumped
10:20:23.200 true             1968    1966    1968    0.00    0
"""
KILLSNOOP = """\
TIME      PID      COMM             SIG  TPID     RESULT
23:59:51  13967    bash             9    13885    0
00:00:11  28320    bash             0    1024     -3
"""
BIOSNOOP = """\
TIME(s)     COMM           PID     DISK      T SECTOR     BYTES   QUE(ms) LAT(ms)
0.000000    jbd2/vda-8     123     vda       W 51123      4096       0.01    0.25
1.500000    ?              0       vdb       R 8          8192       0.02    1.25
"""
TCPLIFE = """\
PID   COMM       LADDR           LPORT RADDR           RPORT TX_KB RX_KB MS
22597 recordProg 127.0.0.1       46644 127.0.0.1       28527     0     0 0.23
22598 Web Conten 10.66.3.172     22    10.127.69.165   52301     2     1 1.79
"""
TCPLIFE_CSV = """\
TIME,PID,COMM,IP,LADDR,LPORT,RADDR,RPORT,TX_KB,RX_KB,MS
23:39:38,7335,recordProg,4,127.0.0.1,28527,127.0.0.1,46644,0,3,0.38
"""
TCPRETRANS = """\
Tracing retransmits ... Hit Ctrl-C to end
TIME     PID     IP LADDR:LPORT          T> RADDR:RPORT          STATE
01:55:05 0       4  10.153.223.157:22    R> 69.53.245.40:34619   ESTABLISHED
01:55:06 12      6  fe80::1:22           R> fe80::2:34619        SYN_SENT
"""
SYSCOUNT = """\
Tracing syscalls, printing top 10... Ctrl+C to quit.
[13:00:45]
SYSCALL                   COUNT        TIME (us)
clock_nanosleep             320       895145.600
openat                      320           12.000

[13:00:47]
SYSCALL                   COUNT        TIME (us)
clock_nanosleep             239       100000.400

Detaching...
"""
SYSCOUNT_PROCESSES = """\
[13:00:45]
PID    COMM               COUNT        TIME (ms)
833    work                1342            1.500
834    a b             12345678            2.000
"""
SOFTIRQS = """\
Tracing soft irq event time... Hit Ctrl-C to end.

SOFTIRQ          TOTAL_usecs
rcu                       28
sched                     49
"""
HARDIRQS = """\
Tracing hard irq event time... Hit Ctrl-C to end.

HARDIRQ                    TOTAL_usecs
virtio3-tx                          12
virtio1-req.0                     1212
"""
OOMKILL = """\
Tracing OOM kills... Ctrl-C to stop.
21:03:39 Triggered by PID 3297 ("ntpd"), OOM kill of PID 22516 ("perl x"), 3850642 pages, loadavg: 1
"""
BIOLATENCY_DISKS = """\
Tracing block device I/O... Hit Ctrl-C to end.

06:40:28

disk = vda\t
     usecs               : count     distribution
         0 -> 1          : 3        |***                                     |
         2 -> 3          : 0        |                                        |
         4 -> 7          : 5        |****************************************|

disk = vdb
     usecs               : count     distribution
         0 -> 1          : 0        |                                        |
       128 -> 255        : 2        |****************************************|

06:40:38

disk = vda
     usecs               : count     distribution
         0 -> 1          : 1        |****************************************|
"""
BIOLATENCY_FLAGS = """\
Tracing block device I/O... Hit Ctrl-C to end.
^C
flags = Priority-Sync-Read
     msecs               : count     distribution
         0 -> 1          : 88       |****************************************|
         2 -> 3          : 2        |                                        |

avg = 5 msecs, total: 450 msecs, count: 90

flags = PreFlush-Flush
     msecs               : count     distribution
         4 -> 7          : 1        |****************************************|
"""
RUNQLAT = """\
Tracing run queue latency... Hit Ctrl-C to end.

pid = 833 work
     usecs               : count    distribution
         0 -> 1          : 120      |****************************************|
         2 -> 3          : 99       |*********************************       |
"""
OFFCPUTIME = """\
    bpf_prog_6896d07dd3e1383c_sched_switch
    bpf_trace_run4
    __schedule
    schedule
    do_nanosleep
    __x64_sys_clock_nanosleep
    do_syscall_64
    entry_SYSCALL_64_after_hwframe
    clock_nanosleep
    main
    -                io worker (5550)
        1631628

    __schedule
    schedule
    worker_thread
    kthread
    ret_from_fork_asm
    -                kworker/0:1 (12)
        20

"""
PROFILE_DELIMITED = """\
Sampling at 49 Hertz of PID [6177] by user + kernel stack for 2 secs.

    vfs_read
    do_syscall_64
    --
    read
    main
    -                work (6177)
        3

    [Missed User Stack]
    -                work (6177)
        1

"""
# bcc 0.12's frames, and those of libbpf-tools with -v.
PROFILE_BYTES = """\
Sampling at 49 Hertz of all threads by user + kernel stack for 2 secs.

    b'default_idle'
    b'secondary_startup_64'
    -                b'swapper/1' (0)
        71

    #0  0xffffffff8109d4b7 vfs_read+0x87
    #1  0xffffffff81a00088 entry_SYSCALL_64
    #2  0x00007f1122334455 read+0x14 (/usr/lib/libc.so.6+0xf2a14)
    #3  0x000055aa11223344 main
    -                work (77)
        27

"""
STACKCOUNT = """\
Tracing 1 functions for "t:sched:sched_switch"... Hit Ctrl-C to end.
^C
  __schedule+0x2e
  schedule
    --
  main
    work [6177]
    312

  schedule
    5

Detaching...
"""
WAKEUPTIME = """\
Tracing blocked time (us) by kernel stack

\ttarget:          work
\tffffffffc002619c bpf_prog_1e63a9e15492c3dc_sched_wakeup
\tffffffff814ca04e bpf_trace_run1
\tffffffff813b4849 try_to_wake_up
\tffffffff81000130 entry_SYSCALL_64_after_hwframe
\t          waker: python3
\t43

"""
WAKEUPTIME_TURNED = """\
Tracing blocked time (us) by kernel stack... Hit Ctrl-C to end.

    target:          work
    ffffffff81000130 entry_SYSCALL_64_after_hwframe
    ffffffff813b4849 try_to_wake_up
    waker:           python3
        57

Detaching...
"""
# In a pipe, bcc's printb() writes before the text that print() has not yet written.
WAKEUPTIME_PIPED = """\
    target:          work
Tracing blocked time (us) by kernel stack... Hit Ctrl-C to end.

    ffffffff813b4849 try_to_wake_up
    waker:           python3
    target:          other
        57

    ffffffff813b4849 try_to_wake_up
    waker:           python3
        5

Detaching...
"""
SYSCOUNT_PIPED = """\
clock_nanosleep             320
Tracing syscalls, printing top 10... Ctrl+C to quit.
[13:00:45]
SYSCALL                   COUNT
openat                      163
"""
OPENSNOOP_PIPED = """\
0.000000000   5550   work               3   0 TIME(s)       PID    COMM               FD ERR PATH
work.tmp
1.500000000   5550   work               3   0 b
"""
OFFWAKETIME = """\
Tracing blocked time (us) by user + kernel off-CPU and waker stack for 1 secs.

    waker:           sshd 12
    start
    wake
    -
    entry_SYSCALL_64_after_hwframe
    try_to_wake_up
    --               --
    schedule
    entry_SYSCALL_64_after_hwframe
    -
    read
    main
    target:          bash 13
        557

"""
MAP_STACKS = """\
Attaching 2 probes...


@both[
    vfs_fsync+16
    entry_SYSCALL_64_after_hwframe+118
,\x20
    __GI_fsync+16
    main+83
, 5084, work, er]: 2
@both[,\x20
    hot+33
    main+122
, 5084, work, er]: 23
@k[]: 26
@k[
    vfs_fsync+16
]: 2
@start[5084]: 123456
"""
MAP_HISTOGRAM = """\
Attaching 3 probes...


@l:
[0, 2000)           1284 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[2000, 4000)         322 |@@@@@@@@@@                                          |

@us[work, 1]:
(..., 0)               1 |@                                                   |
[0]                    1 |@                                                   |
[1]                    2 |@@                                                  |
[2, 4)               280 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[4, 8)                 0 |                                                    |
[1K, 2K)               5 |@                                                   |
[2G, 4G)               1 |@                                                   |

@us[idle, 257]:
[8, 16)              240 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

""".replace(":\n", ":\x20\n")
MAP_STATS = """\
Attaching 1 probe...


@a: 7

@st[work]: count 162, average 3, total 486
@st[a b]: count 2, average 5, total 10

@z: (1, work, 2)
"""
MAP_INTERVALS = """\
Attaching 2 probes...
12:58:12 @cleared[work]: 6
@kept[work]: 6
@kept[idle]: 9
12:58:14 @cleared[work]: 8
@kept[work]: 7
@kept[idle]: 19


@kept[work]: 8
@kept[idle]: 19
@n: 2
"""
PRINTED_TABLE = """\
Attaching 2 probes...
TIME(ms)   PCOMM            PID    ARGS
100        sh               10     ls -l a
1600       bash             12     x
"""
JSON_STACKS = """\
{"type": "attached_probes", "data": {"probes": 2}}


{"type": "map", \
"data": {"@both": {"\\n    vfs_fsync+16\\n    entry_SYSCALL_64_after_hwframe+118\\n,\
\\n    __GI_fsync+16\\n    main+83\\n,5084,work, er": 2, \
",\\n    hot+33\\n    main+122\\n,5084,work, er": 23}}}
{"type": "map", "data": {"@start": {"5084": 123456}}}
"""
JSON_HISTOGRAM = """\
{"type": "attached_probes", "data": {"probes": 3}}

WARNING: a line of another stream
{"type": "hist", "data": {"@l": [{"min": 0, "max": 1999, "count": 1284}, {"min": 2000, \
"count": 3}]}}
{"type": "hist", "data": {"@us": {"work,1": [{"max": -1, "count": 1}, {"min": 0, "max": 0, \
"count": 1}, {"min": 1, "max": 1, "count": 2}, {"min": 2, "max": 3, "count": 280}, \
{"min": 1024, "max": 2047, "count": 5}, {"min": -2147483648, "max": 0, "count": 1}], \
"idle,257": [{"min": 8, "max": 15, "count": 240}]}}}
"""
JSON_STATS = """\
{"type": "attached_probes", "data": {"probes": 1}}
{"type": "stats", "data": {"@a": 7}}
{"type": "stats", "data": {"@st": {"work": {"count": 162, "average": 3, "total": 486}, \
"a b": {"count": 2, "average": 5, "total": 10}}}}
{"type": "map", "data": {"@z": [1,"work",2]}}
"""
JSON_ROWS = """\
{"type": "attached_probes", "data": {"probes": 1}}
{"type": "printf", "data": "{\\"process\\": \\"work\\", \\"pid\\": 7, "}
{"type": "printf", "data": "\\"path\\": \\"/bin/x\\"}\\n{\\"process\\": \\"idle\\", \
\\"path\\": \\"y\\"}\\n"}


{"type": "map", "data": {"@n": 2}}
"""
# As killsnoop.bt and execsnoop.bt print: times and arguments of join() are parts of a row.
JSON_TABLE = """\
{"type": "attached_probes", "data": {"probes": 2}}
{"type": "printf", "data": "Tracing... Hit Ctrl-C to end.\\n"}
{"type": "printf", "data": "TIME      PID    COMM             ARGS\\n"}
{"type": "time", "data": "12:58:11  "}
{"type": "printf", "data": "13967 bash x           "}
{"type": "join", "data": "ls -l a"}
{"type": "time", "data": "12:58:13  "}
{"type": "printf", "data": "13968 sh               x\\n"}
{"type": "map", "data": {"@n": 2}}
"""
FOLDED = "work;main;read 3\nidle 4\n"
NDJSON = f'{{"time": "{NOON}", "hostname": "a", "process": "b", "pid": 1}}\n'
PERF = """\
work 900/901 [001]  4834.352313:    5025125 cpu-clock:ppp:
\tffffffff81a2e0f1 __schedule+0x2e ([kernel.kallsyms])

"""
SPEEDSCOPE = """\
{"$schema": "https://www.speedscope.app/file-format-schema.json",
 "shared": {"frames": [{"name": "main", "file": "a.py", "line": 3}, {"name": "work"}]},
 "profiles": [
  {"type": "sampled", "name": "thread 1", "unit": "seconds", "startValue": 0, "endValue": 1,
   "samples": [[0, 1], [0], [0, 1]], "weights": [0.01, 0.02, 0.03]},
  {"type": "evented", "name": "thread 2", "unit": "seconds", "startValue": 0, "endValue": 1,
   "events": [{"type": "O", "frame": 0, "at": 0}, {"type": "O", "frame": 1, "at": 0.5},
    {"type": "C", "frame": 1, "at": 0.75}, {"type": "C", "frame": 0, "at": 1}]},
  {"type": "sampled", "name": "memory", "unit": "bytes", "startValue": 0, "endValue": 5,
   "samples": [[0]], "weights": [5]}],
 "exporter": "other"}
"""

# The format of each.
BY_FORMAT = {
    "table": (
        EXECSNOOP,
        OPENSNOOP,
        EXITSNOOP,
        KILLSNOOP,
        BIOSNOOP,
        TCPLIFE,
        TCPLIFE_CSV,
        TCPRETRANS,
        SYSCOUNT,
        SYSCOUNT_PROCESSES,
        SOFTIRQS,
        HARDIRQS,
        SYSCOUNT_PIPED,
        OPENSNOOP_PIPED,
    ),
    "oomkill": (OOMKILL,),
    "histogram": (BIOLATENCY_DISKS, BIOLATENCY_FLAGS, RUNQLAT),
    "stacks": (
        OFFCPUTIME,
        PROFILE_DELIMITED,
        PROFILE_BYTES,
        STACKCOUNT,
        WAKEUPTIME,
        WAKEUPTIME_TURNED,
        WAKEUPTIME_PIPED,
        OFFWAKETIME,
    ),
    "bpftrace": (MAP_STACKS, MAP_HISTOGRAM, MAP_STATS, MAP_INTERVALS, PRINTED_TABLE),
    "bpftrace-json": (JSON_STACKS, JSON_HISTOGRAM, JSON_STATS, JSON_ROWS, JSON_TABLE),
    "speedscope": (SPEEDSCOPE,),
    "folded": (FOLDED,),
    "ndjson": (NDJSON,),
    "perf": (PERF,),
}
