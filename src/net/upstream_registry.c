// SPDX-License-Identifier: Apache-2.0
// The upstreams of the process, by their options.
#include "net/socket.h"
#include "net/upstream_private.h"
#include <clusterdns/config.h>
#include <clusterdns/file.h>
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct upstream *registry; // some dozens; walked when configurations change and when loops open and close lanes

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_options(const struct upstream_options *a, const struct upstream_options *b)
{
    return address_port_equal(&a->address, &b->address) && address_port_equal(&a->source, &b->source) &&
           a->tls == b->tls && same_text(a->tls_name, b->tls_name) && same_text(a->tls_cert, b->tls_cert) &&
           same_text(a->tls_key, b->tls_key) && same_text(a->tls_ca, b->tls_ca) && a->expire_ns == b->expire_ns &&
           a->max_age_ns == b->max_age_ns && a->max_idle == b->max_idle;
}

// Files that have been replaced make another upstream.
static bool same_files(const struct stat a[3], const struct stat b[3])
{
    return file_same(&a[0], &b[0]) && file_same(&a[1], &b[1]) && file_same(&a[2], &b[2]);
}

// A file that is not there is found missing when it is read.
static void look_at_files(const struct upstream_options *options, struct stat files[3])
{
    const char *const paths[] = {options->tls_cert, options->tls_key, options->tls_ca};
    for (size_t i = 0; i < 3; i++)
        if (paths[i] == NULL || stat(paths[i], &files[i]) != 0)
            files[i] = (struct stat){0};
}

static void destroy(struct upstream *u)
{
    const char *const texts[] = {u->options.tls_name, u->options.tls_cert, u->options.tls_key, u->options.tls_ca};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free((void *)(uintptr_t)texts[i]);
    SSL_SESSION_free(u->session);
    SSL_CTX_free(u->tls);
    pthread_mutex_destroy(&u->session_lock);
    free(u);
}

static bool copy_text(const char **text)
{
    if (*text == NULL)
        return true;
    *text = strdup(*text);
    return *text != NULL;
}

static bool copy_options(struct upstream_options *out, const struct upstream_options *options)
{
    *out = *options;
    // Each is copied, so that what could not be is NULL and not the caller's.
    bool name = copy_text(&out->tls_name), cert = copy_text(&out->tls_cert), key = copy_text(&out->tls_key),
         ca = copy_text(&out->tls_ca);
    return name && cert && key && ca;
}

static int create(const struct upstream_options *options, const struct stat files[3], struct upstream **out,
                  char *error)
{
    struct upstream *u = aligned_alloc(_Alignof(struct upstream), sizeof(*u));
    if (u == NULL)
        return CDNS_ENOMEM;
    memset(u, 0, sizeof(*u));
    pthread_mutex_init(&u->session_lock, NULL);
    memcpy(u->files, files, sizeof(u->files));
    int rc = copy_options(&u->options, options) ? 0 : CDNS_ENOMEM;
    if (rc == 0 && options->tls)
        rc = tls_context(u, error);
    if (rc == 0)
        *out = u;
    else
        destroy(u);
    return rc;
}

static struct upstream *registry_find(const struct upstream_options *options, const struct stat files[3])
{
    struct upstream *u = registry;
    while (u != NULL && !(same_options(&u->options, options) && same_files(u->files, files)))
        u = u->next;
    return u;
}

// The lowest slot that is free: loops keep arrays by it.
static unsigned free_slot(void)
{
    for (unsigned slot = 0;; slot++) {
        const struct upstream *u = registry;
        while (u != NULL && u->slot != slot)
            u = u->next;
        if (u == NULL)
            return slot;
    }
}

int upstream_get(const struct upstream_options *options, struct upstream **out, char *error)
{
    struct stat files[3];
    int rc = 0;
    look_at_files(options, files);
    pthread_mutex_lock(&registry_lock);
    struct upstream *u = registry_find(options, files);
    if (u == NULL && (rc = create(options, files, &u, error)) == 0) {
        u->slot = free_slot();
        u->next = registry;
        registry = u;
    }
    if (rc == 0)
        u->refs++;
    pthread_mutex_unlock(&registry_lock);
    if (rc == CDNS_ENOMEM)
        (void)snprintf(error, CONFIG_ERROR_MAX, "%s", error_text(rc));
    *out = u;
    return rc;
}

void upstream_ref(struct upstream *u)
{
    pthread_mutex_lock(&registry_lock);
    u->refs++;
    pthread_mutex_unlock(&registry_lock);
}

void upstream_unref(struct upstream *u)
{
    pthread_mutex_lock(&registry_lock);
    bool last = --u->refs == 0;
    struct upstream **at = &registry;
    while (last && *at != u)
        at = &(*at)->next;
    if (last)
        *at = u->next;
    pthread_mutex_unlock(&registry_lock);
    if (last)
        destroy(u);
}

void upstream_put(struct upstream *u)
{
    upstream_unref(u);
}

void upstream_counters(const struct upstream *u, struct upstream_counters *out)
{
    const struct upstream_counters *c = &u->counters;
    *out = (struct upstream_counters){
        .sent_udp = __atomic_load_n(&c->sent_udp, __ATOMIC_RELAXED),
        .sent_stream = __atomic_load_n(&c->sent_stream, __ATOMIC_RELAXED),
        .conn_hits = __atomic_load_n(&c->conn_hits, __ATOMIC_RELAXED),
        .conn_misses = __atomic_load_n(&c->conn_misses, __ATOMIC_RELAXED),
        .unexpected = __atomic_load_n(&c->unexpected, __ATOMIC_RELAXED),
    };
}
