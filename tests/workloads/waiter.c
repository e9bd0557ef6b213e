/* Waits in four known ways and measures itself: what a tracer must find.
 *
 * usage: waiter FOLDER MILLISECONDS
 * Says "ready", begins at a line on standard input, prints one JSON object of microseconds waited
 * (wall clock less the thread's own CPU time) and waits counted, and stays until input ends, so
 * that a tracer can still read its symbols.
 *
 * The system calls are made in place: libc keeps no frame pointer, which would hide the caller.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct kind {
    const char *name;
    void (*wait)(struct kind *);
    long long us;
    long count;
};

static atomic_int stopping, word;
static int pipe_ends[2], file;
/* Large, so that waiting for the disk outweighs the work of asking it. */
static char block[4096 * 1024];

static inline __attribute__((always_inline)) long raw(long nr, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static long long waited(void)
{
    return now(CLOCK_MONOTONIC) - now(CLOCK_THREAD_CPUTIME_ID);
}

/* The clocks are read inside the function, so that whatever they cost is under its frame too. */
#define WAIT(kind, call)                                                                          \
    do {                                                                                          \
        long long before = waited();                                                              \
        call;                                                                                     \
        (kind)->us += waited() - before;                                                          \
    } while (0)

__attribute__((noinline)) void wait_sleep(struct kind *kind)
{
    struct timespec t = {0, 15 * 1000 * 1000};
    WAIT(kind, raw(SYS_nanosleep, (long)&t, 0, 0, 0));
}

__attribute__((noinline)) void wait_pipe(struct kind *kind)
{
    char c;
    WAIT(kind, raw(SYS_read, pipe_ends[0], (long)&c, 1, 0));
}

__attribute__((noinline)) void wait_futex(struct kind *kind)
{
    WAIT(kind, while (!atomic_load(&word)) raw(SYS_futex, (long)&word, FUTEX_WAIT_PRIVATE, 0, 0));
    atomic_store(&word, 0);
}

__attribute__((noinline)) void wait_fsync(struct kind *kind)
{
    WAIT(kind, raw(SYS_fsync, file, 0, 0, 0));
}

static void *repeat(void *argument)
{
    struct kind *kind = argument;
    pthread_setname_np(pthread_self(), kind->name);
    while (!stopping) {
        if (kind->wait == wait_fsync && pwrite(file, block, sizeof block, 0) != sizeof block)
            exit(2);
        kind->wait(kind);
        kind->count++;
    }
    return 0;
}

/* Ends the waits of the two threads that wait for somebody. */
static void *release(void *unused)
{
    (void)unused;
    while (!stopping) {
        usleep(12000);
        if (raw(SYS_write, pipe_ends[1], (long)"x", 1, 0) != 1)
            exit(3);
        atomic_store(&word, 1);
        raw(SYS_futex, (long)&word, FUTEX_WAKE_PRIVATE, 1, 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct kind kinds[] = {
        {"sleep", wait_sleep, 0, 0},
        {"pipe", wait_pipe, 0, 0},
        {"futex", wait_futex, 0, 0},
        {"fsync", wait_fsync, 0, 0},
    };
    pthread_t threads[4], releaser;
    char line[16];
    if (argc < 3 || chdir(argv[1]) || pipe(pipe_ends))
        return 1;
    file = open("waiter.dat", O_RDWR | O_CREAT, 0600);
    memset(block, 'x', sizeof block);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    pthread_create(&releaser, 0, release, 0);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, repeat, &kinds[i]);
    usleep(atoi(argv[2]) * 1000);
    stopping = 1;
    pthread_join(releaser, 0);
    if (write(pipe_ends[1], "x", 1) != 1)
        return 3;
    atomic_store(&word, 1);
    raw(SYS_futex, (long)&word, FUTEX_WAKE_PRIVATE, 1, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], 0);
    printf("{");
    for (int i = 0; i < 4; i++)
        printf("%s\"%s\": {\"us\": %lld, \"count\": %ld}", i ? ", " : "", kinds[i].name,
               kinds[i].us, kinds[i].count);
    puts("}");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        ;
    return 0;
}
