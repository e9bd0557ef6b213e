/* Runs and touches memory in functions of known names, and measures itself.
 *
 * usage: stacks FOLDER MILLISECONDS PAGES
 * Burns MILLISECONDS of CPU time, three quarters of them in burn_most, then writes to PAGES new
 * pages in touch_pages. The protocol is waiter.c's.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long sink;

static long long cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* The clock is asked seldom, so that nearly all samples fall on the loop itself. */
#define BURN(us)                                                                                  \
    do {                                                                                          \
        long long end = cpu_us() + (us);                                                          \
        while (cpu_us() < end)                                                                    \
            for (int i = 0; i < 200000; i++)                                                      \
                sink += i;                                                                        \
    } while (0)

__attribute__((noinline)) void burn_most(long long us) { BURN(us); }
__attribute__((noinline)) void burn_rest(long long us) { BURN(us); sink++; }

__attribute__((noinline)) void touch_pages(char *memory, long pages)
{
    for (long i = 0; i < pages; i++)
        memory[i * 4096] = 1;
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

int main(int argc, char **argv)
{
    char line[16];
    if (argc < 4)
        return 1;
    long long us = atoll(argv[2]) * 1000;
    long pages = atol(argv[3]);
    puts("ready");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    long long before = cpu_us();
    burn_most(us * 3 / 4);
    long long most = cpu_us() - before;
    burn_rest(us / 4);
    long long all = cpu_us() - before;
    char *memory = mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(memory, pages * 4096, MADV_NOHUGEPAGE);
    long faulted = faults();
    touch_pages(memory, pages);
    faulted = faults() - faulted;
    printf("{\"most\": %lld, \"all\": %lld, \"faults\": %ld}\n", most, all, faulted);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        ;
    return 0;
}
