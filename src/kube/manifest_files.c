// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest_files.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
    char *error;
    size_t size;
};

static int fail(const struct out *out, const char *path, const char *reason)
{
    snprintf(out->error, out->size, "%s: %s", path, reason);
    return CDNS_EIO;
}

static bool is_manifest(const char *name)
{
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t n = strlen(ends[i]);
        if (len > n && strcmp(name + len - n, ends[i]) == 0)
            return true;
    }
    return false;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_directory(const char *path, const struct manifest_walk *walk, unsigned level, const struct out *out);

static int walk_entry(const char *path, const char *name, const struct manifest_walk *walk, unsigned level,
                      const struct out *out)
{
    char full[PATH_MAX];
    struct stat st;
    int len = snprintf(full, sizeof full, "%s/%s", path, name);
    if (len < 0 || (size_t)len >= sizeof full)
        return fail(out, path, "a path in it is too long");
    if (lstat(full, &st) != 0)
        return errno == ENOENT ? 0 : fail(out, full, strerror(errno)); // gone since the directory was read
    if (S_ISDIR(st.st_mode))
        return level < MANIFEST_MAX_LEVELS ? walk_directory(full, walk, level + 1, out) : 0;
    if (!is_manifest(name) || stat(full, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    return walk->file(walk->arg, full, &st);
}

static int walk_directory(const char *path, const struct manifest_walk *walk, unsigned level, const struct out *out)
{
    struct dirent **entries;
    int n = scandir(path, &entries, not_hidden, by_name);
    if (n < 0)
        return fail(out, path, strerror(errno));
    int r = walk->directory != NULL ? walk->directory(walk->arg, path) : 0;
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = walk_entry(path, entries[i]->d_name, walk, level, out);
        free(entries[i]);
    }
    free(entries);
    return r;
}

int manifest_files(const char *path, const struct manifest_walk *walk, char *error, size_t error_size)
{
    const struct out out = {error, error_size};
    struct stat st;
    if (stat(path, &st) != 0)
        return fail(&out, path, strerror(errno));
    if (S_ISDIR(st.st_mode))
        return walk_directory(path, walk, 0, &out);
    if (!S_ISREG(st.st_mode))
        return fail(&out, path, "neither a file nor a directory");
    return walk->file(walk->arg, path, &st);
}
