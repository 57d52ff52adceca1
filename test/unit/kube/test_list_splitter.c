// SPDX-License-Identifier: Apache-2.0
// List bodies cut anywhere give the same elements and the same envelope.
#include "kube/list_splitter.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char seen[4096]; // the elements, each followed by '|'
static int answer;      // what `take` returns

static int take(void *arg, const char *json, size_t len)
{
    (void)arg;
    size_t at = strlen(seen);
    assert_true(at + len + 2 < sizeof seen);
    memcpy(seen + at, json, len);
    strcpy(seen + at + len, "|");
    return answer;
}

// Splits `text` fed in pieces of `step` bytes; the envelope goes to `envelope`.
static int split(const char *text, size_t step, size_t max, char *envelope)
{
    struct list_splitter *l = list_splitter_new(max, take, NULL);
    assert_non_null(l);
    seen[0] = '\0';
    int r = 0;
    for (size_t i = 0, len = strlen(text); r == 0 && i < len; i += step)
        r = list_splitter_feed(l, text + i, len - i < step ? len - i : step);
    const char *rest = NULL;
    size_t size = 0;
    if (r == 0)
        r = list_splitter_finish(l, &rest, &size);
    if (envelope != NULL)
        snprintf(envelope, 1024, "%.*s", (int)size, rest != NULL ? rest : "");
    list_splitter_free(l);
    return r;
}

static void any_cut(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *elements, *envelope;
    } cases[] = {
        {"{\"kind\":\"List\",\"items\":[{\"a\":1},{\"b\":[1,2,{\"c\":\"]},{\"}]}],\"metadata\":{\"r\":\"7\"}}\n",
         "{\"a\":1}|{\"b\":[1,2,{\"c\":\"]},{\"}]}|", "{\"kind\":\"List\",\"items\":[],\"metadata\":{\"r\":\"7\"}}"},
        {" {\"items\" : [ ] }", "", " {\"items\" : [] }"},
        {"{\"items\":null,\"x\":[1]}", "", "{\"items\":null,\"x\":[1]}"},
        {"{\"items\":[1, \"a,\\\"]\",null , [2]]}", "1|\"a,\\\"]\"|null |[2]|", "{\"items\":[]}"},
        {"{\"x\":\"items\",\"y\":[1],\"z\":{\"items\":[2]}}", "", "{\"x\":\"items\",\"y\":[1],\"z\":{\"items\":[2]}}"},
        {"{\"a\\\"\":\"\\\\\",\"items\":[{}]}", "{}|", "{\"a\\\"\":\"\\\\\",\"items\":[]}"},
        {"{\"kind\":\"Pod\"} trailing", "", "{\"kind\":\"Pod\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t step = 1; step <= strlen(cases[i].text); step++) {
            char envelope[1024];
            assert_int_equal(split(cases[i].text, step, 4096, envelope), 0);
            assert_string_equal(seen, cases[i].elements);
            assert_string_equal(envelope, cases[i].envelope);
        }
    }
}

static void broken(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"", CDNS_ETRUNC},
        {"[1]", CDNS_ESYNTAX},
        {"<html>", CDNS_ESYNTAX},
        {"{\"items\":[{\"a\":1},{\"b\"", CDNS_ETRUNC},
        {"{\"items\":[1]", CDNS_ETRUNC},
        {"{\"items\":[}", CDNS_ESYNTAX},
        {"{\"items\":[1}]", CDNS_ESYNTAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t step = 1; step < 8; step += 3)
            assert_int_equal(split(cases[i].text, step, 4096, NULL), cases[i].result);
}

static void bounds(void **unused)
{
    (void)unused;
    assert_int_equal(split("{\"items\":[\"12345678\"]}", 3, 12, NULL), 0);
    assert_int_equal(split("{\"items\":[\"12345678\"]}", 3, 9, NULL), CDNS_ELIMIT);
    assert_int_equal(split("{\"a\":\"1234567890\",\"items\":[1]}", 1, 12, NULL), CDNS_ELIMIT);
    assert_string_equal(seen, "");
}

static void item_ends_it(void **unused)
{
    (void)unused;
    answer = CDNS_EDENIED;
    assert_int_equal(split("{\"items\":[1,2]}", 100, 4096, NULL), CDNS_EDENIED);
    assert_string_equal(seen, "1|");
    answer = 0;
}

static size_t lines[4], nlines;
static struct list_splitter *counted;

static int note_line(void *arg, const char *json, size_t len)
{
    (void)arg;
    (void)json;
    (void)len;
    lines[nlines++] = list_splitter_line(counted);
    return 0;
}

static void line_numbers(void **unused)
{
    (void)unused;
    static const char text[] = "{\n\"items\": [\n{\n},\n\n{}, 1]\n}\nmore";
    counted = list_splitter_new(100, note_line, NULL);
    assert_int_equal(list_splitter_feed(counted, text, sizeof text - 1), 0);
    assert_int_equal(nlines, 3);
    assert_int_equal(lines[0], 3);
    assert_int_equal(lines[1], 6);
    assert_int_equal(lines[2], 6);
    assert_int_equal(list_splitter_line(counted), 7);
    assert_int_equal(list_splitter_rest(counted), 5);
    list_splitter_free(counted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut),      cmocka_unit_test(broken),       cmocka_unit_test(bounds),
        cmocka_unit_test(item_ends_it), cmocka_unit_test(line_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
