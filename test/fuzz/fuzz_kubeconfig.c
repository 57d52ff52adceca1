// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a kubeconfig: a server's address, or a message that names the file.
#include "kube/kubeconfig.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const contexts[] = {NULL, "test"};
    for (size_t i = 0; i < 2; i++) {
        struct kubeconfig k;
        char error[300] = "";
        int r = kubeconfig_parse("dir/config", (const char *)data, size, contexts[i], &k, error, sizeof error);
        INVARIANT(r == 0 || (r == CDNS_ECONFIG && strncmp(error, "dir/config:", 11) == 0));
        INVARIANT((r == 0) == (k.server != NULL));
        INVARIANT(k.ca_file == NULL || k.ca_data == NULL);
        kubeconfig_clear(&k);
    }
    return 0;
}
