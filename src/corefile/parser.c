// SPDX-License-Identifier: Apache-2.0
#include "corefile/parser.h"
#include "corefile/fault.h"
#include <stdio.h>

struct parser {
    struct stream *s;
    corefile_known known;
    void *arg;
    bool more; // the stream's word has not been used yet; false at the end of the text
};

static void advance(struct parser *p)
{
    p->more = stream_next(p->s);
}

static int append(struct parser *p, struct list *l, const void *item, size_t size)
{
    return list_add(l, p->s->arena, item, size) == 0 ? 0 : fault_memory(p->s->error);
}

// Uses the present word as a token.
static int take_token(struct parser *p, struct list *tokens)
{
    struct token t = p->s->word->token;
    int result = stream_text(p->s, &t.text);
    if (result == 0)
        result = append(p, tokens, &t, sizeof t);
    if (result == 0)
        advance(p);
    return result;
}

static int import(struct parser *p)
{
    int result = stream_import(p->s);
    if (result == 0)
        advance(p);
    return result;
}

static int unmatched_brace(struct parser *p)
{
    return stream_fail(p->s, "Unexpected '}' because no matching opening brace: remove it, or add the '{' it closes");
}

static int misplaced_brace(struct parser *p)
{
    return stream_fail(p->s,
                       "Unexpected '{' at the beginning of a line: write it at the end of the line it belongs to");
}

static int read_line(struct parser *p, int depth, struct directive *out);

// The lines of a directive's block, from its '{' to behind its '}'.
static int read_inner_block(struct parser *p, int depth, struct directive *out)
{
    if (depth == COREFILE_MAX_NESTING)
        return stream_fail(p->s, "blocks are nested more than %d deep", COREFILE_MAX_NESTING);
    struct list lines = {0};
    advance(p);
    while (p->more && !stream_is(p->s, "}")) {
        struct directive line;
        int result;
        if (stream_is(p->s, "{"))
            result = misplaced_brace(p);
        else if (stream_is(p->s, "import"))
            result = import(p);
        else if ((result = read_line(p, depth + 1, &line)) == 0)
            result = append(p, &lines, &line, sizeof line);
        if (result != 0)
            return result;
    }
    if (!p->more)
        return stream_fail(p->s, "Unexpected EOF");
    advance(p);
    out->block = lines.items;
    out->nblock = lines.n;
    out->has_block = true;
    return 0;
}

// After the '}' of a directive's block only what closes the block around it may stand on the line.
static int check_line_ends(struct parser *p, int depth)
{
    if (p->more && stream_is(p->s, "{"))
        return misplaced_brace(p);
    if (!p->more || p->s->new_line || (depth > 0 && stream_is(p->s, "}")))
        return 0;
    if (stream_is(p->s, "}"))
        return unmatched_brace(p);
    return stream_fail(p->s, "Unexpected '%s' after '}': it has to begin a new line", p->s->word->token.text);
}

// A directive (depth 0) or a line of a block inside of it, with its own block if it has one.
static int read_line(struct parser *p, int depth, struct directive *out)
{
    struct list tokens = {0};
    int result;
    *out = (struct directive){0};
    do {
        result = take_token(p, &tokens);
    } while (result == 0 && p->more && !p->s->new_line && !stream_is(p->s, "{") && !stream_is(p->s, "}"));
    if (result != 0)
        return result;
    out->tokens = tokens.items;
    out->ntokens = tokens.n;
    if (!p->more)
        return 0;
    if (stream_is(p->s, "{")) {
        if (p->s->new_line)
            return misplaced_brace(p);
        result = read_inner_block(p, depth, out);
        return result != 0 ? result : check_line_ends(p, depth);
    }
    if (stream_is(p->s, "}") && !p->s->new_line && depth == 0)
        return unmatched_brace(p);
    return 0;
}

static int read_directive(struct parser *p, struct list *directives)
{
    const char *name;
    int result = stream_text(p->s, &name);
    if (result != 0)
        return result;
    if (p->known != NULL && !p->known(p->arg, name))
        return stream_fail(p->s, "Unknown directive '%s'", name);
    struct directive d;
    result = read_line(p, 0, &d);
    return result != 0 ? result : append(p, directives, &d, sizeof d);
}

static void warn(struct parser *p, const char *what)
{
    char text[CONFIG_ERROR_MAX];
    snprintf(text, sizeof text, "%s:%u - %s", p->s->word->token.file, p->s->word->token.line, what);
    p->s->options->warn(text);
}

// The end of a server block. A file that ends too early passes if its last word is a '}', as it does in CoreDNS.
static int read_closing_brace(struct parser *p)
{
    struct token last = p->s->word->token;
    if (p->more) {
        advance(p);
        return 0;
    }
    if (stream_is(p->s, "}")) {
        warn(p, "The last server block is not closed: a '}' is missing");
        return 0;
    }
    int result = stream_text(p->s, &last.text);
    return result != 0 ? result : fault_syntax(p->s->error, &last, "}");
}

// The directives of a server block. Its braces may be missing: then it goes to the end of the text.
static int read_directives(struct parser *p, struct list *directives)
{
    bool braces = stream_is(p->s, "{");
    if (braces)
        advance(p);
    while (p->more && !stream_is(p->s, "}")) {
        int result = stream_is(p->s, "import") ? import(p) : read_directive(p, directives);
        if (result != 0)
            return result;
    }
    if (braces)
        return read_closing_brace(p);
    return p->more ? unmatched_brace(p) : 0;
}

// The present word as a key; a comma at its end says that the next one may stand on another line.
static int read_key(struct parser *p, const char *text, struct list *keys, bool *comma)
{
    size_t len = strlen(text);
    if (len > 0) {
        *comma = text[len - 1] == ',';
        struct token key = p->s->word->token;
        key.text = arena_strndup(p->s->arena, text, *comma ? len - 1 : len);
        if (key.text == NULL)
            return fault_memory(p->s->error);
        int result = append(p, keys, &key, sizeof key);
        if (result != 0)
            return result;
    }
    advance(p);
    return 0;
}

// The keys of a server block, up to its '{' or, without braces, its first directive.
static int read_keys(struct parser *p, struct list *keys)
{
    bool comma = false, ends = false;
    while (p->more && !ends) {
        const char *text;
        int result = stream_text(p->s, &text);
        if (result != 0)
            return result;
        if (strcmp(text, "import") == 0 && p->s->new_line) {
            result = import(p);
        } else if (stream_is(p->s, "}")) {
            result = unmatched_brace(p);
        } else if (stream_is(p->s, "{")) {
            ends = true;
            if (comma)
                result = stream_fail(p->s, "Expected another address but had '{' - check for extra comma");
        } else {
            result = read_key(p, text, keys, &comma);
            ends = p->s->new_line && !comma;
        }
        if (result != 0)
            return result;
    }
    return comma && !ends ? stream_fail(p->s, "Unexpected EOF") : 0;
}

// The name of the snippet that the keys declare: a single "(name)". `*name` is NULL if they are no snippet.
static int snippet_name(struct parser *p, const struct list *keys, const char **name)
{
    *name = NULL;
    if (keys->n != 1)
        return 0;
    const char *key = ((const struct token *)keys->items)->text;
    size_t len = strlen(key);
    if (len < 2 || key[0] != '(' || key[len - 1] != ')')
        return 0;
    *name = arena_strndup(p->s->arena, key + 1, len - 2);
    return *name != NULL ? 0 : fault_memory(p->s->error);
}

static int read_snippet(struct parser *p, const char *name)
{
    if (!p->more)
        return stream_fail(p->s, "Unexpected EOF");
    int result = stream_snippet(p->s, name);
    if (result == 0)
        advance(p);
    return result;
}

// A server block or a snippet.
static int read_block(struct parser *p, struct list *blocks)
{
    struct list keys = {0}, directives = {0};
    const char *snippet = NULL;
    int result = read_keys(p, &keys);
    if (result == 0)
        result = snippet_name(p, &keys, &snippet);
    if (result != 0)
        return result;
    if (snippet != NULL)
        return read_snippet(p, snippet);
    if (p->more && keys.n == 0)
        warn(p, "A server block without a zone is ignored");
    if (p->more)
        result = read_directives(p, &directives);
    if (result != 0 || keys.n == 0)
        return result;
    struct parsed_block block = {keys.items, keys.n, directives.items, directives.n};
    return append(p, blocks, &block, sizeof block);
}

int parser_read(struct stream *s, corefile_known known, void *arg, struct list *blocks)
{
    struct parser p = {.s = s, .known = known, .arg = arg};
    advance(&p);
    while (p.more) {
        int result = read_block(&p, blocks);
        if (result != 0)
            return result;
    }
    return 0;
}
