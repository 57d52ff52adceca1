// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Label selectors: `app=web,tier in (a,b),!old`. Read, refused and written as CoreDNS 1.15.0 does it with
/// apimachinery's ParseToLabelSelector and LabelSelectorAsSelector (so `!=`, `>` and `<` are refused, and of several
/// `key=value` with one key the last counts); matched as the API server does. Pure.
#include <clusterdns/arena.h>
#include <stdbool.h>

struct selector;

/// Reads a selector; what it is made of comes from `a`. CDNS_ESYNTAX with apimachinery's words in `error` (`error_size`
/// bytes, cut if they are longer); CDNS_ENOMEM.
int selector_parse(const char *text, struct arena *a, const struct selector **out, char *error,
                   size_t error_size) CDNS_MUSTCHECK;
/// The selector in canonical form, as it is sent to the API: sorted by key, values sorted. "" selects everything.
const char *selector_text(const struct selector *s);

/// The value of label `key` of an object, NULL if it has none.
typedef const char *(*selector_lookup)(const void *labels, const char *key);
/// Does the selector select an object with these labels? `labels` is for `lookup`.
bool selector_matches(const struct selector *s, selector_lookup lookup, const void *labels);
