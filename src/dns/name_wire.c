// SPDX-License-Identifier: Apache-2.0
#include "dns/name_wire.h"

#include "dns/message.h"

#define POINTERS_MAX 126 // a name of 127 labels cannot need more

size_t name_check(const uint8_t *p, size_t size)
{
    if (size > NAME_MAX_WIRE)
        size = NAME_MAX_WIRE;
    size_t pos = 0;
    while (pos < size && p[pos] != 0) {
        if (p[pos] > NAME_MAX_LABEL)
            return 0;
        pos += p[pos] + 1U;
    }
    return pos < size ? pos + 1 : 0;
}

size_t name_unpack(struct reader *r, uint8_t *out)
{
    struct reader at = *r; // follows the pointers; `r` itself stays behind the first
    size_t piece = r->pos, length = 0;
    unsigned pointers = 0;
    for (;;) {
        uint8_t c = reader_u8(&at);
        if (c == 0)
            break;
        if (c <= NAME_MAX_LABEL) {
            const uint8_t *label = reader_bytes(&at, c);
            if (length + c + 2 > NAME_MAX_WIRE)
                reader_fail(&at, CDNS_ERANGE);
            if (at.error != 0)
                break;
            out[length] = c;
            memcpy(out + length + 1, label, c);
            length += c + 1U;
            continue;
        }
        size_t target = (size_t)(c & 0x3f) << 8 | reader_u8(&at);
        if (c < 0xc0 || target >= piece || target < MESSAGE_HEADER || ++pointers > POINTERS_MAX)
            reader_fail(&at, CDNS_ESYNTAX);
        if (at.error != 0)
            break;
        if (pointers == 1)
            r->pos = at.pos;
        reader_seek(&at, target);
        piece = target;
    }
    if (at.error != 0) {
        reader_fail(r, at.error);
        return 0;
    }
    if (pointers == 0)
        r->pos = at.pos;
    out[length] = 0;
    return length + 1;
}
