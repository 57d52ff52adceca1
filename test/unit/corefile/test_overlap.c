// SPDX-License-Identifier: Apache-2.0
#include "corefile/corefile.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the headers above.
#include <cmocka.h>

static char error[CONFIG_ERROR_MAX];

// Addresses that a block is bound to.
struct bound {
    const char *const *addresses;
    size_t n;
};

static const char *const addresses[] = {"127.0.0.1", "::1", "127.0.0.2"};
static const struct bound everywhere, one = {addresses, 1}, two = {addresses, 2}, other = {addresses + 2, 1};

// Reads the two blocks of `text`, binds them and checks.
static int check(const char *text, struct bound first, struct bound second)
{
    struct arena *a = arena_new(0);
    struct corefile c = {0};
    error[0] = '\0';
    assert_int_equal(corefile_parse_text(a, "Corefile", text, strlen(text), NULL, NULL, &c, error), 0);
    assert_int_equal(c.nblocks, 2);
    c.blocks[0].listen = first.addresses;
    c.blocks[0].nlisten = first.n;
    c.blocks[1].listen = second.addresses;
    c.blocks[1].nlisten = second.n;
    int result = corefile_check_keys(&c, 1053, error);
    arena_free(a);
    return result;
}

static void test_default_ports_are_compared(void **state)
{
    (void)state;
    assert_int_equal(check(". {\n}\n.:1053 {\n}\n", everywhere, everywhere), CDNS_ECONFIG);
    assert_string_equal(error, "cannot serve dns://.:1053 - it is already defined (Corefile:3)");
    assert_int_equal(check("tls://. {\n}\ntls://.:853 {\n}\n", everywhere, everywhere), CDNS_ECONFIG);
    assert_string_equal(error, "cannot serve tls://.:853 - it is already defined (Corefile:3)");
    assert_int_equal(
        check(". {\n}\n.:53 tls://. https://. https3://. grpc://. quic://. {\n}\n", everywhere, everywhere), 0);
}

static void test_ports_of_schemes(void **state)
{
    (void)state;
    static const struct {
        const char *scheme;
        uint16_t port;
    } cases[] = {{"dns", 1053}, {"tls", 853}, {"quic", 853}, {"grpc", 443}, {"https", 443}, {"https3", 443}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct corefile_key key = {.scheme = cases[i].scheme};
        assert_int_equal(corefile_key_port(&key, 1053), cases[i].port);
        key.has_port = true;
        assert_int_equal(corefile_key_port(&key, 1053), 0);
        key.port = 5;
        assert_int_equal(corefile_key_port(&key, 1053), 5);
    }
}

static void test_other_addresses_stand_side_by_side(void **state)
{
    (void)state;
    assert_int_equal(check(". {\n}\n. {\n}\n", one, other), 0);
    assert_int_equal(check(". {\n}\nx {\n}\n", one, everywhere), 0);
}

static void test_the_same_address_twice(void **state)
{
    (void)state;
    assert_int_equal(check(". {\n}\n. {\n}\n", one, two), CDNS_ECONFIG);
    assert_string_equal(error, "cannot serve dns://.:1053 on 127.0.0.1 - it is already defined (Corefile:3)");
}

// Texts as CoreDNS 1.15.0 gives them for `bind` in one of two blocks.
static void test_the_wildcard_overlaps_with_every_address(void **state)
{
    (void)state;
    assert_int_equal(check(". {\n}\n. {\n}\n", one, everywhere), CDNS_ECONFIG);
    assert_string_equal(error, "cannot serve dns://.:1053 - zone overlap listener capacity with "
                               "dns://.:1053 on 127.0.0.1 (Corefile:3)");
    assert_int_equal(check(". {\n}\n. {\n}\n", everywhere, other), CDNS_ECONFIG);
    assert_string_equal(error, "cannot serve dns://.:1053 on 127.0.0.2 - zone overlap listener capacity with "
                               "dns://.:1053 (Corefile:3)");
    // Of several addresses the last one is named.
    assert_int_equal(check(". {\n}\n. {\n}\n", two, everywhere), CDNS_ECONFIG);
    assert_string_equal(error, "cannot serve dns://.:1053 - zone overlap listener capacity with "
                               "dns://.:1053 on ::1 (Corefile:3)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_ports_are_compared),
        cmocka_unit_test(test_ports_of_schemes),
        cmocka_unit_test(test_other_addresses_stand_side_by_side),
        cmocka_unit_test(test_the_same_address_twice),
        cmocka_unit_test(test_the_wildcard_overlaps_with_every_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
