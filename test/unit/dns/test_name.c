// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/name.h>
#include <stdio.h>
#include <string.h>

#define N(literal) ((const uint8_t *)(literal))
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

// `count` labels of `len` times 'a', as text.
static const char *labels_text(unsigned count, size_t len)
{
    static char text[2048];
    char *p = text;
    for (unsigned i = 0; i < count; i++) {
        memset(p, 'a', len);
        p += len;
        *p++ = '.';
    }
    *p = '\0';
    return text;
}

// A name of 255 bytes: three labels of 63, one of 61.
static const uint8_t *longest_name(uint8_t *out)
{
    uint8_t *p = out;
    for (int i = 0; i < 4; i++) {
        uint8_t len = i < 3 ? 63 : 61;
        *p++ = len;
        memset(p, 'A' + i, len);
        p += len;
    }
    *p = 0;
    return out;
}

static void text_to_wire_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
        const uint8_t *wire;
        size_t length;
    } cases[] = {
        {".", ".", N(""), 1},
        {"Web.Default.svc.cluster.local", "Web.Default.svc.cluster.local.", N("\3Web\7Default\3svc\7cluster\5local"),
         31},
        {"a.", "a.", N("\1a"), 3},
        {"a\\.b.c.", "a\\.b.c.", N("\3a.b\1c"), 7},
        {"\\097\\000.", "a\\000.", N("\2a\0"), 4},
        {"a\\ b.", "a\\ b.", N("\3a b"), 5},
        {"a b.", "a\\ b.", N("\3a b"), 5},
        {"\\255\\127.", "\\255\\127.", N("\2\xff\x7f"), 4},
        {"(;@\")'\\\\$.", "\\(\\;\\@\\\"\\)\\'\\\\$.", N("\10(;@\")'\\$"), 10},
        {"_http._tcp.", "_http._tcp.", N("\5_http\4_tcp"), 12},
        {"*.example.", "*.example.", N("\1*\7example"), 11},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t name[NAME_MAX_WIRE];
        char text[NAME_MAX_TEXT];
        assert_int_equal(name_from_text(cases[i].text, name), 0);
        assert_int_equal(name_length(name), cases[i].length);
        assert_memory_equal(name, cases[i].wire, cases[i].length);
        assert_int_equal(name_to_text(name, text), strlen(cases[i].canonical));
        assert_string_equal(text, cases[i].canonical);
        uint8_t again[NAME_MAX_WIRE];
        assert_int_equal(name_from_text(text, again), 0);
        assert_memory_equal(again, name, cases[i].length);
    }
}

static void text_that_is_no_name(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "..", ".a", "a..b", "a..", "a\\", "a\\1", "a\\12", "a\\12x", "a\\256.b"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t name[NAME_MAX_WIRE];
        assert_int_equal(name_from_text(cases[i], name), CDNS_EINVAL);
    }
}

static void text_label_of_63_bytes_is_read_and_64_is_not(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE];
    assert_int_equal(name_from_text(labels_text(1, 63), name), 0);
    assert_int_equal(name_length(name), 65);
    assert_int_equal(name_from_text(labels_text(1, 64), name), CDNS_ERANGE);
}

static void text_name_of_255_bytes_is_read_and_256_is_not(void **state)
{
    (void)state;
    // 4 × 62 + 4 lengths + root is 253.
    uint8_t name[NAME_MAX_WIRE + 8];
    char text[512];
    static const struct {
        const char *more;
        int rc;
    } cases[] = {{"", 0}, {"b", 0}, {"b.", 0}, {"bb", CDNS_ERANGE}, {"bb.", CDNS_ERANGE}, {"b.c", CDNS_ERANGE}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, "%.300s%s", labels_text(4, 62), cases[i].more);
        memset(name, 0xee, sizeof name);
        assert_int_equal(name_from_text(text, name), cases[i].rc);
        assert_int_equal(name[NAME_MAX_WIRE], 0xee);
        if (cases[i].rc == 0)
            assert_int_equal(name_length(name), cases[i].more[0] == '\0' ? 253 : 255);
    }
}

static void text_name_of_127_labels_is_read_and_128_is_not(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE];
    assert_int_equal(name_from_text(labels_text(127, 1), name), 0);
    assert_int_equal(name_labels(name), 127);
    assert_int_equal(name_length(name), 255);
    assert_int_equal(name_from_text(labels_text(128, 1), name), CDNS_ERANGE);
}

static void longest_text_fits(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE], again[NAME_MAX_WIRE];
    longest_name(name);
    for (unsigned i = 0; i < 254; i++)
        if (i % 64 != 0)
            name[i] = 0x80; // \128
    char text[NAME_MAX_TEXT];
    assert_int_equal(name_to_text(name, text), (63 * 3 + 61) * 4 + 4);
    assert_int_equal(name_from_text(text, again), 0);
    assert_memory_equal(name, again, 255);
}

static void names_compare_without_case(void **state)
{
    (void)state;
    assert_true(name_equal(N(""), N("")));
    assert_true(name_equal(N("\3WeB\7eXample"), N("\3wEb\7ExamplE")));
    assert_false(name_equal(N("\3web\7example"), N("\3web")));
    assert_false(name_equal(N("\3web"), N("\3web\7example")));
    assert_false(name_equal(N("\3web"), N("\3wex")));
    assert_false(name_equal(N("\3a.b"), N("\1a\1b")));
    // Neighbours of the letters, and letters with the top bit, are themselves, in every lane of a word.
    for (unsigned lane = 0; lane < 20; lane++) {
        uint8_t a[24] = {20}, b[24] = {20};
        static const uint8_t pairs[][2] = {{'@', '`'}, {'[', '{'}, {'A' | 0x80, 'a' | 0x80}, {0, ' '}};
        memset(a + 1, 'x', 20);
        memset(b + 1, 'X', 20);
        for (size_t i = 0; i < COUNT(pairs); i++) {
            a[1 + lane] = 'A';
            b[1 + lane] = 'a';
            assert_true(name_equal(a, b));
            a[1 + lane] = 'z';
            b[1 + lane] = 'Z';
            assert_true(name_equal(a, b));
            a[1 + lane] = pairs[i][0];
            b[1 + lane] = pairs[i][1];
            assert_false(name_equal(a, b));
        }
    }
}

static void lower_case_touches_letters_only(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first += 63) {
        uint8_t name[65] = {63}, low[NAME_MAX_WIRE];
        for (unsigned i = 0; i < 63; i++)
            name[1 + i] = (uint8_t)(first + i);
        assert_int_equal(name_lower(name, low), 65);
        assert_int_equal(low[0], 63);
        for (unsigned i = 1; i < 64; i++)
            assert_int_equal(low[i], name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    }
    uint8_t name[NAME_MAX_WIRE], low[NAME_MAX_WIRE];
    assert_int_equal(name_lower(longest_name(name), low), 255);
    assert_int_equal(low[253], 'd');
    assert_int_equal(low[254], 0);
}

static void zones_end_at_label_boundaries(void **state)
{
    (void)state;
    assert_true(name_in_zone(N("\3web\7cluster\5local"), N("\7Cluster\5Local")));
    assert_true(name_in_zone(N("\7cluster\5local"), N("\7cluster\5local")));
    assert_true(name_in_zone(N("\3web"), N("")));
    assert_true(name_in_zone(N(""), N("")));
    assert_false(name_in_zone(N("\5local"), N("\7cluster\5local")));
    assert_false(name_in_zone(N("\11mycluster\5local"), N("\7cluster\5local")));
    assert_false(name_in_zone(N(""), N("\5local")));
    // The label's bytes look like the zone, but are not labels.
    assert_false(name_in_zone(N("\7x\5local"), N("\5local")));
    assert_false(name_in_zone(N("\3web\7cluster\5other"), N("\7cluster\5local")));
}

static void skip_stops_at_the_root(void **state)
{
    (void)state;
    const uint8_t *name = N("\3web\7example");
    assert_ptr_equal(name_skip(name, 0), name);
    assert_ptr_equal(name_skip(name, 1), name + 4);
    assert_ptr_equal(name_skip(name, 2), name + 12);
    assert_ptr_equal(name_skip(name, 3), name + 12);
    assert_int_equal(name_labels(N("")), 0);
    assert_int_equal(name_labels(name), 2);
}

static void join_to_255_bytes_and_not_to_256(void **state)
{
    (void)state;
    uint8_t out[NAME_MAX_WIRE], zone[NAME_MAX_WIRE];
    assert_int_equal(name_join(N("\3web"), N("\7example"), out), 13);
    assert_memory_equal(out, "\3web\7example", 13);
    assert_int_equal(name_join(N(""), N("\1a"), out), 3);
    assert_int_equal(name_join(N("\1a"), N(""), out), 3);
    assert_int_equal(name_from_text(labels_text(4, 62), zone), 0);
    assert_int_equal(name_join(N("\1b"), zone, out), 255);
    assert_int_equal(name_join(N("\2bb"), zone, out), CDNS_ERANGE);
}

static void prepend_to_255_bytes_and_not_to_256(void **state)
{
    (void)state;
    uint8_t out[NAME_MAX_WIRE], zone[NAME_MAX_WIRE], label[64] = {0};
    assert_int_equal(name_prepend_label(N("web"), 3, N("\7example"), out), 13);
    assert_memory_equal(out, "\3web\7example", 13);
    assert_int_equal(name_prepend_label(label, 63, N(""), out), 65);
    assert_int_equal(name_prepend_label(label, 64, N(""), out), CDNS_ERANGE);
    assert_int_equal(name_prepend_label(label, 0, N(""), out), CDNS_ERANGE);
    assert_int_equal(name_from_text(labels_text(4, 62), zone), 0);
    assert_int_equal(name_prepend_label(label, 1, zone, out), 255);
    assert_int_equal(name_prepend_label(label, 2, zone, out), CDNS_ERANGE);
}

static void reverse_names_give_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int length;
        const char *addr;
    } cases[] = {
        {"10.0.96.10.in-addr.arpa.", 4, "\x0a\x60\x00\x0a"},
        {"255.0.0.1.IN-ADDR.ARPA.", 4, "\x01\x00\x00\xff"},
        {"B.A.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", 16,
         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\x05\x67\x89\xab"},
        {"0.96.10.in-addr.arpa.", 0, NULL},
        {"1.10.0.96.10.in-addr.arpa.", 0, NULL},
        {"256.0.96.10.in-addr.arpa.", 0, NULL},
        {"1000.0.96.10.in-addr.arpa.", 0, NULL},
        {"010.0.96.10.in-addr.arpa.", 0, NULL},
        {"00.0.96.10.in-addr.arpa.", 0, NULL},
        {"1a.0.96.10.in-addr.arpa.", 0, NULL},
        {"-1.0.96.10.in-addr.arpa.", 0, NULL},
        {"10.0.96.10.in-addr.arpb.", 0, NULL},
        {"10.0.96.10.ip6.arpa.", 0, NULL},
        {"g.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", 0, NULL},
        {"ab.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", 0, NULL},
        {"a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", 0, NULL},
        {"in-addr.arpa.", 0, NULL},
        {".", 0, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t name[NAME_MAX_WIRE], addr[16];
        assert_int_equal(name_from_text(cases[i].text, name), 0);
        assert_int_equal(name_to_address(name, addr), cases[i].length);
        if (cases[i].length > 0)
            assert_memory_equal(addr, cases[i].addr, (size_t)cases[i].length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_to_wire_and_back),
        cmocka_unit_test(text_that_is_no_name),
        cmocka_unit_test(text_label_of_63_bytes_is_read_and_64_is_not),
        cmocka_unit_test(text_name_of_255_bytes_is_read_and_256_is_not),
        cmocka_unit_test(text_name_of_127_labels_is_read_and_128_is_not),
        cmocka_unit_test(longest_text_fits),
        cmocka_unit_test(names_compare_without_case),
        cmocka_unit_test(lower_case_touches_letters_only),
        cmocka_unit_test(zones_end_at_label_boundaries),
        cmocka_unit_test(skip_stops_at_the_root),
        cmocka_unit_test(join_to_255_bytes_and_not_to_256),
        cmocka_unit_test(prepend_to_255_bytes_and_not_to_256),
        cmocka_unit_test(reverse_names_give_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
