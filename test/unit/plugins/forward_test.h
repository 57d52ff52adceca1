// SPDX-License-Identifier: Apache-2.0
#pragma once
// Upstreams that the tests themselves play, in place of net/upstream.c: what is asked is kept, and answered when a test
// says so.
#include "net/upstream.h"
#include "plugin_test.h"
#include "plugins/forward/forward.h"

extern const struct plugin clusterdns_plugin_forward;
#define plugin_forward (&clusterdns_plugin_forward)

struct upstream {
    struct upstream_options options;
    char tls_name[128];
    unsigned refs;
    unsigned asked; // questions, ever
};

struct upstream_request {
    struct upstream *upstream;
    uv_loop_t *loop;
    enum upstream_way way;
    uint8_t message[UPSTREAM_QUESTION_MAX];
    size_t size;
    uint64_t deadline_ns;
    upstream_accept accept;
    upstream_cb callback;
    void *arg;
    bool under_way;
};

static struct upstream upstreams[64];
static struct upstream_request requests[8192];
static unsigned nrequests; // ever
static int refuse;         // what upstream_ask() is to give

static bool same_options(const struct upstream *u, const struct upstream_options *o)
{
    return memcmp(&u->options.address, &o->address, sizeof o->address) == 0 && u->options.tls == o->tls &&
           u->options.expire_ns == o->expire_ns && u->options.source.sa.sa_family == o->source.sa.sa_family &&
           strcmp(u->tls_name, o->tls_name != NULL ? o->tls_name : "") == 0;
}

int upstream_get(const struct upstream_options *options, struct upstream **out, char *error)
{
    struct upstream *idle = NULL;
    if (options->tls_ca != NULL && strcmp(options->tls_ca, "/dev/null") == 0) {
        snprintf(error, CONFIG_ERROR_MAX, "no certificate");
        return CDNS_ECONFIG;
    }
    for (size_t i = 0; i < COUNT(upstreams); i++) {
        struct upstream *u = &upstreams[i];
        if (u->refs > 0 && same_options(u, options)) {
            u->refs++;
            *out = u;
            return 0;
        }
        if (u->refs == 0 && idle == NULL)
            idle = u;
    }
    assert_non_null(idle);
    *idle = (struct upstream){.options = *options, .refs = 1};
    snprintf(idle->tls_name, sizeof idle->tls_name, "%s", options->tls_name != NULL ? options->tls_name : "");
    *out = idle;
    return 0;
}

void upstream_put(struct upstream *u)
{
    assert_true(u->refs > 0);
    u->refs--;
}

int upstream_ask(struct upstream *u, uv_loop_t *loop, enum upstream_way way, const uint8_t *message, size_t size,
                 uint64_t deadline_ns, upstream_accept accept, upstream_cb callback, void *arg,
                 struct upstream_request **request)
{
    assert_true(u->refs > 0);
    assert_true(size <= UPSTREAM_QUESTION_MAX);
    if (refuse != 0)
        return refuse;
    assert_true(nrequests < COUNT(requests));
    struct upstream_request *r = &requests[nrequests++];
    *r = (struct upstream_request){.upstream = u,
                                   .loop = loop,
                                   .way = way,
                                   .size = size,
                                   .deadline_ns = deadline_ns,
                                   .accept = accept,
                                   .callback = callback,
                                   .arg = arg,
                                   .under_way = true};
    memcpy(r->message, message, size);
    u->asked++;
    *request = r;
    return 0;
}

void upstream_cancel(struct upstream_request *request)
{
    assert_true(request->under_way);
    request->under_way = false;
}

void upstream_close_loop(uv_loop_t *loop)
{
    (void)loop;
}

void upstream_counters(const struct upstream *u, struct upstream_counters *out)
{
    (void)u;
    *out = (struct upstream_counters){0};
}

// The upstream with this address, "10.0.0.1:53".
static inline struct upstream *upstream_at(const char *address)
{
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < COUNT(upstreams); i++)
        if (upstreams[i].refs > 0 && strcmp(address_text(&upstreams[i].options.address, text), address) == 0)
            return &upstreams[i];
    return NULL;
}
