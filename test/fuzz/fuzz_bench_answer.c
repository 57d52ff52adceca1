// SPDX-License-Identifier: Apache-2.0
// \file
// What a server may send to dnsbench, of which three questions wait: messages with two bytes of length before each,
// those with id 0, 1 or 2 get the id of that question. Whatever it is, each question ends once, and each message is
// counted once. What messages say (digest.h) is what the server's own decoder reads in them.
#include "dnsbench/digest.h"
#include "dnsbench/worker.h"
#include <clusterdns/arena.h>
#include <clusterdns/clock.h>
#include <clusterdns/message.h>
#include <string.h>

#define QUESTIONS 3
#define TIMEOUT 200000000 // nanoseconds: longer than the worker sleeps, so that it does not

void clock_set_for_test(uint64_t monotonic_ns, int64_t realtime_ns);

static const uint8_t *input;
static size_t input_size;
static uint64_t messages;
static struct arena *arena;

static bool is_simple(const struct records *set)
{
    static const uint16_t types[] = {RR_A, RR_AAAA, RR_CNAME, RR_NS, RR_PTR, RR_MX, RR_SRV, RR_TXT};
    for (uint32_t i = 0; i < set->n; i++) {
        size_t k = 0;
        while (k < sizeof types / sizeof types[0] && types[k] != set->rr[i].type)
            k++;
        if (k == sizeof types / sizeof types[0])
            return false;
    }
    return true;
}

static void check_digest(const uint8_t *message, size_t size)
{
    struct message_answer a;
    uint64_t digest = 0, expected;
    bool good = digest_of_message(message, size, &digest);
    arena_reset(arena);
    if (message_answer_read(arena, message, size, &a) != 0 || a.tc || !is_simple(&a.answer))
        return;
    expected = digest_of_rcode(a.rcode & 15);
    for (uint32_t i = 0; i < a.answer.n; i++) {
        const struct record *rr = &a.answer.rr[i];
        expected = digest_with(expected, rr->owner, rr->type, rr->rdata, rr->rdlen);
    }
    INVARIANT(good && digest == expected);
}

// Everything comes as soon as the questions were sent, and then their time is over.
static void on_send(struct worker *w, struct flow *f, unsigned n)
{
    static uint8_t message[65535];
    uint16_t first = (uint16_t)(f->next - n);
    uint64_t at = worker_now(w);
    INVARIANT(n == QUESTIONS);
    for (unsigned i = 0; i < n; i++)
        flow_sent(w, f, (uint16_t)(first + i), at);
    for (size_t pos = 0; pos + 2 <= input_size; messages++) {
        size_t size = (size_t)input[pos] << 8 | input[pos + 1], left = input_size - pos - 2;
        size = size < left ? size : left;
        memcpy(message, input + pos + 2, size);
        check_digest(message, size);
        if (size >= 2 && message[0] == 0 && message[1] < QUESTIONS) {
            uint16_t id = (uint16_t)(first + message[1]);
            message[0] = (uint8_t)(id >> 8);
            message[1] = (uint8_t)id;
        }
        flow_take(w, f, message, size, at);
        pos += 2 + size;
    }
    atomic_store((atomic_bool *)(uintptr_t)&w->load->stop, true);
    clock_set_for_test(clock_monotonic_ns() + TIMEOUT, 1);
}

static int on_open(struct worker *w, struct flow *f)
{
    (void)w, (void)f;
    return 0;
}

static unsigned room(struct worker *w, struct flow *f)
{
    (void)w, (void)f;
    return WORKER_BATCH;
}

static void on_close(struct flow *f)
{
    (void)f;
}

static void check_counts(const struct counts *c)
{
    uint64_t rcodes = 0;
    for (unsigned i = 0; i <= RESULTS_RCODES; i++)
        rcodes += c->rcodes[i];
    INVARIANT(c->due == QUESTIONS && c->sent == QUESTIONS && c->unsent == 0);
    INVARIANT(c->answered + c->lost == QUESTIONS && rcodes == c->answered);
    INVARIANT(c->answered + c->tardy + c->duplicates + c->mismatched + c->strange == messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct transport transport = {
        .flow_size = sizeof(struct flow), .open = on_open, .room = room, .send = on_send, .close = on_close};
    static const struct question_options options = {.rd = true};
    static struct questions questions;
    char text[] = "a.example A\nb.example SRV\n. NS\n", error[QUESTIONS_ERROR_MAX];
    struct worker *w;
    if (arena == NULL) {
        FILE *file = fmemopen(text, strlen(text), "r");
        arena = arena_new(0);
        INVARIANT(file != NULL && arena != NULL && questions_read(file, "", &options, &questions, error) == 0);
        fclose(file);
    }
    struct load load = {.transport = &transport,
                        .questions = &questions,
                        .plan = {.form = SCHEDULE_BURST, .rate = 1, .burst = QUESTIONS, .duration_ns = 1},
                        .threads = 1,
                        .flows = 1,
                        .timeout_ns = TIMEOUT,
                        .start_ns = 1};
    input = data;
    input_size = size;
    messages = 0;
    clock_set_for_test(1, 1);
    INVARIANT(worker_new(&load, 0, &w) == 0);
    worker_run(w);
    check_counts(&w->results.counts);
    worker_free(w);
    clock_set_for_test(0, 0);
    return 0;
}
