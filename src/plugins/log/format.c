// SPDX-License-Identifier: Apache-2.0
#include "plugins/log/format.h"
#include <clusterdns/log.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// The line being written: what does not fit is cut.
struct line {
    char *text;
    size_t len, cap;
};

// A piece of a format: `put` writes a value; without it the piece is its text.
struct piece {
    void (*put)(struct line *l, const struct format_entry *e);
    const char *text;
    size_t len;
};

struct format {
    size_t n;
    struct piece pieces[];
};

static void put_bytes(struct line *l, const char *text, size_t len)
{
    size_t room = l->cap - l->len;
    if (len > room)
        len = room;
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void put_string(struct line *l, const char *text)
{
    put_bytes(l, text, strlen(text));
}

static void put_number(struct line *l, uint64_t n)
{
    char text[24];
    put_bytes(l, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, n));
}

static bool is_ipv6(const union sockaddr_any *a)
{
    return a->sa.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
}

// An IPv4 address inside of IPv6 is written as IPv4.
static void put_bare_address(struct line *l, const union sockaddr_any *a)
{
    char text[INET6_ADDRSTRLEN];
    const uint8_t *v6 = a->in6.sin6_addr.s6_addr;
    if (is_ipv6(a))
        put_string(l, inet_ntop(AF_INET6, v6, text, sizeof(text)));
    else if (a->sa.sa_family == AF_INET6)
        put_string(l, inet_ntop(AF_INET, v6 + 12, text, sizeof(text)));
    else if (a->sa.sa_family == AF_INET)
        put_string(l, inet_ntop(AF_INET, &a->in.sin_addr, text, sizeof(text)));
    else
        put_string(l, "-"); // a question of the server's own
}

// IPv6 in brackets.
static void put_address(struct line *l, const union sockaddr_any *a)
{
    put_string(l, is_ipv6(a) ? "[" : "");
    put_bare_address(l, a);
    put_string(l, is_ipv6(a) ? "]" : "");
}

static void put_type(struct line *l, const struct format_entry *e)
{
    char text[16];
    put_string(l, rr_type_text(e->q->qtype, text));
}

static void put_name(struct line *l, const struct format_entry *e)
{
    char text[NAME_MAX_TEXT];
    put_bytes(l, text, name_to_text(e->q->qname, text));
}

static void put_class(struct line *l, const struct format_entry *e)
{
    char text[16];
    put_string(l, rr_class_text(e->q->qclass, text));
}

static void put_proto(struct line *l, const struct format_entry *e)
{
    put_string(l, e->q->transport == TRANSPORT_TCP ? "tcp" : "udp");
}

#define EDNS_SIZE 11 // bytes of an OPT record without options

// A child question has no message; this is what it would take.
static void put_size(struct line *l, const struct format_entry *e)
{
    const struct query *q = e->q;
    put_number(l, q->request_size > 0 ? q->request_size : 12U + q->qname_len + 4U + (q->edns ? EDNS_SIZE : 0));
}

static void put_remote(struct line *l, const struct format_entry *e)
{
    put_address(l, &e->q->client);
}

static void put_port(struct line *l, const struct format_entry *e)
{
    const union sockaddr_any *a = &e->q->client;
    put_number(l, ntohs(a->sa.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port));
}

static void put_local(struct line *l, const struct format_entry *e)
{
    put_address(l, &e->q->local);
}

static void put_id(struct line *l, const struct format_entry *e)
{
    put_number(l, e->q->id);
}

static void put_opcode(struct line *l, const struct format_entry *e)
{
    put_number(l, e->q->opcode);
}

static void put_do(struct line *l, const struct format_entry *e)
{
    put_string(l, e->q->do_ ? "true" : "false");
}

static void put_bufsize(struct line *l, const struct format_entry *e)
{
    put_number(l, e->q->transport == TRANSPORT_TCP ? UINT16_MAX : e->q->udp_size);
}

static void put_rcode(struct line *l, const struct format_entry *e)
{
    char text[16];
    const char *name = rcode_text(e->o->rcode, text);
    if (!e->o->sent)
        put_string(l, "-");
    else if (strncmp(name, "RCODE", 5) == 0)
        put_number(l, e->o->rcode);
    else
        put_string(l, name);
}

static uint32_t section_size(const struct records *set)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < set->n; i++)
        size += (uint32_t)name_length(set->rr[i].owner) + 10 + set->rr[i].rdlen;
    return size;
}

// The reply's size as CoreDNS counts it: whole, uncompressed, without OPT. Of a zone transfer: what was sent.
static void put_rsize(struct line *l, const struct format_entry *e)
{
    const struct query *q = e->q;
    if (!e->o->sent || q->qtype == RR_AXFR || q->qtype == RR_IXFR)
        put_number(l, e->o->sent ? e->o->size : 0);
    else
        put_number(l, 12U + q->qname_len + 4U + section_size(&q->reply.answer) + section_size(&q->reply.authority) +
                          section_size(&q->reply.additional));
}

// With as many decimals as it takes.
static void put_seconds(struct line *l, const struct format_entry *e)
{
    char text[48];
    int n = snprintf(text, sizeof(text), "%" PRIu64 ".%09" PRIu64, e->o->duration_ns / 1000000000,
                     e->o->duration_ns % 1000000000);
    while (text[n - 1] == '0')
        n--;
    n -= text[n - 1] == '.';
    put_bytes(l, text, (size_t)n);
}

static void put_duration(struct line *l, const struct format_entry *e)
{
    put_seconds(l, e);
    put_string(l, "s");
}

static void put_rflags(struct line *l, const struct format_entry *e)
{
    const struct query *q = e->q;
    const struct reply *r = &q->reply;
    bool copied = q->opcode == OPCODE_QUERY; // only then do RD and CD come back
    if (!e->o->sent) {
        put_string(l, "-");
        return;
    }
    put_string(l, "qr");
    if (r->aa)
        put_string(l, ",aa");
    if (r->tc || e->o->tc)
        put_string(l, ",tc");
    if (q->rd && copied)
        put_string(l, ",rd");
    if (r->ra)
        put_string(l, ",ra");
    if (r->ad)
        put_string(l, ",ad");
    if (q->cd && copied)
        put_string(l, ",cd");
}

static void put_reply_class(struct line *l, const struct format_entry *e)
{
    put_string(l, e->type->class_ == REPLY_SUCCESS ? "success" : e->type->class_ == REPLY_DENIAL ? "denial" : "error");
}

static void put_reply_type(struct line *l, const struct format_entry *e)
{
    put_string(l, e->type->name);
}

// A metadata label that nobody sets.
static void put_nothing(struct line *l, const struct format_entry *e)
{
    (void)e;
    put_string(l, "-");
}

// JSON ---------------------------------------------------------------------------------------------------------------

static void put_client_ip(struct line *l, const struct format_entry *e)
{
    put_bare_address(l, &e->q->client);
}

static void put_json_name(struct line *l, const struct format_entry *e)
{
    char text[NAME_MAX_TEXT], json[2 * NAME_MAX_TEXT + 2];
    put_bytes(l, json, log_json_string(text, name_to_text(e->q->qname, text), json, sizeof(json)));
}

static void put_json_rcode(struct line *l, const struct format_entry *e)
{
    if (!e->o->sent) {
        put_string(l, "null");
        return;
    }
    put_string(l, "\"");
    put_rcode(l, e);
    put_string(l, "\"");
}

static const struct {
    const char *start; // up to the value
    void (*put)(struct line *l, const struct format_entry *e);
    const char *end;
} members[] = {
    {",\"plugin\":\"log\",\"client_ip\":\"", put_client_ip, "\""},
    {",\"client_port\":", put_port, ""},
    {",\"qname\":", put_json_name, ""},
    {",\"qtype\":\"", put_type, "\""},
    {",\"qclass\":\"", put_class, "\""},
    {",\"protocol\":\"", put_proto, "\""},
    {",\"id\":", put_id, ""},
    {",\"opcode\":", put_opcode, ""},
    {",\"request_size\":", put_size, ""},
    {",\"dnssec_ok\":", put_do, ""},
    {",\"bufsize\":", put_bufsize, ""},
    {",\"rcode\":", put_json_rcode, ""},
    {",\"response_size\":", put_rsize, ""},
    {",\"duration_seconds\":", put_seconds, ""},
};

size_t format_members(const struct format_entry *e, char *out, size_t cap)
{
    struct line l = {.text = out, .cap = cap - 1};
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        put_string(&l, members[i].start);
        members[i].put(&l, e);
        put_string(&l, members[i].end);
    }
    out[l.len] = '\0';
    return l.len;
}

// Compiling ----------------------------------------------------------------------------------------------------------

static const struct {
    const char *label;
    void (*put)(struct line *l, const struct format_entry *e);
} labels[] = {
    {"{type}", put_type},
    {"{name}", put_name},
    {"{class}", put_class},
    {"{proto}", put_proto},
    {"{size}", put_size},
    {"{remote}", put_remote},
    {"{port}", put_port},
    {"{local}", put_local},
    {"{>id}", put_id},
    {"{>opcode}", put_opcode},
    {"{>do}", put_do},
    {"{>bufsize}", put_bufsize},
    {"{rcode}", put_rcode},
    {"{rsize}", put_rsize},
    {"{duration}", put_duration},
    {"{>rflags}", put_rflags},
    {"{/log/class}", put_reply_class},
    {"{/log/type}", put_reply_type},
};

static struct piece label_piece(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        if (strlen(labels[i].label) == len && memcmp(labels[i].label, text, len) == 0)
            return (struct piece){.put = labels[i].put};
    }
    return (struct piece){.put = len > 1 && text[1] == '/' ? put_nothing : NULL};
}

// `text` with each `what` replaced by `by`, in the arena.
static const char *replace(struct arena *a, const char *text, const char *what, const char *by)
{
    const char *at;
    size_t len = strlen(what);
    while (text != NULL && (at = strstr(text, what)) != NULL)
        text = arena_printf(a, "%.*s%s%s", (int)(at - text), text, by, at + len);
    return text;
}

// CoreDNS's reading: a label ends at the first '}' and begins at the last '{' before it.
static void compile(struct format *f, const char *s)
{
    const char *close, *open;
    for (; (close = strchr(s, '}')) != NULL; s = close + 1) {
        open = memrchr(s, '{', (size_t)(close - s));
        struct piece p = {.put = NULL};
        if (open != NULL)
            p = label_piece(open, (size_t)(close - open) + 1);
        const char *end = p.put == NULL ? close + 1 : open;
        if (end > s)
            f->pieces[f->n++] = (struct piece){.text = s, .len = (size_t)(end - s)};
        if (p.put != NULL)
            f->pieces[f->n++] = p;
    }
    f->pieces[f->n++] = (struct piece){.text = s, .len = strlen(s)};
}

const struct format *format_compile(struct arena *a, const char *text)
{
    text = replace(a, text, "{common}", FORMAT_COMMON);
    text = replace(a, text, "{combined}", FORMAT_COMBINED);
    if (text == NULL)
        return NULL;
    size_t braces = 0;
    for (const char *s = text; (s = strchr(s, '}')) != NULL; s++)
        braces++;
    struct format *f = arena_calloc(a, 1, sizeof(*f) + (2 * braces + 1) * sizeof(*f->pieces));
    if (f != NULL)
        compile(f, text);
    return f;
}

size_t format_write(const struct format *f, const struct format_entry *e, char *out, size_t cap)
{
    struct line l = {.text = out, .cap = cap};
    for (size_t i = 0; i < f->n; i++) {
        if (f->pieces[i].put != NULL)
            f->pieces[i].put(&l, e);
        else
            put_bytes(&l, f->pieces[i].text, f->pieces[i].len);
    }
    return l.len;
}
