// SPDX-License-Identifier: Apache-2.0
// Flows over TCP and TLS: one connection each, questions pipelined (RFC 7766), a new connection when the old one is
// closed or has had its share.
#include "dnsbench/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX ((size_t)256 << 10) // bytes that wait for the kernel before the connection gets nothing more
#define IN_MAX (2 + 65535)
#define READS 16                     // of an event
#define AGAIN_NS UINT64_C(100000000) // between two attempts of a connection that fails

struct stream {
    struct flow flow; // first: what the worker knows
    SSL *tls;
    bool open;      // the connection, and TLS's handshake, are there
    bool in_output; // epoll tells of room for output
    bool heard;     // something was answered
    uint64_t since; // when it was begun
    uint32_t asked; // questions of this connection
    uint32_t most;  // … at most; 0: any number
    uint64_t again; // without a connection: when to try again
    size_t out_len, out_pos, in_len;
    uint8_t in[IN_MAX];
    uint8_t out[OUT_MAX + WORKER_BATCH * 600];
};

// --- life

static int begin(struct worker *w, struct stream *s)
{
    static const int one = 1;
    s->flow.fd = worker_socket(w->load, SOCK_STREAM);
    if (s->flow.fd < 0)
        return CDNS_EIO;
    (void)setsockopt(s->flow.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->out_len = s->out_pos = s->in_len = 0;
    s->asked = 0;
    s->heard = false;
    s->since = worker_now(w);
    s->most = w->load->per_connection;
    s->in_output = true;
    if (w->load->tls != NULL) {
        s->tls = SSL_new(w->load->tls);
        if (s->tls == NULL || SSL_set_fd(s->tls, s->flow.fd) != 1)
            return CDNS_ENOMEM;
        SSL_set_connect_state(s->tls);
        if (w->load->tls_name != NULL &&
            (SSL_set1_host(s->tls, w->load->tls_name) != 1 || SSL_set_tlsext_host_name(s->tls, w->load->tls_name) != 1))
            return CDNS_ENOMEM;
    }
    return worker_watch(w, &s->flow, EPOLLIN | EPOLLOUT, false);
}

static int stream_open(struct worker *w, struct flow *f)
{
    return begin(w, (struct stream *)f);
}

static void stream_close(struct flow *f)
{
    struct stream *s = (struct stream *)f;
    SSL_free(s->tls);
    s->tls = NULL;
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    s->open = false;
}

static void note_refusal(struct worker *w, const char *why)
{
    if (w->results.refusal[0] == '\0')
        snprintf(w->results.refusal, sizeof w->results.refusal, "%s", why);
}

// There is no connection; a new one is made later.
static void give_up(struct worker *w, struct stream *s, const char *why)
{
    w->results.counts.refused++;
    note_refusal(w, why);
    stream_close(&s->flow);
    s->again = worker_now(w) + AGAIN_NS;
}

static void begin_anew(struct worker *w, struct stream *s)
{
    int rc = begin(w, s);
    if (rc != 0)
        give_up(w, s, rc == CDNS_EIO ? strerror(errno) : error_text(rc));
}

// The connection is over, however it ended. A new one takes its place, later if nothing came over the old one. What
// waits for an answer is lost after its time-out, as a client would see it.
static void reconnect(struct worker *w, struct stream *s)
{
    w->results.counts.closed++;
    stream_close(&s->flow);
    s->again = worker_now(w) + AGAIN_NS;
    if (s->heard)
        begin_anew(w, s);
    else
        note_refusal(w, "it was closed before anything was answered");
}

// Has the connection had its share, and is nothing on its way?
static bool is_used_up(const struct stream *s)
{
    return s->most > 0 && s->asked >= s->most && s->flow.waiting == 0;
}

static unsigned stream_room(struct worker *w, struct flow *f)
{
    struct stream *s = (struct stream *)f;
    uint64_t at = worker_now(w);
    if (f->fd >= 0 && !s->open && at > s->since + w->load->timeout_ns) // connecting, or TLS, leads to nothing
        give_up(w, s, "nothing came within the time-out");
    if (s->open && is_used_up(s))
        reconnect(w, s);
    if (f->fd < 0 && at >= s->again)
        begin_anew(w, s);
    if (!s->open || s->out_len - s->out_pos >= OUT_MAX)
        return 0;
    uint32_t left = s->most == 0 ? WORKER_BATCH : s->asked < s->most ? s->most - s->asked : 0;
    if (left == 1 && w->stub != NULL) // a look-up has two questions
        left = 2;
    return left < WORKER_BATCH ? left : WORKER_BATCH;
}

// --- bytes

enum { AGAIN = 0, GONE = -1 };

// Bytes read or written, AGAIN or GONE.
static ssize_t tls_result(const struct stream *s, int n)
{
    if (n > 0)
        return n;
    int error = SSL_get_error(s->tls, n);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? AGAIN : GONE;
}

static ssize_t plain_result(ssize_t n)
{
    if (n > 0)
        return n;
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? AGAIN : GONE;
}

static ssize_t take_bytes(struct stream *s)
{
    size_t room = sizeof s->in - s->in_len;
    if (s->tls != NULL)
        return tls_result(s, SSL_read(s->tls, s->in + s->in_len, (int)room));
    return plain_result(recv(s->flow.fd, s->in + s->in_len, room, 0));
}

static ssize_t give_bytes(struct stream *s)
{
    size_t left = s->out_len - s->out_pos;
    if (s->tls != NULL)
        return tls_result(s, SSL_write(s->tls, s->out + s->out_pos, (int)left));
    return plain_result(send(s->flow.fd, s->out + s->out_pos, left, MSG_NOSIGNAL));
}

static void watch(struct worker *w, struct stream *s, bool wanted)
{
    if (wanted != s->in_output && worker_watch(w, &s->flow, EPOLLIN | (wanted ? EPOLLOUT : 0), true) == 0)
        s->in_output = wanted;
}

// False: the connection is gone.
static bool flush(struct worker *w, struct stream *s)
{
    ssize_t n = 1;
    while (s->out_pos < s->out_len && (n = give_bytes(s)) > 0)
        s->out_pos += (size_t)n;
    if (s->out_pos == s->out_len)
        s->out_len = s->out_pos = 0;
    if (n == GONE) {
        reconnect(w, s);
        return false;
    }
    watch(w, s, s->out_len > s->out_pos);
    return true;
}

// --- questions and answers

static void stream_send(struct worker *w, struct flow *f, unsigned n)
{
    struct stream *s = (struct stream *)f;
    uint64_t at = worker_now(w);
    if (s->out_pos > 0) {
        memmove(s->out, s->out + s->out_pos, s->out_len - s->out_pos);
        s->out_len -= s->out_pos;
        s->out_pos = 0;
    }
    for (uint16_t id = (uint16_t)(f->next - n); id != f->next; id++) {
        const struct question *q = flow_question(w, f, id);
        uint8_t *to = s->out + s->out_len;
        to[0] = (uint8_t)(q->size >> 8);
        to[1] = (uint8_t)q->size;
        to[2] = (uint8_t)(id >> 8);
        to[3] = (uint8_t)id;
        memcpy(to + 4, q->wire + 2, q->size - 2U);
        s->out_len += 2U + q->size;
        s->asked++;
        flow_sent(w, f, id, at);
    }
    (void)flush(w, s);
}

// Hands over the whole messages that are there.
static void take_messages(struct worker *w, struct stream *s, uint64_t at)
{
    size_t pos = 0;
    while (s->in_len - pos >= 2) {
        size_t size = (size_t)s->in[pos] << 8 | s->in[pos + 1];
        if (s->in_len - pos - 2 < size)
            break;
        flow_take(w, &s->flow, s->in + pos + 2, size, at);
        pos += 2 + size;
    }
    memmove(s->in, s->in + pos, s->in_len - pos);
    s->in_len -= pos;
}

// Takes what is there, but not for ever: the rest comes with the next event, unless TLS holds it back. False: the
// connection is gone.
static bool receive(struct worker *w, struct stream *s)
{
    ssize_t n = 1;
    for (unsigned i = 0; n > 0 && (i < READS || (s->tls != NULL && SSL_pending(s->tls) > 0)); i++) {
        n = take_bytes(s);
        s->in_len += n > 0 ? (size_t)n : 0;
        s->heard |= n > 0;
        take_messages(w, s, worker_now(w));
    }
    return n != GONE;
}

static const char *why_no_tls(const struct stream *s)
{
    long verified = SSL_get_verify_mode(s->tls) != SSL_VERIFY_NONE ? SSL_get_verify_result(s->tls) : X509_V_OK;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return verified != X509_V_OK ? X509_verify_cert_error_string(verified)
           : reason != NULL      ? reason
                                 : "the server has ended the handshake";
}

// Is the connection there now? Then it is used. Returns why there will be none, or NULL.
static const char *establish(struct worker *w, struct stream *s)
{
    int failed = 0;
    socklen_t size = sizeof failed;
    if (getsockopt(s->flow.fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0 || failed != 0)
        return strerror(failed != 0 ? failed : errno);
    if (s->tls == NULL) {
        s->open = true;
        return NULL;
    }
    int n = SSL_do_handshake(s->tls), error = n == 1 ? SSL_ERROR_NONE : SSL_get_error(s->tls, n);
    bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    s->open = n == 1;
    const char *why = s->open || waits ? NULL : why_no_tls(s);
    ERR_clear_error();
    watch(w, s, s->open || error == SSL_ERROR_WANT_WRITE);
    return why;
}

static void stream_event(struct worker *w, struct flow *f, uint32_t events)
{
    struct stream *s = (struct stream *)f;
    const char *why = s->open ? NULL : establish(w, s);
    if (why != NULL) {
        give_up(w, s, why);
        return;
    }
    if (!s->open || ((events & EPOLLOUT) != 0 && !flush(w, s)))
        return;
    if (!receive(w, s) || is_used_up(s))
        reconnect(w, s);
}

const struct transport transport_stream = {
    .flow_size = sizeof(struct stream),
    .open = stream_open,
    .room = stream_room,
    .send = stream_send,
    .event = stream_event,
    .close = stream_close,
};
