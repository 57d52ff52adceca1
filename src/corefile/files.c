// SPDX-License-Identifier: Apache-2.0
#include "corefile/files.h"
#include "corefile/corefile.h"
#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Removes empty, "." and ".." components of an absolute path, in place.
static void clean(char *path)
{
    char *out = path;
    for (char *part = path; *part != '\0';) {
        size_t len = strcspn(part + 1, "/") + 1; // with the slash before it
        if (len == 3 && memcmp(part, "/..", 3) == 0) {
            while (out > path && *--out != '/')
                ;
        } else if (len > 1 && !(len == 2 && part[1] == '.')) {
            memmove(out, part, len);
            out += len;
        }
        part += len;
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
}

// `path` itself if it is absolute, else with `directory` (`len` bytes) before it.
static char *join(struct arena *a, const char *directory, size_t len, const char *path)
{
    if (path[0] == '/')
        return arena_strndup(a, path, strlen(path));
    return arena_printf(a, "%.*s/%s", (int)len, directory, path);
}

const char *files_resolve(struct arena *a, const char *from, const char *path)
{
    char here[PATH_MAX];
    if (getcwd(here, sizeof here) == NULL)
        return NULL;
    const char *base = join(a, here, strlen(here), from != NULL ? from : "-");
    if (base == NULL)
        return NULL;
    char *resolved = join(a, base, (size_t)(strrchr(base, '/') - base), path);
    if (resolved != NULL)
        clean(resolved);
    return resolved;
}

static bool has_meta(const char *pattern)
{
    return strpbrk(pattern, "*?\\") != NULL;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Appends the paths of the entries of `directory` whose name matches `pattern`.
static int match_entries(struct arena *a, const char *directory, const char *pattern, struct list *paths)
{
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return 0; // gone or not readable: nothing matches, as with the shell
    size_t first = paths->n;
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || fnmatch(pattern, name, FNM_PATHNAME) != 0)
            continue;
        const char *path = arena_printf(a, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name);
        if (path == NULL)
            result = CDNS_ENOMEM;
        else
            result = paths->n == COREFILE_MAX_MATCHES ? CDNS_ELIMIT : list_add(paths, a, &path, sizeof path);
    }
    closedir(dir);
    if (paths->n > first)
        qsort((const char **)paths->items + first, paths->n - first, sizeof(const char *), compare_paths);
    return result;
}

// As files_match() for a pattern that is known to be well-formed and shorter than PATH_MAX.
static int match(struct arena *a, const char *pattern, struct list *paths)
{
    struct stat st;
    if (!has_meta(pattern))
        return lstat(pattern, &st) == 0 ? list_add(paths, a, &pattern, sizeof pattern) : 0;
    const char *name = strrchr(pattern, '/') + 1;
    const char *directory = name - pattern == 1 ? "/" : arena_strndup(a, pattern, (size_t)(name - pattern - 1));
    if (directory == NULL)
        return CDNS_ENOMEM;
    if (!has_meta(directory))
        return match_entries(a, directory, name, paths);
    struct list directories = {0};
    int result = match(a, directory, &directories);
    for (size_t i = 0; result == 0 && i < directories.n; i++)
        result = match_entries(a, ((const char **)directories.items)[i], name, paths);
    return result;
}

int files_match(struct arena *a, const char *pattern, struct list *paths)
{
    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '[' || (*p == '\\' && *++p == '\0'))
            return CDNS_ESYNTAX;
    }
    return strlen(pattern) < PATH_MAX ? match(a, pattern, paths) : 0;
}

const char *files_reason(int number)
{
    static char text[256];
    snprintf(text, sizeof text, "%s", strerror(number));
    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}
