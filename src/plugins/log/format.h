// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Formats of the log plugin, and what kind of reply a query got.
#include <clusterdns/arena.h>
#include <clusterdns/query.h>
#include <stddef.h>

/// Classes of replies, as bits.
enum { REPLY_SUCCESS = 1, REPLY_DENIAL = 2, REPLY_ERROR = 4, REPLY_ALL = 7 };

/// A kind of reply, in CoreDNS's words.
struct reply_type {
    const char *name; ///< "NODATA"
    unsigned class_;  ///< one REPLY_ bit
};

/// What kind of reply the query ended with (kind.c). Any thread; static.
const struct reply_type *reply_type_of(const struct query *q, const struct outcome *o);

#define FORMAT_COMMON                                                                                                  \
    "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} {>rflags} {rsize} "     \
    "{duration}"
#define FORMAT_COMBINED FORMAT_COMMON " \"{>opcode}\""

struct format;

/// Compiles a format: {common} and {combined} stand for those above, the labels for values, {/NAME} for metadata, and
/// anything else for itself. Everything is allocated in `a`; NULL when it is full. `text` has to live as long.
const struct format *format_compile(struct arena *a, const char *text);

/// A query that has ended.
struct format_entry {
    const struct query *q;
    const struct outcome *o;
    const struct reply_type *type;
};

/// Writes a line, without NUL, to `out` (`cap` bytes; cut when longer); returns its length. Any thread.
size_t format_write(const struct format *f, const struct format_entry *e, char *out, size_t cap);

#define FORMAT_MEMBERS_MAX 3000 ///< bytes of the longest members, NUL included

/// Writes CoreDNS's members of a JSON record for log_members(), and NUL, to `out` (`cap` bytes, FORMAT_MEMBERS_MAX is
/// enough); returns the length without NUL. Any thread.
size_t format_members(const struct format_entry *e, char *out, size_t cap);
