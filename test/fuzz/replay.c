// SPDX-License-Identifier: Apache-2.0
// \file
// Plays every file of a folder into a fuzz target: the corpus as an ordinary test, without libFuzzer.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

// Reads the whole file into memory of exactly its size, so that a sanitizer sees the first byte read past it.
static uint8_t *read_file(const char *path, size_t *size)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (f == NULL || fstat(fileno(f), &st) != 0)
        fail(path);
    *size = (size_t)st.st_size;
    uint8_t *data = malloc(*size);
    if ((data == NULL && *size > 0) || fread(data, 1, *size, f) != *size)
        fail(path);
    fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (dir == NULL)
        fail(argv[1]);
    unsigned n = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        size_t size;
        uint8_t *data = read_file(path, &size);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
        n++;
    }
    closedir(dir);
    printf("%s: %u inputs\n", argv[1], n);
    return n > 0 ? 0 : 1;
}
