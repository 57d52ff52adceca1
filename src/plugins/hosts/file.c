// SPDX-License-Identifier: Apache-2.0
// The hosts file: read at the start, and again when it is another one than before, in turns that are short enough for
// the main loop's other work. What was read is published whole.
#include "plugins/hosts/hosts.h"

#include <clusterdns/file.h>
#include <clusterdns/metrics.h>
#include <clusterdns/quote.h>
#include <clusterdns/rcu.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define PIECE 65536 // bytes read in one turn: about two milliseconds

static struct metric_family entries_family = {
    .name = "coredns_hosts_entries",
    .help = "Names of the hosts file and the Corefile's own lines, counted in both directions.",
    .type = METRIC_GAUGE,
    .labels = {{.name = "hostsfile"}},
};
static struct metric_family reloaded_family = {
    .name = "coredns_hosts_reload_timestamp_seconds",
    .help = "When the hosts file that was read last had been changed, in seconds since 1970.",
    .type = METRIC_GAUGE,
};

// A reading under way.
struct reading {
    int fd;
    size_t total; // bytes so far
    struct hosts_parser parser;
    char source[512];
    uint8_t piece[PIECE];
};

// What the main loop holds; it outlives the instance until the loop has let go of it.
struct hosts_watch {
    uv_timer_t timer;
    struct hosts *hosts;     // not after hosts_stop()
    struct stat seen;        // the file that was read last, well or not
    struct reading *reading; // NULL: none
};

static void end_reading(struct hosts_watch *w)
{
    struct reading *r = w->reading;
    w->reading = NULL;
    close(r->fd);
    hosts_map_free(r->parser.map);
    free(r);
}

// Of an error of the system in the middle of a reading, in CoreDNS's words.
static void complain(const struct hosts_watch *w, const char *why)
{
    char quoted[512];
    log_plugin(LOG_LEVEL_ERROR, "hosts", "Failed to parse hosts file %s: read %s: %s",
               quote(w->hosts->path, quoted, sizeof quoted), w->hosts->path, why);
}

// Opens the file if it is another one than before. One that is not there was warned of when the configuration was read;
// what it said before holds.
static int open_changed(struct hosts_watch *w)
{
    struct stat now;
    int fd = open(w->hosts->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    bool changed = fstat(fd, &now) == 0 && !file_same(&now, &w->seen);
    if (changed)
        w->seen = now;
    if (changed && S_ISREG(now.st_mode))
        return fd;
    if (changed)
        complain(w, S_ISDIR(now.st_mode) ? "is a directory" : "not a regular file");
    close(fd);
    return -1;
}

static void look(struct hosts_watch *w)
{
    char quoted[400];
    int fd = open_changed(w);
    if (fd < 0)
        return;
    struct reading *r = calloc(1, sizeof *r);
    if (r == NULL) {
        close(fd);
        return;
    }
    w->reading = r;
    r->fd = fd;
    snprintf(r->source, sizeof r->source, "Hosts file %s", quote(w->hosts->path, quoted, sizeof quoted));
    r->parser = (struct hosts_parser){.map = hosts_map_new(), .zones = &w->hosts->zones, .source = r->source};
    if (r->parser.map == NULL)
        r->parser.error = CDNS_ENOMEM;
}

static void show(const struct hosts *h)
{
    metric_set(h->entries, 0, (double)(hosts_map_count(h->lines) + (h->map != NULL ? hosts_map_count(h->map) : 0)));
}

static void publish(struct hosts_watch *w)
{
    struct hosts *h = w->hosts;
    struct hosts_map *last = h->map;
    RCU_ASSIGN(h->map, w->reading->parser.map);
    w->reading->parser.map = last; // goes with the reading
    if (last != NULL)
        rcu_wait();
    log_plugin(LOG_LEVEL_DEBUG, "hosts", "Parsed hosts file into %zu entries", hosts_map_count(h->map));
    show(h);
    metric_set(metric_series(&reloaded_family, NULL), 0,
               (double)w->seen.st_mtim.tv_sec + (double)w->seen.st_mtim.tv_nsec / 1e9);
}

// A file that cannot be taken whole is not taken: what was there before is served on.
static void finish(struct hosts_watch *w)
{
    struct reading *r = w->reading;
    int rc = hosts_parse_end(&r->parser);
    if (rc == 0)
        rc = hosts_map_finish(r->parser.map, !w->hosts->no_reverse);
    if (rc == 0)
        publish(w);
    else if (rc == CDNS_ELIMIT)
        log_plugin(LOG_LEVEL_ERROR, "hosts",
                   "%s has more than %u names or %u bytes: it is not taken, what was read before is served on",
                   r->source, HOSTS_NAMES_MAX, HOSTS_BYTES_MAX);
    else
        log_plugin(LOG_LEVEL_ERROR, "hosts", "%s is not taken: %s", r->source, error_text(rc));
    end_reading(w);
}

static void read_piece(struct hosts_watch *w)
{
    struct reading *r = w->reading;
    ssize_t n = read(r->fd, r->piece, sizeof r->piece);
    if (n < 0) {
        complain(w, strerror(errno));
        end_reading(w);
        return;
    }
    r->total += (size_t)n;
    hosts_parse(&r->parser, r->piece, (size_t)n);
    if (r->total > HOSTS_BYTES_MAX && r->parser.error == 0)
        r->parser.error = CDNS_ELIMIT;
    if (n == 0 || r->parser.error != 0)
        finish(w);
}

static void on_turn(uv_timer_t *timer)
{
    struct hosts_watch *w = timer->data;
    if (w->reading != NULL)
        read_piece(w);
    else
        look(w);
    uint64_t ms = ((uint64_t)w->hosts->reload_ns + 999999) / 1000000;
    uv_timer_start(timer, on_turn, w->reading != NULL ? 1 : ms, 0); // at 0 it would not let others have a turn
}

int hosts_start(void *self, const struct plugin_start *s)
{
    struct hosts *h = self;
    struct hosts_watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return CDNS_ENOMEM;
    uv_timer_init(s->loop, &w->timer);
    w->timer.data = w;
    w->hosts = h;
    h->watch = w;
    h->entries = metric_series(&entries_family, (const char *[]){h->path});
    show(h);
    look(w);
    while (w->reading != NULL)
        read_piece(w);
    if (h->reload_ns > 0)
        on_turn(&w->timer);
    return 0;
}

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

void hosts_stop(void *self)
{
    struct hosts *h = self;
    struct hosts_watch *w = h->watch;
    h->watch = NULL;
    if (w->reading != NULL)
        end_reading(w);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}

void hosts_destroy(void *self)
{
    struct hosts *h = self;
    hosts_map_free(h->map);
    hosts_map_free(h->lines);
}
