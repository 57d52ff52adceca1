// SPDX-License-Identifier: Apache-2.0
#include "server/listen_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static union sockaddr_any ip4(const char *text)
{
    union sockaddr_any a = {.in = {.sin_family = AF_INET, .sin_port = htons(1)}};
    assert_int_equal(inet_pton(AF_INET, text, &a.in.sin_addr), 1);
    return a;
}

static union sockaddr_any ip6(const char *text, unsigned scope)
{
    union sockaddr_any a = {.in6 = {.sin6_family = AF_INET6, .sin6_scope_id = scope}};
    assert_int_equal(inet_pton(AF_INET6, text, &a.in6.sin6_addr), 1);
    return a;
}

static void texts(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT_MAX], expected[ADDRESS_TEXT_MAX];
    unsigned lo = if_nametoindex("lo");
    union sockaddr_any any = {0}, four = ip4("127.0.0.1"), six = ip6("::1", 0), local = ip6("fe80::1", lo),
                       gone = ip6("fe80::1", 999999);
    assert_string_equal(listen_text(&any, 53, text), ":53");
    assert_string_equal(listen_text(&four, 53, text), "127.0.0.1:53");
    assert_string_equal(listen_text(&six, 65535, text), "[::1]:65535");
    assert_string_equal(listen_text(&gone, 53, text), "[fe80::1%999999]:53");
    snprintf(expected, sizeof expected, lo != 0 ? "[fe80::1%%lo]:53" : "[fe80::1]:53");
    assert_string_equal(listen_text(&local, 53, text), expected);
}

static void all_addresses_are_one(void **state)
{
    (void)state;
    union sockaddr_any any = {0}, any4 = ip4("0.0.0.0"), any6 = ip6("::", 0), one = ip4("127.0.0.1");
    assert_true(listen_is_same(&any, &any4) && listen_is_same(&any4, &any6) && listen_is_same(&any6, &any));
    assert_false(listen_is_same(&any, &one) || listen_is_same(&one, &any6));
    assert_false(listen_is_any(&one));
}

static void interfaces_count_and_ports_do_not(void **state)
{
    (void)state;
    union sockaddr_any a = ip6("fe80::1", 1), b = ip6("fe80::1", 2), c = ip6("fe80::1", 1), four = ip4("10.0.0.1"),
                       other = ip4("10.0.0.1");
    c.in6.sin6_port = 7;
    other.in.sin_port = 7;
    assert_false(listen_is_same(&a, &b));
    assert_true(listen_is_same(&a, &c));
    assert_true(listen_is_same(&four, &other));
    assert_false(listen_is_same(&four, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(all_addresses_are_one),
        cmocka_unit_test(interfaces_count_and_ports_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
