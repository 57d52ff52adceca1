// SPDX-License-Identifier: Apache-2.0
#include "base/logring.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RING ((size_t)1 << 20)   // bytes of queued lines
#define CROWDED (RING / 4)       // from here on the thread writes without waiting for company
#define GATHER_NS 1000000        // how long the first of several lines waits, so that they share a write
#define NANOSECONDS 1000000000UL // in a second

// The queue of one log_start(). Everything in it needs `lock`, but for the queued bytes, which only the thread reads.
struct ring {
    pthread_cond_t filled;  // the thread sleeps on it while the ring is empty
    pthread_cond_t drained; // log_stop() sleeps on it
    size_t head, tail;   // bytes put in, written out, since the ring was empty; tail … head are queued (modulo RING)
    uint64_t unreported; // lines dropped since the last notice
    pthread_t thread;
    int fd;
    bool asleep;    // the thread waits for `filled`
    bool stopping;  // it shall end when nothing is queued
    bool abandoned; // it shall end at once and free the ring: log_stop() did not wait for it
    char data[RING];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring *ring; // NULL while no thread runs: lines go out directly
static int direct_fd = STDOUT_FILENO;
static bool blocked; // the output was blocked when the thread was given up: nothing more is written to it

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

// Waits until a descriptor that another process made non-blocking takes more; false on any other error than EAGAIN.
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

// Copies into the ring; the caller has checked the room and holds the lock.
static void copy_in(struct ring *r, const char *bytes, size_t len)
{
    size_t at = r->head % RING;
    size_t first = len < RING - at ? len : RING - at;
    memcpy(r->data + at, bytes, first);
    memcpy(r->data, bytes + first, len - first);
    r->head += len;
}

// Queues a line if there is room for it and for the notice that is due where lines were dropped; needs the lock.
static bool enqueue(struct ring *r, const char *line, size_t len)
{
    char notice[LOG_LINE_MAX];
    size_t due = 0;
    if (r->unreported > 0) {
        char text[80];
        int n = snprintf(text, sizeof text, "%llu log lines were dropped: the output was blocked",
                         (unsigned long long)r->unreported);
        due = log_line(&(struct log_entry){.level = LOG_LEVEL_WARNING, .text = text, .len = (size_t)n}, notice);
    }
    if (due + len > RING - (r->head - r->tail))
        return false;
    copy_in(r, notice, due);
    copy_in(r, line, len);
    r->unreported = 0;
    return true;
}

void logring_put(const char *line, size_t len)
{
    pthread_mutex_lock(&lock);
    struct ring *r = ring;
    if (r == NULL) {
        int fd = blocked ? -1 : direct_fd;
        pthread_mutex_unlock(&lock);
        if (fd >= 0)
            write_direct(fd, line, len);
        else
            count_dropped(1);
        return;
    }
    if (!enqueue(r, line, len)) {
        r->unreported++;
        count_dropped(1);
    }
    // A busy thread looks again before it sleeps, so most lines cost no system call.
    if (r->asleep) {
        r->asleep = false;
        pthread_cond_signal(&r->filled);
    }
    pthread_mutex_unlock(&lock);
}

static uint64_t count_lines(const struct ring *r, size_t from, size_t to)
{
    uint64_t lines = 0;
    for (; from < to; from++)
        lines += r->data[from % RING] == '\n';
    return lines;
}

// Writes bytes tail … head without the lock (producers write elsewhere). Returns how many were written; -1 when the
// output is broken.
static ssize_t write_out(const struct ring *r, size_t tail, size_t head)
{
    size_t at = tail % RING, len = head - tail;
    size_t first = len < RING - at ? len : RING - at;
    struct iovec parts[2] = {{(void *)(r->data + at), first}, {(void *)r->data, len - first}};
    ssize_t n = writev(r->fd, parts, len > first ? 2 : 1);
    return n < 0 && wait_writable(r->fd) ? 0 : n;
}

// Sleeps until there is something to write; needs the lock. False: the thread shall end.
static bool wait_for_lines(struct ring *r)
{
    while (r->head == r->tail && !r->abandoned) {
        if (r->unreported > 0) {
            enqueue(r, "", 0);
            return true;
        }
        pthread_cond_broadcast(&r->drained);
        if (r->stopping)
            return false;
        r->head = r->tail = 0; // as long as lines are few, they touch few pages
        r->asleep = true;
        while (r->asleep)
            pthread_cond_wait(&r->filled, &lock);
        if (!r->stopping && r->head - r->tail < CROWDED) {
            pthread_mutex_unlock(&lock);
            nanosleep(&(struct timespec){.tv_nsec = GATHER_NS}, NULL);
            pthread_mutex_lock(&lock);
        }
    }
    return !r->abandoned;
}

static void free_ring(struct ring *r)
{
    pthread_cond_destroy(&r->filled);
    pthread_cond_destroy(&r->drained);
    free(r);
}

static void *run(void *arg)
{
    struct ring *r = arg;
    pthread_mutex_lock(&lock);
    while (wait_for_lines(r)) {
        size_t tail = r->tail, head = r->head;
        pthread_mutex_unlock(&lock);
        ssize_t written = write_out(r, tail, head);
        pthread_mutex_lock(&lock);
        if (written < 0 && !r->abandoned) // log_stop() has counted what an abandoned ring held
            count_dropped(count_lines(r, tail, head));
        r->tail = written < 0 ? head : tail + (size_t)written;
    }
    bool abandoned = r->abandoned;
    pthread_mutex_unlock(&lock);
    if (abandoned)
        free_ring(r);
    return NULL;
}

static struct ring *new_ring(int fd)
{
    struct ring *r = malloc(sizeof *r);
    if (r == NULL)
        return NULL;
    memset(r, 0, offsetof(struct ring, data));
    r->fd = fd;
    pthread_cond_init(&r->filled, NULL);
    thread_condition_init(&r->drained);
    return r;
}

int log_start(int fd, enum log_format format)
{
    struct ring *r = new_ring(fd);
    if (r == NULL)
        return CDNS_ENOMEM;
    pthread_mutex_lock(&lock);
    int error = ring != NULL ? CDNS_EEXIST : thread_start(&r->thread, "log", run, r);
    if (error == 0) {
        ring = r;
        direct_fd = fd;
        blocked = false;
        __atomic_store_n(&line_format, format, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&lock);
    if (error != 0)
        free_ring(r);
    return error;
}

static struct timespec deadline_in(uint64_t timeout_ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t nanoseconds = (uint64_t)t.tv_nsec + timeout_ns;
    t.tv_sec += (time_t)(nanoseconds / NANOSECONDS);
    t.tv_nsec = (long)(nanoseconds % NANOSECONDS);
    return t;
}

void log_stop(uint64_t timeout_ns)
{
    struct timespec deadline = deadline_in(timeout_ns);
    pthread_mutex_lock(&lock);
    struct ring *r = ring;
    if (r == NULL) {
        pthread_mutex_unlock(&lock);
        return;
    }
    r->stopping = true;
    r->asleep = false;
    pthread_cond_signal(&r->filled);
    int timed_out = 0;
    while (timed_out == 0 && (r->head != r->tail || r->unreported > 0))
        timed_out = pthread_cond_timedwait(&r->drained, &lock, &deadline);
    ring = NULL; // from here on lines go the direct way
    // A thread in a blocked write cannot be ended; when it comes back, it ends itself.
    r->abandoned = blocked = r->head != r->tail || r->unreported > 0;
    pthread_t thread = r->thread;
    bool abandoned = r->abandoned;
    if (abandoned)
        count_dropped(count_lines(r, r->tail, r->head));
    pthread_mutex_unlock(&lock);
    if (abandoned) {
        pthread_detach(thread);
    } else {
        pthread_join(thread, NULL);
        free_ring(r);
    }
}
