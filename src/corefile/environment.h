// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// References to environment variables inside of words.
#include <clusterdns/arena.h>

#define ENVIRONMENT_MAX_TEXT 65536 ///< bytes of a word with its references expanded

/// Replaces {%NAME%} and then {$NAME} by the variables' values, an unset one by nothing. References inside of values
/// are replaced too; a reference without a name ends the replacing. `*out` is `text` itself when it has no reference.
/// CDNS_ENOMEM; CDNS_ELIMIT when the text would become longer than ENVIRONMENT_MAX_TEXT or when the values refer to
/// each other without an end. Source: Caddy v1's parser.
int environment_expand(struct arena *a, const char *text, const char **out) CDNS_MUSTCHECK;
