// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a weight file: it is taken, and every address of every name has a weight, or there are words that say
// why not.
#include "plugins/loadbalance/loadbalance.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ip_address addresses[] = {{.len = 4, .bytes = {10, 0, 0, 1}}, {.len = 16, .bytes = {[15] = 1}}};
    struct weights *w = NULL;
    char error[CONFIG_ERROR_MAX] = "";
    int rc = weights_read("fuzz", data, size, &w, error);
    INVARIANT(rc == 0 || rc == CDNS_ECONFIG);
    INVARIANT((rc == 0) == (error[0] == '\0') && strlen(error) < sizeof error);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        INVARIANT(weights_of(w, (const uint8_t *)"\1a", &addresses[i]) >= 1);
        INVARIANT(weights_of(w, (const uint8_t *)"\3www\7example\3com", &addresses[i]) >= 1);
    }
    weights_free(w);
    return 0;
}
