/* A shop in three processes, to be traced: what waits in it has the names that one would look for.
 *
 * usage: shop FOLDER SECONDS
 * Prints the process to trace, with its children, and waits three seconds. shopweb has an event loop
 * and workers; they ask shopdb, whose sessions share a page pool, a log with group commit, and a
 * checkpoint. Half way through, the checkpoint begins to hold the pool's lock while it writes.
 * Visitors are threads of the process that was started, which is not one of the children.
 * System calls are made here and not in libc, which is built without frame pointers: a stack is
 * whole from main to the kernel.
 * Build: gcc -g -O0 -pthread shop.c -o shop -lm; optimised, functions lose their frames.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 12
#define WORKERS 3
#define SESSIONS WORKERS
#define PAGE 4096

enum page { HOME, PRODUCT, SEARCH, CART, CHECKOUT, PAGES };
enum query { BY_KEY, BY_NAME, STOCK, ORDER, END };

static int clients[CLIENTS][2], sessions[SESSIONS][2];
static int data_file, log_file, jobs[2];
static double began, length;

static __attribute__((always_inline)) inline long call(long n, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = 0;
    register long r9 __asm__("r9") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9 - began;
}

static double chance(void)
{
    static __thread unsigned seed;
    if (!seed)
        seed = (unsigned)(unsigned long)&seed;
    return rand_r(&seed) / (double)RAND_MAX;
}

void doze(double seconds)
{
    struct timespec t = {(long)seconds, (long)((seconds - (long)seconds) * 1e9)};
    call(SYS_nanosleep, (long)&t, 0, 0, 0);
}

void compute(double milliseconds)
{
    volatile double x = 0;
    for (long k = 0; k < milliseconds * 60000; k++)
        x += k;
}

int receive(int fd, char *byte) { return call(SYS_read, fd, (long)byte, 1, 0) == 1; }
int transmit(int fd, char byte) { return call(SYS_write, fd, (long)&byte, 1, 0) == 1; }

/* Locks and conditions, on futexes. */

void lock_wait(int *lock) { call(SYS_futex, (long)lock, FUTEX_WAIT_PRIVATE, 2, 0); }

void lock_acquire(int *lock)
{
    int held = 0;
    if (__atomic_compare_exchange_n(lock, &held, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    while (__atomic_exchange_n(lock, 2, __ATOMIC_ACQUIRE))
        lock_wait(lock);
}

void lock_release(int *lock)
{
    if (__atomic_exchange_n(lock, 0, __ATOMIC_RELEASE) == 2)
        call(SYS_futex, (long)lock, FUTEX_WAKE_PRIVATE, 1, 0);
}

void await_change(int *word, int seen) { call(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, seen, 0); }

void announce(int *word)
{
    __atomic_add_fetch(word, 1, __ATOMIC_RELEASE);
    call(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, 1 << 20, 0);
}

/* shopdb: sessions, a page pool, a log. */

static int pool_lock, stock_lock, commits, flushed;

void page_read(int number)
{
    static __thread char *buffer;
    if (!buffer && posix_memalign((void **)&buffer, PAGE, PAGE))
        exit(1);
    call(SYS_pread64, data_file, (long)buffer, PAGE, (long)number * PAGE);
}

void page_get(double miss)
{
    lock_acquire(&pool_lock);
    compute(0.02);
    lock_release(&pool_lock);
    if (chance() < miss)
        page_read((int)(chance() * 4000));
}

void btree_descend(int level, double miss)
{
    page_get(miss / 4);
    if (level)
        btree_descend(level - 1, miss);
    else
        page_get(miss);
}

void select_by_key(void) { btree_descend(2, 0.2); }

void scan_by_name(void)
{
    btree_descend(1, 0.3);
    for (int k = 0; k < 12; k++)
        page_get(0.6);
    compute(0.5);
}

void log_wait_flushed(int commit)
{
    for (int seen; (seen = __atomic_load_n(&flushed, __ATOMIC_ACQUIRE)) < commit;)
        await_change(&flushed, seen);
}

void log_commit(void)
{
    int commit = __atomic_add_fetch(&commits, 1, __ATOMIC_RELEASE);
    call(SYS_futex, (long)&commits, FUTEX_WAKE_PRIVATE, 1, 0);
    log_wait_flushed(commit);
}

void update_stock(void)
{
    lock_acquire(&stock_lock);
    btree_descend(2, 0.1);
    log_commit();
    lock_release(&stock_lock);
}

void insert_order(void)
{
    btree_descend(2, 0.1);
    compute(0.2);
    log_commit();
}

void execute_query(char query)
{
    if (query == BY_KEY)
        select_by_key();
    else if (query == BY_NAME)
        scan_by_name();
    else if (query == STOCK)
        update_stock();
    else
        insert_order();
}

int read_query(int fd, char *query) { return receive(fd, query) && *query != END; }

void *session_main(void *fd)
{
    char query;
    prctl(PR_SET_NAME, "shopdb");
    while (read_query((int)(long)fd, &query)) {
        execute_query(query);
        transmit((int)(long)fd, query);
    }
    exit(0);
}

void log_write(void) { call(SYS_pwrite64, log_file, (long)"commit\n", 7, 0); }
void log_sync(void) { call(SYS_fdatasync, log_file, 0, 0, 0); }

void *log_writer_main(void *unused)
{
    prctl(PR_SET_NAME, "shopdb-log");
    for (int done = 0;; done = __atomic_load_n(&flushed, __ATOMIC_ACQUIRE)) {
        int wanted = __atomic_load_n(&commits, __ATOMIC_ACQUIRE);
        if (wanted == done) {
            await_change(&commits, wanted);
            continue;
        }
        log_write();
        log_sync();
        __atomic_store_n(&flushed, wanted - 1, __ATOMIC_RELEASE);
        announce(&flushed);
    }
    return unused;
}

void flush_pages(int pages)
{
    static char page[PAGE] __attribute__((aligned(PAGE)));
    for (int k = 0; k < pages; k++)
        call(SYS_pwrite64, data_file, (long)page, PAGE, (long)(chance() * 4000) * PAGE);
    call(SYS_fsync, data_file, 0, 0, 0);
}

void checkpoint(int holding)
{
    if (holding)
        lock_acquire(&pool_lock);
    flush_pages(holding ? 300 : 20);
    if (holding)
        lock_release(&pool_lock);
}

void *checkpointer_main(void *unused)
{
    prctl(PR_SET_NAME, "shopdb-ckpt");
    for (;;) {
        int holding = now() > 0.5 * length && now() < 0.75 * length;
        doze(holding ? 0.1 : 1);
        checkpoint(holding);
    }
    return unused;
}

void run_database(void)
{
    pthread_t thread;
    prctl(PR_SET_NAME, "shopdb");
    pthread_create(&thread, 0, log_writer_main, 0);
    pthread_create(&thread, 0, checkpointer_main, 0);
    for (long k = 1; k < SESSIONS; k++)
        pthread_create(&thread, 0, session_main, (void *)(long)sessions[k][1]);
    session_main((void *)(long)sessions[0][1]);
}

/* shopweb: an event loop hands requests to workers. */

static int queue[64], queue_head, queue_tail, queue_lock, queue_word;

void db_query(int fd, char query)
{
    char answer;
    transmit(fd, query);
    if (!receive(fd, &answer))
        exit(0);
}

void render_page(double milliseconds) { compute(milliseconds); }

void show_product(int db)
{
    db_query(db, BY_KEY);
    render_page(0.3);
}

void search_products(int db)
{
    db_query(db, BY_NAME);
    render_page(1);
}

void fill_cart(int db)
{
    db_query(db, BY_KEY);
    db_query(db, STOCK);
    render_page(0.2);
}

/* Somebody else's server: most answers take 20 ms, some a second. */
void await_payment(void) { doze(0.02 / (0.02 + chance())); }

void send_receipt(void) { transmit(jobs[1], 1); }

void checkout(int db)
{
    db_query(db, STOCK);
    await_payment();
    db_query(db, ORDER);
    render_page(0.4);
    send_receipt();
}

void handle_request(int db, char page)
{
    if (page == HOME)
        render_page(0.5);
    else if (page == PRODUCT)
        show_product(db);
    else if (page == SEARCH)
        search_products(db);
    else if (page == CART)
        fill_cart(db);
    else
        checkout(db);
}

int take_request(void)
{
    for (;;) {
        int seen = __atomic_load_n(&queue_word, __ATOMIC_ACQUIRE);
        lock_acquire(&queue_lock);
        int fd = queue_head < queue_tail ? queue[queue_head++ % 64] : -1;
        lock_release(&queue_lock);
        if (fd >= 0)
            return fd;
        await_change(&queue_word, seen);
    }
}

void *worker_main(void *db)
{
    char page;
    prctl(PR_SET_NAME, "shopweb");
    for (;;) {
        int fd = take_request();
        if (!receive(fd, &page))
            exit(0);
        handle_request((int)(long)db, page);
        transmit(fd, page);
    }
}

int wait_for_events(int poll, struct epoll_event *events)
{
    return call(SYS_epoll_wait, poll, (long)events, 16, -1);
}

void event_loop(int poll)
{
    struct epoll_event events[16];
    for (;;) {
        int count = wait_for_events(poll, events);
        lock_acquire(&queue_lock);
        for (int k = 0; k < count; k++)
            queue[queue_tail++ % 64] = events[k].data.fd;
        lock_release(&queue_lock);
        announce(&queue_word);
    }
}

void run_web(void)
{
    pthread_t thread;
    int poll = epoll_create1(0);
    prctl(PR_SET_NAME, "shopweb");
    for (int k = 0; k < CLIENTS; k++) {
        struct epoll_event event = {EPOLLIN | EPOLLET, {.fd = clients[k][1]}};
        epoll_ctl(poll, EPOLL_CTL_ADD, clients[k][1], &event);
    }
    for (long k = 0; k < WORKERS; k++)
        pthread_create(&thread, 0, worker_main, (void *)(long)sessions[k][0]);
    event_loop(poll);
}

/* shopjobs: receipts, each made by a process of its own. */

void make_receipt(void)
{
    if (!fork()) {
        compute(2);
        _exit(0);
    }
    call(SYS_wait4, -1, 0, 0, 0);
}

void run_jobs(void)
{
    char job;
    prctl(PR_SET_NAME, "shopjobs");
    while (receive(jobs[0], &job))
        make_receipt();
}

/* Visitors: more of them at some times than at others. */

void *visitor_main(void *fd)
{
    char page;
    while (now() < length) {
        double busy = 0.55 + 0.45 * sin(now() / length * 9);
        doze(0.01 + chance() * 0.1 / busy);
        double one = chance();
        page = one < 0.2 ? HOME : one < 0.55 ? PRODUCT : one < 0.8 ? SEARCH
                                : one < 0.94 ? CART : CHECKOUT;
        transmit((int)(long)fd, page);
        if (!receive((int)(long)fd, &page))
            break;
    }
    return 0;
}

void run_visitors(void)
{
    pthread_t thread;
    for (long k = 0; k < CLIENTS; k++)
        pthread_create(&thread, 0, visitor_main, (void *)(long)clients[k][0]);
    sleep((unsigned)length);
}

void run_shop(void)
{
    void (*parts[])(void) = {run_database, run_web, run_jobs};
    pid_t pids[3];
    printf("%d\n", getpid());
    fflush(stdout);
    sleep(3);
    began = now();
    for (int k = 0; k < 3; k++)
        if (!(pids[k] = fork())) {
            parts[k]();
            _exit(0);
        }
    sleep((unsigned)length);
    for (int k = 0; k < 3; k++)
        kill(pids[k], SIGTERM);
}

int main(int argc, char **argv)
{
    if (argc < 3 || chdir(argv[1]))
        return 1;
    length = atof(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    data_file = open("pages", O_RDWR | O_CREAT | O_DIRECT, 0600);
    log_file = open("log", O_RDWR | O_CREAT, 0600);
    if (data_file < 0 || log_file < 0 || posix_fallocate(data_file, 0, 4096L * PAGE) || pipe(jobs))
        return 1;
    for (int k = 0; k < CLIENTS; k++)
        socketpair(AF_UNIX, SOCK_STREAM, 0, clients[k]);
    for (int k = 0; k < SESSIONS; k++)
        socketpair(AF_UNIX, SOCK_STREAM, 0, sessions[k]);
    if (!fork()) {
        run_shop();
        return 0;
    }
    sleep(3);
    began = now();
    run_visitors();
    return 0;
}
