// SPDX-License-Identifier: Apache-2.0
#include "plugins/health/probe.h"

#include <clusterdns/log.h>
#include <clusterdns/metrics.h>
#include <stdlib.h>

#define SLOW_MS 1000 // is logged

static struct metric_family duration_family = {
    .name = "coredns_health_request_duration_seconds",
    .help = "Time that this server's own requests to its health endpoint took.",
    .type = METRIC_HISTOGRAM,
    .buckets = {.first = 0.00025, .factor = 10, .n = 5},
};
static struct metric_family failures_family = {
    .name = "coredns_health_request_failures_total",
    .help = "This server's own requests to its health endpoint that failed.",
    .type = METRIC_COUNTER,
};

struct probe {
    union sockaddr_any address;
    struct metric *duration, *failures;
    uv_timer_t timer;
    uv_tcp_t tcp; // of the request under way
    uv_connect_t connect;
    uv_write_t write;
    uint64_t started; // uv_hrtime()
    bool asking;      // `tcp` is in use
    bool told;        // how the request under way ended is counted
    bool stopped;
    unsigned handles; // not closed yet
    char answer[256]; // its beginning is all that is looked at
    char name[];
};

static void on_closed(uv_handle_t *handle)
{
    struct probe *p = handle->data;
    if (handle == (uv_handle_t *)&p->tcp)
        p->asking = false;
    if (--p->handles == 0)
        free(p);
}

// Counts how the request ended, NULL or why it failed, and ends it.
static void end(struct probe *p, const char *error)
{
    uint64_t ns = uv_hrtime() - p->started;
    if (p->told)
        return;
    p->told = true;
    uv_close((uv_handle_t *)&p->tcp, on_closed);
    if (p->stopped)
        return;
    metric_observe(p->duration, METRIC_ELSEWHERE, 0, (double)ns * 1e-9);
    if (error != NULL) {
        metric_count(p->failures, METRIC_ELSEWHERE, 0, 1);
        log_plugin(LOG_LEVEL_WARNING, "health", "Local health request to \"%s\" failed: %s", p->name, error);
    } else if (ns > SLOW_MS * UINT64_C(1000000)) {
        log_plugin(LOG_LEVEL_WARNING, "health", "Local health request to \"%s\" took more than 1s: %.3fs", p->name,
                   (double)ns * 1e-9);
    }
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    (void)size;
    struct probe *p = handle->data;
    *out = uv_buf_init(p->answer, sizeof p->answer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n != 0)
        end(stream->data, n > 0 ? NULL : uv_strerror((int)n));
}

static void on_written(uv_write_t *write, int status)
{
    if (status != 0)
        end(write->data, uv_strerror(status));
}

static void on_connected(uv_connect_t *connect, int status)
{
    static char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct probe *p = connect->data;
    uv_buf_t buf = uv_buf_init(request, sizeof request - 1);
    if (p->told)
        return;
    if (status == 0)
        status = uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written);
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&p->tcp, on_room, on_read);
    if (status != 0)
        end(p, uv_strerror(status));
}

static void on_interval(uv_timer_t *timer)
{
    struct probe *p = timer->data;
    if (p->asking) {
        if (uv_hrtime() - p->started >= PROBE_PATIENCE_MS * UINT64_C(1000000))
            end(p, "timed out");
        return;
    }
    p->started = uv_hrtime();
    if (uv_tcp_init(timer->loop, &p->tcp) != 0)
        return;
    p->tcp.data = p;
    p->handles++;
    p->asking = true;
    p->told = false;
    int status = uv_tcp_connect(&p->connect, &p->tcp, &p->address.sa, on_connected);
    if (status != 0)
        end(p, uv_strerror(status));
}

struct probe *probe_start(uv_loop_t *loop, const union sockaddr_any *address, const char *name)
{
    size_t size = strlen(name) + 1;
    struct probe *p = calloc(1, sizeof *p + size);
    if (p == NULL)
        return NULL;
    p->address = *address;
    memcpy(p->name, name, size);
    p->duration = metric_series(&duration_family, NULL);
    p->failures = metric_series(&failures_family, NULL);
    uv_timer_init(loop, &p->timer);
    p->timer.data = p->connect.data = p->write.data = p;
    p->handles = 1;
    uv_timer_start(&p->timer, on_interval, PROBE_INTERVAL_MS, PROBE_INTERVAL_MS);
    return p;
}

void probe_stop(struct probe *p)
{
    if (p == NULL)
        return;
    p->stopped = true;
    uv_close((uv_handle_t *)&p->timer, on_closed);
    if (p->asking)
        end(p, NULL);
}
