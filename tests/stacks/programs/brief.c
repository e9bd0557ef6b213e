/* Children that live for 20 ms, one after the other: each waits below in_child, and ends. With an
 * argument the child executes this program again, which then waits below main, in_child.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline)) void wait_a_while(void)
{
    struct timespec nap = {0, 20 * 1000000};
    nanosleep(&nap, 0);
    __asm__ volatile("");
}

__attribute__((noinline)) void in_child(const char *name)
{
    prctl(PR_SET_NAME, name);
    wait_a_while();
    __asm__ volatile("");
}

__attribute__((noinline)) void send_child(char *again)
{
    if (!fork()) {
        if (again)
            execl(again, again, "executed", "child", (char *)0);
        in_child("forked");
        _exit(0);
    }
    wait(0);
    __asm__ volatile("");
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        in_child(argv[1]);
        return 0;
    }
    prctl(PR_SET_NAME, argc > 1 ? "executing" : "forking");
    puts("ready");
    fflush(stdout);
    for (;;)
        send_child(argv[1]);
}
