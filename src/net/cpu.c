// SPDX-License-Identifier: Apache-2.0
#include "net/cpu.h"
#include "net/net.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS_MAX 65536 // beyond any affinity mask

struct quota {
    double cpus; // smallest found; 0: none
    const char *root;
};

// First line of a file, without its newline. False when there is none.
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool read = fgets(line, (int)size, file) != NULL;
    (void)fclose(file);
    if (read)
        line[strcspn(line, "\n")] = '\0';
    return read;
}

static void take_quota(struct quota *quota, long long runtime_us, long long period_us)
{
    if (runtime_us <= 0 || period_us <= 0)
        return;
    double cpus = (double)runtime_us / (double)period_us;
    if (quota->cpus == 0 || cpus < quota->cpus)
        quota->cpus = cpus;
}

// First line of a file of `group`. False when there is none.
static bool read_setting(const struct quota *quota, const char *group, const char *name, char *line, size_t size)
{
    char path[2 * PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s%s/%s", quota->root, group, name);
    return n > 0 && (size_t)n < sizeof(path) && read_line(path, line, size);
}

// One cgroup's own quota: "cpu.max" is "max PERIOD" or "QUOTA PERIOD"; the old pair says -1 for none. What is no number
// gives 0: no quota.
static void read_group(struct quota *quota, const char *group)
{
    char line[64], period[64], *rest;
    if (read_setting(quota, group, "cpu.max", line, sizeof(line))) {
        long long runtime_us = strtoll(line, &rest, 10);
        take_quota(quota, runtime_us, strtoll(rest, NULL, 10));
    } else if (read_setting(quota, group, "cpu.cfs_quota_us", line, sizeof(line)) &&
               read_setting(quota, group, "cpu.cfs_period_us", period, sizeof(period))) {
        take_quota(quota, strtoll(line, NULL, 10), strtoll(period, NULL, 10));
    }
}

// The group `path` below `mount` and all above it: each may have a quota (in Kubernetes, the pod and the container).
static void read_groups(struct quota *quota, const char *mount, const char *path)
{
    char group[PATH_MAX];
    int n = snprintf(group, sizeof(group), "%s%s", mount, path);
    if (n < 0 || (size_t)n >= sizeof(group))
        return;
    size_t stop = strlen(mount);
    for (;;) {
        read_group(quota, group);
        char *slash = strrchr(group + stop, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

// This process's path in the hierarchy that has the CPU controller (v1), or in the unified one (v2).
static bool group_path(const char *proc, bool v2, char *path, size_t size)
{
    char name[PATH_MAX], line[PATH_MAX + 256];
    (void)snprintf(name, sizeof(name), "%s/cgroup", proc);
    FILE *file = fopen(name, "re");
    if (file == NULL)
        return false;
    bool found = false;
    while (!found && fgets(line, sizeof(line), file) != NULL) { // ID:CONTROLLERS:PATH
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *group++ = '\0';
        controllers++;
        found = v2 ? controllers[0] == '\0' : has_word(controllers, "cpu");
        if (found)
            (void)snprintf(path, size, "%s", group);
    }
    (void)fclose(file);
    return found;
}

// One line of mountinfo: "… ROOT MOUNT_POINT … - TYPE SOURCE OPTIONS" (proc(5)).
static void read_mount(struct quota *quota, const char *proc, char *line)
{
    char root[PATH_MAX], mount[PATH_MAX], type[32], options[512], path[PATH_MAX];
    char *tail = strstr(line, " - ");
    if (tail == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2 ||
        sscanf(tail, " - %31s %*s %511s", type, options) != 2)
        return;
    bool v2 = strcmp(type, "cgroup2") == 0;
    if (!v2 && (strcmp(type, "cgroup") != 0 || !has_word(options, "cpu")))
        return;
    if (!group_path(proc, v2, path, sizeof(path)))
        return;
    // Only a part of the hierarchy may be mounted here. What is outside of it cannot be read.
    size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
    bool inside = strncmp(path, root, skip) == 0 && (path[skip] == '/' || path[skip] == '\0');
    const char *below = inside ? path + skip : "";
    read_groups(quota, mount, strcmp(below, "/") == 0 ? "" : below);
}

unsigned cpu_quota(const char *proc, const char *root)
{
    char name[PATH_MAX], line[3 * PATH_MAX];
    struct quota quota = {.root = root};
    (void)snprintf(name, sizeof(name), "%s/mountinfo", proc);
    FILE *file = fopen(name, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        read_mount(&quota, proc, line);
    (void)fclose(file);
    if (quota.cpus == 0)
        return 0;
    if (quota.cpus >= CPUS_MAX)
        return CPUS_MAX;
    unsigned whole = (unsigned)quota.cpus;
    return quota.cpus > whole ? whole + 1 : whole;
}

// CPUs in the affinity mask; the kernel's mask may be longer than cpu_set_t.
static unsigned affinity_count(void)
{
    for (unsigned cpus = CPU_SETSIZE; cpus <= CPUS_MAX; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (set == NULL)
            return 1;
        size_t size = CPU_ALLOC_SIZE(cpus);
        int failed = sched_getaffinity(0, size, set) != 0 ? errno : 0;
        unsigned count = failed == 0 ? (unsigned)CPU_COUNT_S(size, set) : 1;
        CPU_FREE(set);
        if (failed != EINVAL)
            return count;
    }
    return 1;
}

unsigned net_cpu_count(void)
{
    unsigned allowed = affinity_count();
    unsigned quota = cpu_quota("/proc/self", "");
    return quota > 0 && quota < allowed ? quota : allowed;
}
