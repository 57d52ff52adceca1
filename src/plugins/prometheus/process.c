// SPDX-License-Identifier: Apache-2.0
#include "plugins/prometheus/process.h"

#include <clusterdns/metrics.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

static struct metric_family build_info = {
    .name = "coredns_build_info",
    .help = "1; the labels say which clusterdns this is, and what compiled it (goversion, for dashboards' sake).",
    .type = METRIC_GAUGE,
    .labels = {{.name = "version"}, {.name = "revision"}, {.name = "goversion"}},
};
static struct metric_family panics = {
    .name = "coredns_panics_total",
    .help = "Failed checks of what should never happen, each with a line in the log.",
    .type = METRIC_READING,
};
static struct metric_family cpu = {
    .name = "process_cpu_seconds_total",
    .help = "CPU time used by all threads, user and system.",
    .type = METRIC_READING,
};
static struct metric_family resident = {
    .name = "process_resident_memory_bytes",
    .help = "Resident memory.",
    .type = METRIC_GAUGE,
};
static struct metric_family open_fds = {
    .name = "process_open_fds",
    .help = "Open file descriptors.",
    .type = METRIC_GAUGE,
};
static struct metric_family max_fds = {
    .name = "process_max_fds",
    .help = "Most file descriptors that may be open.",
    .type = METRIC_GAUGE,
};
static struct metric_family threads = {
    .name = "go_goroutines",
    .help = "Threads, under the name that dashboards for CoreDNS ask for.",
    .type = METRIC_GAUGE,
};
static struct metric_family start_time = {
    .name = "process_start_time_seconds",
    .help = "When the process started, Unix time.",
    .type = METRIC_GAUGE,
};

static double seconds(clockid_t clock)
{
    struct timespec t;
    return clock_gettime(clock, &t) == 0 ? (double)t.tv_sec + (double)t.tv_nsec * 1e-9 : 0;
}

// The first line of a file in /proc/self; "" if it cannot be read.
static void read_line(const char *path, char line[1024])
{
    FILE *f = fopen(path, "re");
    if (f == NULL || fgets(line, 1024, f) == NULL)
        line[0] = '\0';
    if (f != NULL)
        fclose(f);
}

static double resident_bytes(void)
{
    char line[1024];
    long pages = 0;
    read_line("/proc/self/statm", line);
    char *second = strchr(line, ' ');
    if (second != NULL)
        pages = strtol(second, NULL, 10);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n > 3 ? n - 3 : 0; // ".", "..", and the folder's own
}

// A field of proc(5)'s stat, counted from 1; 0 if it cannot be read. The name, field 2, may hold anything but is in
// braces.
static double stat_field(int wanted)
{
    char line[1024];
    read_line("/proc/self/stat", line);
    char *at = strrchr(line, ')');
    for (int field = 2; at != NULL && field < wanted; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtod(at, NULL) : 0;
}

static double started_at(void)
{
    double after_boot = stat_field(22) / (double)sysconf(_SC_CLK_TCK);
    return seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) + after_boot;
}

static void set(struct metric_family *family, double value)
{
    metric_set(metric_series(family, NULL), 0, value);
}

void process_collect(void)
{
    static double started;
    struct rlimit files;
    const char *build[] = {CDNS_VERSION, CDNS_REVISION, COMPILER};
    if (started == 0)
        started = started_at();
    metric_set(metric_series(&build_info, build), 0, 1);
    set(&panics, (double)expect_failures());
    set(&cpu, seconds(CLOCK_PROCESS_CPUTIME_ID));
    set(&resident, resident_bytes());
    set(&open_fds, count_fds());
    set(&threads, stat_field(20));
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        set(&max_fds, (double)files.rlim_cur);
    set(&start_time, started);
}
