// SPDX-License-Identifier: Apache-2.0
#include "server/http_test.h"

static bool have_ipv6(void)
{
    struct sockaddr_in6 a;
    socklen_t len = http_loopback(AF_INET6, 0, &a);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool have = fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0;
    if (fd >= 0)
        close(fd);
    if (!have)
        print_message("no ::1 on this machine: not asking over IPv6\n");
    return have;
}

static void say(void *arg, struct http_response *r)
{
    r->len = (size_t)snprintf(r->body, r->cap, "%s", (const char *)arg);
}

static void say_other(void *arg, struct http_response *r)
{
    (void)arg;
    r->status = 503;
    r->content_type = "text/html";
    r->owned = malloc(20000);
    assert_non_null(r->owned);
    memset(r->owned, 'x', 20000);
    r->len = 20000;
}

static int open_at(const char *address, const char *path, http_handler handler, void *arg, struct http_endpoint **e)
{
    return http_open(&(struct http_service){.address = address, .path = path, .handler = handler, .arg = arg}, e);
}

static void text_address(char out[32], uint16_t port)
{
    snprintf(out, 32, "127.0.0.1:%u", port);
}

static int begin(void **state)
{
    http_limits = (struct http_limits){.connections = 128, .per_address = 32, .idle_s = 5, .lifetime_ms = 15000};
    return http_begin(state);
}

static void answers_get_and_head_only(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct http_endpoint *e;
    text_address(address, port);
    assert_int_equal(open_at(address, "/health", say, "OK", &e), 0);

    assert_int_equal(http_ask(port, "/health"), 200);
    assert_non_null(strstr(http_response_text, "Content-Type: text/plain; charset=utf-8\r\n"));
    assert_non_null(strstr(http_response_text, "Content-Length: 2\r\n"));
    assert_string_equal(http_body, "OK");
    assert_int_equal(http_ask(port, "/health?verbose"), 200);
    assert_string_equal(http_body, "OK");

    assert_int_equal(http_request(AF_INET, port, "HEAD", "/health"), 200);
    assert_non_null(strstr(http_response_text, "Content-Length: 2\r\n"));
    assert_string_equal(http_body, "");

    const char *const others[] = {"POST", "PUT", "DELETE", "OPTIONS", "BREW"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        assert_int_equal(http_request(AF_INET, port, others[i], "/health"), 405);
        assert_non_null(strstr(http_response_text, "Allow: GET, HEAD\r\n"));
    }
    const char *const paths[] = {"/", "/healthz", "/health/", "/HEALTH", "/..%2fhealth"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        assert_int_equal(http_ask(port, paths[i]), 404);
    http_close(e);
}

static void serves_several_paths_of_an_address(void **state)
{
    (void)state;
    char address[32], same[32];
    uint16_t port = http_free_port();
    struct http_endpoint *a, *b, *c;
    snprintf(address, sizeof(address), ":%u", port);
    snprintf(same, sizeof(same), "0.0.0.0:%u", port);
    assert_int_equal(open_at(address, "/health", say, "OK", &a), 0);
    assert_int_equal(open_at(same, "/metrics", say_other, NULL, &b), 0);
    assert_int_equal(open_at(same, "/health", say_other, NULL, &c), CDNS_EEXIST);

    assert_int_equal(http_ask(port, "/health"), 200);
    assert_string_equal(http_body, "OK");
    assert_int_equal(http_ask(port, "/metrics"), 503);
    assert_non_null(strstr(http_response_text, "Content-Type: text/html\r\n"));
    assert_int_equal(strlen(http_body), 20000);

    http_close(a);
    assert_int_equal(http_ask(port, "/health"), 404);
    assert_int_equal(http_ask(port, "/metrics"), 503);
    http_close(b);
    assert_int_equal(http_connect(AF_INET, port), -1);
    http_close(NULL);
}

static void newest_of_the_same_handler_answers(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct http_endpoint *old, *new, *third;
    text_address(address, port);
    assert_int_equal(open_at(address, "/ready", say, "old", &old), 0);
    assert_int_equal(open_at(address, "/ready", say, "new", &new), 0);
    assert_int_equal(http_ask(port, "/ready"), 200);
    assert_string_equal(http_body, "new");
    http_close(old);
    assert_int_equal(http_ask(port, "/ready"), 200);
    assert_string_equal(http_body, "new");
    assert_int_equal(open_at(address, "/ready", say, "third", &third), 0);
    http_close(third);
    assert_int_equal(http_ask(port, "/ready"), 200);
    assert_string_equal(http_body, "new");
    http_close(new);
    assert_int_equal(http_connect(AF_INET, port), -1);
}

static void listens_where_it_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool v4, v6;
    } cases[] = {
        {"", true, true},           {"0.0.0.0", true, true}, {"[::]", true, true},
        {"127.0.0.1", true, false}, {"[::1]", false, true},  {"localhost", true, false},
    };
    const bool ipv6 = have_ipv6();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (!ipv6 && !cases[i].v4)
            continue;
        char address[64];
        uint16_t port = http_free_port();
        struct http_endpoint *e;
        snprintf(address, sizeof(address), "%s:%u", cases[i].host, port);
        assert_int_equal(open_at(address, "/x", say, "here", &e), 0);
        for (int v6 = 0; v6 <= ipv6; v6++) {
            int family = v6 ? AF_INET6 : AF_INET;
            bool listens = v6 ? cases[i].v6 : cases[i].v4;
            assert_int_equal(http_request(family, port, "GET", "/x"), listens ? 200 : -1);
        }
        http_close(e);
    }
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    const char *const none[] = {"",       "8080",    "a:b:c",       "[::1]", "[::1]x:80",
                                ":99999", ":nosuch", "1.2.3.4.5:1", ":-1",   ":999999999999999999999"};
    struct http_endpoint *e;
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
        assert_int_equal(open_at(none[i], "/x", say, "", &e), CDNS_EINVAL);
    // TEST-NET-1 is no address of this machine (RFC 5737).
    assert_int_equal(open_at("192.0.2.1:8080", "/x", say, "", &e), CDNS_EIO);
    assert_int_equal(errno, EADDRNOTAVAIL);
}

// The texts of Go's net.SplitHostPort, as CoreDNS prints them.
static void names_what_is_wrong_with_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *address, *error;
    } cases[] = {
        {":8080", NULL},
        {"localhost:8080", NULL},
        {"[::1]:9153", NULL},
        {":notaport", NULL},
        {":", NULL},
        {"", "missing port in address"},
        {"a", "address a: missing port in address"},
        {"8080", "address 8080: missing port in address"},
        {"a:b:c", "address a:b:c: too many colons in address"},
        {"::1", "address ::1: too many colons in address"},
        {"[::1", "address [::1: missing ']' in address"},
        {"[::1]", "address [::1]: missing port in address"},
        {"[::1]x:80", "address [::1]x:80: missing port in address"},
        {"[::1]:80:90", "address [::1]:80:90: too many colons in address"},
        {"[a[:80", "address [a[:80: missing ']' in address"},
        {"[a[]:80", "address [a[]:80: unexpected '[' in address"},
        {"a]:80", "address a]:80: unexpected ']' in address"},
        {"[a]:8]", "address [a]:8]: unexpected ']' in address"},
    };
    char text[128];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *error = http_address_error(cases[i].address, text, sizeof(text));
        if (cases[i].error == NULL)
            assert_null(error);
        else
            assert_string_equal(error, cases[i].error);
    }
}

// A client that never finishes its request, or sends a byte now and then, does not stay.
static void closes_slow_connections(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct http_endpoint *e;
    http_limits.idle_s = 1;
    text_address(address, port);
    assert_int_equal(open_at(address, "/x", say, "", &e), 0);
    uint64_t start = http_now_ms();
    int fd = http_connect(AF_INET, port);
    http_send(fd, "GET /x HT");
    assert_int_equal(http_finish(fd), 0);
    assert_true(http_now_ms() - start >= 900);
    http_close(e);

    http_limits.idle_s = 60;
    http_limits.lifetime_ms = 300;
    assert_int_equal(open_at(address, "/x", say, "", &e), 0);
    start = http_now_ms();
    fd = http_connect(AF_INET, port);
    int second = http_connect(AF_INET, port);
    http_send(fd, "GET /x HTTP/1.1\r\nX: ");
    char c;
    while (recv(fd, &c, 1, 0) < 0) {
        assert_int_equal(errno, EAGAIN);
        assert_true(http_now_ms() < start + HTTP_DEADLINE_MS);
        (void)send(fd, "x", 1, MSG_NOSIGNAL);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        poll(&p, 1, 10);
        uv_run(&http_loop, UV_RUN_NOWAIT);
    }
    assert_true(http_now_ms() - start >= 250);
    close(fd);
    assert_int_equal(http_finish(second), 0);
    http_close(e);
}

// Past the bounds a connection waits or is refused; those that came before and later ones are served.
// Whoever takes all connections and says nothing does not keep probes waiting.
static void oldest_gives_way(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct http_endpoint *e;
    http_limits.connections = 4;
    text_address(address, port);
    assert_int_equal(open_at(address, "/x", say, "OK", &e), 0);
    int fds[12];
    for (size_t i = 0; i < 12; i++) {
        fds[i] = http_connect(AF_INET, port);
        assert_true(fds[i] >= 0);
    }
    uint64_t before = http_now_ms();
    assert_int_equal(http_ask(port, "/x"), 200);
    assert_true(http_now_ms() - before < http_limits.idle_s * 1000 / 2);
    for (size_t i = 0; i < 12; i++)
        close(fds[i]);
    http_close(e);
}

static void bounds_connections(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct http_endpoint *e;
    http_limits.per_address = 4;
    text_address(address, port);
    assert_int_equal(open_at(address, "/x", say, "OK", &e), 0);
    int fds[12];
    for (size_t i = 0; i < 12; i++) {
        fds[i] = http_connect(AF_INET, port);
        assert_true(fds[i] >= 0);
    }
    unsigned refused = 0;
    uint64_t limit = http_now_ms() + HTTP_DEADLINE_MS;
    while (refused < 8) {
        assert_true(http_now_ms() < limit);
        uv_run(&http_loop, UV_RUN_NOWAIT);
        refused = 0;
        for (size_t i = 0; i < 12; i++) {
            char c;
            ssize_t n = recv(fds[i], &c, 1, MSG_PEEK);
            refused += n == 0 || (n < 0 && errno != EAGAIN);
        }
    }
    assert_int_equal(refused, 8);
    http_send(fds[0], "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(http_finish(fds[0]), 200);
    assert_string_equal(http_body, "OK");
    for (size_t i = 1; i < 12; i++)
        close(fds[i]);
    while (http_ask(port, "/x") != 200)
        assert_true(http_now_ms() < limit);
    http_close(e);
}

// ---- bodies that are made while they are sent ----

struct digits {
    size_t left, produced;
    unsigned finished;
};

static size_t produce_digits(void *stream, char *out, size_t cap)
{
    struct digits *d = stream;
    size_t n = d->left < cap ? d->left : cap;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)('0' + d->produced++ % 10);
    d->left -= n;
    return n;
}

static void finish_digits(void *stream)
{
    ((struct digits *)stream)->finished++;
}

static void say_digits(void *arg, struct http_response *r)
{
    r->content_type = "text/digits";
    r->produce = produce_digits;
    r->finish = finish_digits;
    r->stream = arg;
}

static void sends_a_stream_whole(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct http_endpoint *e;
    struct digits d = {.left = 50000};
    text_address(address, port);
    assert_int_equal(open_at(address, "/digits", say_digits, &d, &e), 0);
    assert_int_equal(http_ask(port, "/digits"), 200);
    assert_non_null(strstr(http_response_text, "Content-Type: text/digits\r\n"));
    http_join_chunks();
    assert_int_equal(strlen(http_body), 50000);
    for (size_t i = 0; i < 50000; i++)
        assert_int_equal(http_body[i], '0' + i % 10);
    assert_int_equal(d.finished, 1);

    d = (struct digits){0};
    assert_int_equal(http_ask(port, "/digits"), 200);
    http_join_chunks();
    assert_string_equal(http_body, "");
    assert_int_equal(http_request(AF_INET, port, "HEAD", "/digits"), 200);
    assert_int_equal(d.finished, 2);
    http_close(e);
}

#define ENDLESS ((size_t)1 << 40)

// Asks for a stream without end and waits until the socket is full. Returns the connection.
static int begin_endless(uint16_t port, const struct digits *d)
{
    int fd = http_connect(AF_INET, port);
    size_t before;
    http_send(fd, "GET /digits HTTP/1.1\r\nHost: localhost\r\n\r\n");
    do {
        before = d->produced;
        for (int i = 0; i < 50; i++)
            uv_run(&http_loop, UV_RUN_NOWAIT);
    } while (d->produced == 0 || d->produced != before);
    return fd;
}

static void gives_a_stream_up(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct http_endpoint *e, *other;
    struct digits gone = {.left = ENDLESS}, closed = {.left = ENDLESS};
    text_address(address, port);
    assert_int_equal(open_at(address, "/digits", say_digits, &gone, &e), 0);
    close(begin_endless(port, &gone));
    for (uint64_t end = http_now_ms() + HTTP_DEADLINE_MS; gone.finished == 0 && http_now_ms() < end;)
        uv_run(&http_loop, UV_RUN_NOWAIT);
    assert_int_equal(gone.finished, 1);

    // The stream goes on without its endpoint as long as the listener is there.
    assert_int_equal(open_at(address, "/other", say, "", &other), 0);
    assert_int_equal(open_at(address, "/digits", say_digits, &closed, &e), 0);
    int fd = begin_endless(port, &closed);
    http_close(e);
    assert_int_equal(closed.finished, 0);
    http_shutdown();
    assert_int_equal(closed.finished, 1);
    close(fd);
    http_init(&http_loop);
}

// A guard that says what the test has it say.
struct sentry {
    struct http_guard base;
    int status;
    unsigned inside, asked;
    struct http_request *request;
    char authorization[64];
};

static void *enter(struct http_guard *guard, struct gnutls_session_int *session)
{
    struct sentry *s = (struct sentry *)guard;
    assert_null(session);
    s->inside++;
    return s;
}

static struct http_verdict judge(void *visit, const char *authorization, struct http_request *request)
{
    static const struct http_header header = {.name = "X-Sentry", .value = "here"};
    struct sentry *s = visit;
    s->asked++;
    s->request = request;
    snprintf(s->authorization, sizeof(s->authorization), "%s", authorization != NULL ? authorization : "none");
    return (struct http_verdict){.status = s->status, .headers = &header, .nheaders = 1};
}

static void leave(void *visit)
{
    ((struct sentry *)visit)->inside--;
}

static struct http_endpoint *open_guarded(const char *address, struct sentry *s)
{
    struct http_endpoint *e;
    s->base = (struct http_guard){.enter = enter, .judge = judge, .leave = leave};
    assert_int_equal(http_open(
                         &(struct http_service){
                             .address = address, .path = "/x", .handler = say, .arg = "inside", .guard = &s->base},
                         &e),
                     0);
    return e;
}

static void guard_decides_who_may_ask(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct sentry s = {.status = HTTP_ADMIT};
    struct http_endpoint *other;
    text_address(address, port);
    struct http_endpoint *e = open_guarded(address, &s);
    assert_int_equal(http_ask(port, "/x"), 200);
    assert_string_equal(http_body, "inside");
    assert_non_null(strstr(http_response_text, "X-Sentry: here\r\n"));
    assert_string_equal(s.authorization, "none");
    assert_int_equal(http_ask(port, "/y"), 404);
    assert_non_null(strstr(http_response_text, "X-Sentry: here\r\n"));

    s.status = 401;
    int fd = http_connect(AF_INET, port);
    http_send(fd, "GET /y HTTP/1.1\r\nHost: a\r\nAuthorization: Basic me\r\n\r\n");
    assert_int_equal(http_finish(fd), 401);
    assert_string_equal(http_body, "Unauthorized\n");
    assert_non_null(strstr(http_response_text, "X-Sentry: here\r\n"));
    assert_string_equal(s.authorization, "Basic me");
    assert_int_equal(s.inside, 0);

    // Of one configuration all endpoints of an address have the same guard.
    assert_int_equal(open_at(address, "/z", say, "", &other), CDNS_ECONFIG);
    assert_non_null(strstr(http_open_error(CDNS_ECONFIG), "another directive serves this address"));
    http_close(e);
}

// Sends a request and turns the loop until the guard has been asked.
static int begin_waiting(uint16_t port, const struct sentry *s)
{
    int fd = http_connect(AF_INET, port);
    const unsigned before = s->asked;
    http_send(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    while (s->asked == before)
        uv_run(&http_loop, UV_RUN_ONCE);
    for (int i = 0; i < 10; i++)
        uv_run(&http_loop, UV_RUN_NOWAIT);
    assert_int_equal(s->asked, before + 1);
    return fd;
}

static void request_waits_for_its_guard(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct sentry s = {.status = HTTP_WAIT};
    text_address(address, port);
    struct http_endpoint *e = open_guarded(address, &s);
    int fd = begin_waiting(port, &s);
    s.status = HTTP_ADMIT;
    uint64_t before = http_now_ms();
    http_resume(s.request);
    http_resume(s.request);
    assert_int_equal(http_finish(fd), 200);
    assert_true(http_now_ms() - before < 500); // at once, not at the next turn
    assert_int_equal(s.asked, 2);

    // It lives no longer than others.
    http_limits.lifetime_ms = 300;
    s.status = HTTP_WAIT;
    assert_int_equal(http_finish(begin_waiting(port, &s)), 0);
    assert_int_equal(s.inside, 0);

    // The listener goes while it waits.
    http_limits.lifetime_ms = 15000;
    fd = begin_waiting(port, &s);
    http_close(e);
    assert_int_equal(s.inside, 0);
    assert_int_equal(http_finish(fd), 0);
}

// Whoever holds all connections gives way, also while his request waits.
static void waiting_gives_way(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port();
    struct sentry s = {.status = HTTP_WAIT};
    http_limits.connections = 3;
    text_address(address, port);
    struct http_endpoint *e = open_guarded(address, &s);
    int first = begin_waiting(port, &s), second = begin_waiting(port, &s), third = http_connect(AF_INET, port);
    assert_int_equal(http_finish(first), 0);
    for (uint64_t end = http_now_ms() + HTTP_DEADLINE_MS; s.inside > 2 && http_now_ms() < end;)
        uv_run(&http_loop, UV_RUN_NOWAIT);
    assert_int_equal(s.inside, 2);
    assert_int_equal(s.asked, 2); // nobody is asked about one that is over
    close(second);
    close(third);
    http_close(e);
    assert_int_equal(s.inside, 0);
}

// http_shutdown() with endpoints, an idle connection and a half-read request still open frees everything.
static void shuts_down_with_open_connections(void **state)
{
    (void)state;
    char address[32];
    uint16_t port = http_free_port(), other = http_free_port();
    struct http_endpoint *e;
    text_address(address, port);
    assert_int_equal(open_at(address, "/x", say, "", &e), 0);
    assert_int_equal(open_at(address, "/y", say, "", &e), 0);
    text_address(address, other);
    assert_int_equal(open_at(address, "/x", say, "", &e), 0);
    int idle = http_connect(AF_INET, port), half = http_connect(AF_INET, port);
    http_send(half, "GET /x HTTP/1.1\r\nHost:");
    for (int i = 0; i < 10; i++)
        uv_run(&http_loop, UV_RUN_NOWAIT);
    http_shutdown();
    char c;
    ssize_t n = recv(half, &c, 1, 0);
    assert_true(n == 0 || (n < 0 && errno != EAGAIN));
    close(idle);
    close(half);
    assert_int_equal(http_connect(AF_INET, port), -1);
    assert_int_equal(http_connect(AF_INET, other), -1);
    http_init(&http_loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_get_and_head_only, begin, http_end),
        cmocka_unit_test_setup_teardown(serves_several_paths_of_an_address, begin, http_end),
        cmocka_unit_test_setup_teardown(newest_of_the_same_handler_answers, begin, http_end),
        cmocka_unit_test_setup_teardown(listens_where_it_is_told, begin, http_end),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_address, begin, http_end),
        cmocka_unit_test_setup_teardown(closes_slow_connections, begin, http_end),
        cmocka_unit_test_setup_teardown(oldest_gives_way, begin, http_end),
        cmocka_unit_test_setup_teardown(bounds_connections, begin, http_end),
        cmocka_unit_test_setup_teardown(sends_a_stream_whole, begin, http_end),
        cmocka_unit_test_setup_teardown(gives_a_stream_up, begin, http_end),
        cmocka_unit_test_setup_teardown(guard_decides_who_may_ask, begin, http_end),
        cmocka_unit_test_setup_teardown(request_waits_for_its_guard, begin, http_end),
        cmocka_unit_test_setup_teardown(waiting_gives_way, begin, http_end),
        cmocka_unit_test_setup_teardown(shuts_down_with_open_connections, begin, http_end),
        cmocka_unit_test(names_what_is_wrong_with_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
