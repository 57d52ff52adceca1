// SPDX-License-Identifier: Apache-2.0
// Bodies of both formats become the same events, however they are cut.
#include "describe.h"
#include "encode.h"
#include "kube/stream.h"
#include <setjmp.h>

#include <cmocka.h>

#define PROTOBUF_WATCH STREAM_PROTOBUF ";stream=watch"

static struct description seen; // of the last body
static size_t nevents;
static int verdict; // what the taker returns

static int take(void *arg, const struct event *e)
{
    (void)arg;
    say_event(&seen, e);
    nevents++;
    return verdict;
}

// Feeds a body in pieces of `step` bytes behind a first one of `first`; then its end, if it is a list.
static int feed(struct stream *s, bool list, const char *type, const void *body, size_t len, size_t first, size_t step)
{
    int r = stream_begin(s, list, type);
    seen.len = nevents = 0;
    for (size_t at = 0, n = first; r == 0 && at < len; at += n, n = step) {
        n = n < len - at ? n : len - at;
        // A copy of its own, so that reading beyond it is seen.
        char *piece = malloc(n);
        memcpy(piece, (const char *)body + at, n);
        r = stream_feed(s, piece, n);
        free(piece);
        if (n == 0)
            break;
    }
    struct page page;
    if (r == 0 && list) {
        r = stream_finish(s, &page);
        if (r == 0)
            say(&seen, "version %s token %s\n", page.version, page.token);
    }
    return r;
}

static int feed_whole(struct stream *s, bool list, const char *type, const void *body, size_t len)
{
    return feed(s, list, type, body, len, len, 1);
}

// ---- recordings ----

struct recording {
    char *file, *body;
    const char *type; // its Content-Type
    size_t len;
};

static struct recording read_recording(const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "test/recordings/%s.http", name);
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        fail_msg("%s cannot be opened", path);
    struct recording r = {.file = calloc(1, 100001)};
    size_t size = fread(r.file, 1, 100000, in);
    fclose(in);
    r.body = strstr(r.file, "\n\n") + 2;
    r.body[-2] = '\0';
    r.len = size - (size_t)(r.body - r.file);
    r.type = strstr(r.file, "Content-Type: ");
    assert_non_null(r.type);
    r.type += strlen("Content-Type: ");
    return r;
}

// Removes "version N " from each line: an element of a list in protobuf is not asked for it.
static void forget_versions(char *text)
{
    char *from, *to;
    while ((from = strstr(text, " version ")) != NULL && (to = strstr(from + 1, " end ")) != NULL)
        memmove(from, to, strlen(to) + 1);
}

static void compare(const char *name, enum kube_kind kind, bool list)
{
    char other[100];
    struct stream *s = stream_new(kind, take, NULL);
    struct recording json = read_recording(name);
    snprintf(other, sizeof other, "%s.pb", name);
    struct recording protobuf = read_recording(other);
    assert_string_equal(json.type, STREAM_JSON);
    assert_string_equal(protobuf.type, list ? STREAM_PROTOBUF : PROTOBUF_WATCH);
    assert_int_equal(feed_whole(s, list, json.type, json.body, json.len), 0);
    assert_true(nevents > 0);
    size_t n = nevents;
    char *expected = strdup(seen.text);
    assert_int_equal(feed_whole(s, list, protobuf.type, protobuf.body, protobuf.len), 0);
    assert_int_equal(nevents, n);
    char *got = strdup(seen.text);
    if (list) {
        forget_versions(expected);
        forget_versions(got);
    }
    assert_string_equal(got, expected);
    free(got);
    free(expected);
    free(json.file);
    free(protobuf.file);
    stream_free(s);
}

static void recordings(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        enum kube_kind kind;
    } resources[] = {{"namespaces", KUBE_NAMESPACE},
                     {"services", KUBE_SERVICE},
                     {"endpointslices", KUBE_ENDPOINTSLICE},
                     {"endpointslices", KUBE_IMPORTED_SLICE},
                     {"pods", KUBE_POD}};
    static const char *const kinds[] = {"list", "list-after", "watchlist", "watch"};
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < 4; k++) {
            char name[100];
            snprintf(name, sizeof name, "%s.%s", resources[i].name, kinds[k]);
            compare(name, resources[i].kind, k < 2);
        }
    }
    compare("services.page-1", KUBE_SERVICE, true);
    compare("services.page-3", KUBE_SERVICE, true);
    compare("services.watch-expired", KUBE_SERVICE, false);
}

// ---- cuts ----

// Every first piece and every size of piece gives what the whole gives.
static void cut_everywhere(const char *name, enum kube_kind kind, bool list)
{
    struct stream *s = stream_new(kind, take, NULL);
    struct recording r = read_recording(name);
    assert_int_equal(feed_whole(s, list, r.type, r.body, r.len), 0);
    char *expected = strdup(seen.text);
    for (size_t first = 1; first < r.len; first++) {
        assert_int_equal(feed(s, list, r.type, r.body, r.len, first, r.len), 0);
        assert_string_equal(seen.text, expected);
    }
    for (size_t step = 1; step < 40; step++) {
        assert_int_equal(feed(s, list, r.type, r.body, r.len, step, step), 0);
        assert_string_equal(seen.text, expected);
    }
    free(expected);
    free(r.file);
    stream_free(s);
}

static void cuts(void **unused)
{
    (void)unused;
    cut_everywhere("services.list.pb", KUBE_SERVICE, true);
    cut_everywhere("services.page-1.pb", KUBE_SERVICE, true);
    cut_everywhere("endpointslices.list.pb", KUBE_ENDPOINTSLICE, true);
    cut_everywhere("services.watchlist.pb", KUBE_SERVICE, false);
    cut_everywhere("endpointslices.watch.pb", KUBE_ENDPOINTSLICE, false);
    cut_everywhere("services.page-3", KUBE_SERVICE, true);
}

// A list that ends too early is never taken for a whole one.
static void truncated_lists(void **unused)
{
    (void)unused;
    static const char *const names[] = {"services.page-1.pb", "services.page-1"};
    for (size_t i = 0; i < 2; i++) {
        struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
        struct recording r = read_recording(names[i]);
        // What is cut off: the envelope's last two, empty fields; the newline.
        size_t end = r.len - (i == 0 ? 4 : 1);
        for (size_t len = 0; len < end; len++)
            assert_int_equal(feed_whole(s, true, r.type, r.body, len), CDNS_ETRUNC);
        assert_int_equal(feed_whole(s, true, r.type, r.body, end), 0);
        free(r.file);
        stream_free(s);
    }
}

// ---- what is no list, no event ----

static void content_types(void **unused)
{
    (void)unused;
    static const struct {
        const char *type;
        int result;
    } cases[] = {
        {"application/json", 0},
        {"application/JSON; charset=utf-8", 0},
        {"application/vnd.kubernetes.protobuf", 0},
        {"application/vnd.kubernetes.protobuf;stream=watch", 0},
        {"", CDNS_EINVAL},
        {"text/html", CDNS_EINVAL},
        {"application/jsonp", CDNS_EINVAL},
        {"application/vnd.kubernetes", CDNS_EINVAL},
        {"application/yaml", CDNS_EINVAL},
    };
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(stream_begin(s, false, cases[i].type), cases[i].result);
        assert_int_equal(stream_begin(s, true, cases[i].type), cases[i].result);
    }
    stream_free(s);
}

static void put_list_metadata(struct message *m, const char *version, const char *token)
{
    struct message metadata = {0};
    put_text(&metadata, 2, version);
    put_text(&metadata, 3, token);
    put_message(m, 1, &metadata);
}

static struct message service(const char *name)
{
    struct message m = {0};
    put_metadata(&m, "shop", name, "7");
    return m;
}

static void other_lists(void **unused)
{
    (void)unused;
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    struct message list = {0}, item = service("a");
    put_list_metadata(&list, "9", "more");
    put_message(&list, 2, &item);
    static const struct {
        const char *kind;
        int result;
        size_t items;
    } kinds[] = {{"ServiceList", 0, 1},        {"PodList", CDNS_ESYNTAX, 0},
                 {"Service", CDNS_ESYNTAX, 0}, {"ServiceListX", CDNS_ESYNTAX, 0},
                 {"", CDNS_ESYNTAX, 0},        {"Status", CDNS_ESYNTAX, 0}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct message body = {0};
        put_object(&body, "v1", kinds[i].kind, &list);
        assert_int_equal(feed_whole(s, true, STREAM_PROTOBUF, body.data, body.len), kinds[i].result);
        assert_int_equal(nevents, kinds[i].items);
    }
    struct message raw_only = {0}, twice = {0}, type = {0};
    put_bytes(&raw_only, "k8s", 4);
    put_message(&raw_only, 2, &list);
    assert_int_equal(feed_whole(s, true, STREAM_PROTOBUF, raw_only.data, raw_only.len), CDNS_ESYNTAX);
    assert_int_equal(nevents, 0);
    put_object(&twice, "v1", "ServiceList", &list);
    put_message(&twice, 2, &list);
    assert_int_equal(feed_whole(s, true, STREAM_PROTOBUF, twice.data, twice.len), CDNS_ESYNTAX);
    assert_int_equal(nevents, 1);
    put_bytes(&type, "k8s", 4);
    put_data(&type, 1, "\x12\x0bServiceList", 13);
    assert_int_equal(feed_whole(s, true, STREAM_PROTOBUF, type.data, type.len), CDNS_ETRUNC);
    static const char html[] = "<html>", other[] = "k8t";
    assert_int_equal(feed_whole(s, true, STREAM_PROTOBUF, html, 6), CDNS_ESYNTAX);
    assert_int_equal(feed_whole(s, true, STREAM_PROTOBUF, other, 4), CDNS_ESYNTAX);
    stream_free(s);
}

// Fields that nobody knows, of every type, are passed over; an empty element is one.
static void strange_fields(void **unused)
{
    (void)unused;
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    struct message list = {0}, item = service("a"), empty = {0}, body = {0};
    put_text(&list, 9, "text");
    put_message(&list, 2, &item);
    put_integer(&list, 2, 5); // not of the type that items are
    put_integer(&list, 1000, -1);
    put_bytes(&list, "\x3d\1\2\3\4", 5);
    put_bytes(&list, "\x39\1\2\3\4\5\6\7\x08", 9);
    put_message(&list, 2, &empty);
    put_list_metadata(&list, "9", "");
    put_text(&list, 200, "");
    put_object(&body, "v1", "ServiceList", &list);
    put_bytes(&body, "\x28\x80\x80\x01", 4); // behind the list: field 5, an integer
    for (size_t step = 1; step < 30; step++) {
        assert_int_equal(feed(s, true, STREAM_PROTOBUF, body.data, body.len, step, step), 0);
        assert_int_equal(nevents, 2);
        assert_non_null(strstr(seen.text, "1 shop/a: "));
        assert_non_null(strstr(seen.text, "metadata.name is missing"));
        assert_non_null(strstr(seen.text, "version 9 token \n"));
    }
    stream_free(s);
}

// Each of these stands where a list's fields are.
static void broken_lists(void **unused)
{
    (void)unused;
    static const struct {
        const char *bytes;
        size_t len;
        int result;
    } cases[] = {
        {"\x12\x05"
         "abcd",
         6, CDNS_ESYNTAX},                                                  // longer than the list
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, CDNS_ESYNTAX}, // length 2^64 - 1
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, CDNS_ESYNTAX}, // a varint of more than 64 bits
        {"\x12\x80", 2, CDNS_ESYNTAX},                                      // ends inside a length
        {"\x12", 1, CDNS_ESYNTAX},                                          // ends before a length
        {"\x28", 1, CDNS_ESYNTAX},                                          // ends before an integer
        {"\x13", 1, CDNS_ESYNTAX},                                          // a group
        {"\x17\x01", 2, CDNS_ESYNTAX},                                      // no wire type
        {"\x02\x00", 2, CDNS_ESYNTAX},                                      // field 0
        {"\x3d\x01\x02", 3, CDNS_ESYNTAX},                                  // ends inside a fixed32
        {"\x12\x02\x0a\x05", 4, CDNS_ESYNTAX},                              // an element that ends inside its metadata
        {"\x0a\x02\x12\x05", 4, CDNS_ESYNTAX},                              // metadata likewise
        {"\xfa\xff\xff\xff\xff\x01", 6, CDNS_ESYNTAX},                      // a field number beyond 32 bits
    };
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message list = {0}, body = {0};
        put_bytes(&list, cases[i].bytes, cases[i].len);
        put_object(&body, "v1", "ServiceList", &list);
        for (size_t step = 1; step < body.len; step++)
            if (feed(s, true, STREAM_PROTOBUF, body.data, body.len, step, step) != cases[i].result)
                fail_msg("case %zu, step %zu", i, step);
    }
    stream_free(s);
}

static void too_large(void **unused)
{
    (void)unused;
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    static const uint8_t frame[] = {0x01, 0x00, 0x00, 0x01}, largest[] = {0x01, 0x00, 0x00, 0x00};
    for (size_t step = 1; step <= 4; step++)
        assert_int_equal(feed(s, false, PROTOBUF_WATCH, frame, 4, step, step), CDNS_ELIMIT);
    assert_int_equal(feed_whole(s, false, PROTOBUF_WATCH, largest, 4), 0);
    struct message body = {0}, type = {0};
    put_text(&type, 2, "ServiceList");
    put_bytes(&body, "k8s", 4);
    put_message(&body, 1, &type);
    put_varint(&body, 2 << 3 | 2);
    put_varint(&body, UINT64_C(1) << 40);
    put_varint(&body, 2 << 3 | 2);
    put_varint(&body, STREAM_OBJECT_MAX + 1);
    assert_int_equal(feed_whole(s, true, STREAM_PROTOBUF, body.data, body.len), CDNS_ELIMIT);
    stream_free(s);
}

// ---- events ----

static void events(void **unused)
{
    (void)unused;
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    struct message body = {0}, a = service("a"), bad = service("Bad.Name"), bookmark = {0}, metadata = {0};
    put_frame(&body, "ADDED", "v1", "Service", &a);
    put_frame(&body, "MODIFIED", "v1", "Service", &bad);
    put_frame(&body, "DELETED", "v1", "Pod", &a);
    put_frame(&body, "GUESS", "v1", "Service", &a);
    put_text(&metadata, 6, "12");
    put_entry(&metadata, 12, "other", "true");
    put_entry(&metadata, 12, "k8s.io/initial-events-end", "true");
    put_message(&bookmark, 1, &metadata);
    put_frame(&body, "BOOKMARK", "v1", "Service", &bookmark);
    put_bytes(&body, "\0\0\0\0", 4); // an event without anything
    static const char expected[] = "0 wanted 1 version 7 end 0: 1 shop/a: type 0 external none \n"
                                   "1 wanted 1 version 7 end 0: -2 metadata.name \"Bad.Name\" is no valid name\n"
                                   "2 wanted 0 version  end 0: \n"
                                   "5 wanted 1 version 7 end 0: \n"
                                   "3 wanted 1 version 12 end 1: \n"
                                   "5 wanted 0 version  end 0: \n";
    for (size_t step = 1; step < body.len; step++) {
        assert_int_equal(feed(s, false, PROTOBUF_WATCH, body.data, body.len, step, step), 0);
        assert_string_equal(seen.text, expected);
    }
    verdict = CDNS_ECANCELED;
    assert_int_equal(feed_whole(s, false, PROTOBUF_WATCH, body.data, body.len), CDNS_ECANCELED);
    assert_int_equal(nevents, 1);
    verdict = 0;
    stream_free(s);
}

static void broken_events(void **unused)
{
    (void)unused;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\0\0\0\1\x0a", 5},                               // ends inside the type
        {"\0\0\0\4\x12\2\x0a\5", 8},                       // … inside the object
        {"\0\0\0\x0a\x0a\5ADDED\x12\1\x0a", 14},           // … inside its envelope
        {"\0\0\0\7\x12\5\x0a\3k8s", 11},                   // no envelope
        {"\0\0\0\x0b\x12\x09\x0a\7k8s\0\x0a\x05\x0a", 15}, // an envelope that ends inside its type
    };
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (feed_whole(s, false, PROTOBUF_WATCH, cases[i].bytes, cases[i].len) != CDNS_ESYNTAX || nevents != 0)
            fail_msg("case %zu", i);
    struct message body = {0}, broken = {0};
    put_data(&broken, 1, "\x0a\x09", 2); // metadata whose name is longer than itself
    put_frame(&body, "ADDED", "v1", "Service", &broken);
    assert_int_equal(feed_whole(s, false, PROTOBUF_WATCH, body.data, body.len), CDNS_ESYNTAX);
    body.len = 0;
    put_frame(&body, "BOOKMARK", "v1", "Service", &broken);
    assert_int_equal(feed_whole(s, false, PROTOBUF_WATCH, body.data, body.len), CDNS_ESYNTAX);
    assert_int_equal(nevents, 0);
    stream_free(s);
}

// A body that was cut leaves nothing to the next one, of whatever format.
static void bodies_one_after_another(void **unused)
{
    (void)unused;
    struct stream *s = stream_new(KUBE_SERVICE, take, NULL);
    struct message a = service("a"), body = {0};
    put_frame(&body, "ADDED", "v1", "Service", &a);
    assert_int_equal(feed_whole(s, false, PROTOBUF_WATCH, body.data, body.len - 3), 0);
    assert_int_equal(nevents, 0);
    static const char line[] = "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Service\",\"metadata\":{\"name\":\"b\","
                               "\"namespace\":\"shop\",\"resourceVersion\":\"8\"}}}\n";
    assert_int_equal(feed_whole(s, false, STREAM_JSON, line, sizeof line - 10), 0);
    assert_int_equal(nevents, 0);
    assert_int_equal(feed_whole(s, false, PROTOBUF_WATCH, body.data, body.len), 0);
    assert_int_equal(nevents, 1);
    assert_int_equal(feed_whole(s, false, STREAM_JSON, line, sizeof line - 1), 0);
    assert_int_equal(nevents, 1);
    stream_free(s);
}

static int teardown(void **unused)
{
    (void)unused;
    free(seen.text);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recordings),
        cmocka_unit_test(cuts),
        cmocka_unit_test(truncated_lists),
        cmocka_unit_test(content_types),
        cmocka_unit_test(other_lists),
        cmocka_unit_test(strange_fields),
        cmocka_unit_test(broken_lists),
        cmocka_unit_test(too_large),
        cmocka_unit_test(events),
        cmocka_unit_test(broken_events),
        cmocka_unit_test(bodies_one_after_another),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
