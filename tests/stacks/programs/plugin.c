/* A library that a program loads while it runs. -DNAME=... names its functions: two libraries have
 * the same code, so that the second one, at the address of the first, has other names there.
 */
#include <sys/syscall.h>
#include <time.h>

#define JOIN(a, b) a##_##b
#define NAMED(a, b) JOIN(a, b)

__attribute__((noinline)) void NAMED(NAME, wait)(void)
{
    struct timespec nap = {0, 4000000};
    long number = SYS_nanosleep;
    __asm__ volatile("syscall" : "+a"(number) : "D"(&nap), "S"(0) : "rcx", "r11", "memory");
}

__attribute__((noinline)) void NAMED(NAME, middle)(void)
{
    NAMED(NAME, wait)();
    __asm__ volatile("");
}

void run(void)
{
    NAMED(NAME, middle)();
    __asm__ volatile("");
}
