// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A parsed Corefile as text, as the cases of test/cases/corefile show it:
///
///     dns://. tls://example.org.:853
///       3 log . "a b"
///         4 class error
///       custom/more:1 errors {}
#include "corefile/corefile.h"
#include <stdio.h>
#include <string.h>

/// A word as it stands, or in quotes if it could be mistaken for something else.
static inline void dump_word(FILE *out, const char *text)
{
    if (text[0] != '\0' && strcmp(text, "{") != 0 && strcmp(text, "}") != 0 && strpbrk(text, " \t\r\n\"\\") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        const char *special = strchr("\n\r\t\"\\", *text);
        if (special != NULL)
            fprintf(out, "\\%c", "nrt\"\\"[special - "\n\r\t\"\\"]);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

/// Lines with their place: the line's number, after the path below `directory` for imported files.
static inline void dump_lines(FILE *out, const struct directive *lines, size_t n, const char *directory, int depth)
{
    for (size_t i = 0; i < n; i++) {
        const struct token *t = lines[i].tokens;
        fprintf(out, "%*s", 2 * depth, "");
        if (t[0].file[0] == '/')
            fprintf(out, "%s:", t[0].file + strlen(directory) + 1);
        fprintf(out, "%u", t[0].line);
        for (size_t k = 0; k < lines[i].ntokens; k++) {
            fputc(' ', out);
            dump_word(out, t[k].text);
        }
        fputs(lines[i].has_block && lines[i].nblock == 0 ? " {}\n" : "\n", out);
        dump_lines(out, lines[i].block, lines[i].nblock, directory, depth + 1);
    }
}

static inline void dump_corefile(FILE *out, const struct corefile *c, const char *directory)
{
    for (size_t b = 0; b < c->nblocks; b++) {
        const struct corefile_block *block = &c->blocks[b];
        for (size_t i = 0; i < block->nkeys; i++) {
            fprintf(out, "%s%s://", i > 0 ? " " : "", block->keys[i].scheme);
            dump_word(out, block->keys[i].zone);
            if (block->keys[i].has_port)
                fprintf(out, ":%u", block->keys[i].port);
        }
        fputc('\n', out);
        dump_lines(out, block->directives, block->ndirectives, directory, 1);
    }
}
