// SPDX-License-Identifier: Apache-2.0
#include "dns/message.h"

#include "dns/lower.h"
#include "dns/name_wire.h"

void message_read_header(struct reader *r, struct message *m)
{
    m->id = reader_u16(r);
    uint16_t bits = reader_u16(r);
    m->qr = (bits & 0x8000) != 0;
    m->opcode = bits >> 11 & 0xf;
    m->aa = (bits & 0x0400) != 0;
    m->tc = (bits & 0x0200) != 0;
    m->rd = (bits & 0x0100) != 0;
    m->ra = (bits & 0x0080) != 0;
    m->ad = (bits & 0x0020) != 0;
    m->cd = (bits & 0x0010) != 0;
    m->rcode = bits & 0xf;
    m->qdcount = reader_u16(r);
    m->ancount = reader_u16(r);
    m->nscount = reader_u16(r);
    m->arcount = reader_u16(r);
}

// The question. Its name stands first in the message, so no pointer in it could be valid: a plain scan will do. As for
// CoreDNS, what is cut off behind the name is 0.
static int read_question(struct reader *r, struct message *m)
{
    const uint8_t *name = r->base + r->pos;
    size_t length = 0;
    unsigned labels = 0;
    for (uint8_t c; (c = reader_u8(r)) != 0; labels++) {
        length += c + 1U;
        if (c > NAME_MAX_LABEL || length >= NAME_MAX_WIRE)
            return CDNS_ESYNTAX;
        reader_bytes(r, c);
    }
    length++;
    m->qtype = reader_left(r) > 0 ? reader_u16(r) : 0;
    m->qclass = reader_left(r) > 0 ? reader_u16(r) : 0;
    if (r->error != 0)
        return CDNS_ESYNTAX;
    memcpy(m->qname_asked, name, length);
    lower_copy(m->qname, name, length);
    m->qname_len = (uint8_t)length;
    m->qname_labels = (uint8_t)labels;
    m->question_end = (uint16_t)r->pos;
    return 0;
}

// OPT: its class is the payload size, its TTL extended rcode, version and flags (RFC 6891 §6.1.3). The options must be
// whole; what they say is for those who know them.
int message_read_opt(struct reader *r, struct message *m)
{
    m->edns_size = reader_u16(r);
    uint32_t ttl = reader_u32(r);
    m->edns_rcode = (uint8_t)(ttl >> 24);
    m->edns_version = (uint8_t)(ttl >> 16);
    m->do_ = (ttl & 0x8000) != 0;
    m->edns_options_len = reader_u16(r);
    m->edns_options = reader_bytes(r, m->edns_options_len);
    if (r->error != 0)
        return CDNS_ESYNTAX;
    m->edns = true;
    struct reader options = reader_init(m->edns_options, m->edns_options_len);
    while (reader_left(&options) > 0) {
        reader_u16(&options);
        reader_bytes(&options, reader_u16(&options));
    }
    return options.error != 0 ? CDNS_ESYNTAX : 0;
}

// One record. Only an OPT of the additional section means anything here.
static int read_record(struct reader *r, bool additional, struct message *m)
{
    uint8_t owner[NAME_MAX_WIRE];
    size_t length = name_unpack(r, owner);
    uint16_t type = reader_u16(r);
    if (r->error != 0)
        return CDNS_ESYNTAX;
    if (type == RR_OPT && additional)
        return length != 1 || m->edns ? CDNS_ESYNTAX : message_read_opt(r, m);
    reader_bytes(r, 6);
    reader_bytes(r, reader_u16(r));
    return r->error != 0 ? CDNS_ESYNTAX : 0;
}

static int read_records(struct reader *r, unsigned count, bool additional, struct message *m)
{
    // A message that ends where a record would begin has fewer records than it says.
    for (; count > 0 && reader_left(r) > 0; count--)
        if (read_record(r, additional, m) != 0)
            return CDNS_ESYNTAX;
    return 0;
}

int message_parse(const uint8_t *packet, size_t size, struct message *m)
{
    memset(m, 0, offsetof(struct message, qname_asked));
    m->qname_asked[0] = m->qname[0] = 0;
    m->qname_len = 1;
    m->qname_labels = 0;
    m->question_end = 0;
    struct reader r = reader_init(packet, size);
    if (size < MESSAGE_HEADER)
        return CDNS_ETRUNC;
    message_read_header(&r, m);
    if (m->qr || (m->opcode != OPCODE_QUERY && m->opcode != OPCODE_NOTIFY))
        return 0;
    if (m->qdcount != 1 || m->ancount > 1 || m->nscount > 1 || m->arcount > 2)
        return CDNS_ESYNTAX;
    if (size == MESSAGE_HEADER)
        return 0;
    if (read_question(&r, m) != 0 || read_records(&r, m->ancount, false, m) != 0 ||
        read_records(&r, m->nscount, false, m) != 0 || read_records(&r, m->arcount, true, m) != 0)
        return CDNS_ESYNTAX;
    return 0;
}
