// SPDX-License-Identifier: Apache-2.0
#include "base/logring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RING ((size_t)1 << 20)   ///< bytes of queued lines
#define CROWDED (RING / 4)       ///< from here on the thread writes without waiting for company
#define GATHER_NS 1000000        ///< how long the first of several lines waits, so that they share a write
#define NANOSECONDS 1000000000UL ///< in a second

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;  ///< the thread sleeps on it while the ring is empty
    pthread_cond_t drained; ///< log_stop() sleeps on it
    char *data;             ///< RING bytes; bytes tail … head are queued (modulo RING)
    size_t head, tail;      ///< ever put in, ever written out
    uint64_t unreported;    ///< lines dropped since the last notice
    pthread_t thread;
    int fd;
    bool running, stopping, asleep;
    bool lost; ///< the output was blocked when the thread was stopped: nothing more is written to it
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDOUT_FILENO};

static enum log_format line_format;
static uint64_t dropped;

enum log_format logring_format(void)
{
    return __atomic_load_n(&line_format, __ATOMIC_RELAXED);
}

uint64_t log_dropped(void)
{
    return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}

static void count_dropped(uint64_t lines)
{
    __atomic_fetch_add(&dropped, lines, __ATOMIC_RELAXED);
}

/// Waits until a descriptor that another process made non-blocking takes more; false on any other error than EAGAIN.
static bool wait_writable(int fd)
{
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return errno == EINTR;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    poll(&p, 1, -1);
    return true;
}

static void write_direct(int fd, const char *line, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, line, len);
        if (n < 0) {
            if (wait_writable(fd))
                continue;
            count_dropped(1);
            return;
        }
        line += n;
        len -= (size_t)n;
    }
}

/// Copies into the ring; the caller has checked the room and holds the lock.
static void copy_in(const char *bytes, size_t len)
{
    size_t at = ring.head % RING;
    size_t first = len < RING - at ? len : RING - at;
    memcpy(ring.data + at, bytes, first);
    memcpy(ring.data, bytes + first, len - first);
    ring.head += len;
}

/// Queues a line if there is room for it and for the notice that is due where lines were dropped; needs the lock.
static bool enqueue(const char *line, size_t len)
{
    char notice[LOG_LINE_MAX];
    size_t due = 0;
    if (ring.unreported > 0) {
        char text[80];
        int n = snprintf(text, sizeof text, "%llu log lines were dropped: the output was blocked",
                         (unsigned long long)ring.unreported);
        due = log_line(&(struct log_entry){.level = LOG_LEVEL_WARNING, .text = text, .len = (size_t)n}, notice);
    }
    if (due + len > RING - (ring.head - ring.tail))
        return false;
    copy_in(notice, due);
    copy_in(line, len);
    ring.unreported = 0;
    return true;
}

void logring_put(const char *line, size_t len)
{
    pthread_mutex_lock(&ring.lock);
    if (!ring.running) {
        int fd = ring.lost ? -1 : ring.fd;
        pthread_mutex_unlock(&ring.lock);
        if (fd >= 0)
            write_direct(fd, line, len);
        else
            count_dropped(1);
        return;
    }
    if (!enqueue(line, len)) {
        ring.unreported++;
        count_dropped(1);
    }
    // A busy thread looks again before it sleeps, so most lines cost no system call.
    if (ring.asleep) {
        ring.asleep = false;
        pthread_cond_signal(&ring.filled);
    }
    pthread_mutex_unlock(&ring.lock);
}

static uint64_t count_lines(size_t from, size_t to)
{
    uint64_t lines = 0;
    for (; from < to; from++)
        lines += ring.data[from % RING] == '\n';
    return lines;
}

/// Writes bytes tail … head without the lock (producers write elsewhere); only here the thread may be cancelled.
/// Returns how far the tail moves; an output that is broken loses the whole piece.
static size_t write_out(size_t tail, size_t head)
{
    size_t at = tail % RING, len = head - tail;
    size_t first = len < RING - at ? len : RING - at;
    struct iovec parts[2] = {{ring.data + at, first}, {ring.data, len - first}};
    int old;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    ssize_t n;
    do {
        n = writev(ring.fd, parts, len > first ? 2 : 1);
    } while (n < 0 && wait_writable(ring.fd));
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    if (n >= 0)
        return (size_t)n;
    count_dropped(count_lines(tail, head));
    return len;
}

/// Sleeps until there is something to write; needs the lock. False: the thread shall end.
static bool wait_for_lines(void)
{
    while (ring.head == ring.tail) {
        if (ring.unreported > 0) {
            enqueue("", 0);
            return true;
        }
        pthread_cond_broadcast(&ring.drained);
        if (ring.stopping)
            return false;
        ring.asleep = true;
        while (ring.asleep)
            pthread_cond_wait(&ring.filled, &ring.lock);
        if (!ring.stopping && ring.head - ring.tail < CROWDED) {
            pthread_mutex_unlock(&ring.lock);
            nanosleep(&(struct timespec){.tv_nsec = GATHER_NS}, NULL);
            pthread_mutex_lock(&ring.lock);
        }
    }
    return true;
}

static void *run(void *unused)
{
    (void)unused;
    int old;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    pthread_mutex_lock(&ring.lock);
    while (wait_for_lines()) {
        size_t tail = ring.tail, head = ring.head;
        pthread_mutex_unlock(&ring.lock);
        size_t written = write_out(tail, head);
        pthread_mutex_lock(&ring.lock);
        ring.tail += written;
    }
    pthread_mutex_unlock(&ring.lock);
    return NULL;
}

/// The thread takes no signals: they are main's, and a closed pipe is an error code here.
static int start_thread(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&ring.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed != 0 ? CDNS_EIO : 0;
}

int log_start(int fd, enum log_format format)
{
    pthread_mutex_lock(&ring.lock);
    int error = ring.running ? CDNS_EEXIST : 0;
    if (error == 0 && (ring.data = malloc(RING)) == NULL)
        error = CDNS_ENOMEM;
    if (error == 0) {
        pthread_condattr_t monotonic;
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&ring.filled, NULL);
        pthread_cond_init(&ring.drained, &monotonic);
        pthread_condattr_destroy(&monotonic);
        ring.head = ring.tail = 0;
        ring.unreported = 0;
        ring.fd = fd;
        ring.stopping = ring.asleep = ring.lost = false;
        __atomic_store_n(&line_format, format, __ATOMIC_RELAXED);
        error = start_thread();
        ring.running = error == 0;
        if (error != 0)
            free(ring.data);
    }
    pthread_mutex_unlock(&ring.lock);
    return error;
}

void log_stop(uint64_t timeout_ns)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    uint64_t nanoseconds = (uint64_t)deadline.tv_nsec + timeout_ns;
    deadline.tv_sec += (time_t)(nanoseconds / NANOSECONDS);
    deadline.tv_nsec = (long)(nanoseconds % NANOSECONDS);

    pthread_mutex_lock(&ring.lock);
    if (!ring.running) {
        pthread_mutex_unlock(&ring.lock);
        return;
    }
    ring.stopping = true;
    ring.asleep = false;
    pthread_cond_signal(&ring.filled);
    int timed_out = 0;
    while (timed_out == 0 && (ring.head != ring.tail || ring.unreported > 0))
        timed_out = pthread_cond_timedwait(&ring.drained, &ring.lock, &deadline);
    ring.running = false; // from here on lines go the direct way
    ring.lost = ring.head != ring.tail || ring.unreported > 0;
    if (ring.lost)
        pthread_cancel(ring.thread);
    pthread_mutex_unlock(&ring.lock);
    pthread_join(ring.thread, NULL);
    count_dropped(count_lines(ring.tail, ring.head));
    free(ring.data);
    pthread_cond_destroy(&ring.filled);
    pthread_cond_destroy(&ring.drained);
}
