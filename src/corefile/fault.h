// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Texts of configuration errors, in Caddy's form. `error` has CONFIG_ERROR_MAX bytes; longer texts are cut.
#include <clusterdns/config.h>
#include <stdarg.h>

/// "FILE:LINE - Error during parsing: TEXT", after "plugin/NAME: " if `plugin` is given. Returns CDNS_ECONFIG.
int fault_at(char *error, const char *plugin, const struct token *at, const char *fmt, ...) CDNS_PRINTF(4, 5);
int fault_vat(char *error, const char *plugin, const struct token *at, const char *fmt, va_list args);
/// "TEXT (FILE:LINE)", after "plugin/NAME: " if `plugin` is given; without the place if `at` is NULL. Returns
/// CDNS_ECONFIG.
int fault_plain(char *error, const char *plugin, const struct token *at, const char *fmt, ...) CDNS_PRINTF(4, 5);
int fault_vplain(char *error, const char *plugin, const struct token *at, const char *fmt, va_list args);
/// "FILE:LINE - Syntax error: Unexpected token 'x', expecting 'y'" for the token `at`. Returns CDNS_ECONFIG.
int fault_syntax(char *error, const struct token *at, const char *expected);
/// For memory that is used up: says so in `error`. Returns CDNS_ECONFIG.
int fault_memory(char *error);
