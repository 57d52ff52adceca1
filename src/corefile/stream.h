// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The words of a Corefile in the order in which the parser meets them: an `import` is replaced by the words of a
/// snippet or of files. What an import brings need not be whole lines or blocks.
#include "corefile/corefile.h"
#include "corefile/lexer.h"
#include "corefile/list.h"

/// How to read.
struct stream_options {
    bool no_files;                  ///< imports find snippets only (fuzzing)
    void (*warn)(const char *text); ///< is told of what is odd but no error
};

struct frame;

struct stream {
    struct arena *arena;
    const struct stream_options *options;
    char *error;             ///< CONFIG_ERROR_MAX bytes
    const struct word *word; ///< the present one; after the end, the last one
    bool new_line;           ///< it stands on another line than the word before it
    struct frame *top;       ///< where the next word comes from
    struct frame *from;      ///< where the present word came from
    struct list snippets;
    size_t tokens, bytes, imports; ///< used up of COREFILE_MAX_…
};

/// Begins with the text of a file. CDNS_ECONFIG.
int stream_start(struct stream *s, const char *name, const void *text, size_t len) CDNS_MUSTCHECK;
/// Makes the next word the present one; false at the end.
bool stream_next(struct stream *s);
/// Is there another word on the line of the present one?
bool stream_line_goes_on(const struct stream *s);
/// The present word with references to the environment expanded. CDNS_ECONFIG.
int stream_text(struct stream *s, const char **text) CDNS_MUSTCHECK;
/// Does the present word stand in the text as `text`? What comes from the environment has no meaning of its own.
bool stream_is(const struct stream *s, const char *text);
/// Records "FILE:LINE - Error during parsing: TEXT" for the present word. Returns CDNS_ECONFIG.
int stream_fail(struct stream *s, const char *fmt, ...) CDNS_PRINTF(2, 3);

/// Follows the `import` that is the present word: stream_next() goes on with what it brings. CDNS_ECONFIG.
int stream_import(struct stream *s) CDNS_MUSTCHECK;
/// Reads a snippet's body, whose '{' is the present word, up to its '}', which is the present word then. CDNS_ECONFIG.
int stream_snippet(struct stream *s, const char *name) CDNS_MUSTCHECK;
