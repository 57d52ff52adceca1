// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a report of dnsbench, compared with a sound one and with itself: a reason, or a verdict; beside itself
// it is the same.
#include "dnsbench/compare.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATH_MAX_BYTES 32
#define INPUT_MAX 20000

static char sound[PATH_MAX_BYTES];
static FILE *nowhere;

// The path of a file with these bytes; it is there as long as the descriptor.
static int store(const void *data, size_t size, char path[PATH_MAX_BYTES])
{
    int fd = memfd_create("report", 0);
    INVARIANT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, PATH_MAX_BYTES, "/proc/self/fd/%d", fd);
    return fd;
}

static void prepare(void)
{
    char text[1024] = "{\"format\":1,\"valid\":true,\"counts\":{\"sent\":1000,\"lost\":3},\"seconds\":[";
    for (unsigned i = 0; i < 10; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s{\"p50\":%u,\"p99\":%u}", i > 0 ? "," : "", 90 + i,
                 400 + i);
    strcat(text, "]}");
    (void)store(text, strlen(text), sound);
    nowhere = fopen("/dev/null", "we");
    INVARIANT(nowhere != NULL);
}

static int compare(const char *before, const char *after, enum compare_verdict *verdict)
{
    char error[COMPARE_ERROR_MAX] = "";
    int rc = compare_files(before, after, 0.05, nowhere, verdict, error);
    INVARIANT(rc == 0 || (rc == CDNS_ECONFIG && error[0] != '\0'));
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[PATH_MAX_BYTES];
    enum compare_verdict verdict;
    if (size > INPUT_MAX)
        return 0;
    if (nowhere == NULL)
        prepare();
    int fd = store(data, size, path);
    int first = compare(sound, path, &verdict), second = compare(path, sound, &verdict);
    INVARIANT(first == second);
    if (compare(path, path, &verdict) == 0)
        INVARIANT(verdict == COMPARE_SAME);
    close(fd);
    return 0;
}
