// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <string.h>

#define N(literal) ((const uint8_t *)(literal))

static void array_grows_and_keeps_its_order(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct records set = {0};
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(records_add(&set, a, N("\3web"), RR_A, i, N("\1\2\3\4"), 4), 0);
    assert_int_equal(set.n, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(set.rr[i].ttl, i);
        assert_int_equal(set.rr[i].type, RR_A);
        assert_int_equal(set.rr[i].class_, CLASS_IN);
        assert_int_equal(set.rr[i].rdlen, 4);
        assert_memory_equal(set.rr[i].rdata, "\1\2\3\4", 4);
    }
    arena_free(a);
}

static void full_arena_leaves_the_array_as_it_was(void **state)
{
    (void)state;
    struct arena *a = arena_new(5 * sizeof(struct record));
    struct records set = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(records_add(&set, a, N(""), RR_A, 5, NULL, 0), 0);
    assert_int_equal(records_add(&set, a, N(""), RR_A, 5, NULL, 0), CDNS_ENOMEM);
    assert_int_equal(set.n, 4);
    assert_int_equal(set.rr[3].ttl, 5);
    uint16_t rdlen = 77;
    assert_null(rdata_soa(a, N("\2ns\7cluster\5local"), N("\12hostmaster\7cluster\5local"), (uint32_t[5]){0}, &rdlen));
    assert_null(rdata_srv(a, 1, 2, 3, N("\77aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &rdlen));
    arena_free(a);
}

static void rdata_has_its_wire_form(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    uint16_t n;
    const uint8_t *p = rdata_srv(a, 0x0102, 0x0304, 0x0506, N("\3web"), &n);
    assert_int_equal(n, 11);
    assert_memory_equal(p, "\1\2\3\4\5\6\3web", 11);
    p = rdata_txt(a, "1.1.0", &n);
    assert_int_equal(n, 6);
    assert_memory_equal(p,
                        "\5"
                        "1.1.0",
                        6);
    p = rdata_txt(a, "", &n);
    assert_int_equal(n, 1);
    assert_memory_equal(p, "", 1);
    p = rdata_name(a, N("\3Web"), &n);
    assert_int_equal(n, 5);
    assert_memory_equal(p, "\3Web", 5);
    p = rdata_soa(a, N("\2ns"), N("\4host"), (uint32_t[5]){1, 7200, 0x01020304, 86400, 5}, &n);
    assert_int_equal(n, 4 + 6 + 20);
    assert_memory_equal(p, "\2ns\0\4host\0\0\0\0\1\0\0\x1c\x20\1\2\3\4\0\1\x51\x80\0\0\0\5", 30);
    arena_free(a);
}

static void txt_of_255_bytes_is_built_and_256_is_not(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char text[257];
    memset(text, 'x', 256);
    text[256] = '\0';
    uint16_t n;
    assert_null(rdata_txt(a, text, &n));
    text[255] = '\0';
    assert_non_null(rdata_txt(a, text, &n));
    assert_int_equal(n, 256);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(array_grows_and_keeps_its_order),
        cmocka_unit_test(full_arena_leaves_the_array_as_it_was),
        cmocka_unit_test(rdata_has_its_wire_form),
        cmocka_unit_test(txt_of_255_bytes_is_built_and_256_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
