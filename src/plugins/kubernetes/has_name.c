// SPDX-License-Identifier: Apache-2.0
// What other plugins of the block may know: does a question fall through?
#include "plugins/kubernetes/kubernetes.h"
#include <clusterdns/kubernetes.h>

static bool passes(void *provider, const struct query *q)
{
    const struct kubernetes *k = provider;
    const struct zone *zone = name_zone(k->zones, k->nzones, q->qname, q->qname_len);
    return zone == NULL || zone->passes;
}

// Where this is not sure, for a type that some names do not have, the plugin is asked itself: true.
static bool has_name(void *provider, const struct query *q)
{
    const struct kubernetes *k = provider;
    const struct zone *zone = name_zone(k->zones, k->nzones, q->qname, q->qname_len);
    if (zone == NULL)
        return false;
    if (!zone->passes || !zone_known(k, zone) || name_zone(k->fall, k->nfall, q->qname, q->qname_len) == NULL)
        return true;
    struct kube_address ip;
    ip.len = q->qtype == RR_PTR ? (uint8_t)name_to_address(q->qname, ip.bytes) : 0;
    if (ip.len > 0)
        return reverse_found(k, &ip);
    struct match m;
    find(k, zone, q->qname, (unsigned)q->qname_labels - zone->labels, &m);
    return m.found != FOUND_NOTHING || m.r.form == NAME_VERSION;
}

static const struct kubernetes_interface interface = {.passes = passes, .has_name = has_name};
const struct plugin_interface kubernetes_provides[] = {{KUBERNETES_INTERFACE, &interface}, {0}};
