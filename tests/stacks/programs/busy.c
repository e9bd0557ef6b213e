/* Computes, below main, one, two, three; half of the time in the vDSO. It never waits. */
#include <stdio.h>
#include <time.h>

#define APART __attribute__((noinline, noclone))

static volatile unsigned long sum;

APART void compute(void)
{
    for (int i = 0; i < 2000; i++)
        sum += i * 7;
}

APART void look_at_clock(void)
{
    struct timespec time;
    for (int i = 0; i < 200; i++)
        clock_gettime(CLOCK_MONOTONIC, &time);
    sum += time.tv_nsec;
}

APART void three(void)
{
    compute();
    look_at_clock();
    sum++;
}

APART void two(void)
{
    three();
    sum++;
}

APART void one(void)
{
    two();
    sum++;
}

int main(void)
{
    puts("ready");
    fflush(stdout);
    for (;;)
        one();
}
