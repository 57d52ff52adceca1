// SPDX-License-Identifier: Apache-2.0
// whoami: tells the client its own address, port and transport.
#include <clusterdns/plugin.h>

#include <arpa/inet.h>
#include <string.h>

// As CoreDNS, only the first directive is looked at.
static int whoami_setup(struct config *c, void **self)
{
    const struct directive *d = c->lines[0];
    if (d->ntokens > 1)
        return config_argument_error(c, &d->tokens[1]);
    if (d->has_block)
        return config_errorf(c, &d->tokens[0], "Unexpected token '{', expecting argument");
    *self = NULL;
    return 0;
}

// Adds a record of the question's class: whoami answers in the class that it was asked in.
static int add(struct query *q, const uint8_t *owner, uint16_t type, const uint8_t *rdata, uint16_t rdlen)
{
    struct records *set = &q->reply.additional;
    int rc = records_add(set, q->arena, owner, type, 0, rdata, rdlen);
    if (rc == 0)
        set->rr[set->n - 1].class_ = q->qclass;
    return rc;
}

static int add_address(struct query *q)
{
    const struct in6_addr *v6 = &q->client.in6.sin6_addr;
    switch (q->client.sa.sa_family) {
    case AF_INET:
        return add(q, q->qname_asked, RR_A, (const uint8_t *)&q->client.in.sin_addr, 4);
    case AF_INET6:
        if (IN6_IS_ADDR_V4MAPPED(v6))
            return add(q, q->qname_asked, RR_A, v6->s6_addr + 12, 4);
        return add(q, q->qname_asked, RR_AAAA, v6->s6_addr, 16);
    default:
        return 0; // a question of the server's own
    }
}

// "_udp.QNAME SRV 0 0 PORT ."; left out where the name would be too long to exist.
static int add_port(struct query *q)
{
    static const uint8_t root[] = {0};
    uint8_t *owner = arena_alloc(q->arena, NAME_MAX_WIRE);
    const char *label = q->transport == TRANSPORT_TCP ? "_tcp" : "_udp";
    uint16_t rdlen, port = address_port(&q->client);
    const uint8_t *rdata = rdata_srv(q->arena, 0, 0, port, root, &rdlen);
    if (owner == NULL || rdata == NULL)
        return CDNS_ENOMEM;
    if (name_prepend_label((const uint8_t *)label, strlen(label), q->qname_asked, owner) < 0)
        return 0;
    return add(q, owner, RR_SRV, rdata, rdlen);
}

static enum verdict whoami_query(void *self, struct query *q)
{
    (void)self;
    q->reply.aa = true;
    if (add_address(q) != 0 || add_port(q) != 0)
        return query_fail(q, RCODE_SERVFAIL, "plugin/whoami: %s", error_text(CDNS_ENOMEM));
    return VERDICT_DONE;
}

CLUSTERDNS_PLUGIN(whoami, .setup = whoami_setup, .query = whoami_query);
