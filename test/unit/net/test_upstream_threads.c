// SPDX-License-Identifier: Apache-2.0
// Two loops in two threads ask the same upstreams, while the main thread takes and gives back others: for TSan and
// ASan.
#include "tls_test.h"

#define LOOPS 2
#define ROUNDS 400
#define WINDOW 50

static struct identity ca, id;
static char ca_path[32];

// ---- A server of datagrams in a thread: answers everything but each seventh, some twice, some out of order.

struct echo {
    int fd, stop[2];
    union sockaddr_any address;
    pthread_t thread;
};

static void *echo_run(void *arg)
{
    struct echo *e = arg;
    static struct datagram d, held;
    for (unsigned n = 1;; n++) {
        struct pollfd fds[] = {{.fd = e->fd, .events = POLLIN}, {.fd = e->stop[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0)
            return NULL;
        socklen_t size = sizeof(d.from);
        ssize_t got = recvfrom(e->fd, d.data, sizeof(d.data), 0, &d.from.sa, &size);
        if (got < 12)
            continue;
        d.size = (size_t)got;
        d.data[2] |= 0x80;
        if (n % 7 == 0)
            held = d;
        else
            (void)sendto(e->fd, d.data, d.size, 0, &d.from.sa, size);
        if (n % 5 == 0 && held.size > 0) // late, or once more
            (void)sendto(e->fd, held.data, held.size, 0, &held.from.sa, size);
    }
}

static void start_echo(struct echo *e)
{
    e->fd = serve_at("127.0.0.1", SOCK_DGRAM, &e->address);
    assert_int_equal(pipe(e->stop), 0);
    assert_int_equal(pthread_create(&e->thread, NULL, echo_run, e), 0);
}

static void stop_echo(struct echo *e)
{
    close(e->stop[1]);
    pthread_join(e->thread, NULL);
    close(e->stop[0]);
    close(e->fd);
}

// ---- Threads that ask

struct asker {
    pthread_t thread;
    uv_loop_t loop;
    struct upstream *udp, *tls;
    unsigned left, answered, failed;
    bool closes; // what its loop has open, itself; else main does when the thread has ended
};

struct asked {
    struct asker *asker;
    struct question q;
};

static void ask_next(struct asked *a);

static void on_asked(void *arg, const struct upstream_result *result)
{
    struct asked *a = arg;
    if (result->error == 0)
        a->asker->answered++;
    else
        a->asker->failed++;
    ask_next(a);
}

static bool accept_asked(void *arg, const uint8_t *message, size_t size)
{
    return accepts(&((struct asked *)arg)->q, message, size);
}

static void ask_next(struct asked *a)
{
    struct asker *asker = a->asker;
    bool stream = asker->left % 4 == 0;
    char text[16];
    if (asker->left == 0)
        return;
    asker->left--;
    (void)snprintf(text, sizeof(text), "%u", asker->left);
    make_question(&a->q, text);
    int rc = upstream_ask(stream ? asker->tls : asker->udp, &asker->loop, stream ? UPSTREAM_TCP : UPSTREAM_UDP,
                          a->q.data, a->q.size, clock_monotonic_ns() + (stream ? PATIENCE : 200 * MS), accept_asked,
                          on_asked, a, &a->q.request);
    if (rc != 0)
        abort();
}

static void *asker_run(void *arg)
{
    struct asker *asker = arg;
    struct asked *asked = calloc(WINDOW, sizeof(*asked));
    uint64_t until = test_now_ms() + DEADLINE_MS;
    asker->left = ROUNDS * WINDOW / 10;
    unsigned total = asker->left;
    for (unsigned i = 0; i < WINDOW; i++) {
        asked[i].asker = asker;
        ask_next(&asked[i]);
    }
    while (asker->answered + asker->failed < total && test_now_ms() < until)
        run_a_bit(&asker->loop);
    if (asker->closes)
        upstream_close_loop(&asker->loop);
    uv_run(&asker->loop, UV_RUN_NOWAIT);
    free(asked);
    return NULL;
}

static void two_loops(void **state)
{
    (void)state;
    static struct echo echo;
    static struct asker askers[LOOPS];
    start_echo(&echo);
    struct tls_server *server[LOOPS]; // each takes one connection at a time
    for (unsigned i = 0; i < LOOPS; i++) {
        server[i] = start_tls(&id, TLS_ANSWERS, 0);
        run_tls(server[i]);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        struct upstream_options options = udp_options(&echo.address);
        assert_int_equal(uv_loop_init(&askers[i].loop), 0);
        askers[i].udp = get_upstream(&options);
        askers[i].closes = i % 2 == 0;
        options.address = server[i]->address;
        options.tls = true;
        options.tls_ca = ca_path;
        options.tls_name = "dns.example";
        askers[i].tls = get_upstream(&options);
        assert_int_equal(pthread_create(&askers[i].thread, NULL, asker_run, &askers[i]), 0);
    }
    assert_ptr_equal(askers[0].udp, askers[1].udp);
    for (unsigned i = 0; i < 200; i++) { // meanwhile, reloads
        struct upstream_options options = udp_options(&echo.address);
        struct upstream *same = get_upstream(&options), *other;
        options.max_idle = 1 + i;
        other = get_upstream(&options);
        (void)counted(same);
        upstream_put(other);
        upstream_put(same);
    }
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(askers[i].thread, NULL);
    for (unsigned i = 0; i < LOOPS; i++) {
        upstream_put(askers[i].udp); // the loops may still have it
        upstream_put(askers[i].tls);
        assert_int_equal(askers[i].answered + askers[i].failed, ROUNDS * WINDOW / 10);
        assert_true(askers[i].answered > askers[i].failed / 4);
        end_loop(&askers[i].loop);
    }
    for (unsigned i = 0; i < LOOPS; i++)
        stop_tls(server[i]);
    stop_echo(&echo);
}

// Two loops share one TLS upstream, its context and its session.
static void *ask_in_turns(void *arg)
{
    struct asker *asker = arg;
    for (unsigned i = 0; i < 20; i++) {
        struct question q = {0};
        make_question(&q, "session");
        if (upstream_ask(asker->tls, &asker->loop, UPSTREAM_TCP, q.data, q.size, clock_monotonic_ns() + PATIENCE,
                         accepts, on_end, &q, &q.request) != 0)
            abort();
        while (q.ended == 0)
            run_a_bit(&asker->loop);
        asker->answered += q.error == 0;
    }
    upstream_close_loop(&asker->loop);
    uv_run(&asker->loop, UV_RUN_NOWAIT);
    return NULL;
}

static void shared_session(void **state)
{
    (void)state;
    static struct asker askers[LOOPS];
    struct tls_server *server = start_tls(&id, TLS_ONE_ANSWER_EACH, 0);
    struct upstream_options options = udp_options(&server->address);
    options.tls = true;
    options.tls_ca = ca_path;
    options.tls_name = "dns.example";
    struct upstream *u = get_upstream(&options);
    run_tls(server);
    for (unsigned i = 0; i < LOOPS; i++) {
        askers[i] = (struct asker){.tls = u};
        assert_int_equal(uv_loop_init(&askers[i].loop), 0);
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_in_turns, &askers[i]), 0);
    }
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(askers[i].thread, NULL);
    upstream_put(u);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(askers[i].answered, 20);
        end_loop(&askers[i].loop);
    }
    assert_true(atomic_load(&server->resumed) > 0);
    stop_tls(server);
}

static int set_up(void **state)
{
    (void)state;
    ca = make_identity(NULL, NULL, -3600, 3600);
    id = make_identity(&ca, "DNS:dns.example", -3600, 3600);
    write_pem(ca_path, ca.cert, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(ca_path);
    free_identity(&id);
    free_identity(&ca);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_loops),
        cmocka_unit_test(shared_session),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
