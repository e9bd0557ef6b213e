/* Two threads that hand a byte to and fro, each below so many calls.
 *
 * usage: pair DEPTH PAUSE
 * PAUSE: milliseconds between two of them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int there[2], back[2];

struct ends {
    int from, to;
};

__attribute__((noinline)) static int take(int fd)
{
    char c;
    int n = read(fd, &c, 1);
    __asm__ volatile("");
    return n;
}

__attribute__((noinline)) static int descend(int fd, int depth)
{
    int n = depth > 0 ? descend(fd, depth - 1) : take(fd);
    __asm__ volatile("");
    return n;
}

static int depth, pause_ms;

static void *hand_over(void *given)
{
    struct ends *ends = given;
    while (descend(ends->from, depth) == 1 && write(ends->to, "x", 1) == 1)
        if (pause_ms)
            usleep(pause_ms * 1000);
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t other;
    if (argc < 3)
        return 1;
    depth = atoi(argv[1]);
    pause_ms = atoi(argv[2]);
    if (pipe(there) || pipe(back) || write(there[1], "x", 1) != 1)
        return 1;
    struct ends one = {there[0], back[1]}, two = {back[0], there[1]};
    puts("ready");
    fflush(stdout);
    pthread_create(&other, 0, hand_over, &two);
    hand_over(&one);
    return 0;
}
