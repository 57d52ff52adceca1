// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Resource records as plugins handle them: owner and rdata uncompressed, numbers in host order. They are written to
/// the wire once, compressed, by the server. A record's pointers must stay valid until the reply is sent: put them in
/// the query's arena, in the instance (the generation is pinned), or in static memory. Memory that RCU protects (the
/// Kubernetes index) is to be copied into the arena.
#include <clusterdns/arena.h>
#include <stddef.h>
#include <stdint.h>

/// Record types by number (IANA DNS Parameters, "Resource Record (RR) TYPEs").
enum rr_type {
    RR_A = 1,
    RR_NS = 2,
    RR_CNAME = 5,
    RR_SOA = 6,
    RR_PTR = 12,
    RR_HINFO = 13,
    RR_MX = 15,
    RR_TXT = 16,
    RR_AAAA = 28,
    RR_SRV = 33,
    RR_NAPTR = 35,
    RR_DNAME = 39,
    RR_OPT = 41,
    RR_DS = 43,
    RR_RRSIG = 46,
    RR_NSEC = 47,
    RR_DNSKEY = 48,
    RR_SVCB = 64,
    RR_HTTPS = 65,
    RR_TSIG = 250,
    RR_IXFR = 251,
    RR_AXFR = 252,
    RR_ANY = 255,
    RR_CAA = 257,
};
#define RR_META_FIRST 249 ///< TKEY … ANY: types of questions and of messages, never of data (RFC 6895 §3.1) …
#define RR_META_LAST 255  ///< … the last of them
/// Classes by number (RFC 1035 §3.2.4, RFC 2136 NONE).
enum rr_class { CLASS_IN = 1, CLASS_CH = 3, CLASS_HS = 4, CLASS_NONE = 254, CLASS_ANY = 255 };
/// Response codes, the extended ones included (RFC 1035 §4.1.1, RFC 6891 §9).
enum rcode {
    RCODE_NOERROR = 0,
    RCODE_FORMERR = 1,
    RCODE_SERVFAIL = 2,
    RCODE_NXDOMAIN = 3,
    RCODE_NOTIMP = 4,
    RCODE_REFUSED = 5,
    RCODE_YXDOMAIN = 6,
    RCODE_YXRRSET = 7,
    RCODE_NXRRSET = 8,
    RCODE_NOTAUTH = 9,
    RCODE_NOTZONE = 10,
    RCODE_BADVERS = 16,
};
/// Operation codes (RFC 1035 §4.1.1, RFC 1996, RFC 2136).
enum opcode { OPCODE_QUERY = 0, OPCODE_IQUERY = 1, OPCODE_STATUS = 2, OPCODE_NOTIFY = 4, OPCODE_UPDATE = 5 };

/// One resource record.
struct record {
    const uint8_t *owner; ///< wire name, case as it is to be sent
    const uint8_t *rdata; ///< `rdlen` bytes in wire form, names inside uncompressed
    uint32_t ttl;         ///< seconds
    uint16_t type, class_, rdlen;
};

/// A growable array of records in an arena. Zero-initialised it is empty.
struct records {
    struct record *rr; ///< `n` records
    uint32_t n, cap;
};

/// Appends a record of class IN. CDNS_ENOMEM when the arena's limit is reached.
int records_add(struct records *set, struct arena *a, const uint8_t *owner, uint16_t type, uint32_t ttl,
                const uint8_t *rdata, uint16_t rdlen) CDNS_MUSTCHECK;

/// Builders of rdata in the arena; each returns NULL when the arena is full and otherwise sets `*rdlen`.
const uint8_t *rdata_srv(struct arena *a, uint16_t priority, uint16_t weight, uint16_t port, const uint8_t *target,
                         uint16_t *rdlen);
/// One TXT character-string of at most 255 bytes.
const uint8_t *rdata_txt(struct arena *a, const char *text, uint16_t *rdlen);
/// SOA; the five numbers as in RFC 1035 §3.3.13.
const uint8_t *rdata_soa(struct arena *a, const uint8_t *mname, const uint8_t *rname, const uint32_t numbers[5],
                         uint16_t *rdlen);
/// A single name (CNAME, NS, PTR).
const uint8_t *rdata_name(struct arena *a, const uint8_t *name, uint16_t *rdlen);

/// Mnemonic of a type ("A", "HTTPS"), or "TYPE65280" (RFC 3597 §5) written to `buf` (at least 10 bytes).
const char *rr_type_text(uint16_t type, char buf[16]);
/// Mnemonic of a class ("IN", "CH"), or "CLASS42".
const char *rr_class_text(uint16_t class_, char buf[16]);
/// Mnemonic of an rcode ("NXDOMAIN"), or "RCODE42".
const char *rcode_text(uint16_t rcode, char buf[16]);
/// Number of a type or class mnemonic without case, TYPEn / CLASSn forms included; -1 when unknown.
int rr_type_from_text(const char *text);
int rr_class_from_text(const char *text);
/// Number of an rcode mnemonic ("NXDOMAIN", without case); -1 when unknown.
int rcode_from_text(const char *text);
