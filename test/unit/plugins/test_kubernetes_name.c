// SPDX-License-Identifier: Apache-2.0
// Names taken apart, and labels that stand for addresses.
#include "kubernetes_test.h"

static void labels_of_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address, *label;
    } cases[] = {
        {"10.0.0.1", "10-0-0-1"},
        {"255.255.255.255", "255-255-255-255"},
        {"::", "--0"},
        {"::1", "--1"},
        {"1::", "1--0"},
        {"fd00::1", "fd00--1"},
        {"fd00:1::", "fd00-1--0"},
        {"1:0:3:4:5:6:7:8", "1-0-3-4-5-6-7-8"}, // one zero group stays
        {"1:0:0:4:0:0:0:8", "1-0-0-4--8"},      // the longest run
        {"1:0:0:4:5:0:0:8", "1--4-5-0-0-8"},    // the first of two
        {"0:0:3:4:5:6:7:8", "--3-4-5-6-7-8"},
        {"1:2:3:4:5:6:0:0", "1-2-3-4-5-6--0"},
        {"1:2:3:4:5:6:7:0", "1-2-3-4-5-6-7-0"},
        {"2001:db8:a0b:12f0::1", "2001-db8-a0b-12f0--1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kube_address a, back;
        uint8_t label[64];
        assert_int_equal(decode_address(cases[i].address, &a, NULL), 0);
        name_address_label(&a, label);
        assert_int_equal(label[0], strlen(cases[i].label));
        assert_memory_equal(label + 1, cases[i].label, label[0]);
        assert_true(name_label_address(label, &back));
        assert_int_equal(back.len, a.len);
        assert_memory_equal(back.bytes, a.bytes, a.len);
    }
}

// Against the decoder's idea of the canonical form, which an endpoint's label has with other marks.
static void labels_are_canonical_text(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        struct kube_address a = {.len = 16}, back;
        for (int j = 0; j < 8; j++) {
            seed = seed * 1664525u + 1013904223u;
            if (seed >> 30 != 0) // runs of zeros of all lengths
                continue;
            a.bytes[2 * j] = (uint8_t)(seed >> 8 & (seed >> 29 ? 0xff : 0));
            a.bytes[2 * j + 1] = (uint8_t)(seed >> 16);
        }
        uint8_t label[64];
        char text[64];
        bool canonical;
        name_address_label(&a, label);
        size_t len = label[0];
        memcpy(text, label + 1, len);
        text[len] = 0;
        assert_true(text[len - 1] != '-');
        if (len >= 3 && strcmp(text + len - 3, "--0") == 0)
            text[len - 1] = 0; // what stands behind a final dash only
        for (char *p = text; *p != 0; p++)
            *p = *p == '-' ? ':' : *p;
        if (decode_address(text, &back, &canonical) != 0 || !canonical)
            fail_msg("%s", text);
        assert_memory_equal(back.bytes, a.bytes, 16);
    }
}

static void labels_that_are_no_addresses(void **state)
{
    (void)state;
    static const char *const labels[] = {
        "a",        "1-2-3",    "1-2-3-4-5", "01-2-3-4",   "1-2-3-256",

        "-1-2-3-4", "fd00-1--", "FD00--1",   "fd00--0001", "fd00-0-0-0-0-0-0-1", "--", "1-2-3-4-5-6-7-8-9", "12345--1"};
    for (size_t i = 0; i < COUNT(labels); i++) {
        uint8_t label[64] = {(uint8_t)strlen(labels[i])};
        struct kube_address a;
        memcpy(label + 1, labels[i], label[0]);
        if (name_label_address(label, &a))
            fail_msg("%s", labels[i]);
    }
}

static void composes(void **state)
{
    (void)state;
    uint8_t out[NAME_MAX_WIRE], longest[64] = {63};
    const uint8_t *parts[] = {(const uint8_t *)"\5a.b.c", (const uint8_t *)"\1d"};
    memset(longest + 1, 'x', 63);
    assert_int_equal(name_compose(parts, 2, (const uint8_t *)"\1e", out), 11);
    assert_memory_equal(out, "\1a\1b\1c\1d\1e", 11);
    const uint8_t *dots[] = {(const uint8_t *)"\3.a."};
    assert_int_equal(name_compose(dots, 1, (const uint8_t *)"", out), 3);
    assert_memory_equal(out, "\1a", 3);
    const uint8_t *four[] = {longest, longest, longest, longest};
    assert_int_equal(name_compose(four, 4, (const uint8_t *)"", out), 0);
    assert_int_equal(name_compose(four, 3, (const uint8_t *)"", out), 193);
    const uint8_t *full[] = {longest, longest, longest,
                             (const uint8_t *)"\61xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    assert_int_equal(name_compose(full, 4, (const uint8_t *)"\13abcdefghijk", out), 255);
    assert_int_equal(name_compose(full, 4, (const uint8_t *)"\14abcdefghijkl", out), 0);
}

static void longest_zone_at_a_label(void **state)
{
    (void)state;
    // "\1b" inside of the label "a\1b" is no zone.
    static const struct zone zones[] = {{.name = (const uint8_t *)"\1b", .len = 3, .labels = 1},
                                        {.name = (const uint8_t *)"\1a\1b", .len = 5, .labels = 2}};
    static const struct {
        const char *name;
        size_t len;
        const struct zone *zone;
    } cases[] = {
        {"\1b", 3, &zones[0]},    {"\1c\1b", 5, &zones[0]},
        {"\1a\1b", 5, &zones[1]}, {"\1x\1a\1b", 7, &zones[1]},
        {"\3a\1b", 5, NULL},      {"", 1, NULL},
        {"\1c", 3, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_ptr_equal(name_zone(zones, 2, (const uint8_t *)cases[i].name, cases[i].len), cases[i].zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_of_addresses),          cmocka_unit_test(labels_are_canonical_text),
        cmocka_unit_test(labels_that_are_no_addresses), cmocka_unit_test(composes),
        cmocka_unit_test(longest_zone_at_a_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
