// SPDX-License-Identifier: Apache-2.0
#include "corefile/corefile.h"
#include "corefile/build.h"
#include "corefile/fault.h"
#include "corefile/files.h"
#include "corefile/keys.h"
#include "corefile/parser.h"
#include <clusterdns/log.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

static void hash_text(EVP_MD_CTX *hash, const char *text)
{
    EVP_DigestUpdate(hash, text, strlen(text) + 1);
}

/// Numbers before what they count make the hashed bytes unambiguous.
static void hash_count(EVP_MD_CTX *hash, size_t n)
{
    EVP_DigestUpdate(hash, &n, sizeof n);
}

static void hash_lines(EVP_MD_CTX *hash, const struct directive *lines, size_t n)
{
    hash_count(hash, n);
    for (size_t i = 0; i < n; i++) {
        hash_count(hash, lines[i].ntokens);
        for (size_t k = 0; k < lines[i].ntokens; k++)
            hash_text(hash, lines[i].tokens[k].text);
        hash_count(hash, lines[i].has_block);
        hash_lines(hash, lines[i].block, lines[i].nblock);
    }
}

static int hash_blocks(struct corefile *c)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(hash);
        return CDNS_ENOMEM;
    }
    for (size_t i = 0; i < c->nblocks; i++) {
        const struct corefile_block *b = &c->blocks[i];
        hash_count(hash, b->nkeys);
        for (size_t k = 0; k < b->nkeys; k++) {
            hash_text(hash, b->keys[k].scheme);
            hash_text(hash, b->keys[k].zone);
            hash_count(hash, b->keys[k].has_port ? b->keys[k].port : SIZE_MAX);
        }
        hash_lines(hash, b->directives, b->ndirectives);
    }
    EVP_DigestFinal_ex(hash, c->hash, NULL);
    EVP_MD_CTX_free(hash);
    return 0;
}

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
    if (result == 0 && hash_blocks(out) != 0)
        return fault_memory(error);
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
    if (files_read(path, false, COREFILE_MAX_FILE, &text, &len) != 0) {
        int number = errno;
        return fault_plain(error, NULL, NULL, "%s %s: %s", number == EISDIR ? "read" : "open", path,
                           files_reason(number));
    }
    int result = corefile_parse_text(a, path, text, len, known, arg, out, error);
    free(text);
    return result;
}
