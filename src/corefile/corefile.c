// SPDX-License-Identifier: Apache-2.0
#include "corefile/corefile.h"
#include "corefile/build.h"
#include "corefile/fault.h"
#include "corefile/files.h"
#include "corefile/keys.h"
#include "corefile/parser.h"
#include <clusterdns/file.h>
#include <clusterdns/log.h>
#include <errno.h>
#include <stdlib.h>

static int build_block(struct stream *s, const struct parsed_block *parsed, size_t *total, struct corefile_block *out)
{
    struct list keys = {0};
    for (size_t i = 0; i < parsed->nkeys; i++) {
        int result = keys_read(s->arena, &parsed->keys[i], s->options->warn, &keys, s->error);
        if (result != 0)
            return result;
        if (*total + keys.n > COREFILE_MAX_KEYS)
            return fault_at(s->error, NULL, &parsed->keys[i], "more than %d zones", COREFILE_MAX_KEYS);
    }
    *total += keys.n;
    *out = (struct corefile_block){
        .keys = keys.items, .nkeys = keys.n, .directives = parsed->directives, .ndirectives = parsed->ndirectives};
    return 0;
}

int corefile_build(struct arena *a, const char *name, const char *text, size_t len, corefile_known known, void *arg,
                   const struct stream_options *options, struct corefile *out, char *error)
{
    struct stream s = {.arena = a, .options = options, .error = error};
    struct list parsed = {0};
    int result = stream_start(&s, name, text, len);
    if (result == 0)
        result = parser_read(&s, known, arg, &parsed);
    if (result != 0)
        return result;
    *out = (struct corefile){.nblocks = parsed.n};
    out->blocks = arena_calloc(a, parsed.n, sizeof *out->blocks);
    if (out->blocks == NULL)
        return fault_memory(error);
    size_t keys = 0;
    for (size_t i = 0; result == 0 && i < parsed.n; i++)
        result = build_block(&s, (const struct parsed_block *)parsed.items + i, &keys, &out->blocks[i]);
    return result;
}

static void log_warning(const char *text)
{
    log_write(LOG_LEVEL_WARNING, "%s", text);
}

int corefile_parse_text(struct arena *a, const char *name, const char *text, size_t len, corefile_known known,
                        void *arg, struct corefile *out, char *error)
{
    static const struct stream_options options = {.warn = log_warning};
    return corefile_build(a, name, text, len, known, arg, &options, out, error);
}

int corefile_parse_file(struct arena *a, const char *path, corefile_known known, void *arg, struct corefile *out,
                        char *error)
{
    if (strcmp(path, "stdin") == 0)
        path = "/dev/stdin";
    char *text;
    size_t len;
    if (file_read(path, false, COREFILE_MAX_FILE, &text, &len, NULL) != 0) {
        int number = errno;
        return fault_plain(error, NULL, NULL, "%s %s: %s", number == EISDIR ? "read" : "open", path,
                           files_reason(number));
    }
    int result = corefile_parse_text(a, path, text, len, known, arg, out, error);
    free(text);
    return result;
}
