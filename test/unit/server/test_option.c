// SPDX-License-Identifier: Apache-2.0
#include <clusterdns/query.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void first_of_its_code_is_found(void **state)
{
    (void)state;
    static const uint8_t options[] = {0, 10, 0, 0, 0, 3, 0, 2, 'h', 'i', 0, 3, 0, 1, 'x'};
    const struct query q = {.edns = true, .options = options, .options_len = sizeof options};
    const uint8_t *data;
    uint16_t len;
    assert_true(query_option(&q, 3, &data, &len));
    assert_int_equal(len, 2);
    assert_memory_equal(data, "hi", 2);
    assert_true(query_option(&q, 10, NULL, &len));
    assert_int_equal(len, 0);
    assert_false(query_option(&q, 8, NULL, NULL));
}

static void cut_options_are_none(void **state)
{
    (void)state;
    static const uint8_t options[] = {0, 3, 0, 2, 'h'};
    for (uint16_t len = 0; len <= sizeof options; len++) {
        const struct query q = {.edns = true, .options = options, .options_len = len};
        assert_false(query_option(&q, 3, NULL, NULL));
    }
}

static void options_are_added_one_by_one(void **state)
{
    (void)state;
    static const uint8_t both[] = {0, 3, 0, 2, 'h', 'i', 0, 15, 0, 0};
    struct query q = {.edns = true, .arena = arena_new(0)};
    char data[] = "hi";
    assert_int_equal(reply_option_add(&q, 3, data, 2), 0);
    data[0] = 'x'; // it was copied
    assert_int_equal(reply_option_add(&q, 15, NULL, 0), 0);
    assert_int_equal(q.reply.options_len, sizeof both);
    assert_memory_equal(q.reply.options, both, sizeof both);
    arena_free(q.arena);
}

static void bounds(void **state)
{
    (void)state;
    static const uint8_t big[UINT16_MAX];
    struct query q = {.arena = arena_new(70000)};
    assert_int_equal(reply_option_add(&q, 3, "x", 1), 0); // no EDNS, no option
    assert_int_equal(q.reply.options_len, 0);
    q.edns = true;
    assert_int_equal(reply_option_add(&q, 3, big, UINT16_MAX - 3), CDNS_ERANGE);
    assert_int_equal(reply_option_add(&q, 3, big, UINT16_MAX - 4), 0);
    assert_int_equal(reply_option_add(&q, 3, "x", 1), CDNS_ERANGE);
    assert_int_equal(q.reply.options_len, UINT16_MAX);
    q.reply = (struct reply){0};
    assert_int_equal(reply_option_add(&q, 3, big, 60000), CDNS_ENOMEM);
    arena_free(q.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_of_its_code_is_found),
        cmocka_unit_test(cut_options_are_none),
        cmocka_unit_test(options_are_added_one_by_one),
        cmocka_unit_test(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
