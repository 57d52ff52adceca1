// SPDX-License-Identifier: Apache-2.0
// What a query costs inside the server, without sockets: one A question over and over, through one Corefile and the
// next in turns, so that what else the machine does meets them all. Prints the fastest turn of each.
//
// serve NAME COREFILE…
#include "server/serve.h"
#include "base/clock.h"
#include "base/rcu.h"
#include "base/writer.h"
#include "server/generation.h"
#include "server/http.h"
#include "server/state.h"
#include "server/worker.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#define FILES 8
#define TURNS 40
#define QUERIES 20000 // in a turn

static struct server_state state;

struct contestant {
    const char *corefile;
    struct generation *generation;
    struct worker_socket socket;
    double best; // ns for each query
};

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "serve: %s\n", what);
    exit(1);
}

static void report(void *arg, const char *text)
{
    (void)arg;
    (void)fprintf(stderr, "%s\n", text);
}

static void load(struct contestant *c, struct worker *w)
{
    char error[CONFIG_ERROR_MAX] = "";
    if (generation_build(c->corefile, NULL, NULL, 53, report, NULL, &c->generation) != 0)
        fail(c->corefile);
    if (generation_start(c->generation, &state.loop, &state, error) != 0)
        fail(error);
    c->socket = (struct worker_socket){.worker = w, .listen = &c->generation->listens[0]};
}

static size_t make_question(const char *name, uint8_t *packet, size_t size)
{
    struct writer w = writer_init(packet, size);
    uint8_t wire[NAME_MAX_WIRE];
    const uint8_t header[12] = {0, 1, 1 /* RD */, 0, 0, 1 /* QDCOUNT */};
    if (name_from_text(name, wire) != 0)
        fail("not a domain name");
    writer_bytes(&w, header, sizeof(header));
    writer_bytes(&w, wire, name_length(wire));
    writer_u16(&w, RR_A);
    writer_u16(&w, CLASS_IN);
    return w.pos;
}

static void turn(struct contestant *c, const uint8_t *packet, size_t size)
{
    static uint8_t out[NET_UDP_MAX];
    const struct udp_peer peer = {.client.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                                  .local.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    uint64_t begin = clock_monotonic_ns();
    for (unsigned i = 0; i < QUERIES; i++)
        if (serve_udp(&c->socket, NULL, &peer, packet, size, out, sizeof(out)) <= size || (out[3] & 15) != 0)
            fail("no answer, or not NOERROR");
    double ns = (double)(clock_monotonic_ns() - begin) / QUERIES;
    if (c->best == 0 || ns < c->best)
        c->best = ns;
}

int main(int argc, char **argv)
{
    static struct contestant all[FILES];
    static struct worker worker;
    uint8_t packet[512];
    size_t n = (size_t)argc - 2;
    if (argc < 3 || n > FILES)
        fail("usage: serve NAME COREFILE…");
    rcu_thread_start();
    worker_set_count(1);
    if (uv_loop_init(&state.loop) != 0 || worker_init(&worker, 0) != 0)
        fail("no memory");
    http_init(&state.loop);
    worker_set_current(&worker);
    for (size_t i = 0; i < n; i++) {
        all[i].corefile = argv[2 + i];
        load(&all[i], &worker);
    }
    size_t size = make_question(argv[1], packet, sizeof(packet));
    for (unsigned t = 0; t < TURNS; t++)
        for (size_t i = 0; i < n; i++)
            turn(&all[i], packet, size);
    for (size_t i = 0; i < n; i++)
        printf("%.1f\n", all[i].best);
    return 0;
}
