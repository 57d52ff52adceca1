// SPDX-License-Identifier: Apache-2.0
// What the API server's refusals mean.
#include "encode.h"
#include "kube/status.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct api_status status;

static void from_json(const char *json)
{
    json_t *object = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(object);
    api_status_decode(object, &status);
    json_decref(object);
}

static void objects(void **unused)
{
    (void)unused;
    from_json("{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}");
    assert_int_equal(status.code, 410);
    assert_true(status.expired);
    assert_string_equal(status.message, "too old");
    from_json("{\"code\":500,\"reason\":\"Gone\"}");
    assert_true(status.expired);
    from_json(
        "{\"code\":504,\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}],\"retryAfterSeconds\":3}}");
    assert_true(status.too_large);
    assert_false(status.expired);
    assert_int_equal(status.retry_after, 3);
    from_json("{\"code\":504,\"message\":\"Timeout: Too large resource version: 9, current: 1\"}");
    assert_true(status.too_large);
}

static void absurd_objects(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"null", "7", "{}", "{\"code\":\"410\",\"reason\":7,\"message\":[]}",
                                        "{\"code\":-1,\"details\":{\"causes\":7,\"retryAfterSeconds\":-5}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        from_json(texts[i]);
        assert_int_equal(status.code, 500);
        assert_false(status.expired);
        assert_int_equal(status.retry_after, 0);
    }
}

static void messages(void **unused)
{
    (void)unused;
    struct message m = {0}, details = {0}, cause = {0};
    put_text(&m, 2, "Failure");
    put_text(&m, 3, "Timeout: Too large");
    put_text(&m, 4, "Timeout");
    put_text(&cause, 2, "Too large resource version");
    put_message(&details, 4, &cause);
    put_text(&cause, 1, "ResourceVersionTooLarge");
    put_message(&details, 4, &cause);
    put_integer(&details, 5, 3);
    put_message(&m, 5, &details);
    put_integer(&m, 6, 504);
    api_status_from_protobuf(m.data, m.len, &status);
    assert_int_equal(status.code, 504);
    assert_true(status.too_large);
    assert_int_equal(status.retry_after, 3);
    assert_string_equal(status.reason, "Timeout");
    assert_string_equal(status.message, "Timeout: Too large");
    m.len = 0;
    put_text(&m, 4, "Gone");
    put_integer(&m, 6, -1);
    api_status_from_protobuf(m.data, m.len, &status);
    assert_int_equal(status.code, 500);
    assert_true(status.expired);
    put_text(&m, 3, "line\aone\nline two");
    put_bytes(&m,
              "\"\x20"
              "Expi",
              6); // ends inside a text
    api_status_from_protobuf(m.data, m.len, &status);
    assert_string_equal(status.message, "line one");
    assert_string_equal(status.reason, "Gone");
}

static void answers_in_protobuf(void **unused)
{
    (void)unused;
    struct message m = {0}, body = {0};
    put_text(&m, 3, "no");
    put_text(&m, 4, "Forbidden");
    put_integer(&m, 6, 403);
    put_object(&body, "v1", "Status", &m);
    api_status_from_http(403, (const char *)body.data, body.len, 9, &status);
    assert_int_equal(status.code, 403);
    assert_string_equal(status.reason, "Forbidden");
    assert_string_equal(status.message, "no");
    assert_int_equal(status.retry_after, 9);
    for (size_t len = 0; len < body.len; len++) {
        api_status_from_http(410, (const char *)body.data, len, 0, &status);
        assert_int_equal(status.code, 410);
        assert_true(status.expired);
    }
}

static void answers(void **unused)
{
    (void)unused;
    static const char body[] = "{\"code\":403,\"reason\":\"Forbidden\",\"message\":\"line\\u0007one\\nline two\"}";
    api_status_from_http(403, body, sizeof body - 1, 0, &status);
    assert_int_equal(status.code, 403);
    assert_string_equal(status.message, "line one");
    api_status_from_http(503, "upstream\x1b[31m down\r\nmore", 24, 17, &status);
    assert_int_equal(status.code, 503);
    assert_string_equal(status.message, "upstream [31m down");
    assert_int_equal(status.retry_after, 17);
    api_status_from_http(410, "", 0, 0, &status);
    assert_true(status.expired);
    char long_body[2000];
    memset(long_body, 'x', sizeof long_body);
    api_status_from_http(500, long_body, sizeof long_body, 0, &status);
    assert_int_equal(strlen(status.message), sizeof status.message - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects),  cmocka_unit_test(absurd_objects),
        cmocka_unit_test(messages), cmocka_unit_test(answers_in_protobuf),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
