// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/worker.h"

#include "dnsbench/wire.h"
#include <clusterdns/clock.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS 30000                    // what is due sooner is not slept for
#define LOOK_NS UINT64_C(100000000)      // that it is to stop is noticed at least so often
#define SETTLE_NS 50000000               // that further answers are waited for at the end
#define PATIENCE_NS UINT64_C(1000000000) // for what is on its way, when the run is ended early
#define REST_NS UINT64_C(5000000000)     // for which the id of a lost question is not given again
#define STUCK_NS 1000000                 // after which a flow is looked for again
#define EXPIRE_NS 1000000                // between two looks for what has waited too long
#define BUFFER (4 << 20)                 // bytes of a socket's buffers that are asked for
#define READS_MAX 64                     // rounds of events before losses are settled
#define LAG_COARSE (UINT32_C(1) << 31)   // with this bit a slot's lag is in units of 2^LAG_SHIFT nanoseconds
#define LAG_SHIFT 10
#define NEVER UINT64_MAX

enum state { FREE, WAITING, ANSWERED, LOST };

uint64_t worker_now(const struct worker *w)
{
    uint64_t at = clock_monotonic_ns();
    return at > w->load->start_ns ? at - w->load->start_ns : 0;
}

// --- life

int worker_watch(struct worker *w, struct flow *f, uint32_t events, bool again)
{
    struct epoll_event event = {.events = events, .data.ptr = f};
    return epoll_ctl(w->epoll, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, f->fd, &event) == 0 ? 0 : CDNS_EIO;
}

int worker_socket(const struct load *load, int type)
{
    static const int buffer = BUFFER;
    int fd = socket(load->server.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer); // a help, not a need
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    bool bound = load->source.sa.sa_family == AF_UNSPEC || bind(fd, &load->source.sa, address_size(&load->source)) == 0;
    if (bound && (connect(fd, &load->server.sa, address_size(&load->server)) == 0 || errno == EINPROGRESS))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_flow(struct worker *w, unsigned i)
{
    struct flow *f = w->flows[i] = calloc(1, w->load->transport->flow_size);
    if (f == NULL)
        return CDNS_ENOMEM;
    (void)!getrandom(&f->next, sizeof f->next, 0); // answers to an earlier run are strangers
    f->oldest = f->next;
    f->fd = -1;
    if (w->stub != NULL && (f->tickets = calloc(FLOW_IDS, sizeof *f->tickets)) == NULL)
        return CDNS_ENOMEM;
    return w->load->transport->open(w, f);
}

int worker_new(const struct load *load, unsigned part, struct worker **out)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return CDNS_ENOMEM;
    *w = (struct worker){.load = load, .part = part, .most = load->outstanding / load->threads};
    w->most += part < load->outstanding % load->threads;
    w->left = load->queries > 0 ? load->queries / load->threads + (part < load->queries % load->threads) : NEVER;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->flows = calloc(load->flows, sizeof(void *));
    int rc = w->epoll < 0       ? CDNS_EIO
             : w->flows == NULL ? CDNS_ENOMEM
                                : results_init(&w->results, load->plan.duration_ns);
    if (rc == 0 && load->lookups != NULL)
        rc = (w->stub = stub_new(load->lookups, load->attempts, &w->results.lookups)) == NULL ? CDNS_ENOMEM : 0;
    for (unsigned i = 0; rc == 0 && i < load->flows; i++)
        rc = open_flow(w, i);
    schedule_begin(&w->schedule, &load->plan, part, load->threads);
    size_t n = load->lookups != NULL ? load->lookups->n : load->questions->n;
    picker_begin(&w->picker, load->order, load->zipf, n, part, load->threads, load->seed);
    if (rc == 0)
        *out = w;
    else
        worker_free(w);
    return rc;
}

void worker_free(struct worker *w)
{
    int saved = errno;
    for (unsigned i = 0; w->flows != NULL && i < w->load->flows; i++) {
        if (w->flows[i] == NULL)
            continue;
        w->load->transport->close(w->flows[i]);
        free(w->flows[i]->tickets);
        free(w->flows[i]);
    }
    if (w->epoll >= 0)
        close(w->epoll);
    free(w->flows);
    stub_free(w->stub);
    results_free(&w->results);
    free(w);
    errno = saved;
}

// --- sending

// Nothing more is begun.
static void end_sending(struct worker *w, uint64_t at)
{
    w->due = NEVER;
    if (w->results.sending_ns != 0)
        return;
    w->results.sending_ns = at < w->load->plan.duration_ns ? at : w->load->plan.duration_ns;
    w->results.answered_while = w->results.counts.answered;
}

// Sets when the next question or look-up is due.
static void schedule_more(struct worker *w, uint64_t at)
{
    bool stopped = atomic_load_explicit(&w->load->stop, memory_order_relaxed);
    if (w->left == 0 && w->most == 0 && !stopped)
        end_sending(w, schedule_span(&w->load->plan, w->load->queries));
    else if (stopped || w->left == 0 || (w->most > 0 && at >= w->load->plan.duration_ns))
        end_sending(w, at);
    else if (w->most > 0) // a closed loop: whenever there is room
        w->due = (w->stub != NULL ? stub_active(w->stub) : w->outstanding) < w->most ? at : NEVER;
    else if (!schedule_next(&w->schedule, &w->due))
        end_sending(w, w->load->plan.duration_ns);
}

static uint32_t lag_pack(uint64_t ns)
{
    uint64_t coarse = ns >> LAG_SHIFT;
    return ns < LAG_COARSE ? (uint32_t)ns : LAG_COARSE | (uint32_t)(coarse < LAG_COARSE ? coarse : LAG_COARSE - 1);
}

static uint64_t lag_of(const struct slot *slot)
{
    return slot->lag < LAG_COARSE ? slot->lag : (uint64_t)(slot->lag - LAG_COARSE) << LAG_SHIFT;
}

static uint64_t end_of(const struct worker *w, const struct slot *slot)
{
    return slot->due + lag_of(slot) + w->load->timeout_ns;
}

// Ids of lost questions rest, so that answers which come very late are not taken for those of others.
static bool ids_are_free(const struct worker *w, const struct flow *f)
{
    const struct slot *last = &f->slots[(uint16_t)(f->next + WORKER_BATCH - 1)];
    bool free = (uint16_t)(f->next + WORKER_BATCH - f->oldest) >= WORKER_BATCH;
    return free && (last->state != LOST || worker_now(w) > end_of(w, last) + REST_NS);
}

// The next flow in turn that can be given questions; NULL: none can, so what is due gets late. That is the server's
// doing where a connection takes nothing; where all that is missing are ids, it is not.
static struct flow *next_flow(struct worker *w, uint64_t at, unsigned *room)
{
    bool held = false;
    for (unsigned i = 0; i < w->load->flows; i++) {
        struct flow *f = w->flows[w->turn];
        w->turn = (w->turn + 1) % w->load->flows;
        if (!ids_are_free(w, f))
            continue;
        *room = w->load->transport->room(w, f);
        if (*room > 0)
            return f;
        held = true;
    }
    w->freed = held ? at : w->freed;
    return NULL;
}

static void give_question(struct worker *w, struct flow *f, size_t number, uint64_t due)
{
    f->slots[f->next++] = (struct slot){.due = due, .question = (uint32_t)number & 0x3fffffff, .state = WAITING};
    f->waiting++;
    w->outstanding++;
    w->results.counts.due++;
    results_second(&w->results, due)->due++;
}

// Gives a flow the questions that are due. Returns how many.
static unsigned give_questions(struct worker *w, struct flow *f, unsigned room, uint64_t at)
{
    unsigned n = 0;
    for (; w->due <= at && n < room; n++) {
        give_question(w, f, picker_next(&w->picker), w->due);
        w->left--;
        schedule_more(w, at);
    }
    return n;
}

// … those of look-ups: what is under way goes first.
static unsigned give_lookups(struct worker *w, struct flow *f, unsigned room, uint64_t at)
{
    struct stub_ask ask;
    unsigned n = 0;
    while (n + 2 <= room && (stub_asks(w->stub) || w->due <= at)) {
        if (!stub_asks(w->stub)) {
            stub_begin(w->stub, picker_next(&w->picker), w->due);
            w->left--;
            schedule_more(w, at);
        }
        if (!stub_next(w->stub, &ask))
            continue;
        for (unsigned i = 0; i < ask.n; i++) {
            f->tickets[f->next] = ask.ticket;
            give_question(w, f, ask.questions[i], ask.due);
        }
        n += ask.n;
    }
    return n;
}

// What no flow could take for as long as an answer may take is not sent any more.
static void give_up(struct worker *w, uint64_t at)
{
    while (w->due <= at && at - w->due > w->load->timeout_ns) {
        if (w->stub != NULL) {
            w->results.lookups.due++;
            w->results.lookups.failed++;
            histogram_add(w->results.lookups.latency, at - w->due);
        }
        w->results.counts.due++;
        w->results.counts.unsent++;
        results_second(&w->results, w->due)->due++;
        w->left--;
        schedule_more(w, at);
    }
}

// Sends what is due, through one flow. Returns true if there may be more.
static bool send_due(struct worker *w)
{
    uint64_t at = worker_now(w);
    if (w->due == NEVER && w->most > 0)
        schedule_more(w, at);
    bool any = w->due <= at || (w->stub != NULL && stub_asks(w->stub));
    unsigned room;
    struct flow *f = any ? next_flow(w, at, &room) : NULL;
    if (f == NULL) {
        give_up(w, at);
        return false;
    }
    unsigned n = w->stub != NULL ? give_lookups(w, f, room, at) : give_questions(w, f, room, at);
    if (n > 0)
        w->load->transport->send(w, f, n);
    return n == room || (w->stub != NULL && stub_asks(w->stub));
}

const struct question *flow_question(const struct worker *w, const struct flow *f, uint16_t id)
{
    return &w->load->questions->all[f->slots[id].question];
}

void flow_sent(struct worker *w, struct flow *f, uint16_t id, uint64_t at)
{
    struct counts *c = &w->results.counts;
    struct slot *slot = &f->slots[id];
    uint64_t lag = at > slot->due ? at - slot->due : 0, held = w->freed > slot->due ? w->freed - slot->due : 0;
    uint64_t own = lag > held ? lag - held : 0;
    slot->lag = lag_pack(lag);
    histogram_add(w->results.lag, own);
    c->sent++;
    c->late += own > RESULTS_LATE_NS;
    c->bytes_sent += flow_question(w, f, id)->size;
}

void flow_unsent(struct worker *w, struct flow *f, uint16_t id)
{
    f->slots[id].state = FREE;
    f->waiting--;
    w->outstanding--;
    w->results.counts.unsent++;
    if (w->stub != NULL)
        stub_lost(w->stub, f->tickets[id], f->slots[id].question, worker_now(w));
}

// --- receiving

// An error may come without the question (RFC 1035 §4.1.1 leaves that open).
static bool answers(const struct question *q, const uint8_t *message, size_t size)
{
    unsigned rcode = message[3] & 15, questions = wire_u16(message + 4);
    return questions == 0 ? rcode != 0 && rcode != 3 : question_is_of(q, message, size);
}

static void note_answer(struct worker *w, struct flow *f, struct slot *slot, const uint8_t *message, size_t size,
                        uint64_t at)
{
    struct counts *c = &w->results.counts;
    uint64_t latency = at > slot->due ? at - slot->due : 0, lag = lag_of(slot),
             service = latency > lag ? latency - lag : 0;
    slot->state = ANSWERED;
    f->waiting--;
    w->outstanding--;
    unsigned rcode = wire_rcode(message, size);
    c->rcodes[rcode < RESULTS_RCODES ? rcode : RESULTS_RCODES]++;
    c->truncated += (message[2] & 2) != 0;
    results_answer(&w->results, slot->due, latency, service);
    if (w->load->check != NULL)
        check_answer(w->load->check, w->part, slot->question, message, size, w->load->start_ns + at);
}

static void lose(struct worker *w, struct flow *f, uint16_t id, uint64_t at)
{
    struct slot *slot = &f->slots[id];
    slot->state = LOST;
    f->waiting--;
    w->outstanding--;
    results_loss(&w->results, slot->due, lag_of(slot) + w->load->timeout_ns);
    if (w->stub != NULL)
        stub_lost(w->stub, f->tickets[id], slot->question, at);
}

void flow_take(struct worker *w, struct flow *f, const uint8_t *message, size_t size, uint64_t at)
{
    struct counts *c = &w->results.counts;
    c->bytes_received += size;
    if (size < WIRE_HEADER || (message[2] & 0x80) == 0) {
        c->strange++;
        return;
    }
    uint16_t id = (uint16_t)wire_u16(message);
    struct slot *slot = &f->slots[id];
    if (slot->state == FREE || !answers(flow_question(w, f, id), message, size)) {
        c->strange += slot->state == FREE;
        c->mismatched += slot->state != FREE;
        return;
    }
    if (slot->state == WAITING && at >= end_of(w, slot))
        lose(w, f, id, end_of(w, slot));
    if (slot->state == WAITING)
        note_answer(w, f, slot, message, size, at);
    else if (slot->state == ANSWERED)
        c->duplicates++;
    else
        c->tardy++;
    if (w->stub != NULL)
        stub_answered(w->stub, f->tickets[id], slot->question, message, size, at);
}

// --- time

// Settles what has waited too long. Returns when the oldest one that still waits will have.
static uint64_t expire(struct worker *w, struct flow *f, uint64_t at)
{
    for (; f->oldest != f->next; f->oldest++) {
        struct slot *slot = &f->slots[f->oldest];
        uint64_t end = end_of(w, slot);
        if (slot->state != WAITING)
            continue;
        if (end > at)
            return end;
        lose(w, f, f->oldest, end);
    }
    return NEVER;
}

// There may be thousands of flows: they are not all looked at in each turn.
static uint64_t expire_all(struct worker *w, uint64_t at)
{
    if (at < w->look)
        return w->expiry;
    w->expiry = NEVER;
    for (unsigned i = 0; i < w->load->flows; i++) {
        uint64_t end = expire(w, w->flows[i], at);
        w->expiry = end < w->expiry ? end : w->expiry;
    }
    w->look = w->expiry < at + EXPIRE_NS ? w->expiry : at + EXPIRE_NS;
    return w->expiry;
}

// Waits for answers, at most `left` nanoseconds, and takes them. True: there were events.
static bool wait_for_events(struct worker *w, uint64_t left)
{
    struct epoll_event events[WORKER_BATCH];
    left = left > SPIN_NS ? left - SPIN_NS / 2 : 0;
    const struct timespec time = clock_timespec(left);
    int n = epoll_pwait2(w->epoll, events, WORKER_BATCH, &time, NULL);
    for (int i = 0; i < n; i++)
        w->load->transport->event(w, events[i].data.ptr, events[i].events);
    return n > 0;
}

// Returns as expire_all(). What has come in time, but was not read yet, is no loss.
static uint64_t settle(struct worker *w)
{
    uint64_t at = worker_now(w);
    for (unsigned i = 0; at >= w->expiry && i < READS_MAX && wait_for_events(w, 0); i++)
        ;
    return expire_all(w, at);
}

// Is an answer waited for?
static bool is_waiting(const struct worker *w)
{
    return w->outstanding > 0 || (w->stub != NULL && stub_active(w->stub) > 0);
}

static bool is_over(const struct worker *w, uint64_t at)
{
    bool waits = is_waiting(w);
    if (atomic_load_explicit(&w->load->stop, memory_order_relaxed))
        return !waits || at > w->stopped + PATIENCE_NS;
    if (waits)
        return false;
    return w->most == 0 || w->left == 0 ? w->due == NEVER : at >= w->load->plan.duration_ns;
}

// Connections are made meanwhile. worker_now() is 0 until then.
static void await_start(struct worker *w)
{
    for (uint64_t at; (at = clock_monotonic_ns()) < w->load->start_ns;)
        (void)wait_for_events(w, w->load->start_ns - at);
}

static void stop(struct worker *w)
{
    if (w->stopped == 0)
        w->stopped = worker_now(w);
    end_sending(w, w->stopped);
    if (w->stub != NULL)
        stub_stop(w->stub);
}

// What comes after the last question's end is counted too: second answers, and those of lost ones, as long as their
// time-out again.
static void linger(struct worker *w)
{
    uint64_t end = worker_now(w) + (w->results.counts.lost > 0 ? w->load->timeout_ns : SETTLE_NS);
    for (uint64_t at; (at = worker_now(w)) < end && !atomic_load_explicit(&w->load->stop, memory_order_relaxed);)
        (void)wait_for_events(w, end - at < LOOK_NS ? end - at : LOOK_NS);
    results_show(&w->results, is_waiting(w));
}

static void ask_all(struct worker *w)
{
    schedule_more(w, 0);
    for (;;) {
        uint64_t until = settle(w), at = worker_now(w);
        bool more = send_due(w);
        if (atomic_load_explicit(&w->load->stop, memory_order_relaxed))
            stop(w);
        results_show(&w->results, is_waiting(w));
        if (is_over(w, at)) {
            end_sending(w, at);
            w->results.over_ns = worker_now(w);
            linger(w);
            return;
        }
        until = w->due < until ? w->due : until;
        until = at + LOOK_NS < until ? at + LOOK_NS : until;
        at = worker_now(w);
        if (!more && w->due <= at) // no flow takes it
            until = at + STUCK_NS;
        (void)wait_for_events(w, more || until <= at ? 0 : until - at);
    }
}

// What the thread has had of a CPU, and how long it has waited for one (proc_pid_schedstat(5)).
static void read_cpu(uint64_t *cpu_ns, uint64_t *wait_ns)
{
    struct timespec t;
    char line[96], *rest = line;
    FILE *file = fopen("/proc/thread-self/schedstat", "re");
    *wait_ns = 0;
    if (file != NULL && fgets(line, sizeof line, file) != NULL && strsep(&rest, " ") != NULL && rest != NULL)
        *wait_ns = strtoull(rest, NULL, 10);
    if (file != NULL)
        fclose(file);
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    *cpu_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void worker_run(struct worker *w)
{
    uint64_t cpu, wait;
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    await_start(w);
    read_cpu(&cpu, &wait);
    ask_all(w);
    read_cpu(&w->results.generator_cpu_ns, &w->results.generator_wait_ns);
    w->results.generator_cpu_ns -= cpu;
    w->results.generator_wait_ns -= wait < w->results.generator_wait_ns ? wait : w->results.generator_wait_ns;
}
