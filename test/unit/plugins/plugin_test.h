// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the plugins' tests share: setup from Corefile text, a fabricated query, and the log's lines.
#include "base/logring.h"
#include "corefile/corefile.h"
#include <clusterdns/plugin.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

// A configuration that is being built, and its memory.
struct built {
    struct arena *arena;
    char error[CONFIG_ERROR_MAX];
    void *self;                       // when setup gave 0
    const union sockaddr_any *listen; // likewise
    size_t nlisten;
};

static inline bool any_directive(void *arg, const char *directive)
{
    (void)arg, (void)directive;
    return true;
}

// Runs .setup on the directives of `plugin` in a server block with the lines `body`, which begin in line 2.
static inline int build(const struct plugin *plugin, const char *body, struct built *b)
{
    char text[16384];
    struct corefile file;
    const struct directive *lines[16];
    const char *const zones[] = {"."};
    static const uint8_t rest[CONFIG_REST];
    *b = (struct built){.arena = arena_new(0)};
    assert_non_null(b->arena);
    size_t len = (size_t)snprintf(text, sizeof(text), ".:53 {\n%s\n}\n", body);
    assert_true(len < sizeof(text));
    if (corefile_parse_text(b->arena, "Corefile", text, len, any_directive, NULL, &file, b->error) != 0)
        fail_msg("%s", b->error);
    struct config c = {.plugin = plugin->name,
                       .lines = lines,
                       .zones = zones,
                       .nzones = 1,
                       .server = "dns://:53",
                       .rest = rest,
                       .arena = b->arena,
                       .error = b->error};
    for (size_t i = 0; i < file.blocks[0].ndirectives; i++) {
        const struct directive *d = &file.blocks[0].directives[i];
        if (strcmp(d->tokens[0].text, plugin->name) == 0 && c.nlines < COUNT(lines))
            lines[c.nlines++] = d;
    }
    assert_true(c.nlines > 0);
    int rc = plugin->setup(&c, &b->self);
    b->listen = c.listen;
    b->nlisten = c.nlisten;
    return rc;
}

static inline void unbuild(const struct plugin *plugin, struct built *b)
{
    if (b->self != NULL && plugin->destroy != NULL)
        plugin->destroy(b->self);
    arena_free(b->arena);
}

struct setup_case {
    const char *body, *error; // error NULL: taken
};

static inline void check_setups(const struct plugin *plugin, const struct setup_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct built b;
        int rc = build(plugin, cases[i].body, &b);
        if (cases[i].error == NULL) {
            if (rc != 0)
                fail_msg("%s\nis refused: %s", cases[i].body, b.error);
        } else {
            if (rc != CDNS_ECONFIG)
                fail_msg("%s\nis taken (%d)", cases[i].body, rc);
            assert_string_equal(b.error, cases[i].error);
        }
        unbuild(plugin, &b);
    }
}

// A question from 10.0.0.1:5353 to 10.96.0.10:53 over UDP; `name` in presentation form.
static inline struct query make_query(struct arena *a, const char *name, uint16_t qtype)
{
    uint8_t *asked = arena_alloc(a, NAME_MAX_WIRE), *lower = arena_alloc(a, NAME_MAX_WIRE);
    assert_int_equal(name_from_text(name, asked), 0);
    size_t len = name_lower(asked, lower);
    return (struct query){
        .qname = lower,
        .qname_asked = asked,
        .qname_len = (uint8_t)len,
        .qname_labels = (uint8_t)name_labels(lower),
        .qtype = qtype,
        .qclass = CLASS_IN,
        .id = 42,
        .udp_size = 512,
        .rd = true,
        .request_size = (uint16_t)(12 + len + 4),
        .client.in = {.sin_family = AF_INET, .sin_port = htons(5353), .sin_addr.s_addr = htonl(0x0a000001)},
        .local.in = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x0a60000a)},
        .server = "dns://:53",
        .arena = a,
    };
}

static inline void set_ipv6(union sockaddr_any *a, const char *text, uint16_t port)
{
    *a = (union sockaddr_any){.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    assert_int_equal(inet_pton(AF_INET6, text, &a->in6.sin6_addr), 1);
}

static int log_pipe[2];

static inline void log_begin(enum log_format format)
{
    assert_int_equal(pipe(log_pipe), 0);
    assert_int_equal(log_start(log_pipe[1], format), 0);
}

// What was logged since log_begin(): at most a pipe's worth.
static inline const char *log_end(void)
{
    static char text[65536];
    size_t len = 0;
    ssize_t n;
    log_stop(UINT64_C(5000000000));
    close(log_pipe[1]);
    while ((n = read(log_pipe[0], text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    close(log_pipe[0]);
    text[len] = '\0';
    return text;
}
