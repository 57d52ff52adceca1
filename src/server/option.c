// SPDX-License-Identifier: Apache-2.0
// EDNS options of questions and replies (RFC 6891 §6.1.2).
#include "base/reader.h"
#include "base/writer.h"
#include <clusterdns/query.h>

bool query_option(const struct query *q, uint16_t code, const uint8_t **data, uint16_t *len)
{
    struct reader r = reader_init(q->options, q->options_len);
    while (reader_left(&r) > 0) {
        uint16_t option = reader_u16(&r), size = reader_u16(&r);
        const uint8_t *bytes = reader_bytes(&r, size);
        if (r.error != 0)
            return false;
        if (option != code)
            continue;
        if (data != NULL)
            *data = bytes;
        if (len != NULL)
            *len = size;
        return true;
    }
    return false;
}

int reply_option_add(struct query *q, uint16_t code, const void *data, uint16_t len)
{
    struct reply *r = &q->reply;
    size_t size = (size_t)r->options_len + 4 + len;
    if (!q->edns)
        return 0;
    if (size > UINT16_MAX)
        return CDNS_ERANGE;
    uint8_t *options = arena_alloc(q->arena, size);
    if (options == NULL)
        return CDNS_ENOMEM;
    struct writer w = writer_init(options, size);
    writer_bytes(&w, r->options, r->options_len);
    writer_u16(&w, code);
    writer_u16(&w, len);
    writer_bytes(&w, data, len);
    r->options = options;
    r->options_len = (uint16_t)size;
    return 0;
}
