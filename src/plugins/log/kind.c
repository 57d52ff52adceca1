// SPDX-License-Identifier: Apache-2.0
#include "plugins/log/format.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>

static const struct reply_type type_noerror = {"NOERROR", REPLY_SUCCESS};
static const struct reply_type type_delegation = {"DELEGATION", REPLY_SUCCESS};
static const struct reply_type type_nodata = {"NODATA", REPLY_DENIAL};
static const struct reply_type type_nxdomain = {"NXDOMAIN", REPLY_DENIAL};
static const struct reply_type type_servererror = {"SERVERERROR", REPLY_ERROR};
static const struct reply_type type_meta = {"META", REPLY_ERROR};
static const struct reply_type type_update = {"UPDATE", REPLY_ERROR};
static const struct reply_type type_othererror = {"OTHERERROR", REPLY_ERROR};

// Is there a signature outside of its validity period (RFC 4034 §3.1.5: serial number arithmetic)?
static bool has_expired_signature(const struct records *set)
{
    uint32_t now = (uint32_t)time(NULL), expires, begins;
    for (uint32_t i = 0; i < set->n; i++) {
        const struct record *rr = &set->rr[i];
        if (rr->type != RR_RRSIG || rr->rdlen < 18)
            continue;
        memcpy(&expires, rr->rdata + 8, 4);
        memcpy(&begins, rr->rdata + 12, 4);
        if ((int32_t)(now - ntohl(begins)) < 0 || (int32_t)(ntohl(expires) - now) < 0)
            return true;
    }
    return false;
}

static bool has_type(const struct records *set, uint16_t type)
{
    for (uint32_t i = 0; i < set->n; i++) {
        if (set->rr[i].type == type)
            return true;
    }
    return false;
}

static const struct reply_type *classify_sections(const struct reply *r, uint16_t rcode)
{
    if (r->answer.n > 0 && rcode == RCODE_NOERROR)
        return &type_noerror;
    if (r->answer.n > 0 && rcode == RCODE_NXDOMAIN)
        return &type_othererror;
    if (rcode == RCODE_NOERROR)
        return has_type(&r->authority, RR_SOA)  ? &type_nodata
               : has_type(&r->authority, RR_NS) ? &type_delegation
                                                : &type_noerror;
    if (rcode == RCODE_NXDOMAIN)
        return &type_nxdomain;
    return rcode == RCODE_SERVFAIL || rcode == RCODE_NOTIMP ? &type_servererror : &type_othererror;
}

// The order of the questions is CoreDNS's.
const struct reply_type *reply_type_of(const struct query *q, const struct outcome *o)
{
    const struct reply *r = &q->reply;
    if (!o->sent)
        return &type_othererror;
    if (q->opcode == OPCODE_UPDATE)
        return &type_update;
    if (q->opcode == OPCODE_NOTIFY || q->qtype == RR_AXFR || q->qtype == RR_IXFR)
        return &type_meta;
    if (q->do_ && (has_expired_signature(&r->answer) || has_expired_signature(&r->authority) ||
                   has_expired_signature(&r->additional)))
        return &type_othererror;
    return classify_sections(r, o->rcode);
}
