// SPDX-License-Identifier: Apache-2.0
// Which upstream first, which then: by policy, but those that have failed and are being checked behind the others. An
// upstream that lives answers its check at once; one that is dead costs nobody a time-out from the first one on.
#include "plugins/forward/forward.h"

#include <clusterdns/random.h>
#include <string.h>

static void suspects_last(const struct upstream_set *set, uint8_t order[FORWARD_UPSTREAMS])
{
    uint8_t suspects[FORWARD_UPSTREAMS];
    unsigned n = 0, nsuspects = 0;
    for (unsigned i = 0; i < set->n; i++)
        if (peer_is_checked(set->peers[order[i]]))
            suspects[nsuspects++] = order[i];
        else
            order[n++] = order[i];
    memcpy(order + n, suspects, nsuspects);
}

void policy_order(struct stanza *s, const struct upstream_set *set, unsigned worker, uint8_t order[FORWARD_UPSTREAMS])
{
    for (unsigned i = 0; i < set->n; i++)
        order[i] = (uint8_t)i;
    if (s->policy == POLICY_RANDOM) {
        for (unsigned i = set->n; i > 1; i--) {
            unsigned k = random_quick_below(i);
            uint8_t last = order[i - 1];
            order[i - 1] = order[k];
            order[k] = last;
        }
    } else if (s->policy == POLICY_ROUND_ROBIN && set->n > 0) {
        // As CoreDNS: the next one in front, the others behind it in their order.
        unsigned first = ++s->workers[worker].robin % set->n;
        for (unsigned i = first; i > 0; i--)
            order[i] = (uint8_t)(i - 1);
        order[0] = (uint8_t)first;
    }
    suspects_last(set, order);
}
