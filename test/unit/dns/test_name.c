// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <clusterdns/name.h>
#include <string.h>

#define N(literal) ((const uint8_t *)(literal))

static void text_round_trip(void **state)
{
    (void)state;
    uint8_t name[NAME_MAX_WIRE];
    char text[NAME_MAX_TEXT];
    assert_int_equal(name_from_text("Web.Default.svc.cluster.local", name), 0);
    assert_memory_equal(name, "\3Web\7Default\3svc\7cluster\5local", 31);
    assert_int_equal(name_to_text(name, text), 30);
    assert_string_equal(text, "Web.Default.svc.cluster.local.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
