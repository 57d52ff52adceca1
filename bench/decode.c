// SPDX-License-Identifier: Apache-2.0
// CPU time of what the API server's answers cost before the store and in it: EndpointSlices as large as real ones, as a
// list and as a WatchList, in protobuf and in JSON.  decode [SLICES [ENDPOINTS-A-SLICE]]   (100,000 and 10)
#include "base/rcu.h"
#include "kube/store.h"
#include "kube/stream.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PIECE 16384 // bytes that come at once

static unsigned endpoints;

// ---- a body that grows ----

struct body {
    char *data;
    size_t len, cap;
};

static void put(struct body *b, const void *data, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = 2 * (b->len + len);
        b->data = realloc(b->data, b->cap);
        if (b->data == NULL)
            abort();
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

__attribute__((format(printf, 2, 3))) static void print(struct body *b, const char *fmt, ...)
{
    char text[2000];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof text)
        abort();
    put(b, text, (size_t)n);
}

static void varint(struct body *b, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        put(b, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    put(b, &(uint8_t){(uint8_t)value}, 1);
}

static void bytes(struct body *b, unsigned number, const void *data, size_t len)
{
    varint(b, number << 3 | 2);
    varint(b, len);
    put(b, data, len);
}

__attribute__((format(printf, 3, 4))) static void text(struct body *b, unsigned number, const char *fmt, ...)
{
    char out[1000];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out, sizeof out, fmt, args);
    va_end(args);
    bytes(b, number, out, (size_t)n);
}

static void integer(struct body *b, unsigned number, uint64_t value)
{
    varint(b, number << 3);
    varint(b, value);
}

// Moves a message into a field of another one.
static void move(struct body *b, unsigned number, struct body *inner)
{
    bytes(b, number, inner->data, inner->len);
    inner->len = 0;
}

static void entry(struct body *b, unsigned number, const char *key, const char *value)
{
    static struct body e;
    text(&e, 1, "%s", key);
    text(&e, 2, "%s", value);
    move(b, number, &e);
}

// ---- slices ----

#define UID "00000003-0000-4000-8000-0000%08x"
#define TIME "2026-01-01T00:00:00Z"
#define MANAGED                                                                                                        \
    "{\"f:addressType\":{},\"f:endpoints\":{},\"f:metadata\":{\"f:annotations\":{\".\":{},"                            \
    "\"f:endpoints.kubernetes.io/last-change-trigger-time\":{}},\"f:generateName\":{},\"f:labels\":{\".\":{},"         \
    "\"f:app\":{},\"f:endpointslice.kubernetes.io/managed-by\":{},\"f:kubernetes.io/service-name\":{}},"               \
    "\"f:ownerReferences\":{\".\":{}}},\"f:ports\":{}}"

static void address(char out[16], unsigned n)
{
    snprintf(out, 16, "10.%u.%u.%u", 128 + (n >> 16 & 127), n >> 8 & 255, n & 255);
}

static void protobuf_endpoint(struct body *b, unsigned slice, unsigned n)
{
    static struct body e, part;
    char ip[16];
    address(ip, n);
    text(&e, 1, "%s", ip);
    for (unsigned i = 1; i <= 3; i++)
        integer(&part, i, i < 3);
    move(&e, 2, &part);
    text(&part, 1, "Pod");
    text(&part, 2, "team-%u", slice / 100);
    text(&part, 3, "service-%u-5d9c7b9f4-x%04u", slice, n % endpoints);
    text(&part, 4, UID, n);
    for (unsigned i = 5; i <= 7; i++)
        text(&part, i, "%s", "");
    move(&e, 4, &part);
    text(&e, 6, "node-%u", n * 31 % 5000);
    text(&e, 7, "zone-%u", n % 3);
    move(b, 2, &e);
}

static void protobuf_metadata(struct body *b, unsigned i)
{
    static struct body m, part;
    char service[32];
    snprintf(service, sizeof service, "service-%u", i);
    text(&m, 1, "service-%u-x7k2q", i);
    text(&m, 2, "service-%u-", i);
    text(&m, 3, "team-%u", i / 100);
    text(&m, 4, "%s", "");
    text(&m, 5, UID, i);
    text(&m, 6, "%u", 1000 + i);
    integer(&m, 7, 1);
    integer(&part, 1, 1767225600);
    move(&m, 8, &part);
    entry(&m, 11, "app", service);
    entry(&m, 11, "endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");
    entry(&m, 11, "kubernetes.io/service-name", service);
    entry(&m, 12, "endpoints.kubernetes.io/last-change-trigger-time", TIME);
    text(&part, 1, "Service");
    text(&part, 3, "%s", service);
    text(&part, 4, UID, i);
    text(&part, 5, "v1");
    move(&m, 13, &part);
    text(&part, 1, "kube-controller-manager");
    text(&part, 2, "Update");
    text(&part, 6, "FieldsV1");
    text(&part, 7, MANAGED);
    move(&m, 17, &part);
    move(b, 1, &m);
}

static void protobuf_slice(struct body *b, unsigned i)
{
    static struct body port;
    protobuf_metadata(b, i);
    for (unsigned e = 0; e < endpoints; e++)
        protobuf_endpoint(b, i, i * endpoints + e);
    text(&port, 1, "http");
    text(&port, 2, "TCP");
    integer(&port, 3, 8080);
    move(b, 3, &port);
    text(b, 4, "IPv4");
}

static void json_slice(struct body *b, unsigned i)
{
    print(b,
          "{\"metadata\":{\"name\":\"service-%u-x7k2q\",\"generateName\":\"service-%u-\",\"namespace\":\"team-%u\","
          "\"uid\":\"" UID "\",\"resourceVersion\":\"%u\",\"generation\":1,\"creationTimestamp\":\"" TIME
          "\",\"labels\":{\"app\":\"service-%u\",\"endpointslice.kubernetes.io/managed-by\":"
          "\"endpointslice-controller.k8s.io\",\"kubernetes.io/service-name\":\"service-%u\"},\"annotations\":{"
          "\"endpoints.kubernetes.io/last-change-trigger-time\":\"" TIME "\"},\"ownerReferences\":[{\"apiVersion\":"
          "\"v1\",\"kind\":\"Service\",\"name\":\"service-%u\",\"uid\":\"" UID "\",\"controller\":true,"
          "\"blockOwnerDeletion\":true}],\"managedFields\":[{\"manager\":\"kube-controller-manager\",\"operation\":"
          "\"Update\",\"apiVersion\":\"discovery.k8s.io/v1\",\"time\":\"" TIME
          "\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":" MANAGED "}]},\"addressType\":\"IPv4\",\"endpoints\":[",
          i, i, i / 100, i, 1000 + i, i, i, i, i);
    for (unsigned e = 0; e < endpoints; e++) {
        char ip[16];
        unsigned n = i * endpoints + e;
        address(ip, n);
        print(b,
              "%s{\"addresses\":[\"%s\"],\"conditions\":{\"ready\":true,\"serving\":true,\"terminating\":false},"
              "\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"team-%u\",\"name\":\"service-%u-5d9c7b9f4-x%04u\","
              "\"uid\":\"" UID "\"},\"nodeName\":\"node-%u\",\"zone\":\"zone-%u\"}",
              e > 0 ? "," : "", ip, i / 100, i, e, n, n * 31 % 5000, n % 3);
    }
    print(b, "],\"ports\":[{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}]");
}

// ---- bodies ----

static void envelope(struct body *b, const char *kind, struct body *raw)
{
    static struct body type;
    text(&type, 1, "discovery.k8s.io/v1");
    text(&type, 2, "%s", kind);
    put(b, "k8s", 4);
    move(b, 1, &type);
    move(b, 2, raw);
    text(b, 3, "%s", "");
    text(b, 4, "%s", "");
}

static struct body protobuf_list(unsigned n)
{
    struct body b = {0}, list = {0}, item = {0};
    text(&item, 2, "1000");
    move(&list, 1, &item);
    for (unsigned i = 0; i < n; i++) {
        protobuf_slice(&item, i);
        move(&list, 2, &item);
    }
    envelope(&b, "EndpointSliceList", &list);
    free(list.data);
    free(item.data);
    return b;
}

static struct body protobuf_watch(unsigned n)
{
    struct body b = {0}, object = {0}, raw = {0}, event = {0};
    for (unsigned i = 0; i < n; i++) {
        protobuf_slice(&raw, i);
        envelope(&object, "EndpointSlice", &raw);
        move(&raw, 1, &object);
        text(&event, 1, "ADDED");
        move(&event, 2, &raw);
        uint8_t length[4] = {(uint8_t)(event.len >> 24), (uint8_t)(event.len >> 16), (uint8_t)(event.len >> 8),
                             (uint8_t)event.len};
        put(&b, length, 4);
        put(&b, event.data, event.len);
        event.len = 0;
    }
    free(object.data);
    free(raw.data);
    free(event.data);
    return b;
}

static struct body json_list(unsigned n)
{
    struct body b = {0};
    print(&b, "{\"kind\":\"EndpointSliceList\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{"
              "\"resourceVersion\":\"1000\"},\"items\":[");
    for (unsigned i = 0; i < n; i++) {
        put(&b, ",", i > 0);
        json_slice(&b, i);
        put(&b, "}", 1);
    }
    print(&b, "]}\n");
    return b;
}

static struct body json_watch(unsigned n)
{
    struct body b = {0};
    for (unsigned i = 0; i < n; i++) {
        print(&b, "{\"type\":\"ADDED\",\"object\":");
        json_slice(&b, i);
        print(&b, ",\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\"}}\n");
    }
    return b;
}

// ---- measuring ----

static size_t seen;

static int take(void *arg, const struct event *e)
{
    struct store *s = arg;
    if (e->result != 0)
        abort();
    seen += e->object.slice.nendpoints;
    if (s != NULL && store_upsert(s, &e->object) != 0)
        abort();
    return 0;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double feed(const struct body *b, bool list, const char *type, struct store *store)
{
    struct stream *s = stream_new(KUBE_ENDPOINTSLICE, take, store);
    struct page page;
    double start = cpu_seconds();
    seen = 0;
    if (s == NULL || stream_begin(s, list, type) != 0)
        abort();
    for (size_t at = 0; at < b->len; at += PIECE)
        if (stream_feed(s, b->data + at, b->len - at < PIECE ? b->len - at : PIECE) != 0)
            abort();
    if (list && stream_finish(s, &page) != 0)
        abort();
    if (store != NULL)
        store_commit(store);
    stream_free(s);
    return cpu_seconds() - start;
}

static void measure(const char *what, struct body b, bool list, const char *type)
{
    static const struct store_options options = {.endpoints = true};
    struct store *store = store_new(&options);
    double alone = feed(&b, list, type, NULL), kept = feed(&b, list, type, store), again = feed(&b, list, type, store);
    printf("%-20s %6.1f MB  %8zu endpoints  decoding %5.2f s  into the store %5.2f s  the same again %5.2f s\n", what,
           (double)b.len / 1e6, seen, alone, kept, again);
    store_free(store);
    free(b.data);
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    endpoints = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10;
    rcu_thread_start();
    measure("protobuf, list", protobuf_list(n), true, STREAM_PROTOBUF);
    measure("protobuf, WatchList", protobuf_watch(n), false, STREAM_PROTOBUF);
    measure("JSON, list", json_list(n), true, STREAM_JSON);
    measure("JSON, WatchList", json_watch(n), false, STREAM_JSON);
    rcu_thread_end();
    return 0;
}
