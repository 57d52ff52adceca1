// SPDX-License-Identifier: Apache-2.0
// What a question to another server costs: CPU time for each question that src/net/upstream.c asks, over UDP and over
// TCP, beside what the echo that answers it takes (the server's own sockets and batches, which know no DNS). Both in
// one run, on one CPU each where there are two; so many questions are in flight at a time as a busy worker has.
//
// upstream [QUESTIONS]
#include "net/upstream.h"
#include "base/clock.h"
#include "net/net.h"
#include <arpa/inet.h>
#include <clusterdns/config.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 64
#define ROUNDS 5
#define SIZE 45 // bytes of a question
#define PATIENCE_NS UINT64_C(2000000000)

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void stay_on(unsigned cpu)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_getaffinity(0, sizeof(all), &all) == 0 && CPU_COUNT(&all) > 1 && CPU_ISSET(cpu, &all))
        (void)sched_setaffinity(0, sizeof(one), &one);
}

// ---- The echo, in a process of its own

static size_t echo_udp(void *arg, struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *packet,
                       size_t size, uint8_t *out, size_t cap)
{
    (void)arg, (void)listener, (void)peer, (void)cap;
    memcpy(out, packet, size);
    return size;
}

static long echo_tcp(void *arg, struct tcp_connection *connection, const uint8_t *packet, size_t size, uint8_t *out,
                     size_t cap)
{
    (void)arg, (void)connection, (void)cap;
    memcpy(out, packet, size);
    return (long)size;
}

// Serves for ever; tells the port.
static _Noreturn void serve(int port_to)
{
    union sockaddr_any address = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    uv_loop_t *loop = uv_default_loop();
    struct udp_listener *udp;
    struct tcp_listener *tcp;
    stay_on(0);
    if (udp_listen(loop, &address, echo_udp, NULL, &udp) != 0)
        fail("echo");
    udp_address(udp, &address);
    if (tcp_listen(loop, &address, &tcp_limits_default, echo_tcp, NULL, &tcp) != 0 ||
        write(port_to, &address, sizeof(address)) != sizeof(address))
        fail("echo");
    (void)uv_run(loop, UV_RUN_DEFAULT);
    exit(0);
}

static uint64_t cpu_ns(pid_t pid)
{
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
    struct timespec t;
    if ((pid != 0 && clock_getcpuclockid(pid, &clock) != 0) || clock_gettime(clock, &t) != 0)
        fail("clock");
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

// ---- Who asks

static uv_loop_t loop;
static struct upstream *server;
static enum upstream_way way;
static unsigned long left, answered, failed;

static bool accept_any(void *arg, const uint8_t *message, size_t size)
{
    (void)arg, (void)message;
    return size == SIZE;
}

static void ask(void);

static void on_answer(void *arg, const struct upstream_result *result)
{
    (void)arg;
    if (result->error == 0)
        answered++;
    else
        failed++;
    ask();
}

static void ask(void)
{
    static const uint8_t question[SIZE];
    struct upstream_request *request;
    if (left == 0)
        return;
    left--;
    if (upstream_ask(server, &loop, way, question, sizeof(question), clock_monotonic_ns() + PATIENCE_NS, accept_any,
                     on_answer, NULL, &request) != 0)
        fail("ask");
}

static void run(unsigned long questions)
{
    answered = failed = 0;
    left = questions;
    for (unsigned i = 0; i < WINDOW; i++)
        ask();
    while (answered + failed < questions)
        (void)uv_run(&loop, UV_RUN_ONCE);
}

static void measure(const char *name, unsigned long questions, pid_t echo)
{
    double best = 0, best_echo = 0;
    unsigned long lost = 0;
    run(questions / 10);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t own = cpu_ns(0), theirs = cpu_ns(echo);
        run(questions);
        double ns = (double)(cpu_ns(0) - own) / (double)questions;
        double echo_ns = (double)(cpu_ns(echo) - theirs) / (double)questions;
        lost += failed;
        if (best == 0 || ns < best) {
            best = ns;
            best_echo = echo_ns;
        }
    }
    printf("%s: %.0f ns a question; its echo %.0f ns; %.2f times; %lu lost\n", name, best, best_echo, best / best_echo,
           lost);
}

int main(int argc, char **argv)
{
    unsigned long questions = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
    struct upstream_options options = {.expire_ns = 5 * PATIENCE_NS};
    char error[CONFIG_ERROR_MAX];
    int port[2];
    if (questions < WINDOW || pipe(port) != 0)
        fail("usage: upstream [QUESTIONS]");
    pid_t echo = fork();
    if (echo < 0)
        fail("fork");
    if (echo == 0)
        serve(port[1]);
    stay_on(1);
    if (read(port[0], &options.address, sizeof(options.address)) != sizeof(options.address) || uv_loop_init(&loop) != 0)
        fail("start");
    if (upstream_get(&options, &server, error) != 0) {
        (void)fprintf(stderr, "upstream: %s\n", error);
        return 1;
    }
    way = UPSTREAM_UDP;
    measure("UDP", questions, echo);
    way = UPSTREAM_TCP;
    measure("TCP", questions, echo);
    upstream_close_loop(&loop);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    upstream_put(server);
    (void)kill(echo, SIGKILL);
    (void)waitpid(echo, NULL, 0);
    return 0;
}
