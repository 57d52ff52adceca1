// SPDX-License-Identifier: Apache-2.0
// \file
// A question for another server, and whether a message is its answer.
#include <clusterdns/message.h>

#include "base/reader.h"
#include "dns/message.h"
#include "dns/name_wire.h"

size_t message_question_write(const struct message_question *question, uint8_t *out, size_t cap)
{
    struct writer w = writer_init(out, cap);
    writer_u16(&w, question->id);
    writer_u16(&w, (uint16_t)(question->rd << 8 | question->ad << 5 | question->cd << 4));
    writer_u16(&w, 1);
    writer_u32(&w, 0);
    writer_u16(&w, question->edns);
    writer_bytes(&w, question->qname, name_length(question->qname));
    writer_u16(&w, question->qtype);
    writer_u16(&w, question->qclass);
    if (question->edns)
        message_write_opt(&w, &(struct message_reply){.do_ = question->do_, .edns_size = question->edns_size}, 0);
    return w.error == 0 ? w.pos : 0;
}

// The question section of a message is `question`.
static bool same_question(struct reader *r, const struct message_question *question)
{
    size_t length = name_check(r->base + r->pos, reader_left(r));
    const uint8_t *name = reader_bytes(r, length);
    if (length == 0 || !name_equal(name, question->qname))
        return false;
    uint16_t type = reader_u16(r), class_ = reader_u16(r);
    return r->error == 0 && type == question->qtype && class_ == question->qclass;
}

bool message_answers(const struct message_question *question, const uint8_t *message, size_t size)
{
    struct reader r = reader_init(message, size);
    struct message m;
    message_read_header(&r, &m);
    if (r.error != 0 || !m.qr || m.opcode != OPCODE_QUERY || m.id != question->id)
        return false;
    if (m.qdcount == 0)
        return m.rcode != RCODE_NOERROR && m.rcode != RCODE_NXDOMAIN;
    return m.qdcount == 1 && same_question(&r, question);
}
