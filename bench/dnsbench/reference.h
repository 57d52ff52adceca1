// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A server whose answers are the right ones: the source of a check.
#include "dnsbench/check.h"
#include <clusterdns/address.h>

/// Asks the questions of a set at this server, over UDP. NULL: errno.
struct reference *reference_new(const union sockaddr_any *server, const struct questions *set);
void reference_free(struct reference *r);
/// check_source.look: asks all questions the first time, later those that differed and some others in turn. What is not
/// answered, or truncated, is not known. CDNS_ECONFIG: 64 questions in a row had no answer.
int reference_look(void *reference, struct check *c, bool first, const uint32_t *asked, size_t n, char *error);
