// SPDX-License-Identifier: Apache-2.0
#include "plugin_test.h"

#include <net/if.h>

extern const struct plugin clusterdns_plugin_bind;
static const struct plugin *const plugin = &clusterdns_plugin_bind;

static void reads_addresses_and_interfaces(void **state)
{
    (void)state;
    static const struct setup_case cases[] = {
        {"bind 127.0.0.1 ::1", NULL},
        {"bind lo\nbind 127.0.0.2", NULL},
        {"bind lo {\nexcept lo\n}", NULL},
        {"bind 10.0.0.1 {\n}", NULL},
        {"bind", "plugin/bind: at least one address or interface name is expected (Corefile:2)"},
        {"bind nosuch0", "plugin/bind: not a valid IP address or interface name: \"nosuch0\" (Corefile:2)"},
        {"bind 127.0.0.01", "plugin/bind: not a valid IP address or interface name: \"127.0.0.01\" (Corefile:2)"},
        {"bind 127.0.0.1:53", "plugin/bind: not a valid IP address or interface name: \"127.0.0.1:53\" (Corefile:2)"},
        {"bind [::1]", "plugin/bind: not a valid IP address or interface name: \"[::1]\" (Corefile:2)"},
        {"bind \"\"", "plugin/bind: not a valid IP address or interface name: \"\" (Corefile:2)"},
        {"bind \"a\\\"b\"", "plugin/bind: not a valid IP address or interface name: \"a\\\"b\" (Corefile:2)"},
        {"bind fe80::1%nosuch0",
         "plugin/bind: not a valid IP address or interface name: \"fe80::1%nosuch0\" (Corefile:2)"},
        {"bind ::1%lo", "plugin/bind: not a valid IP address or interface name: \"::1%lo\" (Corefile:2)"},
        {"bind 1234567890123456789012345678901234567890123456",
         "plugin/bind: not a valid IP address or interface name: \"1234567890123456789012345678901234567890123456\" "
         "(Corefile:2)"},
        {"bind lo {\nexcept\n}",
         "plugin/bind: at least one address or interface must be given to except subdirective (Corefile:3)"},
        {"bind lo {\nexcept nosuch0\n}",
         "plugin/bind: not a valid IP address or interface name: \"nosuch0\" (Corefile:3)"},
        {"bind lo {\ncolour red\n}", "plugin/bind: invalid option \"colour\" (Corefile:3)"},
    };
    check_setups(plugin, cases, COUNT(cases));
}

// The addresses, a blank behind each, with the number of their interface.
static const char *listens(const char *body)
{
    static char text[1024];
    char host[INET6_ADDRSTRLEN];
    struct built b;
    size_t len = 0;
    assert_int_equal(build(plugin, body, &b), 0);
    assert_non_null(b.listen); // with none, too: that is not all of them
    text[0] = '\0';
    for (size_t i = 0; i < b.nlisten; i++) {
        const union sockaddr_any *a = &b.listen[i];
        bool v6 = a->sa.sa_family == AF_INET6;
        inet_ntop(a->sa.sa_family, v6 ? (const void *)&a->in6.sin6_addr : &a->in.sin_addr, host, sizeof host);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s", host);
        if (v6 && a->in6.sin6_scope_id != 0)
            len += (size_t)snprintf(text + len, sizeof text - len, "%%%u", a->in6.sin6_scope_id);
        len += (size_t)snprintf(text + len, sizeof text - len, " ");
    }
    unbuild(plugin, &b);
    return text;
}

static void addresses_come_in_order(void **state)
{
    (void)state;
    assert_string_equal(listens("bind ::1 1.2.3.4 ::5 127.9.9.0"), "::1 1.2.3.4 ::5 127.9.9.0 ");
    assert_string_equal(listens("bind 1.2.3.4\nbind ::5 fd00:0::1"), "1.2.3.4 ::5 fd00::1 ");
    assert_string_equal(listens("bind ::ffff:1.2.3.4 0.0.0.0 ::"), "1.2.3.4 0.0.0.0 :: ");
}

static void except_is_for_its_own_directive(void **state)
{
    (void)state;
    assert_string_equal(listens("bind 1.2.3.4 ::1 {\nexcept 0::1 9.9.9.9\n}\nbind ::1"), "1.2.3.4 ::1 ");
    assert_string_equal(listens("bind 1.2.3.4 1.2.3.5 {\nexcept 1.2.3.4\nexcept 1.2.3.5\n}"), "1.2.3.4 ");
}

static void an_interface_has_its_addresses(void **state)
{
    (void)state;
    const char *lo = listens("bind lo");
    assert_non_null(strstr(lo, "127.0.0.1 "));
    assert_null(strstr(listens("bind lo {\nexcept 127.0.0.1\n}"), "127.0.0.1 "));
    log_begin(LOG_FORMAT_TEXT);
    assert_string_equal(listens("bind lo {\nexcept lo\n}"), "");
    assert_string_equal(log_end(), "[WARNING] plugin/bind: Corefile:2 - no address is left: the server block is "
                                   "served nowhere\n");
}

static void a_link_local_address_has_its_interface(void **state)
{
    (void)state;
    char expected[64];
    snprintf(expected, sizeof expected, "fe80::1%%%u ", if_nametoindex("lo"));
    assert_string_equal(listens("bind fe80::1%lo"), expected);
    assert_string_equal(listens("bind fe80::1"), "fe80::1 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses_and_interfaces),         cmocka_unit_test(addresses_come_in_order),
        cmocka_unit_test(except_is_for_its_own_directive),        cmocka_unit_test(an_interface_has_its_addresses),
        cmocka_unit_test(a_link_local_address_has_its_interface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
