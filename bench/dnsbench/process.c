// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/process.h"

#include "dnsbench/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INODE_FIELD 9  // of a line of /proc/PID/net/udp
#define DROPS_FIELD 12 // …
#define UTIME_FIELD 11 // of /proc/PID/stat, behind the name, which is in brackets

// A counter of a thread or of a socket.
struct entry {
    uint64_t id, value;
};

// Counters that come and go: what each has counted since it was last looked at adds up, so that a thread that ends
// takes nothing away.
struct meter {
    struct entry *all, *last;
    size_t n, room, nlast;
    uint64_t sum;
    bool begun;
};

struct process {
    char dir[64];
    struct process_results results;
    struct meter cpu, drops;
    struct meter inodes; // of its sockets: ids alone
};

// --- meters

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct entry *)a)->id, y = ((const struct entry *)b)->id;
    return x < y ? -1 : x > y;
}

static const struct entry *find(const struct entry *all, size_t n, uint64_t id)
{
    const struct entry key = {.id = id};
    return n > 0 ? bsearch(&key, all, n, sizeof key, by_id) : NULL;
}

static bool meter_add(struct meter *m, uint64_t id, uint64_t value)
{
    if (m->n == m->room) {
        size_t room = m->room > 0 ? 2 * m->room : 64;
        struct entry *more = realloc(m->all, room * sizeof *more);
        if (more == NULL)
            return false;
        m->all = more;
        m->room = room;
    }
    m->all[m->n++] = (struct entry){id, value};
    return true;
}

// All counters of a moment were added.
static void meter_take(struct meter *m)
{
    if (m->n > 0)
        qsort(m->all, m->n, sizeof *m->all, by_id);
    for (size_t i = 0; m->begun && i < m->n; i++) {
        const struct entry *e = find(m->last, m->nlast, m->all[i].id);
        uint64_t before = e != NULL ? e->value : 0;
        m->sum += m->all[i].value > before ? m->all[i].value - before : 0;
    }
    free(m->last);
    m->last = m->all;
    m->nlast = m->n;
    m->all = NULL;
    m->n = m->room = 0;
    m->begun = true;
}

static void meter_free(struct meter *m)
{
    free(m->all);
    free(m->last);
}

// --- /proc

static FILE *open_file(const struct process *p, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    return fopen(path, "re");
}

static DIR *open_folder(const struct process *p, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    return opendir(path);
}

// The first line of a file, without its end. False: there is none.
static bool read_line(const struct process *p, const char *name, char *line, size_t size)
{
    FILE *file = open_file(p, name);
    bool good = file != NULL && fgets(line, (int)size, file) != NULL;
    if (file != NULL)
        fclose(file);
    if (good)
        line[strcspn(line, "\n")] = '\0';
    return good;
}

// Field `n` of a line, counted from 0; NULL: there are fewer.
static const char *field(const char *line, unsigned n)
{
    line += strspn(line, " \t");
    for (; n > 0 && *line != '\0'; n--) {
        line += strcspn(line, " \t");
        line += strspn(line, " \t");
    }
    return *line != '\0' && *line != '\n' ? line : NULL;
}

static uint64_t number_of(const char *text)
{
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

// A kernel that has no statistics of its scheduler counts in ticks, of the whole process.
static bool read_ticks(struct process *p)
{
    char line[1024];
    const char *behind = read_line(p, "stat", line, sizeof line) ? strrchr(line, ')') : NULL;
    if (behind == NULL)
        return false;
    uint64_t ticks = number_of(field(behind + 1, UTIME_FIELD)) + number_of(field(behind + 1, UTIME_FIELD + 1));
    p->cpu.n = 0;
    return meter_add(&p->cpu, 0, ticks * UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

// The CPU time of each thread, to the nanosecond.
static bool read_cpu(struct process *p)
{
    char name[64], line[128];
    uint64_t sum = 0;
    bool good = true;
    DIR *tasks = open_folder(p, "task");
    if (tasks == NULL)
        return false;
    p->cpu.n = 0;
    for (const struct dirent *d; good && (d = readdir(tasks)) != NULL;) {
        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        snprintf(name, sizeof name, "task/%.20s/schedstat", d->d_name);
        uint64_t ns = read_line(p, name, line, sizeof line) ? number_of(line) : 0; // else it has just ended
        sum += ns;
        good = meter_add(&p->cpu, number_of(d->d_name), ns);
    }
    closedir(tasks);
    return good && sum == 0 ? read_ticks(p) : good;
}

static bool read_rss(const struct process *p, uint64_t *bytes)
{
    char line[256];
    bool found = false;
    FILE *file = open_file(p, "status");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0) {
            *bytes = number_of(field(line, 1)) * 1024;
            found = true;
        }
    if (file != NULL)
        fclose(file);
    return found;
}

static bool read_inodes(struct process *p)
{
    DIR *fds = open_folder(p, "fd");
    bool good = fds != NULL;
    p->inodes.n = 0;
    for (const struct dirent *d; good && (d = readdir(fds)) != NULL;) {
        char target[64];
        ssize_t n = readlinkat(dirfd(fds), d->d_name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        if (strncmp(target, "socket:[", 8) == 0)
            good = meter_add(&p->inodes, number_of(target + 8), 0);
    }
    if (fds != NULL)
        closedir(fds);
    if (p->inodes.n > 0)
        qsort(p->inodes.all, p->inodes.n, sizeof *p->inodes.all, by_id);
    return good;
}

// The drops of the process's sockets; the table is of its whole network namespace.
static bool read_drops(struct process *p, const char *table)
{
    char line[512];
    bool good = true;
    FILE *file = open_file(p, table);
    while (file != NULL && good && fgets(line, sizeof line, file) != NULL) {
        uint64_t inode = number_of(field(line, INODE_FIELD));
        if (inode != 0 && find(p->inodes.all, p->inodes.n, inode) != NULL)
            good = meter_add(&p->drops, inode, number_of(field(line, DROPS_FIELD)));
    }
    if (file != NULL) // a machine may do without IPv6
        fclose(file);
    return good;
}

static bool read_all(struct process *p, uint64_t *rss)
{
    p->drops.n = 0;
    return read_rss(p, rss) && read_cpu(p) && read_inodes(p) && read_drops(p, "net/udp") && read_drops(p, "net/udp6");
}

// --- samples

static void keep(struct process_results *r)
{
    size_t n = r->n;
    if (n == PROCESS_SAMPLES_MAX)
        return;
    if ((n & (n - 1)) == 0) { // room for as many again
        struct process_sample *more = realloc(r->samples, (n > 0 ? 2 * n : 1) * sizeof *more);
        if (more == NULL)
            return;
        r->samples = more;
    }
    r->samples[r->n++] = r->end;
}

void process_sample(struct process *p, uint64_t at_ns, bool load)
{
    struct process_results *r = &p->results;
    uint64_t rss = 0, began = r->n > 0 ? r->samples[0].at_ns : at_ns;
    if (r->ended || !read_all(p, &rss)) {
        r->ended = true;
        return;
    }
    meter_take(&p->cpu);
    meter_take(&p->drops);
    r->end = (struct process_sample){.at_ns = at_ns, .cpu_ns = p->cpu.sum, .rss = rss, .drops = p->drops.sum};
    r->peak_rss = rss > r->peak_rss ? rss : r->peak_rss;
    if (load || r->load_ns == 0) { // a short load has no other than the last
        r->load_ns = at_ns - began;
        r->load_cpu_ns = p->cpu.sum;
    }
    if (load)
        keep(r);
}

const struct process_results *process_results(const struct process *p)
{
    return &p->results;
}

// --- life

static int fail(char *error, const char *fmt, ...) CDNS_PRINTF(2, 3);
static int fail(char *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, PROCESS_ERROR_MAX, fmt, args);
    va_end(args);
    return CDNS_ECONFIG;
}

// May it be looked at?
static int check(struct process *p, char *error)
{
    unsigned pid = p->results.pid;
    uint64_t rss;
    bool named = read_line(p, "comm", p->results.name, sizeof p->results.name);
    text_clean(p->results.name);
    if (!named || !read_rss(p, &rss))
        return fail(error, "--pid %u: there is no such process (on this machine); pidof SERVER says the server's", pid);
    errno = 0;
    if (read_all(p, &rss))
        return 0;
    if (errno == EACCES || errno == EPERM)
        return fail(error, "--pid %u: %s is another user's process: run dnsbench as that user, or as root", pid,
                    p->results.name);
    return fail(error, "--pid %u: /proc does not tell of %s: %s", pid, p->results.name, strerror(errno));
}

int process_open(const char *root, unsigned pid, struct process **out, char *error)
{
    struct process *p = calloc(1, sizeof *p);
    if (p == NULL)
        return CDNS_ENOMEM;
    snprintf(p->dir, sizeof p->dir, "%s/%u", root, pid);
    p->results.pid = pid;
    int rc = check(p, error);
    if (rc == 0)
        *out = p;
    else
        process_free(p);
    return rc;
}

void process_free(struct process *p)
{
    if (p == NULL)
        return;
    meter_free(&p->cpu);
    meter_free(&p->drops);
    meter_free(&p->inodes);
    free(p->results.samples);
    free(p);
}
