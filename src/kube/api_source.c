// SPDX-License-Identifier: Apache-2.0
#include "kube/api_source.h"
#include <stdlib.h>

struct api_source {
    struct credentials *credentials;
    struct client *client;
    struct reflector *reflectors[KUBE_KINDS];
    size_t open; // reflectors that are not closed yet
    void (*closed)(void *arg);
    void *arg;
};

static void ignore(void *arg)
{
    (void)arg;
}

static void on_client_closed(void *arg)
{
    struct api_source *s = arg;
    void (*closed)(void *arg) = s->closed;
    void *closed_arg = s->arg;
    credentials_free(s->credentials);
    free(s);
    closed(closed_arg);
}

static void on_reflector_closed(void *arg)
{
    struct api_source *s = arg;
    if (--s->open == 0)
        client_close(s->client, on_client_closed, s);
}

void api_source_close(struct api_source *s, void (*closed)(void *arg), void *arg)
{
    s->closed = closed;
    s->arg = arg;
    s->open = 1; // until all of them have been asked
    for (size_t i = 0; i < KUBE_KINDS; i++) {
        if (s->reflectors[i] != NULL) {
            s->open++;
            reflector_close(s->reflectors[i], on_reflector_closed, s);
        }
    }
    on_reflector_closed(s);
}

struct api_source *api_source_start(uv_loop_t *loop, struct feed *feed, struct credentials *credentials,
                                    const struct source_options *options, const struct reflector_timing *timing)
{
    struct api_source *s = calloc(1, sizeof *s);
    struct client *client = s != NULL ? client_new(loop, credentials, &options->limits) : NULL;
    if (client == NULL) {
        free(s);
        credentials_free(credentials);
        return NULL;
    }
    s->credentials = credentials;
    s->client = client;
    for (size_t i = 0; i < KUBE_KINDS; i++) {
        if (!feed_wants(feed, (enum kube_kind)i))
            continue;
        s->reflectors[i] = reflector_new(loop, client, feed, (enum kube_kind)i, options->selectors[i], timing);
        if (s->reflectors[i] == NULL) {
            api_source_close(s, ignore, NULL);
            return NULL;
        }
    }
    return s;
}
