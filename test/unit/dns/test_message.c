// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "dns/message.h"
#include <string.h>

static void plain_query_and_reply(void **state)
{
    (void)state;
    static const uint8_t query[] = "\x12\x34\x01\x20\0\1\0\0\0\0\0\1\3Web\7default\3svc\7cluster\5local\0\0\1\0\1"
                                   "\0\0\x29\x04\xd0\0\0\x80\0\0\0";
    struct message m;
    assert_int_equal(message_parse(query, sizeof query - 1, &m), 0);
    assert_int_equal(m.id, 0x1234);
    assert_true(m.rd && m.ad && m.edns && m.do_);
    assert_int_equal(m.edns_size, 1232);
    assert_memory_equal(m.qname, "\3web\7default\3svc\7cluster\5local", 31);

    struct record rr = {m.qname_asked, (const uint8_t *)"\x0a\x60\0\x0a", 5, RR_A, CLASS_IN, 4};
    struct records answer = {&rr, 1, 1};
    struct message_reply reply = {.id = m.id,
                                  .aa = true,
                                  .rd = m.rd,
                                  .has_question = true,
                                  .qname = m.qname_asked,
                                  .qtype = m.qtype,
                                  .qclass = m.qclass,
                                  .answer = &answer,
                                  .edns = true,
                                  .edns_size = 1232};
    uint8_t out[512];
    bool truncated;
    size_t n = message_write(&reply, out, sizeof out, 512, &truncated);
    static const uint8_t want[] = "\x12\x34\x85\0\0\1\0\1\0\0\0\1\3Web\7default\3svc\7cluster\5local\0\0\1\0\1"
                                  "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\x60\0\x0a"
                                  "\0\0\x29\x04\xd0\0\0\0\0\0\0";
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(out, want, n);
    assert_false(truncated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_query_and_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
