// SPDX-License-Identifier: Apache-2.0
// What a loop has in flight: requests, the flows that they wait on, their deadlines.
#include "base/clock.h"
#include "base/reader.h"
#include "base/writer.h"
#include "net/socket.h"
#include "net/upstream_private.h"
#include <clusterdns/random.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 64 // requests allocated at a time

struct request_chunk {
    struct request_chunk *next;
    struct upstream_request requests[CHUNK];
};

// ---- Deadlines

static void on_timer(uv_timer_t *timer);

// Sets the timer to the first deadline. One that runs too early looks again, so a deadline that goes away costs
// nothing.
static void loop_arm(struct upstream_loop *loop)
{
    const struct heap_node *first = heap_first(&loop->timers);
    if (first == NULL || first->key == NEVER || (loop->timer_due != 0 && loop->timer_due <= first->key))
        return;
    uint64_t now = clock_monotonic_ns();
    loop->timer_due = first->key;
    // At least a millisecond: what fails at once and is asked again at once must not keep the loop from its sockets.
    (void)uv_timer_start(&loop->timer, on_timer, first->key > now ? (first->key - now) / 1000000 + 1 : 1, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct upstream_loop *loop = timer->data;
    uint64_t now = clock_monotonic_ns();
    loop->timer_due = 0;
    for (struct heap_node *n = heap_first(&loop->timers); n != NULL && n->key <= now; n = heap_first(&loop->timers)) {
        struct upstream_timer *due = CONTAINER(n, struct upstream_timer, node);
        due->fire(due, now);
    }
    loop_arm(loop);
}

void timer_move(struct upstream_loop *loop, struct upstream_timer *timer, uint64_t at)
{
    heap_remove(&loop->timers, &timer->node);
    timer->node.key = at;
    int rc = heap_insert(&loop->timers, &timer->node);
    INVARIANT(rc == 0); // the place that it had is free
    loop_arm(loop);
}

// ---- Requests

static struct upstream_request **bucket(const struct upstream_flow *flow, uint16_t id)
{
    // Ids are random, so are the buckets; the address tells apart what waits on other flows.
    return &flow->lane->loop->table[(id ^ (uintptr_t)flow >> 6) % UPSTREAM_REQUESTS];
}

static struct upstream_request *find(const struct upstream_flow *flow, uint16_t id)
{
    struct upstream_request *r = *bucket(flow, id);
    while (r != NULL && (r->flow != flow || r->id != id))
        r = r->chain;
    return r;
}

static int add_chunk(struct upstream_loop *loop)
{
    struct request_chunk *chunk = malloc(sizeof(*chunk));
    if (chunk == NULL)
        return CDNS_ENOMEM;
    chunk->next = loop->chunks;
    loop->chunks = chunk;
    for (unsigned i = 0; i < CHUNK; i++) {
        chunk->requests[i].next = loop->free;
        loop->free = &chunk->requests[i];
    }
    return 0;
}

static void request_free(struct upstream_loop *loop, struct upstream_request *r)
{
    heap_remove(&loop->timers, &r->deadline.node);
    r->next = loop->free;
    loop->free = r;
    loop->requests--;
}

static void on_deadline(struct upstream_timer *timer, uint64_t now);

static int request_new(struct upstream_loop *loop, uint64_t deadline, struct upstream_request **out)
{
    if (loop->requests == UPSTREAM_REQUESTS)
        return CDNS_ELIMIT;
    if (loop->free == NULL && add_chunk(loop) != 0)
        return CDNS_ENOMEM;
    struct upstream_request *r = loop->free;
    struct upstream_request *next = r->next;
    *r = (struct upstream_request){.deadline = {.node = {.key = deadline}, .fire = on_deadline}};
    if (heap_insert(&loop->timers, &r->deadline.node) != 0) {
        r->next = next;
        return CDNS_ENOMEM;
    }
    loop->free = next;
    loop->requests++;
    *out = r;
    return 0;
}

void request_add(struct upstream_request *r, struct upstream_flow *flow, uint64_t now)
{
    do
        random_bytes(&r->id, sizeof(r->id));
    while (find(flow, r->id) != NULL);
    struct upstream_request **head = bucket(flow, r->id);
    r->chain = *head;
    *head = r;
    r->flow = flow;
    r->asked = now;
    r->next = flow->requests;
    if (r->next != NULL)
        r->next->prev = r;
    flow->requests = r;
    flow->waiting++;
    flow->asked++;
}

static void request_remove(struct upstream_request *r)
{
    struct upstream_flow *flow = r->flow;
    struct upstream_request **at = bucket(flow, r->id);
    while (*at != r)
        at = &(*at)->chain;
    *at = r->chain;
    *(r->prev != NULL ? &r->prev->next : &flow->requests) = r->next;
    if (r->next != NULL)
        r->next->prev = r->prev;
    flow->waiting--;
    request_free(flow->lane->loop, r);
}

// The flow is busy: the callback may do anything but close it.
static void request_end(struct upstream_request *r, struct upstream_result *result, uint64_t now)
{
    upstream_cb callback = r->callback;
    void *arg = r->arg;
    result->duration_ns = now - r->asked;
    result->reused = r->reused;
    result->stale = r->kept && result->error == CDNS_EIO;
    request_remove(r);
    callback(arg, result);
}

void request_fail_later(struct upstream_request *r, const char *reason)
{
    r->failed = reason;
    // Not in the past: what a callback asks that runs at its time has its turn the next time.
    timer_move(r->flow->lane->loop, &r->deadline, r->asked + 1);
}

static void on_deadline(struct upstream_timer *timer, uint64_t now)
{
    struct upstream_request *r = CONTAINER(timer, struct upstream_request, deadline);
    struct upstream_flow *flow = r->flow;
    struct upstream_result result = {.error = CDNS_EIO, .reason = r->failed};
    flow->busy = true;
    if (r->failed == NULL) {
        result = (struct upstream_result){.error = CDNS_ETIMEOUT, .reason = flow->overdue};
        if (flow->stream)
            stream_overdue(flow, r->asked);
    }
    request_end(r, &result, now);
    flow->busy = false;
    flow_settle(flow);
}

// ---- Flows

const char *socket_reason(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "connection refused";
    case ECONNRESET:
    case EPIPE:
        return "connection reset";
    case ENETUNREACH:
        return "network is unreachable";
    case EHOSTUNREACH:
        return "no route to host";
    case ETIMEDOUT:
        return "connection timed out";
    default: {
        const char *text = strerrordesc_np(error);
        return text != NULL ? text : "socket error";
    }
    }
}

int flow_open(struct upstream_flow *flow, struct upstream_lane *lane)
{
    struct upstream_loop *loop = lane->loop;
    flow->timer.node.key = NEVER;
    if (heap_insert(&loop->timers, &flow->timer.node) != 0)
        return CDNS_ENOMEM;
    int failed = uv_poll_init(loop->timer.loop, &flow->poll, flow->fd);
    if (failed != 0) {
        heap_remove(&loop->timers, &flow->timer.node);
        errno = -failed;
        return CDNS_EIO;
    }
    flow->poll.data = flow;
    flow->lane = lane;
    struct upstream_flow **head = flow->stream ? &lane->streams : &lane->sockets;
    flow->next = *head;
    if (flow->next != NULL)
        flow->next->prev = flow;
    *head = flow;
    ++*(flow->stream ? &loop->nstreams : &loop->nsockets);
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void flow_close(struct upstream_flow *flow)
{
    struct upstream_lane *lane = flow->lane;
    struct upstream_loop *loop = lane->loop;
    INVARIANT(flow->requests == NULL);
    if (flow->stream)
        stream_clear(flow);
    *(flow->prev != NULL ? &flow->prev->next : flow->stream ? &lane->streams : &lane->sockets) = flow->next;
    if (flow->next != NULL)
        flow->next->prev = flow->prev;
    for (unsigned i = 0; i < UDP_SLOTS; i++)
        if (lane->udp[i] == flow)
            lane->udp[i] = NULL;
    heap_remove(&loop->timers, &flow->timer.node);
    if (heap_first(&loop->timers) == NULL) { // nothing is open: the loop may end
        (void)uv_timer_stop(&loop->timer);
        loop->timer_due = 0;
    }
    --*(flow->stream ? &loop->nstreams : &loop->nsockets);
    uv_close((uv_handle_t *)&flow->poll, on_closed);
    socket_close(flow->fd);
    lane_settle(lane);
}

void flow_settle(struct upstream_flow *flow)
{
    if (flow->busy)
        return;
    if (flow->stream)
        stream_settle(flow);
    else if (flow->retired && flow->waiting == 0)
        flow_close(flow);
}

void flow_fail_later(struct upstream_flow *flow, const char *reason, const struct upstream_request *except)
{
    for (struct upstream_request *r = flow->requests; r != NULL; r = r->next)
        if (r != except)
            request_fail_later(r, reason);
}

void flow_fail(struct upstream_flow *flow, int error, const char *reason)
{
    uint64_t now = clock_monotonic_ns();
    flow->retired = flow->busy = true;
    while (flow->requests != NULL) {
        struct upstream_result result = {.error = error, .reason = reason};
        request_end(flow->requests, &result, now);
    }
    flow_close(flow);
}

bool flow_deliver(struct upstream_flow *flow, uint8_t *message, size_t size, uint64_t now)
{
    struct reader in = reader_init(message, size);
    struct upstream_request *r = size >= HEADER ? find(flow, reader_u16(&in)) : NULL;
    if (r != NULL) {
        struct writer out = writer_init(message, size);
        writer_u16(&out, r->own_id);
        if (r->accept(r->arg, message, size)) {
            struct upstream_result result = {.message = message, .size = size};
            request_end(r, &result, now);
            return true;
        }
    }
    upstream_count(&flow->lane->upstream->counters.unexpected);
    return ++flow->wrong < flow->asked + WRONG_MAX;
}

// ---- The loop

static void on_prepare(uv_prepare_t *prepare)
{
    stream_flush_all(prepare->data);
    (void)uv_prepare_stop(prepare);
}

void loop_flush_later(struct upstream_loop *loop)
{
    (void)uv_prepare_start(&loop->prepare, on_prepare); // nothing happens if it runs
}

static struct upstream_loop *loop_new(struct net_loop *shared, uv_loop_t *loop)
{
    struct upstream_loop *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->shared = shared;
    (void)uv_timer_init(loop, &l->timer); // neither can fail
    (void)uv_prepare_init(loop, &l->prepare);
    l->timer.data = l->prepare.data = l;
    return l;
}

// The loop's state; NULL: it has none, and none is made or can be. Entries of net/loop.h stay for ever, so the one
// found last is found again without its lock.
static struct upstream_loop *loop_find(uv_loop_t *loop, bool make)
{
    static _Thread_local struct net_loop *last;
    struct net_loop *shared = last;
    if (shared != NULL && shared->loop == loop && shared->upstreams != NULL)
        return shared->upstreams;
    shared = net_loop_get(loop);
    if (shared == NULL)
        return NULL;
    last = shared;
    if (shared->upstreams == NULL && make && (shared->upstreams = loop_new(shared, loop)) != NULL)
        return shared->upstreams;
    net_loop_put(shared);
    return shared->upstreams;
}

struct udp_answers *loop_answers(struct upstream_loop *loop)
{
    if (loop->answers != NULL)
        return loop->answers;
    // Of this size it is mapped afresh, and what is never touched takes no memory: so it is not cleared here.
    struct udp_answers *answers = malloc(sizeof(*answers));
    if (answers == NULL)
        return NULL;
    for (unsigned i = 0; i < UDP_BATCH; i++) {
        answers->iov[i] = (struct iovec){.iov_base = answers->data[i], .iov_len = ANSWER_SIZE};
        answers->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &answers->iov[i], .msg_iovlen = 1}};
    }
    return loop->answers = answers;
}

static struct upstream_lane *lane_get(struct upstream_loop *loop, struct upstream *u)
{
    if (u->slot >= loop->nlanes) {
        size_t n = 2 * (size_t)u->slot + 8;
        struct upstream_lane **lanes = realloc(loop->lanes, n * sizeof(struct upstream_lane *));
        if (lanes == NULL)
            return NULL;
        memset(lanes + loop->nlanes, 0, (n - loop->nlanes) * sizeof(struct upstream_lane *));
        loop->lanes = lanes;
        loop->nlanes = n;
    }
    struct upstream_lane *lane = loop->lanes[u->slot];
    if (lane != NULL || (lane = calloc(1, sizeof(*lane))) == NULL)
        return lane;
    lane->upstream = u;
    lane->loop = loop;
    upstream_ref(u);
    loop->lanes[u->slot] = lane;
    return lane;
}

void lane_settle(struct upstream_lane *lane)
{
    if (lane->held || lane->sockets != NULL || lane->streams != NULL)
        return;
    lane->loop->lanes[lane->upstream->slot] = NULL;
    upstream_unref(lane->upstream);
    free(lane);
}

static void cancel_flow(struct upstream_flow *flow)
{
    while (flow->requests != NULL)
        request_remove(flow->requests);
    flow_close(flow);
}

// The last flow takes the lane with it.
static void cancel_lane(struct upstream_loop *loop, size_t slot)
{
    while (loop->lanes[slot] != NULL)
        cancel_flow(loop->lanes[slot]->streams != NULL ? loop->lanes[slot]->streams : loop->lanes[slot]->sockets);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_prepare_closed(uv_handle_t *handle)
{
    struct upstream_loop *loop = handle->data;
    uv_close((uv_handle_t *)&loop->timer, on_timer_closed);
}

void upstream_close_loop(uv_loop_t *loop)
{
    struct upstream_loop *l = loop_find(loop, false);
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->nlanes; i++)
        cancel_lane(l, i);
    for (struct request_chunk *chunk = l->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    heap_free(&l->timers);
    free(l->lanes);
    free(l->answers);
    l->shared->upstreams = NULL;
    net_loop_put(l->shared);
    (void)uv_timer_stop(&l->timer);
    uv_close((uv_handle_t *)&l->prepare, on_prepare_closed);
}

// ---- Asking

static int pick(struct upstream_lane *lane, enum upstream_way way, uint64_t now, struct upstream_flow **flow,
                bool *reused)
{
    *reused = false;
    lane->held = true; // what is found too old closes
    int rc = way == UPSTREAM_UDP && !lane->upstream->options.tls ? udp_pick(lane, now, flow)
                                                                 : stream_pick(lane, now, flow, reused);
    if (rc == 0 && !(*flow)->stream)
        *reused = (*flow)->asked > 0;
    lane->held = false;
    return rc;
}

// The rest of upstream_ask(), when there is a request and a flow for it.
static int start(struct upstream_request *r, struct upstream_flow *flow, uint64_t now, const uint8_t *message,
                 size_t size)
{
    uint8_t question[UPSTREAM_QUESTION_MAX];
    struct reader in = reader_init(message, size);
    struct writer out = writer_init(question, sizeof(question));
    request_add(r, flow, now);
    r->own_id = reader_u16(&in);
    writer_u16(&out, r->id);
    writer_bytes(&out, reader_bytes(&in, reader_left(&in)), size - sizeof(r->id));
    int rc = 0;
    if (flow->stream)
        rc = stream_send_question(r, question, size);
    else
        udp_send_question(r, question, size);
    if (rc != 0) {
        request_remove(r);
        flow_settle(flow);
    }
    return rc;
}

int upstream_ask(struct upstream *u, uv_loop_t *loop, enum upstream_way way, const uint8_t *message, size_t size,
                 uint64_t deadline_ns, upstream_accept accept, upstream_cb callback, void *arg,
                 struct upstream_request **request)
{
    if (!EXPECT(size >= HEADER && size <= UPSTREAM_QUESTION_MAX))
        return CDNS_EINVAL;
    struct upstream_loop *l = loop_find(loop, true);
    uint64_t now = clock_monotonic_ns();
    struct upstream_request *r;
    struct upstream_flow *flow;
    bool reused;
    if (l == NULL)
        return CDNS_ENOMEM;
    // Not in the past: see request_fail_later().
    int rc = request_new(l, deadline_ns > now ? deadline_ns : now + 1, &r);
    if (rc != 0)
        return rc;
    struct upstream_lane *lane = lane_get(l, u);
    rc = lane != NULL ? pick(lane, way, now, &flow, &reused) : CDNS_ENOMEM;
    if (rc != 0) {
        request_free(l, r);
        if (lane != NULL)
            lane_settle(lane);
        return rc;
    }
    r->accept = accept;
    r->callback = callback;
    r->arg = arg;
    r->reused = reused;
    rc = start(r, flow, now, message, size);
    if (rc == 0)
        *request = r;
    loop_arm(l);
    return rc;
}

void upstream_cancel(struct upstream_request *request)
{
    struct upstream_flow *flow = request->flow;
    request_remove(request);
    flow_settle(flow);
}
