// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Lists in protobuf cut into their elements: bytes in as they arrive, one element out at a time; peak memory is one
/// object. What comes is "k8s\0" and a runtime.Unknown, whose field `raw` is the list: metadata and items. One thread
/// at a time.
#include <clusterdns/error.h>
#include <stddef.h>

struct protobuf_list;

/// `kind` of its objects ("Service"), borrowed: what does not say that it is a list of them is refused before its first
/// element is taken. `item` gets each element's message; it returns 0, or an error that ends the splitting.
/// `max_object` bounds one element and the metadata in bytes (CDNS_ELIMIT). NULL when memory is short.
struct protobuf_list *protobuf_list_new(const char *kind, size_t max_object,
                                        int (*item)(void *arg, const char *data, size_t len), void *arg);
/// NULL is allowed.
void protobuf_list_free(struct protobuf_list *l);
/// The next `len` bytes. What `item` returned; CDNS_ESYNTAX: it is no list of the kind; CDNS_ELIMIT, CDNS_ENOMEM.
int protobuf_list_feed(struct protobuf_list *l, const char *data, size_t len) CDNS_MUSTCHECK;
/// At the end of the body: the list's metadata (meta/v1 ListMeta); CDNS_ETRUNC when the list is not complete.
int protobuf_list_finish(struct protobuf_list *l, const char **metadata, size_t *len) CDNS_MUSTCHECK;
