// SPDX-License-Identifier: Apache-2.0
#include "kube/client.h"
#include "base/clock.h"
#include "kube/metrics.h"
#include "kube/request.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define GATHER_BYTES 16384  // so many bytes are a list; a watch's changes come there rarely
#define GATHERED_BYTES 4096 // so many bytes in the socket are worth reading at once
#define GATHER_MS 1

struct transfer {
    struct client *client;
    struct transfer *next;
    struct request request;
    struct client_handler handler;
    int error;     // what handler.answer or handler.data returned
    bool fresh;    // over a new connection
    bool added;    // libcurl has it; else it waits for its turn
    bool answered; // an answer's headers have come
    bool counted;  // how it was answered
    uint64_t made; // monotonic, ns
    bool begun;    // … of a 200: what follows the body is no other answer
    char reason[CURL_ERROR_SIZE];
    char *body;
    size_t body_len;
};

// A socket that libcurl wants watched.
struct socket {
    uv_poll_t poll;
    struct client *client;
    struct socket *next;
    curl_socket_t fd;
    int events; // of libuv
};

struct client {
    uv_loop_t *loop;
    CURLM *multi;
    struct credentials *credentials;
    struct transfer *transfers;
    bool known; // the last request to be answered or to fail was answered
    struct bucket bucket;
    int64_t inflight_max; // 0: none
    size_t taken;         // bytes of bodies since the last rest
    struct socket *sockets;
    uv_timer_t timer;    // libcurl's
    uv_timer_t patience; // with the request that goes ahead
    uv_timer_t turn;     // when the next request may be sent
    unsigned handles;    // libuv handles that are not closed yet
    void (*closed)(void *arg);
    void *closed_arg;
};

static void go_on(struct client *c);

// ---- libcurl's wishes, carried out by libuv ----

static void handle_closed(struct client *c)
{
    if (--c->handles > 0 || c->closed == NULL)
        return;
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;
    free(c);
    closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct socket *s = handle->data;
    struct client *c = s->client;
    free(s);
    handle_closed(c);
}

// A list comes in TLS records of a few KB. Waking up for each of them takes a quarter of the CPU time of a sync: when
// all that has come is read, more may gather for a millisecond.
static void let_gather(struct client *c, const struct socket *s)
{
    int waiting = 0;
    if (c->taken < GATHER_BYTES || uv_is_closing((const uv_handle_t *)&s->poll) ||
        ioctl(s->fd, FIONREAD, &waiting) != 0 || waiting >= GATHERED_BYTES)
        return;
    c->taken = 0;
    uv_sleep(GATHER_MS);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct socket *s = poll->data;
    struct client *c = s->client;
    // On an error libcurl is to read and write: it then sees the socket's own error.
    int flags = status < 0
                    ? CURL_CSELECT_IN | CURL_CSELECT_OUT
                    : ((events & UV_READABLE) ? CURL_CSELECT_IN : 0) | ((events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(c->multi, s->fd, flags, &running);
    // libuv has stopped watching after an error, which libcurl does not know.
    if (status < 0 && !uv_is_closing((uv_handle_t *)poll))
        uv_poll_start(poll, s->events, on_ready);
    let_gather(c, s);
    go_on(c);
}

static void on_timer(uv_timer_t *timer)
{
    struct client *c = timer->data;
    int running;
    curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    go_on(c);
}

static struct socket *watch_socket(struct client *c, curl_socket_t fd)
{
    struct socket *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    if (uv_poll_init_socket(c->loop, &s->poll, fd) != 0) {
        free(s);
        return NULL;
    }
    s->poll.data = s;
    s->client = c;
    s->fd = fd;
    s->next = c->sockets;
    c->sockets = s;
    c->handles++;
    curl_multi_assign(c->multi, fd, s);
    return s;
}

static void unwatch_socket(struct socket *s)
{
    for (struct socket **p = &s->client->sockets; *p != NULL; p = &(*p)->next) {
        if (*p == s) {
            *p = s->next;
            break;
        }
    }
    uv_poll_stop(&s->poll);
    uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

static int on_socket_wish(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
    (void)easy;
    struct client *c = arg;
    struct socket *s = socket;
    if (what == CURL_POLL_REMOVE) {
        if (s != NULL) {
            curl_multi_assign(c->multi, fd, NULL);
            unwatch_socket(s);
        }
        return 0;
    }
    if (s == NULL)
        s = watch_socket(c, fd);
    if (s == NULL)
        return -1;
    s->events = (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);
    return uv_poll_start(&s->poll, s->events, on_ready) == 0 ? 0 : -1;
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct client *c = arg;
    if (timeout_ms < 0)
        return uv_timer_stop(&c->timer);
    return uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct client *client_new(uv_loop_t *loop, struct credentials *credentials, const struct limits *limits)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->multi = curl_multi_init();
    if (c->multi == NULL) {
        free(c);
        return NULL;
    }
    c->loop = loop;
    c->credentials = credentials;
    c->bucket = bucket_make(limits, clock_monotonic_ns());
    c->inflight_max = limits->inflight;
    uv_timer_init(loop, &c->timer);
    uv_timer_init(loop, &c->patience);
    uv_timer_init(loop, &c->turn);
    c->timer.data = c->patience.data = c->turn.data = c;
    c->handles = 3;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wish);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 8L);
    return c;
}

// ---- answers ----

static void transfer_free(struct transfer *t)
{
    for (struct transfer **p = &t->client->transfers; *p != NULL; p = &(*p)->next) {
        if (*p == t) {
            *p = t->next;
            break;
        }
    }
    if (t->added)
        curl_multi_remove_handle(t->client->multi, t->request.easy);
    request_clear(&t->request);
    free(t->body);
    free(t);
}

// Counts the request once, when it has a status or will get none.
static void count_request(struct transfer *t)
{
    if (t->added && !t->counted)
        kube_count_request(client_server(t->client), client_status(t));
    t->counted = true;
}

// Keeps the beginning of a failure's body: it says why.
static void keep_body(struct transfer *t, const char *data, size_t len)
{
    if (t->body == NULL)
        t->body = malloc(CLIENT_BODY_MAX);
    size_t room = t->body != NULL ? CLIENT_BODY_MAX - t->body_len : 0;
    if (len > room)
        len = room;
    if (len > 0)
        memcpy(t->body + t->body_len, data, len);
    t->body_len += len;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * count;
    t->client->taken += len;
    if (client_status(t) != 200) {
        keep_body(t, data, len);
        return len;
    }
    t->error = t->handler.data(t->handler.arg, data, len);
    return t->error == 0 ? len : 0;
}

// The empty line behind the headers says that the status is final.
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    if (size * count > 2 || (data[0] != '\r' && data[0] != '\n'))
        return size * count;
    t->answered = t->client->known = true;
    if (client_status(t) >= 200) // not a proxy's answer, nor a provisional one
        count_request(t);
    if (client_status(t) == 200 && !t->begun && t->handler.answer != NULL)
        t->error = t->handler.answer(t->handler.arg);
    t->begun = client_status(t) == 200;
    return t->error == 0 ? size * count : 0;
}

int client_status(const struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->request.easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

const char *client_content_type(const struct transfer *t)
{
    const char *type = NULL;
    curl_easy_getinfo(t->request.easy, CURLINFO_CONTENT_TYPE, &type);
    return type != NULL ? type : "";
}

// Says why a connection failed; libcurl leaves out what the system said about it.
static void describe(const struct transfer *t, CURLcode code, char *text, size_t size)
{
    long number = 0;
    if (code == CURLE_COULDNT_CONNECT)
        curl_easy_getinfo(t->request.easy, CURLINFO_OS_ERRNO, &number);
    snprintf(text, size, "%s%s%s", t->reason[0] != '\0' ? t->reason : curl_easy_strerror(code), number != 0 ? ": " : "",
             number != 0 ? strerror((int)number) : "");
}

static void finish(struct transfer *t, CURLcode code)
{
    curl_off_t retry_after = 0;
    curl_easy_getinfo(t->request.easy, CURLINFO_RETRY_AFTER, &retry_after);
    struct client_handler handler = t->handler;
    struct client_result result = {
        .status = client_status(t),
        .error = t->error != 0      ? t->error
                 : code != CURLE_OK ? CDNS_EIO
                                    : 0,
        .cause = (int)code,
        .retry_after = (long)retry_after,
        .reason = "",
    };
    // The texts outlive the transfer: the handler may start the next one.
    char reason[CURL_ERROR_SIZE + 64];
    if (code != CURLE_OK) {
        t->client->known = false;
        describe(t, code, reason, sizeof reason);
        result.reason = reason;
    }
    char *body = t->body;
    result.body = body != NULL ? body : "";
    result.body_len = t->body_len;
    t->body = NULL;
    count_request(t);
    transfer_free(t);
    handler.done(handler.arg, &result);
    free(body);
}

// ---- whose turn it is ----

#define AGAIN_MS 1000 // after libcurl had no memory for a request

static void start_waiting(struct client *c);

static void on_turn(uv_timer_t *timer)
{
    start_waiting(timer->data);
}

static void on_patience_over(uv_timer_t *timer)
{
    struct client *c = timer->data;
    c->known = true; // enough for now: they open their own connections
    start_waiting(c);
}

// Requests that were sent and have no answer yet.
static int64_t count_inflight(const struct client *c)
{
    int64_t n = 0;
    for (const struct transfer *t = c->transfers; t != NULL; t = t->next)
        n += t->added && !t->answered;
    return n;
}

// While it is not known whether the server speaks HTTP/2, one request goes ahead: the others then share its connection,
// or open their own. (libcurl's CURLOPT_PIPEWAIT would wait for the end of an HTTP/1.1 answer, and a watch has none.)
static bool follows(struct client *c, const struct transfer *t)
{
    if (c->known || t->fresh || count_inflight(c) == 0)
        return false;
    if (!uv_is_active((uv_handle_t *)&c->patience))
        uv_timer_start(&c->patience, on_patience_over, CLIENT_AHEAD_MS, 0);
    return true;
}

static bool start(struct transfer *t)
{
    t->added = curl_multi_add_handle(t->client->multi, t->request.easy) == CURLM_OK;
    if (!t->added)
        return false;
    kube_count_limiter_time(client_server(t->client), clock_monotonic_ns() - t->made);
    if (t->handler.sent != NULL)
        t->handler.sent(t->handler.arg);
    return true;
}

// Sends the waiting requests whose turn it is. Nobody overtakes the first that the limits hold up, so none starves.
static void start_waiting(struct client *c)
{
    for (struct transfer *t = c->transfers; t != NULL; t = t->next) {
        if (t->added || follows(c, t))
            continue;
        if (c->inflight_max > 0 && count_inflight(c) >= c->inflight_max)
            return; // until an answer begins, or a request ends
        uint64_t wait = bucket_take(&c->bucket, clock_monotonic_ns());
        if (wait == 0 && start(t))
            continue;
        uv_timer_start(&c->turn, on_turn, wait > 0 ? wait / 1000000 + 1 : AGAIN_MS, 0);
        return;
    }
}

// Ends the requests that libcurl has finished, starts those that can start now.
static void go_on(struct client *c)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(c->multi, &left)) != NULL) {
        struct transfer *t;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        finish(t, code);
    }
    start_waiting(c);
}

// ---- requests ----

static void set_handlers(struct transfer *t)
{
    CURL *easy = t->request.easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->reason);
}

int client_get(struct client *c, const char *path, const char *accept, bool fresh, const struct client_handler *handler,
               struct transfer **out)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL)
        return CDNS_ENOMEM;
    t->client = c;
    t->made = clock_monotonic_ns();
    t->handler = *handler;
    credentials_refresh(c->credentials);
    t->fresh = fresh;
    struct transfer **last = &c->transfers;
    while (*last != NULL)
        last = &(*last)->next;
    *last = t;
    int r = request_init(&t->request, c->credentials, path, accept, fresh);
    if (r != 0) {
        transfer_free(t);
        return r;
    }
    set_handlers(t);
    start_waiting(c);
    *out = t;
    return 0;
}

void client_cancel(struct transfer *t)
{
    struct client *c = t->client;
    count_request(t);
    transfer_free(t);
    start_waiting(c);
}

const char *client_server(const struct client *c)
{
    return c->credentials->server;
}

void client_close(struct client *c, void (*closed)(void *arg), void *arg)
{
    while (c->transfers != NULL)
        transfer_free(c->transfers);
    curl_multi_cleanup(c->multi);
    while (c->sockets != NULL) // those it did not ask to forget
        unwatch_socket(c->sockets);
    c->closed = closed;
    c->closed_arg = arg;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    uv_close((uv_handle_t *)&c->patience, on_timer_closed);
    uv_close((uv_handle_t *)&c->turn, on_timer_closed);
}
