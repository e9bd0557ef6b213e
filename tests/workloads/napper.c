/* Threads that nap, each below a chain of calls of its own.
 *
 * usage: napper FOLDER MILLISECONDS THREADS MICROSECONDS
 * The threads are there before it says "ready". Each then has others sleep, one after the other, ten
 * times so long (and a little more with each thread) in the function `nap`, below thirteen calls of
 * `left` and `right` that no other thread makes in that order. The protocol is waiter.c's.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int going, stopping;
static atomic_long naps;
static long us, threads;

/* Made in place: libc keeps no frame pointer, which would hide the caller. */
__attribute__((noinline)) static void nap(long nanoseconds)
{
    struct timespec t = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    register long number __asm__("rax") = SYS_nanosleep;
    __asm__ volatile("syscall" : "+r"(number) : "D"(&t), "S"(0) : "rcx", "r11", "memory");
    atomic_fetch_add(&naps, 1);
}

void left(long nanoseconds, int path, int depth);

#define STEP(name)                                                                                \
    __attribute__((noinline)) void name(long nanoseconds, int path, int depth)                    \
    {                                                                                             \
        if (!depth)                                                                               \
            nap(nanoseconds);                                                                     \
        else if (path & 1)                                                                        \
            left(nanoseconds, path >> 1, depth - 1);                                              \
        else                                                                                      \
            right(nanoseconds, path >> 1, depth - 1);                                             \
        __asm__ volatile("");                                                                     \
    }

void right(long nanoseconds, int path, int depth);
STEP(left)
STEP(right)

__attribute__((noinline)) static void *napping(void *number)
{
    long mine = (long)number;
    pthread_setname_np(pthread_self(), "nap");
    for (int i = 0; i < 10; i++)
        right(us * 1000 + mine % threads * 7000, mine, 13);
    return 0;
}

static void *sending_to_sleep(void *number)
{
    long mine = (long)number;
    pthread_t sleeper;
    pthread_setname_np(pthread_self(), "parent");
    while (!going)
        usleep(1000);
    for (; !stopping; mine += threads) {
        if (pthread_create(&sleeper, 0, napping, (void *)mine))
            exit(2);
        pthread_join(sleeper, 0);
    }
    return 0;
}

int main(int argc, char **argv)
{
    char line[16];
    if (argc < 5)
        return 1;
    threads = atoi(argv[3]);
    us = atol(argv[4]);
    pthread_t all[threads];
    for (long i = 0; i < threads; i++)
        if (pthread_create(&all[i], 0, sending_to_sleep, (void *)i))
            return 1;
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    going = 1;
    usleep(atoi(argv[2]) * 1000);
    stopping = 1;
    for (int i = 0; i < threads; i++)
        pthread_join(all[i], 0);
    printf("{\"naps\": %ld}\n", atomic_load(&naps));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        ;
    return 0;
}
