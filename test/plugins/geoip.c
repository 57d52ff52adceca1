// SPDX-License-Identifier: Apache-2.0
// A directive of CoreDNS that clusterdns has not, brought by somebody else: it takes the place that the order keeps.
#include <clusterdns/plugin.h>

static enum verdict geoip_query(void *self, struct query *q)
{
    (void)self;
    q->reply.rcode = RCODE_YXRRSET;
    return VERDICT_DONE;
}

CLUSTERDNS_PLUGIN(geoip, .query = geoip_query);
