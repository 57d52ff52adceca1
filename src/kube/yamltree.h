// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// YAML turned into JSON values, one document, or one element of a top-level "items" list, at a time. Plain scalars get
/// the types kubectl gives them (YAML 1.1: null, booleans, integers, floats), quoted ones are text. Anchors, aliases
/// and merge keys are followed; aliases share the value, so they cost no memory, but count towards the bound.
#include <clusterdns/error.h>
#include <jansson.h>
#include <stdio.h>

#define YAML_MAX_DEPTH 64          ///< levels of nesting in one value
#define YAML_MAX_NODES 1000000     ///< nodes of one value, those behind aliases counted each time
#define YAML_MAX_BYTES (16u << 20) ///< of one value's text
#define YAML_MAX_ANCHORS 1000      ///< of one document

/// What went wrong, and in which line (from 1).
struct yaml_error {
    size_t line;
    char text[160];
};

/// Who gets the values (borrowed: valid until the function returns, but for who takes a reference). A result other
/// than 0 ends the reading.
struct yaml_values {
    /// A whole document; `line` is where it begins. "items" is empty when its elements were given to `item`.
    int (*document)(void *arg, json_t *value, size_t line);
    /// An element of the list "items" of a document's top level; `envelope` has the keys before the list. NULL: such
    /// lists are not taken apart.
    int (*item)(void *arg, const json_t *envelope, json_t *value, size_t line);
    void *arg;
};

/// Reads `in` to its end. CDNS_ESYNTAX, CDNS_ELIMIT, CDNS_EIO, CDNS_ENOMEM with `error` filled, or what a function of
/// `values` returned.
int yaml_read(FILE *in, const struct yaml_values *values, struct yaml_error *error) CDNS_MUSTCHECK;
