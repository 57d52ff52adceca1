// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/churn.h"

#include "base/thread.h"
#include <clusterdns/clock.h>
#include <clusterdns/message.h>
#include <clusterdns/name.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SOCKETS 4
#define ANSWERS 64 // that are taken at a time
#define ANSWER_MAX 4096
#define ANSWER_MEMORY 65536 // bytes of an answer that is taken apart

// Between two questions: a part of how long the oldest change has been waited for, within bounds. The time at which a
// change is seen is late by up to that.
#define GAP_LEAST_NS UINT64_C(200000)
#define GAP_MOST_NS UINT64_C(1000000)
#define GAP_PART 32
#define GAP_IDLE_NS UINT64_C(5000000) // … while nothing is waited for

#define PATIENCE_NS UINT64_C(10000000000) // a change is lost after the time-out, but not sooner
#define FIRST_NS UINT64_C(10000000000)    // … until the server knows the name
#define LOOK_NS 20000000
#define NOT_ASKED UINT32_MAX

struct churn {
    const struct options *options;
    const struct load *load;
    struct churn_objects *objects;
    char api_error[CHURN_ERROR_MAX]; // the writer's
    pthread_t writer, asker;
    bool writing, asking; // these threads are there

    pthread_mutex_t lock;     // of these, and of the track
    pthread_cond_t stopped;   // `stop` is set
    bool stop, finish, early; // no more changes; no more questions when all is seen; … when it is not
    unsigned rcode;           // of the last answer
    struct track track;
    uint32_t newest_at[65536]; // track.newest when an id was sent; NOT_ASKED: no answer is waited for

    // The asker's.
    uint8_t qname[NAME_MAX_WIRE];
    struct message_question question;
    int sockets[SOCKETS], wake; // `wake`: there is a change to wait for
    unsigned turn, quick;       // socket that is asked next; those still to be asked soon
    struct arena *arena;
};

// --- the asker

// Nanoseconds between two questions.
static uint64_t gap_now(struct churn *c, uint64_t now)
{
    uint64_t oldest = track_oldest(&c->track), gap = oldest != 0 && now > oldest ? (now - oldest) / GAP_PART : 0;
    if (oldest == 0 && c->quick == 0)
        return GAP_IDLE_NS;
    return gap < GAP_LEAST_NS ? GAP_LEAST_NS : gap > GAP_MOST_NS ? GAP_MOST_NS : gap;
}

static void ask(struct churn *c)
{
    uint8_t packet[MESSAGE_QUESTION_MAX];
    c->question.id++;
    size_t size = message_question_write(&c->question, packet, sizeof packet);
    pthread_mutex_lock(&c->lock);
    c->newest_at[c->question.id] = c->track.newest;
    c->track.results.asked++;
    pthread_mutex_unlock(&c->lock);
    (void)!send(c->sockets[c->turn], packet, size, 0); // what is not sent is not answered, and asked again
    c->turn = (c->turn + 1) % SOCKETS;
    c->quick -= c->quick > 0;
}

// The number that an answer shows.
static bool number_in(struct churn *c, const uint8_t *packet, size_t size, uint32_t *bits)
{
    struct message_answer answer;
    arena_reset(c->arena);
    if (message_answer_read(c->arena, packet, size, &answer) != 0)
        return false;
    for (uint32_t i = 0; i < answer.answer.n; i++)
        if (answer.answer.rr[i].type == RR_A && answer.answer.rr[i].class_ == CLASS_IN &&
            answer.answer.rr[i].rdlen == 4 && churn_objects_number(answer.answer.rr[i].rdata, bits))
            return true;
    return false;
}

// An answer, with the lock held, to a question that was asked when `newest` was the newest.
static void count_answer(struct churn *c, const uint32_t *bits, uint32_t newest, uint64_t at)
{
    uint32_t before = c->track.newest;
    c->track.results.answered++;
    if (bits != NULL)
        track_show(&c->track, *bits, newest, at);
    else
        c->track.results.wrong++;
    if (c->track.newest != before)
        c->quick = SOCKETS; // does every worker show it?
}

static void take_answer(struct churn *c, const uint8_t *packet, size_t size, uint64_t at)
{
    struct message_question asked = c->question;
    uint32_t bits;
    asked.id = (uint16_t)(size < 2 ? 0 : packet[0] << 8 | packet[1]);
    if (!message_answers(&asked, packet, size))
        return;
    bool shows = number_in(c, packet, size, &bits);
    pthread_mutex_lock(&c->lock);
    c->rcode = packet[3] & 15;
    if (c->newest_at[asked.id] != NOT_ASKED)
        count_answer(c, shows ? &bits : NULL, c->newest_at[asked.id], at);
    c->newest_at[asked.id] = NOT_ASKED;
    pthread_mutex_unlock(&c->lock);
}

static void take_answers(struct churn *c, int fd)
{
    uint8_t packet[ANSWER_MAX];
    ssize_t n;
    for (unsigned i = 0; i < ANSWERS && (n = recv(fd, packet, sizeof packet, MSG_DONTWAIT)) >= 0; i++)
        take_answer(c, packet, (size_t)n, clock_monotonic_ns());
}

// Takes answers until it is time to ask again, or there is a change.
static void listen_until(struct churn *c, uint64_t until)
{
    struct pollfd fds[SOCKETS + 1] = {{.fd = c->wake, .events = POLLIN}};
    for (int i = 0; i < SOCKETS; i++)
        fds[1 + i] = (struct pollfd){.fd = c->sockets[i], .events = POLLIN};
    uint64_t now = clock_monotonic_ns(), left = until > now ? until - now : 0, count;
    const struct timespec time = clock_timespec(left);
    if (ppoll(fds, SOCKETS + 1, &time, NULL) <= 0)
        return;
    if (fds[0].revents != 0)
        (void)!read(c->wake, &count, sizeof count);
    for (int i = 0; i < SOCKETS; i++)
        if (fds[1 + i].revents != 0)
            take_answers(c, c->sockets[i]);
}

static void *ask_on(void *arg)
{
    struct churn *c = arg;
    uint64_t asked = 0;
    bool over = false;
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    while (!over) {
        uint64_t now = clock_monotonic_ns();
        pthread_mutex_lock(&c->lock);
        track_settle(&c->track, now);
        uint64_t gap = gap_now(c, now);
        over = c->finish && (c->early || track_waiting(&c->track) == 0);
        pthread_mutex_unlock(&c->lock);
        if (now >= asked + gap) {
            ask(c);
            asked = now;
        }
        listen_until(c, asked + gap);
    }
    return NULL;
}

// --- the writer

// Writes one number, with the lock held but for the time that it takes.
static int write_one(struct churn *c, char *error)
{
    static const uint64_t one = 1;
    uint32_t number = track_send(&c->track, clock_monotonic_ns());
    pthread_mutex_unlock(&c->lock);
    (void)!write(c->wake, &one, sizeof one);
    int rc = churn_objects_write(c->objects, number, error);
    uint64_t at = clock_monotonic_ns();
    pthread_mutex_lock(&c->lock);
    if (rc == 0)
        track_acknowledge(&c->track, number, at);
    else
        track_fail(&c->track, number);
    return rc;
}

// Waits until a time, with the lock held before and after; also for room among the changes that are waited for. False:
// there are to be no more.
static bool wait_until(struct churn *c, uint64_t until)
{
    for (;;) {
        uint64_t now = clock_monotonic_ns();
        bool full = track_waiting(&c->track) == TRACK_WAITING;
        if (c->stop || (now >= until && !full))
            return !c->stop;
        uint64_t next = now >= until ? now + LOOK_NS : until;
        const struct timespec at = clock_timespec(next);
        pthread_cond_timedwait(&c->stopped, &c->lock, &at);
    }
}

static uint64_t due_at(const struct churn *c, uint64_t n)
{
    return c->load->start_ns + (uint64_t)((double)n * 1e9 / c->options->churn);
}

static void *write_on(void *arg)
{
    struct churn *c = arg;
    uint64_t end = c->load->start_ns + c->load->plan.duration_ns, n = 0;
    char error[CHURN_ERROR_MAX];
    pthread_mutex_lock(&c->lock);
    for (; due_at(c, n) < end && clock_monotonic_ns() < end && wait_until(c, due_at(c, n)); n++)
        if (write_one(c, error) != 0 && c->api_error[0] == '\0')
            memcpy(c->api_error, error, sizeof error);
    for (uint64_t now = clock_monotonic_ns(); due_at(c, n) < end && due_at(c, n) <= now;)
        n++;
    c->track.results.planned = n;
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

// --- life

static int open_locks(struct churn *c)
{
    pthread_mutex_init(&c->lock, NULL);
    thread_condition_init(&c->stopped);
    c->arena = arena_new(ANSWER_MEMORY);
    uint64_t timeout = c->options->timeout_ns;
    int rc = track_init(&c->track, timeout > PATIENCE_NS ? timeout : PATIENCE_NS);
    return c->arena != NULL ? rc : CDNS_ENOMEM;
}

static int open_sockets(struct churn *c, char *error)
{
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool good = c->wake >= 0;
    for (int i = 0; good && i < SOCKETS; i++)
        good = (c->sockets[i] = worker_socket(c->load, SOCK_DGRAM)) >= 0;
    return good ? 0 : churn_fail(error, "a socket for --churn could not be opened: %s", strerror(errno));
}

static int make(const struct options *o, const struct load *load, struct churn **out, char *error)
{
    struct churn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return CDNS_ENOMEM;
    c->options = o;
    c->load = load;
    c->wake = -1;
    memset(c->sockets, -1, sizeof c->sockets);
    memset(c->newest_at, 0xff, sizeof c->newest_at); // NOT_ASKED
    *out = c;
    int rc = open_locks(c);
    if (rc == 0)
        rc = churn_objects_new(o, &c->objects, error);
    if (rc == 0)
        rc = open_sockets(c, error);
    if (rc == 0 && name_from_text(churn_objects_name(c->objects), c->qname) != 0)
        rc = churn_fail(error, "--zone %s: this is no zone's name", o->zone);
    c->question = (struct message_question){.qname = c->qname, .qtype = RR_A, .qclass = CLASS_IN, .rd = true};
    return rc;
}

// --- the beginning

// Why does the server not show what was written?
static int explain(struct churn *c, char *error)
{
    const struct track_results *r = &c->track.results;
    const char *name = churn_objects_name(c->objects);
    char server[ADDRESS_TEXT_MAX], rcode[16];
    address_text(&c->load->server, server);
    if (r->answered == 0)
        return churn_fail(error, "%s does not answer over UDP, which --churn asks it over", server);
    if (r->wrong < r->answered)
        return churn_fail(error, "%s shows no change of %s for 10 s: does it watch the API, or cache for longer?",
                          server, name);
    return churn_fail(
        error,
        "%s does not know %s 10 s after its Service was created (%s, or another address): is it a server of "
        "the cluster that --kubeconfig and --context name, and is --zone %s the cluster's zone?",
        server, name, rcode_text((uint16_t)c->rcode, rcode), c->options->zone);
}

// Waits, with the lock held before and after, until the first change is seen.
static int wait_for_first(struct churn *c, const volatile sig_atomic_t *interrupted, char *error)
{
    static const struct timespec look = {.tv_nsec = LOOK_NS};
    uint64_t end = clock_monotonic_ns() + FIRST_NS;
    while (track_waiting(&c->track) > 0 && clock_monotonic_ns() < end && !*interrupted) {
        pthread_mutex_unlock(&c->lock);
        (void)nanosleep(&look, NULL);
        pthread_mutex_lock(&c->lock);
    }
    if (*interrupted)
        return churn_fail(error, "interrupted");
    return c->track.results.seen > 0 ? 0 : explain(c, error);
}

// The first change proves that there may be changes, and that the server shows them.
static int begin_asking(struct churn *c, const volatile sig_atomic_t *interrupted, char *error)
{
    if (thread_start(&c->asker, "churn-ask", ask_on, c) != 0)
        return churn_fail(error, "a thread for --churn could not be started");
    c->asking = true;
    pthread_mutex_lock(&c->lock);
    int rc = write_one(c, error);
    if (rc == 0)
        rc = wait_for_first(c, interrupted, error);
    track_restart(&c->track);
    memset(c->newest_at, 0xff, sizeof c->newest_at); // NOT_ASKED: what is on its way does not count
    pthread_mutex_unlock(&c->lock);
    return rc;
}

int churn_open(const struct options *o, const struct load *load, const volatile sig_atomic_t *interrupted,
               struct churn **out, char *error)
{
    *out = NULL;
    int rc = make(o, load, out, error);
    if (rc == 0)
        rc = churn_objects_create((*out)->objects, error);
    if (rc == 0)
        rc = begin_asking(*out, interrupted, error);
    return rc;
}

int churn_begin(struct churn *c)
{
    int rc = thread_start(&c->writer, "churn-write", write_on, c);
    c->writing = rc == 0;
    return rc;
}

// --- the end

static void stop_threads(struct churn *c, bool early)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->stopped);
    pthread_mutex_unlock(&c->lock);
    if (c->writing) // before the asker: its last change is waited for
        pthread_join(c->writer, NULL);
    pthread_mutex_lock(&c->lock);
    c->early = early;
    c->finish = true;
    pthread_mutex_unlock(&c->lock);
    if (c->asking)
        pthread_join(c->asker, NULL);
    c->writing = c->asking = false;
}

int churn_end(struct churn *c, bool early, char *error)
{
    struct track_results *r = &c->track.results;
    stop_threads(c, early);
    r->unsettled = r->changes - r->seen - r->lost;
    return c->objects != NULL ? churn_objects_delete(c->objects, error) : 0;
}

const struct track_results *churn_results(const struct churn *c)
{
    return &c->track.results;
}

const char *churn_api_error(const struct churn *c)
{
    return c->api_error;
}

void churn_free(struct churn *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < SOCKETS; i++)
        if (c->sockets[i] >= 0)
            close(c->sockets[i]);
    if (c->wake >= 0)
        close(c->wake);
    churn_objects_free(c->objects);
    track_clear(&c->track);
    arena_free(c->arena);
    pthread_cond_destroy(&c->stopped);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
