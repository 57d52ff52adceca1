// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/file.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct content {
    char *text;
    size_t len, cap; // there is room for a NUL behind `cap` bytes
};

static void content_free(struct content *c)
{
    if (c->text != NULL)
        explicit_bzero(c->text, c->len); // it may be a secret
    free(c->text);
}

// Makes room for one byte more than there are.
static bool content_grow(struct content *c, size_t cap)
{
    if (c->len < c->cap)
        return true;
    struct content larger = {.len = c->len, .cap = cap > 2 * c->cap ? cap : 2 * c->cap};
    larger.text = malloc(larger.cap + 1);
    if (larger.text == NULL)
        return false;
    if (c->len > 0)
        memcpy(larger.text, c->text, c->len);
    content_free(c);
    *c = larger;
    return true;
}

// Reads the open file to its end; `cap` bytes are likely to do.
static int read_all(int fd, size_t cap, size_t max, struct content *c)
{
    ssize_t got = 1;
    while (got != 0) {
        if (!content_grow(c, cap))
            return CDNS_EIO;
        got = read(fd, c->text + c->len, c->cap - c->len);
        if (got < 0 && errno != EINTR)
            return CDNS_EIO;
        c->len += got > 0 ? (size_t)got : 0;
        if (c->len > max) {
            errno = EFBIG;
            return CDNS_EIO;
        }
    }
    c->text[c->len] = '\0';
    return 0;
}

static int read_open(int fd, bool regular, size_t max, struct content *c, struct stat *st)
{
    if (fstat(fd, st) != 0)
        return CDNS_EIO;
    if (S_ISDIR(st->st_mode) || (regular && !S_ISREG(st->st_mode))) {
        errno = S_ISDIR(st->st_mode) ? EISDIR : ENOTSUP;
        return CDNS_EIO;
    }
    size_t size = S_ISREG(st->st_mode) && st->st_size > 0 ? (size_t)st->st_size : 0;
    return read_all(fd, (size < max ? size : max) + 4096, max, c);
}

int file_read(const char *path, bool regular, size_t max, char **text, size_t *len, struct stat *seen)
{
    struct stat st = {0};
    struct content c = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | (regular ? O_NONBLOCK : 0)), result = CDNS_EIO;
    if (fd >= 0)
        result = read_open(fd, regular, max, &c, &st);
    int saved = errno;
    if (fd >= 0)
        close(fd);
    if (seen != NULL)
        *seen = st;
    if (result == 0) {
        *text = c.text;
        *len = c.len;
    } else {
        content_free(&c);
    }
    errno = saved;
    return result;
}

bool file_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}
