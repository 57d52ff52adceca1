// SPDX-License-Identifier: Apache-2.0
#include "tls_test.h"

#define HOUR 3600L

static struct identity ca, other_ca;
static char ca_path[32];

struct test {
    uv_loop_t loop;
    struct identity id;
    struct tls_server *server;
    struct upstream_options options;
    struct upstream *u;
};

// A server with a certificate for these names, and an upstream that expects `name` (NULL: the address).
static struct test *open_test(const struct identity *id, const char *name, enum tls_manner manner, int version)
{
    struct test *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    assert_int_equal(uv_loop_init(&t->loop), 0);
    t->id = *id;
    t->server = start_tls(id, manner, version);
    t->options = udp_options(&t->server->address);
    t->options.tls = true;
    t->options.tls_ca = ca_path;
    t->options.tls_name = name;
    t->u = get_upstream(&t->options);
    return t;
}

static struct test *open_good(const char *names, const char *name, enum tls_manner manner, int version)
{
    struct identity id = make_identity(&ca, names, -HOUR, HOUR);
    return open_test(&id, name, manner, version);
}

static void close_test(struct test *t)
{
    end_loop(&t->loop);
    upstream_put(t->u);
    stop_tls(t->server);
    free_identity(&t->id);
    free(t);
}

static void ask_tls(struct test *t, struct question *q, const char *text)
{
    ask(q, t->u, &t->loop, UPSTREAM_TCP, text, PATIENCE);
}

static void expect_refusal(struct test *t, int error, const char *reason)
{
    run_tls(t->server);
    struct question q = {0};
    ask_tls(t, &q, "secret");
    expect_failure(&q, &t->loop, error, reason);
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop));
    close_test(t);
}

static void right_name(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (unsigned i = 0; i < 2; i++) {
        struct test *t = open_good("DNS:dns.example", "dns.example", TLS_ANSWERS, versions[i]);
        struct question q[3] = {0};
        run_tls(t->server);
        ask_tls(t, &q[0], "first");
        expect_answer(&q[0], &t->loop);
        ask(&q[1], t->u, &t->loop, UPSTREAM_UDP, "never in the clear", PATIENCE);
        ask_tls(t, &q[2], "third");
        expect_answer(&q[1], &t->loop);
        expect_answer(&q[2], &t->loop);
        assert_true(q[1].reused);
        assert_int_equal(atomic_load(&t->server->connections), 1);
        assert_int_equal(atomic_load(&t->server->dot), 1);
        upstream_close_loop(&t->loop);
        run_a_bit(&t->loop);
        RUN_UNTIL(&t->loop, t->server->name[0] != '\0');
        assert_string_equal(t->server->name, "dns.example");
        close_test(t);
    }
}

static void address_in_certificate(void **state)
{
    (void)state;
    struct test *t = open_good("IP:127.0.0.1", NULL, TLS_ANSWERS, 0);
    struct question q = {0};
    run_tls(t->server);
    ask_tls(t, &q, "by address");
    expect_answer(&q, &t->loop);
    assert_string_equal(t->server->name, ""); // no SNI for an address (RFC 6066 §3)
    close_test(t);
    t = open_good("IP:192.0.2.1", "192.0.2.1", TLS_ANSWERS, 0); // as a name
    memset(&q, 0, sizeof(q));
    run_tls(t->server);
    ask_tls(t, &q, "by address");
    expect_answer(&q, &t->loop);
    close_test(t);
}

static void wrong_name(void **state)
{
    (void)state;
    expect_refusal(open_good("DNS:dns.example", "dns.other.example", TLS_ANSWERS, 0), CDNS_EDENIED,
                   "certificate not accepted: hostname mismatch");
    expect_refusal(open_good("DNS:dns.example", NULL, TLS_ANSWERS, TLS1_2_VERSION), CDNS_EDENIED,
                   "certificate not accepted: IP address mismatch");
    expect_refusal(open_good("IP:127.0.0.2", NULL, TLS_ANSWERS, 0), CDNS_EDENIED,
                   "certificate not accepted: IP address mismatch");
}

static void expired(void **state)
{
    (void)state;
    struct identity id = make_identity(&ca, "DNS:dns.example", -2 * HOUR, -HOUR);
    expect_refusal(open_test(&id, "dns.example", TLS_ANSWERS, 0), CDNS_EDENIED,
                   "certificate not accepted: certificate has expired");
    id = make_identity(&ca, "DNS:dns.example", HOUR, 2 * HOUR);
    expect_refusal(open_test(&id, "dns.example", TLS_ANSWERS, 0), CDNS_EDENIED,
                   "certificate not accepted: certificate is not yet valid");
}

static void unknown_ca(void **state)
{
    (void)state;
    struct identity id = make_identity(&other_ca, "DNS:dns.example", -HOUR, HOUR);
    expect_refusal(open_test(&id, "dns.example", TLS_ANSWERS, 0), CDNS_EDENIED,
                   "certificate not accepted: certificate signature failure");
    id = make_identity(NULL, "DNS:dns.example", -HOUR, HOUR);
    expect_refusal(open_test(&id, "dns.example", TLS_ANSWERS, 0), CDNS_EDENIED,
                   "certificate not accepted: self-signed certificate");
}

static void stalled_handshake(void **state)
{
    (void)state;
    struct test *t = open_good("DNS:dns.example", "dns.example", TLS_STALLS, 0);
    struct question q = {0}, cancelled = {0};
    run_tls(t->server);
    ask(&q, t->u, &t->loop, UPSTREAM_TCP, "patience", 100 * MS);
    RUN_UNTIL(&t->loop, atomic_load(&t->server->connections) == 1);
    expect_failure(&q, &t->loop, CDNS_ETIMEOUT, "TLS handshake timed out");
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop));
    ask_tls(t, &cancelled, "cancelled in the handshake");
    run_for(&t->loop, 20);
    upstream_cancel(cancelled.request);
    RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop));
    close_test(t);
}

static void broken_handshake(void **state)
{
    (void)state;
    expect_refusal(open_good("DNS:dns.example", "dns.example", TLS_CLOSES, 0), CDNS_EIO,
                   "connection closed in the TLS handshake");
    expect_refusal(open_good("DNS:dns.example", "dns.example", TLS_SPEAKS_PLAINLY, 0), CDNS_EIO,
                   "TLS: wrong version number");
    expect_refusal(open_good("DNS:dns.example", "dns.example", TLS_ANSWERS, TLS1_1_VERSION), CDNS_EIO,
                   "TLS: tlsv1 alert protocol version");
}

// The next connection resumes the session of the one before.
static void sessions_are_resumed(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (unsigned i = 0; i < 2; i++) {
        struct test *t = open_good("DNS:dns.example", "dns.example", TLS_ONE_ANSWER_EACH, versions[i]);
        run_tls(t->server);
        for (unsigned k = 0; k < 4; k++) {
            struct question q = {0};
            ask_tls(t, &q, "again");
            expect_answer(&q, &t->loop);
            assert_false(q.reused);
            RUN_UNTIL(&t->loop, !uv_loop_alive(&t->loop)); // the server has closed it
        }
        assert_int_equal(atomic_load(&t->server->connections), 4);
        assert_int_equal(atomic_load(&t->server->resumed), 3);
        close_test(t);
    }
}

// Answers larger than a record, more of them than the kernel's buffers take.
static void large_answers(void **state)
{
    (void)state;
    struct test *t = open_good("DNS:dns.example", "dns.example", TLS_ANSWERS, 0);
    static struct question q[100];
    memset(q, 0, sizeof(q));
    t->server->padding = 60000;
    run_tls(t->server);
    for (unsigned i = 0; i < 100; i++)
        ask_tls(t, &q[i], "large");
    for (unsigned i = 0; i < 100; i++) {
        expect_answer(&q[i], &t->loop);
        assert_int_equal(q[i].answer_size, q[i].size + 60000);
    }
    close_test(t);
}

static void own_certificate(void **state)
{
    (void)state;
    struct identity id = make_identity(&ca, "DNS:client", -HOUR, HOUR);
    char cert[32], key[32];
    write_pem(cert, id.cert, NULL);
    write_pem(key, NULL, id.key);
    for (unsigned with = 0; with < 2; with++) {
        struct test *t = open_good("DNS:dns.example", "dns.example", TLS_ANSWERS, 0);
        SSL_CTX_set_verify(t->server->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(t->server->ctx), ca.cert);
        upstream_put(t->u);
        t->options.tls_cert = with ? cert : NULL;
        t->options.tls_key = with ? key : NULL;
        t->u = get_upstream(&t->options);
        run_tls(t->server);
        struct question q = {0};
        ask_tls(t, &q, "who am I");
        RUN_UNTIL(&t->loop, q.ended == 1);
        // Without one: an alert, or a reset that overtakes it.
        assert_int_equal(q.error, with ? 0 : CDNS_EIO);
        close_test(t);
    }
    unlink(cert);
    unlink(key);
    free_identity(&id);
}

static void broken_files(void **state)
{
    (void)state;
    char error[CONFIG_ERROR_MAX] = "", key[32];
    union sockaddr_any address = ip4("127.0.0.1", 853);
    struct upstream_options options = udp_options(&address);
    struct upstream *u;
    options.tls = true;
    options.tls_ca = "/no/such/file";
    assert_int_equal(upstream_get(&options, &u, error), CDNS_ECONFIG);
    assert_string_equal(error, "error reading /no/such/file: No such file or directory");
    write_pem(key, NULL, ca.key);
    options.tls_ca = key; // no certificate in it
    assert_int_equal(upstream_get(&options, &u, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "error reading "));
    options.tls_ca = NULL;
    options.tls_cert = ca_path;
    options.tls_key = "/no/such/file";
    assert_int_equal(upstream_get(&options, &u, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "could not load TLS cert: "));
    unlink(key);
}

// A file that was replaced makes another upstream; one that was not, the same.
static void replaced_file(void **state)
{
    (void)state;
    union sockaddr_any address = ip4("127.0.0.1", 853);
    struct upstream_options options = udp_options(&address);
    char path[32], next[32];
    write_pem(path, ca.cert, NULL);
    options.tls = true;
    options.tls_ca = path;
    struct upstream *a = get_upstream(&options), *b = get_upstream(&options);
    assert_ptr_equal(a, b);
    upstream_put(b);
    write_pem(next, other_ca.cert, NULL);
    assert_int_equal(rename(next, path), 0);
    b = get_upstream(&options);
    assert_ptr_not_equal(a, b);
    upstream_put(a);
    upstream_put(b);
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    ca = make_identity(NULL, NULL, -HOUR, HOUR);
    other_ca = make_identity(NULL, NULL, -HOUR, HOUR);
    write_pem(ca_path, ca.cert, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(ca_path);
    free_identity(&ca);
    free_identity(&other_ca);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_name),       cmocka_unit_test(address_in_certificate),
        cmocka_unit_test(wrong_name),       cmocka_unit_test(expired),
        cmocka_unit_test(unknown_ca),       cmocka_unit_test(stalled_handshake),
        cmocka_unit_test(broken_handshake), cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(large_answers),    cmocka_unit_test(own_certificate),
        cmocka_unit_test(broken_files),     cmocka_unit_test(replaced_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
