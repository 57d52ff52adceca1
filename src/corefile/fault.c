// SPDX-License-Identifier: Apache-2.0
#include "corefile/fault.h"
#include <stdio.h>
#include <string.h>

// Appends to the text in `error`, as far as there is room.
static void vput(char *error, const char *fmt, va_list args)
{
    size_t len = strlen(error);
    vsnprintf(error + len, CONFIG_ERROR_MAX - len, fmt, args);
}

CDNS_PRINTF(2, 3) static void put(char *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vput(error, fmt, args);
    va_end(args);
}

static void begin(char *error, const char *plugin)
{
    error[0] = '\0';
    if (plugin != NULL)
        put(error, "plugin/%s: ", plugin);
}

int fault_vat(char *error, const char *plugin, const struct token *at, const char *fmt, va_list args)
{
    begin(error, plugin);
    put(error, "%s:%u - Error during parsing: ", at->file, at->line);
    vput(error, fmt, args);
    return CDNS_ECONFIG;
}

int fault_at(char *error, const char *plugin, const struct token *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int result = fault_vat(error, plugin, at, fmt, args);
    va_end(args);
    return result;
}

int fault_vplain(char *error, const char *plugin, const struct token *at, const char *fmt, va_list args)
{
    begin(error, plugin);
    vput(error, fmt, args);
    if (at != NULL)
        put(error, " (%s:%u)", at->file, at->line);
    return CDNS_ECONFIG;
}

int fault_plain(char *error, const char *plugin, const struct token *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int result = fault_vplain(error, plugin, at, fmt, args);
    va_end(args);
    return result;
}

int fault_syntax(char *error, const struct token *at, const char *expected)
{
    begin(error, NULL);
    put(error, "%s:%u - Syntax error: Unexpected token '%s', expecting '%s'", at->file, at->line, at->text, expected);
    return CDNS_ECONFIG;
}

int fault_memory(char *error)
{
    return fault_plain(error, NULL, NULL, "the configuration needs more memory than there is");
}
