// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Lists cut into their elements: bytes in as they arrive, one element of the top level's "items" array out at a time;
/// peak memory is one object. The rest of the document (apiVersion, kind, metadata) is kept as the envelope. One thread
/// at a time.
#include <clusterdns/error.h>
#include <stddef.h>

struct list_splitter;

/// `item` gets each element as text; it returns 0, or an error that ends the splitting. `max_object` bounds one element
/// and the envelope in bytes (CDNS_ELIMIT). NULL when memory is short.
struct list_splitter *list_splitter_new(size_t max_object, int (*item)(void *arg, const char *json, size_t len),
                                        void *arg);
/// NULL is allowed.
void list_splitter_free(struct list_splitter *l);
/// The next `len` bytes. What `item` returned; CDNS_ESYNTAX: no JSON object; CDNS_ELIMIT, CDNS_ENOMEM.
int list_splitter_feed(struct list_splitter *l, const char *data, size_t len) CDNS_MUSTCHECK;
/// At the end of the body: the envelope with "items" emptied; CDNS_ETRUNC when the document is not complete (it can
/// still be fed then).
int list_splitter_finish(struct list_splitter *l, const char **envelope, size_t *len) CDNS_MUSTCHECK;
/// The envelope as far as it has come: inside `item`, all that stood before the list and its '['.
void list_splitter_envelope(const struct list_splitter *l, const char **envelope, size_t *len);
/// Bytes of the last feed that lie behind the document's end; they were not looked at.
size_t list_splitter_rest(const struct list_splitter *l);
/// Inside `item`: the line (from 1) where the element begins; else the line that was reached.
size_t list_splitter_line(const struct list_splitter *l);
