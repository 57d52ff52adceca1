// SPDX-License-Identifier: Apache-2.0
// kubernetes: answers the names of a cluster from the index of its objects.
#include "plugins/kubernetes/kubernetes.h"

static enum verdict kubernetes_query(void *self, struct query *q)
{
    const struct kubernetes *k = self;
    const struct zone *zone = name_zone(k->zones, k->nzones, q->qname, q->qname_len);
    if (zone == NULL)
        return VERDICT_NEXT;
    const struct ask a = {
        .k = k,
        .q = q,
        .zone = zone,
        .zone_asked = q->qname_asked + q->qname_len - zone->len,
        .labels = (unsigned)q->qname_labels - zone->labels,
    };
    switch (q->qtype) {
    case RR_A:
    case RR_AAAA:
        return answer_address(&a);
    case RR_SRV:
        return answer_srv(&a);
    case RR_PTR:
        return answer_ptr(&a);
    case RR_TXT:
        return answer_txt(&a);
    case RR_CNAME:
        return answer_cname(&a);
    case RR_SOA:
        return answer_soa(&a);
    case RR_NS:
        return a.labels == 0 ? answer_ns(&a) : answer_other(&a);
    case RR_AXFR:
    case RR_IXFR:
        q->reply.rcode = RCODE_REFUSED;
        return VERDICT_DONE;
    default:
        return answer_other(&a);
    }
}

CLUSTERDNS_PLUGIN(kubernetes, .setup = kubernetes_setup, .destroy = kubernetes_destroy, .start = kubernetes_start,
                  .query = kubernetes_query, .ready = kubernetes_ready, .provides = kubernetes_provides);
