// SPDX-License-Identifier: Apache-2.0
// HTTP endpoints: libmicrohttpd without threads of its own, driven by the main loop through its epoll descriptor.
#include "server/http.h"

#include "server/generation.h"
#include <arpa/inet.h>
#include <clusterdns/address.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define HTTP_MEMORY 16384 // bytes a connection may use, request line and headers included
#define HTTP_BACKLOG 128
#define HTTP_BODY 4096    // bytes of a response's first buffer
#define HTTP_PIECE 8192   // bytes of a body that is made while it is sent
#define HTTP_SOON_MS 1    // not 0: libuv calls a timer for which it is time already before it looks at anything else
#define HTTP_TURN_MS 1000 // libmicrohttpd is called so often: after a lack of descriptors it accepts again only then

struct http_limits http_limits = {.connections = 128, .per_address = 32, .idle_s = 5, .lifetime_ms = 15000};

// An accepted connection, in order of acceptance and so of deadline. Guards know it as the request that it carries.
struct http_request {
    TAILQ_ENTRY(http_request) link;
    LIST_ENTRY(http_request) waiting; // of the listener's
    uint64_t deadline_ms;             // in uv_now()'s time
    int fd;                           // libmicrohttpd's; -1: past its deadline and out of the list
    struct listener *listener;
    struct MHD_Connection *connection;
    void *visit; // its guard's
    bool waits;  // for the guard; libmicrohttpd leaves it alone meanwhile
};

struct listener {
    struct listener *next;
    union sockaddr_any address;
    struct http_guard *guard; // NULL: everybody may come
    struct MHD_Daemon *daemon;
    struct http_endpoint *endpoints; // newest first
    TAILQ_HEAD(, http_request) connections;
    LIST_HEAD(, http_request) waiting;
    unsigned open; // connections of the list
    bool again;    // libmicrohttpd can accept the next, or take one up again, but does so only when called
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles; // not closed yet
};

struct http_endpoint {
    struct http_endpoint *next;
    struct listener *listener;
    http_handler handler;
    void *arg;
    const struct generation *owner; // NULL in tests
    char path[];
};

static uv_loop_t *loop;
static struct listener *listeners;

static void on_timer(uv_timer_t *timer);

// Addresses ----------------------------------------------------------------------------------------------------------

struct host_port {
    const char *host, *port; // port: to the end of the text
    size_t host_len;
};

// Splits as Go's net.SplitHostPort; the text of the error, or NULL.
static const char *split_host_port(const char *text, struct host_port *out)
{
    const char *colon = strrchr(text, ':');
    const char *open_from = text, *close_from = text;
    if (colon == NULL)
        return "missing port in address";
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL)
            return "missing ']' in address";
        if (end + 1 != colon)
            return end[1] == ':' ? "too many colons in address" : "missing port in address";
        *out = (struct host_port){.host = text + 1, .host_len = (size_t)(end - text) - 1, .port = colon + 1};
        open_from = text + 1;
        close_from = end + 1;
    } else {
        *out = (struct host_port){.host = text, .host_len = (size_t)(colon - text), .port = colon + 1};
        if (memchr(text, ':', out->host_len) != NULL)
            return "too many colons in address";
    }
    if (strchr(open_from, '[') != NULL)
        return "unexpected '[' in address";
    if (strchr(close_from, ']') != NULL)
        return "unexpected ']' in address";
    return NULL;
}

const char *http_address_error(const char *address, char *error, size_t size)
{
    struct host_port parts;
    const char *text = split_host_port(address, &parts);
    if (text == NULL)
        return NULL;
    if (address[0] == '\0')
        snprintf(error, size, "%s", text);
    else
        snprintf(error, size, "address %s: %s", address, text);
    return error;
}

// A decimal port, none (0, the system chooses), or a name of /etc/services; -1 for anything else.
static int port_number(const char *text)
{
    if (strspn(text, "0123456789") == strlen(text)) {
        long port = strlen(text) > 9 ? -1 : strtol(text, NULL, 10);
        return port > UINT16_MAX ? -1 : (int)port;
    }
    const struct servent *service = getservbyname(text, "tcp");
    return service == NULL ? -1 : ntohs((uint16_t)service->s_port);
}

// The first IPv4 address of a name or literal, else its first IPv6 one.
static int resolve_host(const struct host_port *parts, struct listener *l)
{
    char host[NI_MAXHOST];
    if (parts->host_len >= sizeof(host))
        return CDNS_EINVAL;
    memcpy(host, parts->host, parts->host_len);
    host[parts->host_len] = '\0';
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *all;
    if (getaddrinfo(host, NULL, &hints, &all) != 0)
        return CDNS_EINVAL;
    const struct addrinfo *best = NULL;
    for (const struct addrinfo *i = all; i != NULL; i = i->ai_next) {
        if (i->ai_addrlen > sizeof(l->address) || (i->ai_family != AF_INET && i->ai_family != AF_INET6))
            continue;
        if (best == NULL || (best->ai_family != AF_INET && i->ai_family == AF_INET))
            best = i;
    }
    if (best != NULL)
        memcpy(&l->address, best->ai_addr, best->ai_addrlen);
    freeaddrinfo(all);
    return best == NULL ? CDNS_EINVAL : 0;
}

// Fills l->address. The wildcards of both families and no host at all become ::, which accepts both.
static int resolve(const char *text, struct listener *l)
{
    struct host_port parts;
    int port, error;
    if (split_host_port(text, &parts) != NULL || (port = port_number(parts.port)) < 0)
        return CDNS_EINVAL;
    if (parts.host_len > 0 && (error = resolve_host(&parts, l)) != 0)
        return error;
    if (parts.host_len == 0 || address_is_any(&l->address))
        l->address.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    address_set_port(&l->address, (uint16_t)port);
    return 0;
}

static bool same_address(const struct listener *a, const struct listener *b)
{
    return address_port(&a->address) != 0 && address_port_equal(&a->address, &b->address);
}

// SO_REUSEPORT, as CoreDNS: on the host's network a new process starts while the old one still answers.
static int bind_socket(const struct listener *l)
{
    const int on = 1, off = 0;
    const bool v6 = l->address.sa.sa_family == AF_INET6;
    int fd = socket(l->address.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0 &&
        (!v6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0) &&
        bind(fd, &l->address.sa, v6 ? sizeof(l->address.in6) : sizeof(l->address.in)) == 0 &&
        listen(fd, HTTP_BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

// A listening descriptor, or -1 with errno. On a machine without IPv6 the wildcard is IPv4's.
static int listen_socket(struct listener *l)
{
    int fd = bind_socket(l);
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL) || l->address.sa.sa_family != AF_INET6 ||
        !IN6_IS_ADDR_UNSPECIFIED(&l->address.in6.sin6_addr))
        return fd;
    struct listener v4 = {.address.in = {.sin_family = AF_INET, .sin_port = l->address.in6.sin6_port}};
    return bind_socket(&v4);
}

// Requests -----------------------------------------------------------------------------------------------------------

// A request, and what the response has to have beside the endpoint's own.
struct asked {
    struct MHD_Connection *connection;
    struct http_verdict verdict;
};

// Queues a response and lets go of it. Every connection carries one request: probes and scrapes are far apart, and an
// idle connection is one that others cannot have.
static enum MHD_Result queue(const struct asked *a, unsigned status, const char *type, struct MHD_Response *response)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    for (size_t i = 0; i < a->verdict.nheaders; i++)
        MHD_add_response_header(response, a->verdict.headers[i].name, a->verdict.headers[i].value);
    enum MHD_Result result = MHD_queue_response(a->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

// A response with a body; `body` belongs to it when `mode` says so.
static enum MHD_Result respond(const struct asked *a, unsigned status, const char *type, void *body, size_t len,
                               enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, body, mode);
    if (response != NULL)
        return queue(a, status, type, response);
    if (mode == MHD_RESPMEM_MUST_FREE)
        free(body);
    return MHD_NO;
}

struct stream {
    size_t (*produce)(void *stream, char *out, size_t cap);
    void (*finish)(void *stream);
    void *arg;
};

static ssize_t on_room(void *arg, uint64_t pos, char *out, size_t cap)
{
    (void)pos;
    const struct stream *s = arg;
    size_t n = s->produce(s->arg, out, cap);
    return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void on_stream_done(void *arg)
{
    struct stream *s = arg;
    s->finish(s->arg);
    free(s);
}

// A response whose body is made as the client takes it.
static enum MHD_Result respond_stream(const struct asked *a, const struct http_response *r)
{
    struct stream *s = malloc(sizeof *s);
    struct MHD_Response *response = NULL;
    if (s != NULL) {
        *s = (struct stream){.produce = r->produce, .finish = r->finish, .arg = r->stream};
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_PIECE, on_room, s, on_stream_done);
    }
    if (response != NULL)
        return queue(a, (unsigned)r->status, r->content_type, response);
    free(s);
    r->finish(r->stream);
    return MHD_NO;
}

static const char text_plain[] = "text/plain; charset=utf-8";

static enum MHD_Result respond_text(const struct asked *a, unsigned status, const char *text)
{
    return respond(a, status, text_plain, (void *)(uintptr_t)text, strlen(text), MHD_RESPMEM_PERSISTENT);
}

static struct http_endpoint *find_endpoint(const struct listener *l, const char *path)
{
    struct http_endpoint *e = l->endpoints;
    while (e != NULL && strcmp(e->path, path) != 0)
        e = e->next;
    return e;
}

static enum MHD_Result refuse(const struct asked *a)
{
    char text[64];
    const unsigned status = (unsigned)a->verdict.status;
    int len = snprintf(text, sizeof(text), "%s\n", MHD_get_reason_phrase_for(status));
    return respond(a, status, text_plain, text, (size_t)len, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result serve(const struct asked *a, const struct listener *l, const char *url, const char *method)
{
    const struct http_endpoint *e = find_endpoint(l, url);
    if (e == NULL)
        return respond_text(a, MHD_HTTP_NOT_FOUND, "404 page not found\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return respond_text(a, MHD_HTTP_METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    char body[HTTP_BODY];
    struct http_response r = {
        .status = MHD_HTTP_OK, .content_type = text_plain, .body = body, .cap = sizeof(body), .owned = NULL};
    e->handler(e->arg, &r);
    if (r.produce != NULL)
        return respond_stream(a, &r);
    if (r.owned != NULL)
        return respond(a, (unsigned)r.status, r.content_type, r.owned, r.len, MHD_RESPMEM_MUST_FREE);
    if (!EXPECT(r.len <= sizeof(body)))
        return MHD_NO;
    return respond(a, (unsigned)r.status, r.content_type, body, r.len, MHD_RESPMEM_MUST_COPY);
}

static void let_wait(struct http_request *c)
{
    c->waits = true;
    LIST_INSERT_HEAD(&c->listener->waiting, c, waiting);
    MHD_suspend_connection(c->connection);
}

void http_resume(struct http_request *c)
{
    if (!c->waits)
        return;
    c->waits = false;
    LIST_REMOVE(c, waiting);
    MHD_resume_connection(c->connection);
    c->listener->again = true; // seen if this happens in run(), else the timer is
    uv_timer_start(&c->listener->timer, on_timer, HTTP_SOON_MS, 0);
}

// Called once for each request, and once more each time that it has waited.
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)version, (void)upload, (void)upload_size, (void)state;
    const struct listener *l = arg;
    struct asked a = {.connection = connection};
    if (l->guard == NULL)
        return serve(&a, l, url, method);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_request *c = info != NULL ? info->socket_context : NULL;
    if (c == NULL || c->visit == NULL || c->fd < 0)
        return MHD_NO;
    a.verdict = l->guard->judge(
        c->visit, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION), c);
    if (a.verdict.status == HTTP_ADMIT)
        return serve(&a, l, url, method);
    if (a.verdict.status != HTTP_WAIT)
        return refuse(&a);
    let_wait(c);
    return MHD_YES;
}

static void unlist(struct listener *l, struct http_request *c)
{
    TAILQ_REMOVE(&l->connections, c, link);
    c->fd = -1;
    l->open--;
}

// Ends the oldest connection: libmicrohttpd finds the end of the stream and closes.
static void end_oldest(struct listener *l)
{
    struct http_request *c = TAILQ_FIRST(&l->connections);
    shutdown(c->fd, SHUT_RDWR);
    unlist(l, c);
    if (c->waits)
        http_resume(c); // on_request() sees that it is over
}

static void connection_ended(struct listener *l, struct http_request *c)
{
    l->again = true;
    if (c == NULL)
        return;
    if (c->fd >= 0)
        unlist(l, c);
    if (c->visit != NULL)
        l->guard->leave(c->visit);
    free(c);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *l = arg;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connection_ended(l, *context);
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_request *c;
    // Without memory the connection has no deadline, but still the time-out for idle ones; no guard lets it pass.
    if (info == NULL || (c = malloc(sizeof(*c))) == NULL)
        return;
    *c = (struct http_request){.fd = info->connect_fd,
                               .deadline_ms = uv_now(loop) + http_limits.lifetime_ms,
                               .listener = l,
                               .connection = connection};
    TAILQ_INSERT_TAIL(&l->connections, c, link);
    *context = c;
    if (l->guard != NULL) {
        info = l->guard->tls ? MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
        c->visit = l->guard->enter(l->guard, info != NULL ? info->tls_session : NULL);
    }
    // Room for the next one: whoever holds all connections must not keep probes waiting.
    if (++l->open >= http_limits.connections && l->open > 1)
        end_oldest(l);
}

// Listeners ----------------------------------------------------------------------------------------------------------

// Lets libmicrohttpd work and asks when it wants to again.
static void run(struct listener *l)
{
    l->again = false;
    MHD_run(l->daemon);
    MHD_UNSIGNED_LONG_LONG wait;
    bool timed = MHD_get_timeout(l->daemon, &wait) == MHD_YES;
    uint64_t ms = timed && wait < HTTP_TURN_MS ? wait : HTTP_TURN_MS;
    if (l->again)
        ms = 0;
    const struct http_request *oldest = TAILQ_FIRST(&l->connections);
    if (oldest != NULL) {
        uint64_t now = uv_now(loop);
        uint64_t left = oldest->deadline_ms > now ? oldest->deadline_ms - now : 0;
        ms = left < ms ? left : ms;
    }
    uv_timer_start(&l->timer, on_timer, ms > HTTP_SOON_MS ? ms : HTTP_SOON_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct listener *l = timer->data;
    const struct http_request *c;
    while ((c = TAILQ_FIRST(&l->connections)) != NULL && c->deadline_ms <= uv_now(loop))
        end_oldest(l);
    run(l);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    run(poll->data);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    if (--l->handles == 0)
        free(l);
}

// Closes sockets now, memory when the loop has let go of the handles.
static void listener_close(struct listener *l)
{
    struct listener **at = &listeners;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    uv_close((uv_handle_t *)&l->poll, on_handle_closed); // before its descriptor goes
    uv_close((uv_handle_t *)&l->timer, on_handle_closed);
    while (!LIST_EMPTY(&l->waiting))
        http_resume(LIST_FIRST(&l->waiting)); // libmicrohttpd stops with none suspended
    MHD_stop_daemon(l->daemon);
}

// A daemon that speaks TLS has no certificate: guards give each connection its own. Without one the handshake fails.
static int no_certificate(gnutls_session_t session, const gnutls_datum_t *names, int nnames,
                          const gnutls_pk_algorithm_t *algorithms, int nalgorithms, gnutls_pcert_st **chain,
                          unsigned *nchain, gnutls_privkey_t *key)
{
    (void)session, (void)names, (void)nnames, (void)algorithms, (void)nalgorithms, (void)chain, (void)nchain, (void)key;
    return -1;
}

static struct MHD_Daemon *start_daemon(struct listener *l, int fd)
{
    const struct http_guard *g = l->guard;
    const unsigned flags =
        MHD_USE_EPOLL | (g != NULL ? MHD_ALLOW_SUSPEND_RESUME : 0) | (g != NULL && g->tls ? MHD_USE_TLS : 0);
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, l, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_CONNECTION_LIMIT, http_limits.connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                            http_limits.per_address, MHD_OPTION_CONNECTION_TIMEOUT, http_limits.idle_s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY, MHD_OPTION_NOTIFY_CONNECTION,
                            on_connection, l, MHD_OPTION_HTTPS_CERT_CALLBACK, no_certificate, MHD_OPTION_END);
}

// Starts to listen on l->address. When libmicrohttpd does not start (no memory), it does not tell whether it has closed
// the socket: better to lose a descriptor then than to close another's.
static int listener_start(struct listener *l)
{
    int fd = listen_socket(l);
    if (fd < 0)
        return CDNS_EIO;
    l->daemon = start_daemon(l, fd);
    if (l->daemon == NULL)
        return CDNS_ENOMEM;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int error = info == NULL ? UV_ENOSYS : uv_poll_init(loop, &l->poll, info->epoll_fd);
    if (error != 0) {
        MHD_stop_daemon(l->daemon);
        errno = -error;
        return CDNS_EIO;
    }
    uv_timer_init(loop, &l->timer);
    l->poll.data = l->timer.data = l;
    l->handles = 2;
    l->next = listeners;
    listeners = l;
    uv_poll_start(&l->poll, UV_READABLE, on_ready);
    run(l);
    return 0;
}

// Does a configuration have an endpoint on the address that a listener has too?
static bool has_endpoint_at(const struct listener *l, const struct generation *owner)
{
    const struct http_endpoint *e = l->endpoints;
    while (e != NULL && e->owner != owner)
        e = e->next;
    return e != NULL;
}

// The listener of `l`'s address and guard, or NULL. CDNS_ECONFIG: `owner` has the address behind another guard.
static int find_listener(const struct listener *l, const struct generation *owner, struct listener **out)
{
    *out = NULL;
    for (struct listener *i = listeners; i != NULL; i = i->next) {
        if (!same_address(i, l))
            continue;
        if (i->guard == l->guard)
            *out = i;
        else if (has_endpoint_at(i, owner))
            return CDNS_ECONFIG;
    }
    return 0;
}

// The listener of a service; `*created` says that it is a new one without endpoints.
static int listener_get(const struct http_service *s, const struct generation *owner, struct listener **out,
                        bool *created)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return CDNS_ENOMEM;
    TAILQ_INIT(&l->connections);
    LIST_INIT(&l->waiting);
    l->guard = s->guard;
    struct listener *old = NULL;
    int error = resolve(s->address, l);
    if (error == 0)
        error = find_listener(l, owner, &old);
    *created = old == NULL;
    if (error == 0 && *created)
        error = listener_start(l);
    if (error != 0 || !*created) {
        int saved = errno;
        free(l);
        errno = saved;
    }
    *out = *created ? l : old;
    return error;
}

// Endpoints ----------------------------------------------------------------------------------------------------------

int http_open(const struct http_service *s, struct http_endpoint **endpoint)
{
    INVARIANT(loop != NULL);
    size_t size = strlen(s->path) + 1;
    struct http_endpoint *e = malloc(sizeof(*e) + size);
    if (e == NULL)
        return CDNS_ENOMEM;
    *e = (struct http_endpoint){
        .handler = s->handler, .arg = s->arg, .owner = s->at != NULL ? s->at->block->generation : NULL};
    memcpy(e->path, s->path, size);
    bool created;
    int error = listener_get(s, e->owner, &e->listener, &created);
    if (error == 0 && !created) {
        const struct http_endpoint *there = find_endpoint(e->listener, s->path);
        if (there != NULL && there->handler != s->handler)
            error = CDNS_EEXIST;
    }
    if (error != 0) {
        int saved = errno;
        free(e);
        errno = saved;
        return error;
    }
    e->next = e->listener->endpoints;
    e->listener->endpoints = e;
    *endpoint = e;
    return 0;
}

const char *http_open_error(int code)
{
    if (code == CDNS_EIO)
        return strerror(errno);
    if (code == CDNS_ECONFIG)
        return "another directive serves this address with another tls file, or without one: give both the same, "
               "or one of them another port";
    return error_text(code);
}

void http_close(struct http_endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    struct listener *l = endpoint->listener;
    struct http_endpoint **at = &l->endpoints;
    while (*at != endpoint)
        at = &(*at)->next;
    *at = endpoint->next;
    free(endpoint);
    if (l->endpoints == NULL)
        listener_close(l);
}

void http_local_address(const struct http_endpoint *endpoint, union sockaddr_any *out)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(endpoint->listener->daemon, MHD_DAEMON_INFO_LISTEN_FD);
    socklen_t size = sizeof(*out);
    *out = endpoint->listener->address;
    if (info != NULL)
        (void)!getsockname(info->listen_fd, &out->sa, &size); // the port may have been the system's choice
    if (out->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&out->in6.sin6_addr))
        out->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = out->in6.sin6_port};
    if (out->sa.sa_family == AF_INET && out->in.sin_addr.s_addr == htonl(INADDR_ANY))
        out->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

void http_init(uv_loop_t *main_loop)
{
    INVARIANT(loop == NULL);
    loop = main_loop;
}

void http_shutdown(void)
{
    while (listeners != NULL)
        http_close(listeners->endpoints);
    loop = NULL;
}
