// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Messages: reading a question, writing a reply (RFC 1035 §4, RFC 6891). Pure functions on bytes; any thread; nothing
/// is allocated from the heap. The other side, asking and reading an answer, is <clusterdns/message.h>'s.
#include "base/reader.h"
#include "base/writer.h"
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
    uint8_t rcode;                   ///< the header's four bits
    bool qr, aa, tc, rd, ra, ad, cd; ///< header bits
    bool edns, do_;                  ///< an OPT record was there; its DO bit
    uint8_t edns_version;
    uint8_t edns_rcode;          ///< OPT's upper bits of the rcode
    uint16_t edns_size;          ///< OPT's class field as sent
    uint16_t edns_options_len;   ///< bytes of OPT's rdata
    const uint8_t *edns_options; ///< points into the packet
    uint16_t qdcount, ancount, nscount, arcount;
    uint8_t qname_asked[NAME_MAX_WIRE]; ///< as asked
    uint8_t qname[NAME_MAX_WIRE];       ///< lower case
    uint8_t qname_len, qname_labels;
    uint16_t question_end; ///< offset behind the question; 0 if it could not be read (the name is then the root)
};

/// Reads a query from `packet`. Returns
///  CDNS_ETRUNC   less than a header: no answer;
///  CDNS_ESYNTAX  answer FORMERR through message_write_error(), which echoes the question if it could be read;
///  0             go on; with QR set (no answer) or an opcode but QUERY and NOTIFY (answer NOTIMP through
///                message_write_error()) only the header was read.
/// So the server decides in this order: CDNS_ETRUNC, `qr`, `opcode`, CDNS_ESYNTAX. What CoreDNS 1.15.0 does, and
/// where this differs:
///
///  packet                                           CoreDNS                     here
///  shorter than 12 bytes                            no answer                   CDNS_ETRUNC: the same
///  QR set, whatever follows                         no answer                   0: the same
///  opcode not QUERY or NOTIFY, whatever follows     NOTIMP, header only         0: the same
///  QDCOUNT ≠ 1, AN > 1, NS > 1 or AR > 2            FORMERR, header only        CDNS_ESYNTAX: the same
///  question's name broken or cut                    FORMERR, header only        CDNS_ESYNTAX: the same
///  nothing behind the header, QDCOUNT 1             SERVFAIL, header only       0, question_end 0: the same
///  message ends behind the question's name or type  type, class 0: REFUSED      0 with these: the same
///  question's name with a pointer                   followed, if it ends        CDNS_ESYNTAX: none can be valid
///  record broken or cut                             FORMERR with the question   CDNS_ESYNTAX: the same
///  record's name points forward or into the header  followed, if it ends        CDNS_ESYNTAX: FORMERR (RFC 9267 §2)
///  message ends where a record would begin          answered, counts ignored    0: the same
///  bytes behind the last record                     answered                    0: the same
///  two OPTs                                         the last one counts         CDNS_ESYNTAX (RFC 6891 §6.1.1)
///  OPT with an owner                                taken as OPT                CDNS_ESYNTAX (RFC 6891 §6.1.2)
///  OPT outside the additional section               not EDNS                    0: the same
///  OPT's options cut                                FORMERR with the question   CDNS_ESYNTAX: the same
///  known option or rdata with senseless contents    FORMERR with the question   0: not looked into
///  UDP datagram longer than 512 bytes               read up to 512              read whole
///
/// CoreDNS's FORMERR has opcode QUERY even for a NOTIFY; here the opcode is echoed (RFC 1035 §4.1.1).
int message_parse(const uint8_t *packet, size_t size, struct message *m) CDNS_MUSTCHECK;

/// Reads the header; the reader then stands at the question. Too short: the reader's error is set.
void message_read_header(struct reader *r, struct message *m);
/// Reads an OPT record from behind its type to `m->edns…`. CDNS_ESYNTAX: it ends too early, or its options do.
int message_read_opt(struct reader *r, struct message *m) CDNS_MUSTCHECK;

/// What is needed to write a reply beside its records.
struct message_reply {
    uint16_t id, rcode; ///< rcode with extended bits, which need `edns`; without it they become SERVFAIL
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
/// target) where the bytes are equal, case included: names keep the case they are given in. At most `limit` bytes
/// (≤ `cap`). What does not fit: whole records are left out from the end of additional, then authority, then answer; TC
/// is set when any record was left out, as CoreDNS sets it; the OPT always stays. `*truncated` (may be NULL) tells it.
/// Rdata of a compressible type that does not hold what its type says is copied as it is. Work and memory are bounded
/// by the records' bytes. Returns the length, or 0 when not even header, question and OPT fit.
size_t message_write(const struct message_reply *reply, uint8_t *out, size_t cap, size_t limit, bool *truncated);

/// Writes a bare error reply to a packet of at least a header: id, opcode and the flags TC, RD, RA, AD, CD echoed as
/// CoreDNS echoes them here, QR set, AA clear, `rcode` (0 … 15), no sections but the question if it could be read
/// (`m->question_end`) and fits. Returns the length; 0 when `cap` is less than a header.
size_t message_write_error(const struct message *m, uint16_t rcode, uint8_t *out, size_t cap);

/// Writes an OPT record: `edns_size`, `rcode`'s upper bits, `do_` and the first `options_len` bytes of `options` count.
void message_write_opt(struct writer *w, const struct message_reply *reply, uint16_t options_len);
