/* Two threads that hand a byte to and fro over pipes: as many switches as the machine can do.
 *
 * usage: pingpong FOLDER MILLISECONDS [STACKS]
 * With STACKS, each hand-over is made below one of so many chains of calls, and every so often by
 * a new thread: what fills the maps of a tracer.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int there[2], back[2], stacks;
static volatile int stopping;
static long turns;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

__attribute__((noinline)) static int take(int fd)
{
    char c;
    int n = read(fd, &c, 1);
    __asm__ volatile("");
    return n;
}

int left(int fd, int path, int depth);

/* The bits of `path` choose the chain of calls. */
__attribute__((noinline)) int right(int fd, int path, int depth)
{
    int n = !depth ? take(fd) : path & 1 ? left(fd, path >> 1, depth - 1)
                                         : right(fd, path >> 1, depth - 1);
    __asm__ volatile("");
    return n;
}

__attribute__((noinline)) int left(int fd, int path, int depth)
{
    int n = !depth ? take(fd) : path & 1 ? left(fd, path >> 1, depth - 1)
                                         : right(fd, path >> 1, depth - 1);
    __asm__ volatile("");
    return n;
}

static void *answer(void *unused)
{
    (void)unused;
    while (take(there[0]) == 1)
        if (write(back[1], "x", 1) != 1)
            break;
    return 0;
}

static void *ask(void *limit)
{
    for (long n = 0; !stopping && (!limit || n < (long)limit); n++, turns++) {
        if (write(there[1], "x", 1) != 1)
            break;
        if (stacks)
            right(back[0], turns % stacks, 13);
        else
            take(back[0]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    char line[16];
    pthread_t answering, asking;
    if (argc < 3 || pipe(there) || pipe(back))
        return 1;
    stacks = argc > 3 ? atoi(argv[3]) : 0;
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    double began = seconds(), end = began + atoi(argv[2]) / 1e3;
    pthread_create(&answering, 0, answer, 0);
    if (!stacks) {
        pthread_create(&asking, 0, ask, 0);
        usleep(atoi(argv[2]) * 1000);
        stopping = 1;
        pthread_join(asking, 0);
    }
    while (stacks && seconds() < end) {
        pthread_create(&asking, 0, ask, (void *)200L);
        pthread_join(asking, 0);
    }
    close(there[1]);
    pthread_join(answering, 0);
    printf("{\"turns\": %ld, \"seconds\": %.3f}\n", turns, seconds() - began);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        ;
    return 0;
}
