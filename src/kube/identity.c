// SPDX-License-Identifier: Apache-2.0
#include "kube/identity.h"
#include <stdlib.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_store(const struct store_options *a, const struct store_options *b)
{
    return a->endpoints == b->endpoints && a->pods == b->pods && a->pod_names == b->pod_names && a->zones == b->zones &&
           a->imports == b->imports;
}

static bool same_limits(const struct limits *a, const struct limits *b)
{
    return a->qps == b->qps && a->burst == b->burst && a->inflight == b->inflight;
}

bool options_equal(const struct source_options *a, const struct source_options *b)
{
    bool same = same_text(a->endpoint, b->endpoint) && same_text(a->tls_cert, b->tls_cert) &&
                same_text(a->tls_key, b->tls_key) && same_text(a->tls_ca, b->tls_ca) &&
                same_text(a->kubeconfig, b->kubeconfig) && same_text(a->context, b->context) &&
                a->nmanifests == b->nmanifests && same_store(&a->store, &b->store) &&
                same_limits(&a->limits, &b->limits);
    for (size_t i = 0; same && i < a->nmanifests; i++)
        same = same_text(a->manifests[i], b->manifests[i]);
    for (size_t i = 0; same && i < KUBE_KINDS; i++)
        same = same_text(a->selectors[i], b->selectors[i]);
    return same;
}

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

// Moves a copy of `*text` to `*at`, behind which the next one goes.
static void move_text(const char **text, char **at)
{
    size_t size = text_size(*text);
    if (size == 0)
        return;
    *text = memcpy(*at, *text, size);
    *at += size;
}

struct source_options *options_copy(const struct source_options *o)
{
    size_t size = sizeof *o + o->nmanifests * sizeof(char *) + text_size(o->endpoint) + text_size(o->tls_cert) +
                  text_size(o->tls_key) + text_size(o->tls_ca) + text_size(o->kubeconfig) + text_size(o->context);
    for (size_t i = 0; i < o->nmanifests; i++)
        size += text_size(o->manifests[i]);
    for (size_t i = 0; i < KUBE_KINDS; i++)
        size += text_size(o->selectors[i]);
    struct source_options *copy = malloc(size);
    if (copy == NULL)
        return NULL;
    *copy = *o;
    const char **manifests = (const char **)(copy + 1);
    char *at = (char *)(manifests + o->nmanifests);
    const char **texts[] = {&copy->endpoint, &copy->tls_cert,   &copy->tls_key,
                            &copy->tls_ca,   &copy->kubeconfig, &copy->context};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        move_text(texts[i], &at);
    for (size_t i = 0; i < KUBE_KINDS; i++)
        move_text(&copy->selectors[i], &at);
    for (size_t i = 0; i < o->nmanifests; i++) {
        manifests[i] = o->manifests[i];
        move_text(&manifests[i], &at);
    }
    copy->manifests = o->nmanifests > 0 ? manifests : NULL;
    return copy;
}
