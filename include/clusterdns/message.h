// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Messages exchanged with other servers: writing a question, reading a reply (RFC 1035 §4, RFC 6891). Pure functions
/// on bytes, any thread, no heap.
#include <clusterdns/arena.h>
#include <clusterdns/record.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_QUESTION_MAX 512 ///< bytes that the longest question takes: header, name, type, class, OPT

/// A question for another server.
struct message_question {
    const uint8_t *qname;   ///< wire name, sent in the case given
    uint16_t id;            ///< of the header
    uint16_t qtype, qclass; ///< host order
    bool rd, cd, ad;        ///< header flags
    bool edns, do_;         ///< add OPT; its DO bit
    uint16_t edns_size;     ///< OPT's UDP payload size, bytes
};

/// Writes it to `out` (`cap` bytes, MESSAGE_QUESTION_MAX is always enough). Returns the length; 0: `cap` is too small.
size_t message_question_write(const struct message_question *question, uint8_t *out, size_t cap);

/// Does the message of `size` bytes answer the question? True if QR is set, opcode, id, and the question section are
/// those of `question`; the name compares without case (RFC 5452 §9.1). What a server that is asked something else, or
/// somebody who guesses, sends is not an answer. A reply that tells an error (any rcode but NOERROR and NXDOMAIN) may
/// lack the question (RFC 1035 §4.1.1 leaves that open): then the rest counts. Records are not looked at.
bool message_answers(const struct message_question *question, const uint8_t *message, size_t size);

/// A reply taken apart. Everything that records point to is in the arena.
struct message_answer {
    uint16_t id;
    uint16_t rcode; ///< with OPT's extended bits (RFC 6891 §6.1.3)
    uint8_t opcode;
    bool aa, tc, rd, ra, ad, cd;
    bool edns, do_;
    uint16_t edns_size;
    struct records answer, authority, additional; ///< without OPT; in the order sent; names uncompressed, case as sent
};

/// Reads a reply. Of the types that RFC 3597 §4 lists and RFC 1035's own, and of DNAME, KX, RRSIG and NSEC, names
/// inside rdata are uncompressed, and the rdata is what the type says; A and AAAA of class IN have their 4 and 16
/// bytes; other rdata is copied as it is. Bytes behind the last record are passed over. Records of the same owner may
/// share its bytes. A message that ends too early is an error, unless TC is set: then what is whole is kept. Work and
/// memory are bounded by the message's bytes, however its pointers go (RFC 9267): for each 11 bytes at most three names
/// of 255 bytes and a record are made, so for 64 KiB less than 5 MiB, or CDNS_ENOMEM before. CDNS_ETRUNC: it ends too
/// early, in the header or where a record should be (CoreDNS answers a client with TC then); CDNS_ESYNTAX: broken: more
/// than one question, a pointer that does not lead backwards, a name that is too long, rdata that is not as its type
/// says, OPT twice, elsewhere than in the additional section or with an owner; CDNS_ENOMEM: the arena is full. On an
/// error `*out` is not to be used.
int message_answer_read(struct arena *arena, const uint8_t *message, size_t size,
                        struct message_answer *out) CDNS_MUSTCHECK;
