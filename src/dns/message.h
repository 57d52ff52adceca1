// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Messages: reading a question, writing a reply (RFC 1035 §4, RFC 6891). Pure functions on bytes; any thread; nothing
/// is allocated from the heap.
#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_HEADER 12         ///< bytes of the header
#define MESSAGE_UDP_MIN 512       ///< UDP reply limit without EDNS (RFC 1035 §4.2.1)
#define MESSAGE_MAX 65535         ///< largest message (TCP length field)
#define MESSAGE_EDNS_DEFAULT 1232 ///< advertised UDP payload size (DNS flag day 2020)

/// What a query message says. Filled by message_parse() as far as it got.
struct message {
    uint16_t id, qtype, qclass;
    uint8_t opcode;                  ///< enum opcode
    bool qr, aa, tc, rd, ra, ad, cd; ///< header bits
    bool edns, do_;                  ///< an OPT record was there; its DO bit
    uint8_t edns_version;
    uint16_t edns_size;          ///< OPT's class field as sent
    uint16_t edns_options_len;   ///< bytes of OPT's rdata
    const uint8_t *edns_options; ///< points into the packet
    uint16_t qdcount, ancount, nscount, arcount;
    uint8_t qname_asked[NAME_MAX_WIRE]; ///< as asked
    uint8_t qname[NAME_MAX_WIRE];       ///< lower case
    uint8_t qname_len, qname_labels;
    uint16_t question_end; ///< offset behind the first question; 0 if it could not be read
};

/// Reads a query from `packet`. Returns
///  0             the message is well formed as a whole (all sections walked); at least one question;
///  CDNS_ETRUNC   less than a header: not answerable;
///  CDNS_ESYNTAX  malformed, or trailing bytes, two OPTs, OPT not owned by the root …: answer FORMERR (id, opcode, rd
///  valid).
/// What a real server does with qdcount ≠ 1, QR set, other opcodes is the caller's decision: the fields are set.
int message_parse(const uint8_t *packet, size_t size, struct message *m) CDNS_MUSTCHECK;

/// What is needed to write a reply beside its records.
struct message_reply {
    uint16_t id, rcode; ///< rcode with extended bits (written through OPT when edns)
    uint8_t opcode;
    bool aa, tc, rd, ra, ad, cd;
    bool has_question;    ///< echo the question below
    const uint8_t *qname; ///< in the case asked
    uint16_t qtype, qclass;
    const struct records *answer, *authority, *additional; ///< each may be NULL
    bool edns, do_;                                        ///< add OPT; its DO bit
    uint16_t edns_size;                                    ///< OPT's class field
    const uint8_t *options; ///< OPT's rdata, `options_len` bytes in wire form; may be NULL
    uint16_t options_len;
};

/// Writes the reply to `out`, names compressed (owners, and names in the rdata of RFC 1035's own types; never SRV's
/// target), at most `limit` bytes (≤ `cap`). What does not fit: whole records are left out from the end of additional,
/// then authority, then answer; TC is set when any record was left out, as CoreDNS sets it; the OPT always stays.
/// `*truncated` (may be NULL) tells it. Returns the length, or 0 when not even header, question and OPT fit.
size_t message_write(const struct message_reply *reply, uint8_t *out, size_t cap, size_t limit, bool *truncated);

/// Writes a bare error reply to a packet of at least a header: id and opcode echoed, QR set, RD copied, `rcode`, no
/// sections but the question if it could be read (`m->question_end`). Returns the length.
size_t message_write_error(const struct message *m, uint16_t rcode, uint8_t *out, size_t cap);
