// SPDX-License-Identifier: Apache-2.0
// What a configuration says, as a number: two files with the same words in the same lines are the same.
#include "corefile/build.h"
#include "corefile/corefile.h"
#include "corefile/fault.h"
#include "corefile/files.h"
#include <clusterdns/file.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static void add_word(EVP_MD_CTX *sum, const char *text)
{
    EVP_DigestUpdate(sum, text, strlen(text) + 1);
}

// The number of words tells a line's end, the number of lines a block's.
static void add_directives(EVP_MD_CTX *sum, const struct directive *d, size_t n)
{
    EVP_DigestUpdate(sum, &n, sizeof n);
    for (size_t i = 0; i < n; i++) {
        EVP_DigestUpdate(sum, &d[i].ntokens, sizeof d[i].ntokens);
        for (size_t t = 0; t < d[i].ntokens; t++)
            add_word(sum, d[i].tokens[t].text);
        add_directives(sum, d[i].block, d[i].nblock);
    }
}

int corefile_hash(const struct corefile *c, uint8_t hash[COREFILE_HASH])
{
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    bool good = sum != NULL && EVP_DigestInit_ex(sum, EVP_sha512(), NULL) == 1;
    for (size_t b = 0; good && b < c->nblocks; b++) {
        const struct corefile_block *block = &c->blocks[b];
        EVP_DigestUpdate(sum, &block->nkeys, sizeof block->nkeys);
        for (size_t k = 0; k < block->nkeys; k++) {
            add_word(sum, block->keys[k].scheme);
            add_word(sum, block->keys[k].zone);
            EVP_DigestUpdate(sum, &block->keys[k].port, sizeof block->keys[k].port);
        }
        add_directives(sum, block->directives, block->ndirectives);
    }
    good = good && EVP_DigestFinal_ex(sum, hash, NULL) == 1;
    EVP_MD_CTX_free(sum);
    return good ? 0 : CDNS_ENOMEM;
}

int corefile_hash_more(uint8_t hash[COREFILE_HASH], const struct directive *const *lines, size_t n)
{
    EVP_MD_CTX *sum = EVP_MD_CTX_new();
    bool good = sum != NULL && EVP_DigestInit_ex(sum, EVP_sha512(), NULL) == 1;
    if (good)
        EVP_DigestUpdate(sum, hash, COREFILE_HASH);
    for (size_t i = 0; good && i < n; i++)
        add_directives(sum, lines[i], 1);
    good = good && EVP_DigestFinal_ex(sum, hash, NULL) == 1;
    EVP_MD_CTX_free(sum);
    return good ? 0 : CDNS_ENOMEM;
}

static void ignore_warning(const char *text)
{
    (void)text;
}

int corefile_hash_file(const char *path, uint8_t hash[COREFILE_HASH], char *error)
{
    static const struct stream_options options = {.warn = ignore_warning};
    struct corefile c = {0};
    char *text;
    size_t len;
    if (file_read(path, true, COREFILE_MAX_FILE, &text, &len, NULL) != 0)
        return fault_plain(error, NULL, NULL, "open %s: %s", path, files_reason(errno));
    struct arena *a = arena_new(0);
    int result = a != NULL ? corefile_build(a, path, text, len, NULL, NULL, &options, &c, error) : fault_memory(error);
    if (result == 0 && corefile_hash(&c, hash) != 0)
        result = fault_memory(error);
    arena_free(a);
    free(text);
    return result;
}
