// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/candidates.h"
#include <clusterdns/record.h>
#include <string.h>

#define L56 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffff"
#define LONG L56 "." L56 "." L56 "." L56 ".ggg"
#define SHORTER L56 "." L56 "." L56 "." L56 ".gg"

static const struct question_options plain = {.rd = true}, edns = {.rd = true, .edns = true, .edns_size = 1232};
static const struct options pod = {.ndots = 5, .namespace_ = "shop", .zone = "cluster.local"};

static int make(const char *text, const struct question_options *message, const struct options *o,
                struct candidates *out, char *error)
{
    char why[QUESTIONS_ERROR_MAX];
    struct questions set;
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(file);
    assert_int_equal(questions_read(file, "names", message, &set, why), 0);
    fclose(file);
    int rc = candidates_make(&set, o, out, error);
    questions_free(&set);
    return rc;
}

// The candidates of the n-th name, each with "A AAAA " behind it unless its questions are not these.
static const char *list_of(const struct candidates *c, size_t n)
{
    static char out[4096];
    char text[1200];
    size_t len = 0;
    const struct candidate_list *list = &c->names[n];
    out[0] = '\0';
    for (uint32_t i = list->first; i < list->first + 2U * list->n; i += 2) {
        const struct question *q = &c->questions.all[i];
        assert_int_equal(q[0].qtype, RR_A);
        assert_int_equal(q[1].qtype, RR_AAAA);
        assert_int_equal(q[0].size, q[1].size);
        assert_memory_equal(q[0].wire + 12, q[1].wire + 12, q[0].name_size);
        question_text(q, text, sizeof text);
        text[strlen(text) - 2] = '\0'; // " A"
        len += (size_t)snprintf(out + len, sizeof out - len, "%s%s", len > 0 ? " " : "", text);
    }
    return out;
}

static void order(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"www", "www.shop.svc.cluster.local. www.svc.cluster.local. www.cluster.local. www."},
        {"web.shop", "web.shop.shop.svc.cluster.local. web.shop.svc.cluster.local. web.shop.cluster.local. web.shop."},
        {"web.shop.svc.cluster.local",
         "web.shop.svc.cluster.local.shop.svc.cluster.local. web.shop.svc.cluster.local.svc.cluster.local. "
         "web.shop.svc.cluster.local.cluster.local. web.shop.svc.cluster.local."},
        {"a.b.c.d.e.f", "a.b.c.d.e.f. a.b.c.d.e.f.shop.svc.cluster.local. a.b.c.d.e.f.svc.cluster.local. "
                        "a.b.c.d.e.f.cluster.local."},
        {"a.b.c.d.e", "a.b.c.d.e.shop.svc.cluster.local. a.b.c.d.e.svc.cluster.local. a.b.c.d.e.cluster.local. "
                      "a.b.c.d.e."},
        {"web.shop.", "web.shop."},
        {".", "."},
        // A longer name than 255 bytes ends the search list, though the next domain is shorter: 233 bytes and 23.
        {LONG, LONG "."},
        // The longest with which all three are names.
        {SHORTER,
         SHORTER ".shop.svc.cluster.local. " SHORTER ".svc.cluster.local. " SHORTER ".cluster.local. " SHORTER "."},
    };
    char error[CANDIDATES_ERROR_MAX], line[600];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct candidates c;
        snprintf(line, sizeof line, "%s A\n", cases[i][0]);
        assert_int_equal(make(line, &plain, &pod, &c, error), 0);
        assert_int_equal(c.n, 1);
        assert_string_equal(list_of(&c, 0), cases[i][1]);
        candidates_free(&c);
    }
}

static void flags(void **state)
{
    (void)state;
    static const struct options root = {.ndots = 1, .search = "example.org,.,example.com."},
                                none = {.ndots = 1, .search = ""}, zero = {.ndots = 0, .search = "example.org"};
    char error[CANDIDATES_ERROR_MAX];
    struct candidates c;
    assert_int_equal(make("www A\nb.www A\n", &plain, &root, &c, error), 0);
    assert_string_equal(list_of(&c, 0), "www.example.org. www. www.example.com."); // not once more as it is
    assert_false(c.names[0].as_is_last || c.names[0].as_is_first);
    assert_string_equal(list_of(&c, 1), "b.www. b.www.example.org. b.www. b.www.example.com.");
    assert_true(c.names[1].as_is_first && !c.names[1].as_is_last);
    candidates_free(&c);
    assert_int_equal(make("www A\n", &plain, &none, &c, error), 0);
    assert_string_equal(list_of(&c, 0), "www.");
    assert_true(c.names[0].as_is_last && !c.names[0].as_is_first);
    candidates_free(&c);
    assert_int_equal(make("www A\n", &plain, &zero, &c, error), 0);
    assert_string_equal(list_of(&c, 0), "www. www.example.org.");
    candidates_free(&c);
}

// Each name once, whatever its types and letters, in the order in which they came.
static void names(void **state)
{
    (void)state;
    char error[CANDIDATES_ERROR_MAX];
    struct candidates c;
    assert_int_equal(make("web A\napi A\nweb. A\nWEB AAAA\napi SRV\ndb A\n", &edns, &pod, &c, error), 0);
    assert_int_equal(c.n, 4);
    assert_string_equal(list_of(&c, 0), "web.shop.svc.cluster.local. web.svc.cluster.local. web.cluster.local. web.");
    assert_string_equal(list_of(&c, 2), "web.");
    assert_int_equal(c.names[3].first, 8 + 8 + 2);
    // Messages are as those of the set are, here with EDNS.
    const struct question *q = &c.questions.all[c.names[2].first + 1];
    assert_int_equal(q->size, 12 + 5 + 4 + 11);
    assert_memory_equal(q->wire, "\0\0\1\0\0\1\0\0\0\0\0\1\3web\0\0\34\0\1\0\0\x29\4\xd0\0\0\0\0\0\0", q->size);
    candidates_free(&c);
}

static void mistakes(void **state)
{
    (void)state;
    static const struct options bad = {.ndots = 5, .search = "a,b..c"},
                                zone = {.ndots = 5, .namespace_ = "", .zone = "x"};
    static char many[200];
    char error[CANDIDATES_ERROR_MAX];
    struct candidates c;
    for (size_t i = 0; i < 2 * 33; i += 2)
        memcpy(many + i, "a,", 3);
    assert_int_equal(make("www A\n", &plain, &bad, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "--search: this is no domain name: b..c");
    assert_int_equal(make("www A\n", &plain, &zone, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "--namespace or --zone: this is no domain name: .svc.x");
    assert_int_equal(make("www A\n", &plain, &(struct options){.search = many}, &c, error), CDNS_ECONFIG);
    assert_string_equal(error, "--search: say up to 32 domains");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(flags),
        cmocka_unit_test(names),
        cmocka_unit_test(mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
