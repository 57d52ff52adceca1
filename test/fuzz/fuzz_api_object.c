// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as a watch event's or list's object, in JSON and in protobuf: taken into a store, with all it may hold
// within bounds, or refused with a reason. Also as a Status.
#include "base/rcu.h"
#include "kube/decode.h"
#include "kube/status.h"
#include "objects.h"
#include <jansson.h>

static struct arena *arena;

static void take(int result, const struct kube_object *object, const char *error)
{
    INVARIANT(result == 0 || result == CDNS_ENOENT || result == CDNS_ESYNTAX || error[0] != '\0');
    if (result == 0) {
        check_object(object);
        apply_object(object);
    }
    arena_reset(arena);
}

static void check_status(const struct api_status *status)
{
    INVARIANT(status->code != 0 && status->retry_after >= 0 && strlen(status->message) < sizeof status->message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kube_object out;
    struct api_status status;
    if (arena == NULL) {
        rcu_thread_start();
        arena = arena_new(64u << 20);
        INVARIANT(arena != NULL);
    }
    json_t *object = json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    for (int kind = -1; kind < KUBE_KINDS; kind++) {
        char error[200] = "";
        take(decode_json(object, kind, arena, &out, error, sizeof error), &out, error);
        if (kind >= 0)
            take(decode_protobuf(data, size, (enum kube_kind)kind, arena, &out, error, sizeof error), &out, error);
    }
    api_status_decode(object, &status);
    check_status(&status);
    api_status_from_protobuf(data, size, &status);
    check_status(&status);
    api_status_from_http(500, (const char *)data, size, 0, &status);
    check_status(&status);
    json_decref(object);
    return 0;
}
