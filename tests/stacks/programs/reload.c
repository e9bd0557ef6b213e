/* Waits in a library, one after the other: at each line of its input it closes the library that it
 * has open and opens the next of its arguments, and says where that is. The name of the thread is
 * how many it has opened.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline)) void wait_alone(void)
{
    struct timespec nap = {0, 4000000};
    nanosleep(&nap, 0);
    __asm__ volatile("");
}

__attribute__((noinline)) void call(void (*function)(void))
{
    function();
    __asm__ volatile("");
}

int main(int argc, char **argv)
{
    struct pollfd input = {0, POLLIN, 0};
    void *library = 0;
    void (*function)(void) = wait_alone;
    char c, name[] = "opened0";
    prctl(PR_SET_NAME, name);
    puts("ready");
    fflush(stdout);
    for (int next = 1;;) {
        call(function);
        if (poll(&input, 1, 0) <= 0)
            continue;
        if (read(0, &c, 1) != 1 || next >= argc)
            return 0;
        if (library)
            dlclose(library);
        library = dlopen(argv[next++], RTLD_NOW);
        if (!library)
            return 1;
        *(void **)&function = dlsym(library, "run");
        name[6]++;
        prctl(PR_SET_NAME, name);
        printf("%p\n", *(void **)&function);
        fflush(stdout);
    }
}
