/* A thread for each way to wait. Each has the name of its way, and waits below the same calls:
 *
 *     in_thread, one, two, three, by_WAY
 *
 * The main thread waits below main, one, two, three, by_nanosleep. Says "ready" when all wait.
 * With -DFEW there is the main thread alone: what is built in many ways needs one way to wait.
 * With an argument the main thread waits 200 calls of `descend` further down.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAIT_NS 4000000
#define APART __attribute__((noinline, noclone))
/* A last call would else be a jump, which leaves no frame. */
#define NOT_LAST __asm__ volatile("")

typedef void way(void);

static const struct timespec nap = {0, WAIT_NS};

APART void by_nanosleep(void)
{
    nanosleep(&nap, 0);
    NOT_LAST;
}

APART void three(way *wait)
{
    wait();
    NOT_LAST;
}

APART void two(way *wait)
{
    three(wait);
    NOT_LAST;
}

APART void one(way *wait)
{
    two(wait);
    NOT_LAST;
}

APART void descend(int levels)
{
    if (levels)
        descend(levels - 1);
    else
        by_nanosleep();
    NOT_LAST;
}

APART void by_depth(void)
{
    descend(199);
    NOT_LAST;
}

#ifndef FEW

static int ends[2], events;
static sem_t turn;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, around = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

APART void by_poll(void)
{
    poll(0, 0, 4);
    NOT_LAST;
}

APART void by_epoll(void)
{
    struct epoll_event event;
    epoll_wait(events, &event, 1, 4);
    NOT_LAST;
}

APART void by_select(void)
{
    struct timeval time = {0, WAIT_NS / 1000};
    select(0, 0, 0, 0, &time);
    NOT_LAST;
}

APART void by_read(void)
{
    char c;
    if (read(ends[0], &c, 1) != 1)
        pause();
    NOT_LAST;
}

APART void by_semaphore(void)
{
    sem_wait(&turn);
    NOT_LAST;
}

APART void by_condition(void)
{
    pthread_mutex_lock(&around);
    pthread_cond_wait(&condition, &around);
    pthread_mutex_unlock(&around);
}

/* Two threads do this; each waits while the other holds the lock and sleeps. */
APART void by_mutex(void)
{
    pthread_mutex_lock(&mutex);
    nanosleep(&nap, 0);
    pthread_mutex_unlock(&mutex);
    NOT_LAST;
}

APART void by_syscall(void)
{
    syscall(SYS_nanosleep, &nap, 0);
    NOT_LAST;
}

/* The instruction in place, as Go and some libraries have it: no frame of libc. */
APART void by_instruction(void)
{
    long number = SYS_nanosleep;
    __asm__ volatile("syscall" : "+a"(number) : "D"(&nap), "S"(0) : "rcx", "r11", "memory");
}

/* The size of the frame is known when it runs. */
APART void by_alloca(void)
{
    struct timespec *copy = alloca(sizeof nap * (1 + (getpid() & 7)));
    memcpy(copy, &nap, sizeof nap);
    nanosleep(copy, 0);
    NOT_LAST;
}

/* Aligned, with a variable size, and arguments on the stack: the caller is found by an expression. */
APART void aligned(int a, int b, int c, int d, int e, int f, int g, int size)
{
    struct timespec copy __attribute__((aligned(128))) = nap;
    char *more = alloca(size);
    __asm__ volatile("" : : "r"(&copy), "r"(more), "r"(a + b + c + d + e + f + g) : "memory");
    nanosleep(&copy, 0);
    NOT_LAST;
}

APART void by_alignment(void)
{
    aligned(1, 2, 3, 4, 5, 6, 7, 8 * (1 + (getpid() & 7)));
    NOT_LAST;
}

APART void on_signal(int number)
{
    (void)number;
    nanosleep(&nap, 0);
    NOT_LAST;
}

APART void by_signal(void)
{
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    NOT_LAST;
}

/* The page is taken away; another thread fills it in a while later. */
static char *page;
static int faults = -1;

APART void by_fault(void)
{
    madvise(page, 4096, MADV_DONTNEED);
    *(volatile char *)page;
}

static void *in_filler(void *unused)
{
    struct uffd_msg message;
    prctl(PR_SET_NAME, "filler");
    while (read(faults, &message, sizeof message) == sizeof message) {
        struct uffdio_zeropage zero = {.range = {(unsigned long)page, 4096}};
        nanosleep(&nap, 0);
        ioctl(faults, UFFDIO_ZEROPAGE, &zero);
    }
    return unused;
}

static int watch_page(void)
{
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register whole = {.mode = UFFDIO_REGISTER_MODE_MISSING};
    faults = syscall(SYS_userfaultfd, O_CLOEXEC);
    page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    whole.range = (struct uffdio_range){(unsigned long)page, 4096};
    return faults >= 0 && !ioctl(faults, UFFDIO_API, &api) &&
           !ioctl(faults, UFFDIO_REGISTER, &whole);
}

static const struct {
    const char *name;
    way *wait;
} ways[] = {
    {"nanosleep", by_nanosleep}, {"poll", by_poll},           {"epoll", by_epoll},
    {"select", by_select},       {"read", by_read},           {"semaphore", by_semaphore},
    {"condition", by_condition}, {"mutex", by_mutex},         {"mutex", by_mutex},
    {"syscall", by_syscall},     {"instruction", by_instruction},
    {"alloca", by_alloca},       {"alignment", by_alignment}, {"signal", by_signal},
    {"fault", by_fault},
};
enum { WAYS = sizeof ways / sizeof *ways };

APART void *in_thread(void *number)
{
    prctl(PR_SET_NAME, ways[(long)number].name);
    for (;;)
        one(ways[(long)number].wait);
    return 0;
}

static void *in_waker(void *unused)
{
    prctl(PR_SET_NAME, "waker");
    for (;;) {
        nanosleep(&nap, 0);
        if (write(ends[1], "x", 1) != 1)
            break;
        sem_post(&turn);
        pthread_mutex_lock(&around);
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&around);
    }
    return unused;
}

static int start_threads(void)
{
    pthread_t thread;
    if (pipe(ends) || sem_init(&turn, 0, 0) || (events = epoll_create1(0)) < 0)
        return 1;
    signal(SIGUSR1, on_signal);
    pthread_create(&thread, 0, in_waker, 0);
    if (watch_page())
        pthread_create(&thread, 0, in_filler, 0);
    for (long i = 0; i < WAYS; i++)
        if (ways[i].wait != by_fault || faults >= 0)
            pthread_create(&thread, 0, in_thread, (void *)i);
    return 0;
}

#else
static int start_threads(void) { return 0; }
#endif

int main(int argc, char **argv)
{
    (void)argv;
    if (start_threads())
        return 1;
    puts("ready");
    fflush(stdout);
    for (;;)
        one(argc > 1 ? by_depth : by_nanosleep);
}
