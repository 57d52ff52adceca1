// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/stub.h"
#include <string.h>

#define ANSWER 10 // what an answer takes
#define TIMEOUT 1000

static const struct options pod = {.ndots = 5, .namespace_ = "shop", .zone = "cluster.local"};

struct rig {
    struct candidates names;
    struct lookups results;
    struct stub *stub;
    uint64_t now;
};

static void begin(struct rig *r, const char *text, unsigned attempts)
{
    static const struct question_options plain = {.rd = true};
    char why[CANDIDATES_ERROR_MAX];
    struct questions set;
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(file);
    assert_int_equal(questions_read(file, "names", &plain, &set, why), 0);
    fclose(file);
    *r = (struct rig){.now = 1};
    assert_int_equal(candidates_make(&set, &pod, &r->names, why), 0);
    questions_free(&set);
    r->results.latency = histogram_new(HISTOGRAM_FINE);
    r->stub = stub_new(&r->names, attempts, &r->results);
    assert_non_null(r->stub);
}

static void finish(struct rig *r)
{
    stub_free(r->stub);
    histogram_free(r->results.latency);
    candidates_free(&r->names);
}

// An answer to a question, by a letter: + an address, 0 no data, N no such name, S SERVFAIL, R REFUSED, I NOTIMP,
// F FORMERR, C a CNAME alone, B one before the address, r a referral, T truncated, t truncated with an address, h half
// an address.
static size_t answer(const struct question *q, char kind, uint8_t out[600])
{
    static const uint8_t cname[] = {0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, 4, 1, 'x', 0xc0, 12};
    uint8_t address[28] = {0xc0, 12, 0, (uint8_t)q->qtype, 0, 1, 0, 0, 0, 5, 0, q->qtype == 1 ? 4 : 16};
    static const char rcodes[] = " FSN.R";
    const char *rcode = strchr("NSRF", kind) != NULL ? strchr(rcodes, kind) : NULL;
    size_t size = q->size, address_size = q->qtype == 1 ? 16 : 28;
    memcpy(out, q->wire, size);
    out[2] = (uint8_t)(0x81 | (strchr("Tt", kind) != NULL ? 2 : 0));
    out[3] = (uint8_t)((kind == 'r' ? 0 : 0x80) | (kind == 'I' ? 4 : rcode != NULL ? rcode - rcodes : 0));
    if (kind == 'C' || kind == 'B') {
        memcpy(out + size, cname, sizeof cname);
        size += sizeof cname;
        out[7]++;
    }
    if (strchr("+Bth", kind) != NULL) {
        memcpy(out + size, address, address_size);
        size += address_size - (kind == 'h');
        out[7]++;
    }
    return size;
}

static void reply(struct rig *r, const struct stub_ask *ask, unsigned i, char kind)
{
    uint8_t message[600];
    size_t size = answer(&r->names.questions.all[ask->questions[i]], kind, message);
    stub_answered(r->stub, ask->ticket, ask->questions[i], message, size, r->now);
}

// Plays what is asked and what comes back, "CANDIDATE:AB", for A and AAAA: a letter as above, L lost, . is not asked.
// Answers come AAAA first if `swapped`.
static void play(struct rig *r, const char *script, bool swapped)
{
    for (const char *at = script; *at != '\0'; at += at[4] == ' ' ? 5 : 4) {
        struct stub_ask ask;
        bool lost = at[2] == 'L' || at[3] == 'L';
        assert_true(stub_asks(r->stub));
        assert_true(stub_next(r->stub, &ask));
        assert_int_equal(ask.due, r->now);
        assert_int_equal(ask.n, (at[2] != '.') + (at[3] != '.'));
        r->now += ANSWER;
        for (unsigned i = 0; i < ask.n; i++) {
            unsigned which = swapped ? ask.n - 1 - i : i, type = ask.questions[which] & 1;
            assert_int_equal(ask.questions[which] / 2, at[0] - '0');
            assert_true(at[2 + type] != '.');
            if (at[2 + type] != 'L')
                reply(r, &ask, which, at[2 + type]);
        }
        r->now += lost ? TIMEOUT - ANSWER : 0;
        for (unsigned i = 0; i < ask.n; i++)
            if (at[2 + (ask.questions[i] & 1)] == 'L')
                stub_lost(r->stub, ask.ticket, ask.questions[i], r->now);
    }
}

static const struct {
    const char *name, *script;
    char result; // + found, N not found, F failed
} cases[] = {
    // Any address is enough, but both answers are awaited.
    {"www", "0:++", '+'},
    {"www", "0:+0", '+'},
    {"www", "0:N+", '+'},
    {"www", "0:BC", '+'},
    {"www", "0:tT", '+'},
    // A CNAME alone ends it, as records that are cut off do.
    {"www", "0:CC", 'N'},
    {"www", "0:C0", 'N'},
    {"www", "0:hh", 'N'},
    // Negative answers lead on, one after the other.
    {"www", "0:NN 1:00 2:NN 3:++", '+'},
    {"www", "0:NN 1:NN 2:NN 3:NN", 'N'},
    {"www", "0:00 1:N0 2:0N 3:00", 'N'},
    {"www.", "0:++", '+'},
    {"www.", "0:NN", 'N'},
    {"www.", "0:00", 'N'},
    // Errors of one question are passed over, of both they are asked again, then SERVFAIL leads on.
    {"www", "0:S+", '+'},
    {"www", "0:R0 1:+I", '+'},
    {"www", "0:SS 0:++", '+'},
    {"www", "0:SS 0:SS 1:++", '+'},
    {"www", "0:RS 0:RR 1:++", '+'},
    {"www", "0:SS 0:SS 1:NN 2:NN 3:NN", 'F'},
    {"www", "0:SS 0:SS 1:00 2:NN 3:NN", 'N'},
    {"www", "0:NN 1:NN 2:NN 3:SS 3:SS", 'F'},
    {"www", "0:00 1:NN 2:NN 3:SS 3:SS", 'N'},
    {"www.", "0:SS 0:SS", 'F'},
    // All other ones lead to the name as it is.
    {"www", "0:RR 0:RR 3:++", '+'},
    {"www", "0:II 0:RI 3:RR 3:RR", 'F'},
    {"www", "0:rr 0:rr 3:NN", 'N'},
    {"www", "0:TT 0:TT 3:++", '+'},
    {"www", "0:FF 3:++", '+'},
    {"www", "0:FN 3:FF", 'F'},
    // So do losses.
    {"www", "0:LL 0:++", '+'},
    {"www", "0:LL 0:LL 3:++", '+'},
    {"www", "0:LL 0:LL 3:LL 3:LL", 'F'},
    {"www", "0:LL 0:LL 3:NN", 'N'},
    {"www", "0:LL 0:SL 1:++", '+'},
    {"www", "0:SL 0:++", '+'},
    {"www.", "0:LL 0:LL", 'F'},
    // One answer of two: both again, twice, one after the other; from then on always.
    {"www", "0:+L 0:+. 0:.+", '+'},
    {"www", "0:+L 0:+. 0:.L 0:+. 0:.L", '+'},
    {"www", "0:NL 0:N. 0:.L 0:N. 0:.L 1:+. 1:.0", '+'},
    {"www", "0:L+ 0:L. 0:L. 3:N. 3:.N", 'N'},
    {"www", "0:L+ 0:+. 0:.0", '+'},
    {"www", "0:LL 0:+L 0:+. 0:.L 0:+. 0:.L", '+'},
    // As it is first: its result is the look-up's, whatever else there was.
    {"a.b.c.d.e.f", "0:+0", '+'},
    {"a.b.c.d.e.f", "0:NN 1:NN 2:++", '+'},
    {"a.b.c.d.e.f", "0:NN 1:SS 1:SS 2:NN 3:NN", 'N'},
    {"a.b.c.d.e.f", "0:NN 1:LL 1:LL", 'N'},
    {"a.b.c.d.e.f", "0:SS 0:SS 1:00 2:NN 3:NN", 'F'},
    {"a.b.c.d.e.f", "0:LL 0:LL 1:NN 2:NN 3:++", '+'},
    {"a.b.c.d.e.f", "0:RR 0:RR 1:NN 2:NN 3:NN", 'F'},
};

static void scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        struct rig r;
        char line[64];
        size_t questions = 0;
        for (const char *at = cases[i / 2].script; *at != '\0'; at += at[4] == ' ' ? 5 : 4)
            questions += 2U - (at[2] == '.') - (at[3] == '.');
        snprintf(line, sizeof line, "%s A\n", cases[i / 2].name);
        begin(&r, line, 2);
        stub_begin(r.stub, 0, r.now);
        play(&r, cases[i / 2].script, i % 2 != 0);
        assert_false(stub_asks(r.stub));
        assert_int_equal(stub_active(r.stub), 0);
        assert_int_equal(r.results.found, cases[i / 2].result == '+');
        assert_int_equal(r.results.not_found, cases[i / 2].result == 'N');
        assert_int_equal(r.results.failed, cases[i / 2].result == 'F');
        assert_int_equal(r.results.questions, questions);
        assert_int_equal(histogram_max(r.results.latency), r.now - 1);
        finish(&r);
    }
}

static void attempts(void **state)
{
    (void)state;
    struct rig r;
    begin(&r, "www. A\n", 1);
    stub_begin(r.stub, 0, r.now);
    play(&r, "0:LL", false);
    assert_int_equal(r.results.failed, 1);
    finish(&r);
    begin(&r, "www. A\n", 5);
    stub_begin(r.stub, 0, r.now);
    play(&r, "0:LL 0:SS 0:LL 0:SL 0:LL", false);
    assert_int_equal(r.results.failed, 1);
    finish(&r);
}

// What comes after its time counts as long as it is asked for, and ends no other look-up.
static void late(void **state)
{
    (void)state;
    struct rig r;
    struct stub_ask first, second, third;
    begin(&r, "www A\n", 2);
    stub_begin(r.stub, 0, r.now);
    assert_true(stub_next(r.stub, &first));
    r.now += TIMEOUT;
    stub_lost(r.stub, first.ticket, first.questions[0], r.now);
    stub_lost(r.stub, first.ticket, first.questions[1], r.now);
    reply(&r, &first, 0, '+'); // before it is sent again
    assert_true(stub_next(r.stub, &second));
    assert_int_equal(second.n, 1);
    assert_int_equal(second.questions[0], first.questions[1]);
    stub_lost(r.stub, first.ticket, first.questions[1], r.now); // known
    assert_int_equal(stub_active(r.stub), 1);
    reply(&r, &first, 1, '+');
    assert_int_equal(r.results.found, 1);
    stub_begin(r.stub, 0, r.now); // in the same place
    assert_true(stub_next(r.stub, &third));
    assert_int_equal(third.ticket.lookup, first.ticket.lookup);
    reply(&r, &second, 0, '+');
    reply(&r, &first, 0, '+');
    stub_lost(r.stub, second.ticket, second.questions[0], r.now);
    assert_int_equal(stub_active(r.stub), 1);
    reply(&r, &third, 0, '+');
    reply(&r, &third, 0, '+'); // twice
    assert_int_equal(stub_active(r.stub), 1);
    reply(&r, &third, 1, '+');
    assert_int_equal(r.results.found, 2);
    finish(&r);
}

// It ends while it waits to be sent again: the place is free only after that.
static void ended_in_queue(void **state)
{
    (void)state;
    struct rig r;
    struct stub_ask first, other;
    begin(&r, "www A\n", 2);
    stub_begin(r.stub, 0, r.now);
    assert_true(stub_next(r.stub, &first));
    stub_lost(r.stub, first.ticket, first.questions[0], r.now);
    stub_lost(r.stub, first.ticket, first.questions[1], r.now);
    reply(&r, &first, 0, '+');
    reply(&r, &first, 1, '+');
    assert_int_equal(stub_active(r.stub), 0);
    stub_begin(r.stub, 0, r.now);
    assert_true(stub_next(r.stub, &other));
    assert_int_not_equal(other.ticket.lookup, first.ticket.lookup);
    assert_false(stub_next(r.stub, &other));
    finish(&r);
}

// Many at a time: in the order in which they began, each with its own answers.
static void many(void **state)
{
    (void)state;
    enum { N = 5000 };
    static struct stub_ask asks[N];
    struct rig r;
    begin(&r, "www A\napi A\n", 2);
    for (unsigned i = 0; i < N; i++)
        stub_begin(r.stub, i % 2, r.now);
    for (unsigned i = 0; i < N; i++) {
        assert_true(stub_next(r.stub, &asks[i]));
        assert_int_equal(asks[i].questions[0], r.names.names[i % 2].first);
    }
    for (unsigned i = 0; i < N; i += 2)
        reply(&r, &asks[i], 0, '+');
    assert_int_equal(stub_active(r.stub), N);
    for (unsigned i = 0; i < N; i += 2)
        reply(&r, &asks[i], 1, '+');
    assert_int_equal(stub_active(r.stub), N / 2);
    assert_int_equal(r.results.found, N / 2);
    assert_int_equal(r.results.due, N);
    finish(&r);
}

static void stopped(void **state)
{
    (void)state;
    struct rig r;
    struct stub_ask first, second;
    begin(&r, "www A\n", 2);
    for (int i = 0; i < 3; i++)
        stub_begin(r.stub, 0, r.now);
    assert_true(stub_next(r.stub, &first));
    assert_true(stub_next(r.stub, &second));
    stub_stop(r.stub);
    assert_int_equal(stub_active(r.stub), 2);
    assert_false(stub_asks(r.stub));
    reply(&r, &first, 0, '+'); // what is on its way is waited for
    reply(&r, &first, 1, '0');
    reply(&r, &second, 0, 'N');
    reply(&r, &second, 1, 'N');
    assert_int_equal(stub_active(r.stub), 0);
    assert_false(stub_asks(r.stub));
    assert_int_equal(r.results.found, 1);
    assert_int_equal(r.results.due, 3);
    assert_int_equal(r.results.not_found + r.results.failed, 0);
    finish(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts),        cmocka_unit_test(attempts), cmocka_unit_test(late),
        cmocka_unit_test(ended_in_queue), cmocka_unit_test(many),     cmocka_unit_test(stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
