// SPDX-License-Identifier: Apache-2.0
#include "corefile/lexer.h"
#include "base/reader.h"
#include "corefile/corefile.h"
#include "corefile/fault.h"
#include "corefile/list.h"

struct lexer {
    struct reader in;
    const char *file;
    uint32_t line; // of the next byte
    char *out;     // where the text of the next word goes
};

// Bytes of the white space character that comes next (Unicode White_Space in UTF-8); 0 if it is another one.
static size_t space_length(const struct lexer *l)
{
    struct reader ahead = l->in;
    uint8_t c = reader_u8(&ahead);
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return 1;
    uint8_t second = reader_u8(&ahead);
    if (c == 0xC2)
        return second == 0x85 || second == 0xA0 ? 2 : 0;
    uint32_t wide = (uint32_t)c << 16 | (uint32_t)second << 8 | reader_u8(&ahead);
    bool space = wide == 0xE19A80 || (wide >= 0xE28080 && wide <= 0xE2808A) || wide == 0xE280A8 || wide == 0xE280A9 ||
                 wide == 0xE280AF || wide == 0xE2819F || wide == 0xE38080;
    return space ? 3 : 0;
}

// The rest of a word whose opening quote was read. False at the end of the text if the word is empty.
static bool quoted_word(struct lexer *l)
{
    const char *start = l->out;
    bool escaped = false;
    while (reader_left(&l->in) > 0) {
        char c = (char)reader_u8(&l->in);
        if (!escaped && c == '"')
            return true;
        if (!escaped && c == '\\') {
            escaped = true;
            continue;
        }
        if (escaped && c != '"')
            *l->out++ = '\\';
        if (c == '\n')
            l->line++;
        *l->out++ = c;
        escaped = false;
    }
    return l->out > start;
}

// Reads the next word's text to l->out, its first line to `*line` and its last to `*end`. False at the end of the
// text.
static bool next_word(struct lexer *l, uint32_t *line, uint32_t *end)
{
    bool comment = false, inside = false;
    while (reader_left(&l->in) > 0) {
        size_t space = space_length(l);
        char c = (char)reader_bytes(&l->in, space > 0 ? space : 1)[0];
        if (c == '\r')
            continue;
        if (c == '\n') {
            l->line++;
            comment = false;
        }
        if (space > 0) {
            if (inside)
                return true;
            continue;
        }
        if (c == '#')
            comment = true;
        if (comment)
            continue;
        if (!inside) {
            *line = *end = l->line;
            if (c == '"') {
                bool found = quoted_word(l);
                *end = l->line;
                return found;
            }
            inside = true;
        }
        *l->out++ = c;
    }
    return inside;
}

static void skip_byte_order_mark(struct reader *in)
{
    struct reader ahead = *in;
    const uint8_t *mark = reader_bytes(&ahead, 3);
    if (mark != NULL && memcmp(mark, "\xEF\xBB\xBF", 3) == 0)
        *in = ahead;
}

// A NUL byte would end a token's text early: the error for the one at `nul`.
static int nul_error(const char *file, const char *text, const char *nul, char *error)
{
    struct token at = {.text = "", .file = file, .line = 1};
    for (const char *p = text; p < nul; p++)
        at.line += *p == '\n';
    return fault_at(error, NULL, &at, "NUL byte found: a Corefile is UTF-8 text");
}

int lex(struct arena *a, const char *file, const void *text, size_t len, size_t max, struct words *out, char *error)
{
    const char *nul = len > 0 ? memchr(text, 0, len) : NULL;
    if (nul != NULL)
        return nul_error(file, text, nul, error);
    // One byte after each word pays for its NUL: white space, a closing quote, or the end of the text.
    struct lexer l = {.in = reader_init(text, len), .file = file, .line = 1, .out = arena_alloc(a, len + 1)};
    if (l.out == NULL)
        return fault_memory(error);
    skip_byte_order_mark(&l.in);
    struct list words = {0};
    uint32_t last_end = 0, end = 0;
    struct word w = {.token = {.text = l.out, .file = file}};
    while (next_word(&l, &w.token.line, &end)) {
        *l.out++ = '\0';
        w.starts_line = w.token.line > last_end;
        last_end = end;
        if (words.n == max)
            return fault_at(error, NULL, &w.token, "more than %d tokens, imports included", COREFILE_MAX_TOKENS);
        if (list_add(&words, a, &w, sizeof w) != 0)
            return fault_memory(error);
        w.token.text = l.out;
    }
    *out = (struct words){words.items, words.n};
    return 0;
}
