// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as manifests, YAML and JSON: objects, or a message with file and line.
#include "kube/manifests.h"
#include <string.h>

static int look(void *arg, const struct kube_object *o, const json_t *labels)
{
    (void)labels;
    size_t *count = arg;
    INVARIANT(o->kind < KUBE_KINDS && o->name[0] != '\0');
    (*count)++;
    return 0;
}

static void read_as(const char *name, const char *text, size_t len)
{
    char error[300] = "";
    size_t count = 0;
    int r = manifests_read_text(name, text, len, look, &count, error, sizeof error);
    INVARIANT(r == 0 || r == CDNS_ENOMEM || (r == CDNS_ECONFIG && strncmp(error, name, strlen(name)) == 0));
    int checked = manifests_read_text(name, text, len, NULL, NULL, error, sizeof error);
    INVARIANT(checked == r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as("a.yaml", (const char *)data, size);
    read_as("a.json", (const char *)data, size);
    return 0;
}
