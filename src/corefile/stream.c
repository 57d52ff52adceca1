// SPDX-License-Identifier: Apache-2.0
#include "corefile/stream.h"
#include "corefile/environment.h"
#include "corefile/fault.h"
#include "corefile/files.h"
#include <clusterdns/file.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_SNIPPETS 10000

static const char FILE_KIND[] = "file", SNIPPET_KIND[] = "snippet";

struct snippet {
    const char *name;
    struct words words;
};

// Words that are being read: those of a file or of a snippet.
struct frame {
    struct words words;
    size_t next;                  // index of the next word
    const char *kind;             // FILE_KIND or SNIPPET_KIND
    const char *name;             // the file's absolute path, or the snippet's name
    const struct frame *importer; // where the import stands; NULL for the first file
    struct frame *below;          // goes on when this one is at its end
};

int stream_fail(struct stream *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int result = fault_vat(s->error, NULL, &s->word->token, fmt, args);
    va_end(args);
    return result;
}

bool stream_next(struct stream *s)
{
    while (s->top != NULL && s->top->next == s->top->words.n)
        s->top = s->top->below;
    if (s->top == NULL)
        return false;
    s->word = &s->top->words.at[s->top->next++];
    s->new_line = s->word->starts_line || s->top != s->from;
    s->from = s->top;
    return true;
}

bool stream_line_goes_on(const struct stream *s)
{
    const struct frame *f = s->top;
    return f == s->from && f->next < f->words.n && !f->words.at[f->next].starts_line;
}

int stream_text(struct stream *s, const char **text)
{
    int result = environment_expand(s->arena, s->word->token.text, text);
    if (result == CDNS_ELIMIT)
        return stream_fail(s, "environment references grow beyond %d bytes or never end", ENVIRONMENT_MAX_TEXT);
    return result != 0 ? fault_memory(s->error) : 0;
}

bool stream_is(const struct stream *s, const char *text)
{
    return strcmp(s->word->token.text, text) == 0;
}

// Puts words before all that is left to read; the import that brings them, if any, is the one at the present word.
static int push(struct stream *s, struct words words, const char *kind, const char *name)
{
    struct frame *f = arena_alloc(s->arena, sizeof *f);
    if (f == NULL)
        return fault_memory(s->error);
    *f = (struct frame){words, .kind = kind, .name = name, .importer = s->from, .below = s->top};
    s->top = f;
    return 0;
}

int stream_start(struct stream *s, const char *name, const void *text, size_t len)
{
    const char *path = files_resolve(s->arena, NULL, name);
    const char *file = arena_strndup(s->arena, name, strlen(name));
    if (path == NULL || file == NULL)
        return fault_memory(s->error);
    struct words words;
    int result = lex(s->arena, file, text, len, COREFILE_MAX_TOKENS, &words, s->error);
    if (result != 0)
        return result;
    s->tokens = words.n;
    s->bytes = len;
    return push(s, words, FILE_KIND, path);
}

// Refuses imports without an end: would reading this snippet or file now happen inside of itself?
static int check_depth(struct stream *s, const char *kind, const char *name)
{
    int depth = 0;
    for (const struct frame *f = s->from; f != NULL; f = f->importer, depth++) {
        if (f->kind == kind && strcmp(f->name, name) == 0)
            return stream_fail(s, "maximum %s import depth (%d) exceeded: '%s' imports itself", kind,
                               COREFILE_MAX_IMPORTS, name);
    }
    if (depth > COREFILE_MAX_DEPTH)
        return stream_fail(s, "maximum %s import depth (%d) exceeded", kind, COREFILE_MAX_DEPTH);
    if (s->imports++ == COREFILE_MAX_IMPORTS)
        return stream_fail(s, "more than %d imports", COREFILE_MAX_IMPORTS);
    return 0;
}

static const struct snippet *find_snippet(const struct stream *s, const char *name)
{
    const struct snippet *snippets = s->snippets.items;
    for (size_t i = 0; i < s->snippets.n; i++) {
        if (strcmp(snippets[i].name, name) == 0)
            return &snippets[i];
    }
    return NULL;
}

static int import_snippet(struct stream *s, const struct snippet *snippet)
{
    int result = check_depth(s, SNIPPET_KIND, snippet->name);
    if (result != 0)
        return result;
    s->tokens += snippet->words.n;
    if (s->tokens > COREFILE_MAX_TOKENS)
        return stream_fail(s, "more than %d tokens, imports included", COREFILE_MAX_TOKENS);
    return push(s, snippet->words, SNIPPET_KIND, snippet->name);
}

// Reads a file's words for an import.
static int read_words(struct stream *s, const char *path, struct words *words)
{
    char *text;
    size_t len;
    if (file_read(path, true, COREFILE_MAX_FILE, &text, &len, NULL) != 0) {
        int number = errno;
        if (number == EISDIR)
            return stream_fail(s, "Could not import %s: is a directory", path);
        return stream_fail(s, "Could not import %s: open %s: %s", path, path, files_reason(number));
    }
    s->bytes += len;
    int result = s->bytes > COREFILE_MAX_BYTES
                     ? stream_fail(s, "more than %u bytes, imports included", COREFILE_MAX_BYTES)
                     : lex(s->arena, path, text, len, COREFILE_MAX_TOKENS - s->tokens, words, s->error);
    free(text);
    if (result == 0)
        s->tokens += words->n;
    return result;
}

// Reads the files (const char *) for the import that is being followed and puts their words before what is left.
static int import_files(struct stream *s, const char *const *paths, size_t n)
{
    struct words *words = arena_calloc(s->arena, n, sizeof *words);
    if (words == NULL)
        return fault_memory(s->error);
    int result = 0;
    for (size_t i = 0; result == 0 && i < n; i++) {
        result = check_depth(s, FILE_KIND, paths[i]);
        if (result == 0)
            result = read_words(s, paths[i], &words[i]);
    }
    for (size_t i = n; result == 0 && i-- > 0;)
        result = push(s, words[i], FILE_KIND, paths[i]);
    return result;
}

static size_t count(const char *text, char c)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

static void warn_no_match(struct stream *s, const char *pattern)
{
    char text[CONFIG_ERROR_MAX];
    snprintf(text, sizeof text, "No files matching import glob pattern: %s", pattern);
    s->options->warn(text);
}

// The present word is the import's argument, `pattern` is that word expanded.
static int import_pattern(struct stream *s, const char *pattern)
{
    const char *full = files_resolve(s->arena, s->word->token.file, pattern);
    if (full == NULL)
        return fault_memory(s->error);
    if (count(full, '*') > 1 || count(full, '?') > 1 || (strchr(full, '[') != NULL && strchr(full, ']') != NULL))
        return stream_fail(s, "Glob pattern may only contain one wildcard (*), but has others: %s", full);
    struct list paths = {0};
    int result = s->options->no_files ? 0 : files_match(s->arena, full, &paths);
    if (result == CDNS_ENOMEM)
        return fault_memory(s->error);
    if (result == CDNS_ELIMIT)
        return stream_fail(s, "import of %s: more than %d files match", pattern, COREFILE_MAX_MATCHES);
    if (result != 0)
        return stream_fail(s, "Failed to use import pattern %s: syntax error in pattern", pattern);
    if (paths.n == 0 && strpbrk(full, "*?[]") == NULL)
        return stream_fail(s, "File to import not found: %s", pattern);
    if (paths.n == 0)
        warn_no_match(s, pattern);
    return import_files(s, paths.items, paths.n);
}

int stream_import(struct stream *s)
{
    if (!stream_line_goes_on(s))
        return stream_fail(s, "Wrong argument count or unexpected line ending after 'import'");
    stream_next(s);
    const char *pattern;
    int result = stream_text(s, &pattern);
    if (result != 0)
        return result;
    if (pattern[0] == '\0')
        return stream_fail(s, "Import requires a non-empty filepath");
    if (stream_line_goes_on(s) && stream_next(s))
        return stream_fail(s, "Import takes only one argument (glob pattern or file)");
    const struct snippet *snippet = find_snippet(s, pattern);
    return snippet != NULL ? import_snippet(s, snippet) : import_pattern(s, pattern);
}

// Keeps the present word of a snippet's body.
static int keep_word(struct stream *s, struct list *body)
{
    struct word w = *s->word;
    w.starts_line = s->new_line;
    return list_add(body, s->arena, &w, sizeof w) == 0 ? 0 : fault_memory(s->error);
}

// A body that imports its own snippet is refused where it ends, used or not.
static int check_body(struct stream *s, const char *name, const struct list *body)
{
    const struct word *words = body->items;
    for (size_t i = 0; i + 1 < body->n; i++) {
        if (!words[i].starts_line || strcmp(words[i].token.text, "import") != 0)
            continue;
        const char *target;
        int result = environment_expand(s->arena, words[i + 1].token.text, &target);
        if (result == 0 && strcmp(target, name) == 0)
            return stream_fail(s, "maximum snippet import depth (%d) exceeded: '%s' imports itself",
                               COREFILE_MAX_IMPORTS, name);
    }
    return 0;
}

int stream_snippet(struct stream *s, const char *name)
{
    if (find_snippet(s, name) != NULL)
        return stream_fail(s, "redeclaration of previously declared snippet %s", name);
    if (!stream_is(s, "{"))
        return fault_syntax(s->error, &s->word->token, "{");
    if (s->snippets.n == MAX_SNIPPETS)
        return stream_fail(s, "more than %d snippets", MAX_SNIPPETS);
    struct list body = {0};
    for (int depth = 1; depth > 0;) {
        if (!stream_next(s))
            return fault_syntax(s->error, &s->word->token, "}");
        if (stream_is(s, "{"))
            depth++;
        if (stream_is(s, "}"))
            depth--;
        int result = depth > 0 ? keep_word(s, &body) : check_body(s, name, &body);
        if (result != 0)
            return result;
    }
    struct snippet snippet = {.name = name, .words = {body.items, body.n}};
    return list_add(&s->snippets, s->arena, &snippet, sizeof snippet) == 0 ? 0 : fault_memory(s->error);
}
