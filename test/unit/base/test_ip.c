// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <clusterdns/ip.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void reads_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *is; // NULL: none
    } cases[] = {
        {"10.0.0.1", "10.0.0.1"},
        {"fd00::1", "fd00::1"},
        {"FD00:0:0::1", "fd00::1"},
        {"::", "::"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"::ffff:a00:1", "10.0.0.1"},
        {"::10.0.0.1", "::10.0.0.1"},
        {"", NULL},
        {"10.0.0", NULL},
        {"10.0.0.01", NULL},
        {"10.0.0.256", NULL},
        {"10.0.0.1 ", NULL},
        {"0x0a.0.0.1", NULL},
        {"fd00::1%eth0", NULL},
        {"fd00:::1", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"12345::", NULL},
        {"::10.0.0.01", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip_address a;
        char text[INET6_ADDRSTRLEN];
        if (ip_read(cases[i].text, &a) != (cases[i].is != NULL))
            fail_msg("%s", cases[i].text);
        if (cases[i].is == NULL)
            continue;
        inet_ntop(a.len == 4 ? AF_INET : AF_INET6, a.bytes, text, sizeof text);
        assert_string_equal(text, cases[i].is);
    }
}

static void knows_what_is_in_a_network(void **state)
{
    (void)state;
    static const struct {
        const char *network, *in, *out; // in NULL: it is none
    } cases[] = {
        {"10.9.20.0/24", "10.9.20.255", "10.9.21.0"},
        {"10.9.20.77/24", "10.9.20.0", "10.9.19.255"},
        {"10.9.20.128/25", "10.9.20.129", "10.9.20.127"},
        {"10.0.0.0/0", "255.255.255.255", "::1"},
        {"0.0.0.0/0", "10.0.0.1", "fd00::1"},
        {"10.0.0.1/32", "10.0.0.1", "10.0.0.0"},
        {"fd00::/8", "fdff::1", "fe00::"},
        {"fd00::/9", "fd7f::", "fd80::"},
        {"fd00::1/128", "fd00::1", "fd00::2"},
        {"::/0", "fd00::1", "10.0.0.1"},
        {"::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.0"},
        {"::ffff:10.0.0.0/96", "11.0.0.0", "::1"},
        {"::ffff:10.0.0.0/80", "::fffe:10.0.0.1", "10.0.0.1"},
        {"10.0.0.0/08", "10.1.1.1", "11.0.0.0"},
        {"10.0.0.0", NULL, NULL},
        {"10.0.0.0/", NULL, NULL},
        {"10.0.0.0/33", NULL, NULL},
        {"10.0.0.0/4294967297", NULL, NULL},
        {"10.0.0.0/-1", NULL, NULL},
        {"10.0.0.0/8x", NULL, NULL},
        {"10.0.0.0/8/8", NULL, NULL},
        {"fd00::/129", NULL, NULL},
        {"/8", NULL, NULL},
        {"", NULL, NULL},
        {"fd00::%eth0/8", NULL, NULL},
        {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ip_network n;
        struct ip_address in, out;
        if (ip_network_read(cases[i].network, &n) != (cases[i].in != NULL))
            fail_msg("%s", cases[i].network);
        if (cases[i].in == NULL)
            continue;
        assert_true(ip_read(cases[i].in, &in) && ip_read(cases[i].out, &out));
        if (!ip_network_has(&n, &in) || ip_network_has(&n, &out))
            fail_msg("%s: %s, not %s", cases[i].network, cases[i].in, cases[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(knows_what_is_in_a_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
