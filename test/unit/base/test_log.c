// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// \file
// What lines look like; test_logring.c has how they get out.
#include "base/clock.h"
#include "base/logring.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char captured[1 << 16];
static int out[2];

static void begin(enum log_format format)
{
    assert_int_equal(pipe(out), 0);
    assert_int_equal(log_start(out[1], format), 0);
}

// Ends the log and returns all that it wrote.
static const char *end(void)
{
    log_stop(UINT64_C(5000000000));
    close(out[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], captured + n, sizeof captured - 1 - n)) > 0;)
        n += (size_t)got;
    close(out[0]);
    captured[n] = '\0';
    return captured;
}

static void text_lines_are_coredns(void **state)
{
    (void)state;
    begin(LOG_FORMAT_TEXT);
    log_write(LOG_LEVEL_INFO, "%s %d", "a", 1);
    log_write(LOG_LEVEL_WARNING, "b");
    log_write(LOG_LEVEL_ERROR, "c");
    log_write(LOG_LEVEL_FATAL, "d");
    log_plugin(LOG_LEVEL_INFO, "ready", "Still waiting on: \"%s\"", "kubernetes");
    log_raw(".:53 extra", 4);
    assert_string_equal(end(), "[INFO] a 1\n[WARNING] b\n[ERROR] c\n[FATAL] d\n"
                               "[INFO] plugin/ready: Still waiting on: \"kubernetes\"\n.:53\n");
}

static void debug_lines_need_debug(void **state)
{
    (void)state;
    begin(LOG_FORMAT_TEXT);
    log_write(LOG_LEVEL_DEBUG, "hidden");
    log_debug_hold();
    log_plugin(LOG_LEVEL_DEBUG, "x", "shown");
    log_debug_release();
    log_plugin(LOG_LEVEL_DEBUG, "x", "hidden");
    assert_string_equal(end(), "[DEBUG] plugin/x: shown\n");
}

static void outside_text_cannot_forge_a_line(void **state)
{
    (void)state;
    begin(LOG_FORMAT_TEXT);
    log_write(LOG_LEVEL_INFO, "%s", "a\n[ERROR] b\rc\033[2Jd\x7f");
    log_raw("x\ny\0z", 5);
    assert_string_equal(end(), "[INFO] a\\n[ERROR] b\\x0dc\\x1b[2Jd\\x7f\nx\\ny\\x00z\n");
}

static void utf8_and_tab_pass_and_the_rest_is_escaped(void **state)
{
    (void)state;
    begin(LOG_FORMAT_TEXT);
    log_write(LOG_LEVEL_INFO, "\tä€😀");
    log_write(LOG_LEVEL_INFO, "\xc2\x9b"
                              "2J"); // C1: CSI
    log_write(LOG_LEVEL_INFO, "\xc3 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xff");
    assert_string_equal(end(), "[INFO] \tä€😀\n[INFO] \\xc2\\x9b2J\n"
                               "[INFO] \\xc3 \\xc0\\xaf \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xff\n");
}

// A line of `n` times 'x' comes out with all of them, or cut to the limit.
static void check_length(size_t n, size_t line)
{
    char text[5000];
    memset(text, 'x', n);
    begin(LOG_FORMAT_TEXT);
    log_raw(text, n);
    const char *got = end();
    assert_int_equal(strlen(got), line);
    assert_int_equal(got[line - 1], '\n');
    assert_int_equal(got[line - 2], 'x');
}

static void line_of_4095_bytes_is_whole_and_longer_ones_are_cut(void **state)
{
    (void)state;
    check_length(4095, 4096);
    check_length(4096, 4096);
    check_length(5000, 4096);
}

static void cut_never_falls_into_an_escape(void **state)
{
    (void)state;
    char text[4096];
    for (size_t before = 4085; before < 4095; before++) {
        memset(text, 'x', before);
        memset(text + before, '\1', sizeof text - before);
        begin(LOG_FORMAT_TEXT);
        log_raw(text, sizeof text);
        size_t len = strlen(end());
        assert_int_equal(len, before + (4095 - before) / 4 * 4 + 1);
    }
}

static json_t *only_record(const char *lines)
{
    size_t len = strlen(lines);
    assert_true(len > 0 && len <= 4096);
    assert_ptr_equal(strchr(lines, '\n'), lines + len - 1);
    json_error_t error;
    json_t *record = json_loads(lines, JSON_REJECT_DUPLICATES, &error);
    if (record == NULL)
        fail_msg("%s: %s", error.text, lines);
    return record;
}

static const char *member(json_t *record, const char *key)
{
    return json_string_value(json_object_get(record, key));
}

static void json_records_have_corednss_members(void **state)
{
    (void)state;
    static const char *const levels[] = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    log_debug_hold();
    clock_set_for_test(1, INT64_C(1753500000123456789));
    for (int level = LOG_LEVEL_DEBUG; level <= LOG_LEVEL_FATAL; level++) {
        begin(LOG_FORMAT_JSON);
        log_plugin((enum log_level)level, "errors", "2 %s. A: read", "example.org");
        json_t *record = only_record(end());
        assert_int_equal(json_object_size(record), 4);
        assert_string_equal(member(record, "time"), "2025-07-26T03:20:00.123456789Z");
        assert_string_equal(member(record, "level"), levels[level]);
        assert_string_equal(member(record, "msg"), "2 example.org. A: read");
        assert_string_equal(member(record, "plugin"), "errors");
        json_decref(record);
    }
    clock_set_for_test(0, 0);
    log_debug_release();
}

static void json_keeps_every_character(void **state)
{
    (void)state;
    const char *text = "quoted \"value\"\nnext\rline\t\\end \1\x1f\x7f ä€😀";
    begin(LOG_FORMAT_JSON);
    log_write(LOG_LEVEL_INFO, "%s", text);
    json_t *record = only_record(end());
    assert_int_equal(json_object_size(record), 3);
    assert_string_equal(member(record, "msg"), text);
    json_decref(record);
}

static void json_replaces_what_is_not_utf8(void **state)
{
    (void)state;
    begin(LOG_FORMAT_JSON);
    log_write(LOG_LEVEL_INFO, "a\xff\xed\xa0\x80z");
    json_t *record = only_record(end());
    assert_string_equal(member(record, "msg"), "a\uFFFD\uFFFD\uFFFD\uFFFDz");
    json_decref(record);
}

static void long_json_message_is_cut_and_valid(void **state)
{
    (void)state;
    char text[4096];
    memset(text, '"', sizeof text);
    text[sizeof text - 1] = '\0';
    begin(LOG_FORMAT_JSON);
    log_plugin(LOG_LEVEL_INFO, "errors", "%s", text);
    json_t *record = only_record(end());
    assert_true(strlen(member(record, "msg")) > 1900);
    assert_string_equal(member(record, "plugin"), "errors");
    json_decref(record);
}

static void members_are_added_in_json_only(void **state)
{
    (void)state;
    char name[64], members[128];
    assert_int_equal(log_json_string("a\"b", 3, name, sizeof name), 6);
    snprintf(members, sizeof members, ",\"qname\":%s,\"id\":7,\"do\":false", name);
    begin(LOG_FORMAT_JSON);
    assert_true(log_is_json());
    log_members(members, "query");
    json_t *record = only_record(end());
    assert_string_equal(member(record, "level"), "INFO");
    assert_string_equal(member(record, "qname"), "a\"b");
    assert_int_equal(json_integer_value(json_object_get(record, "id")), 7);
    assert_true(json_is_false(json_object_get(record, "do")));
    json_decref(record);

    begin(LOG_FORMAT_TEXT);
    assert_false(log_is_json());
    log_members(members, "query");
    assert_string_equal(end(), "[INFO] query\n");
}

static void json_string_is_cut_to_its_room(void **state)
{
    (void)state;
    char text[8];
    assert_int_equal(log_json_string("abcdefgh", 8, text, sizeof text), 7);
    assert_string_equal(text, "\"abcde\"");
    assert_int_equal(log_json_string("abcd\1", 5, text, sizeof text), 6);
    assert_string_equal(text, "\"abcd\"");
    assert_int_equal(log_json_string("abc", 3, text, 3), 2);
    assert_string_equal(text, "\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_are_coredns),
        cmocka_unit_test(debug_lines_need_debug),
        cmocka_unit_test(outside_text_cannot_forge_a_line),
        cmocka_unit_test(utf8_and_tab_pass_and_the_rest_is_escaped),
        cmocka_unit_test(line_of_4095_bytes_is_whole_and_longer_ones_are_cut),
        cmocka_unit_test(cut_never_falls_into_an_escape),
        cmocka_unit_test(json_records_have_corednss_members),
        cmocka_unit_test(json_keeps_every_character),
        cmocka_unit_test(json_replaces_what_is_not_utf8),
        cmocka_unit_test(long_json_message_is_cut_and_valid),
        cmocka_unit_test(members_are_added_in_json_only),
        cmocka_unit_test(json_string_is_cut_to_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
