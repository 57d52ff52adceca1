// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/questions.h"

#include "base/splitmix.h"
#include "dnsbench/wire.h"

#include "dnsbench/digest.h"
#include <clusterdns/arena.h>
#include <clusterdns/ip.h>
#include <clusterdns/message.h>
#include <clusterdns/name.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 2048

static int fail(char *error, const char *path, unsigned line, const char *why, const char *text)
{
    snprintf(error, QUESTIONS_ERROR_MAX, "%s:%u: %s%s%s", path, line, why, text[0] != '\0' ? ": " : "", text);
    return CDNS_ECONFIG;
}

int questions_init(struct questions *out)
{
    *out = (struct questions){.arena = arena_new(0)};
    return out->arena != NULL ? 0 : CDNS_ENOMEM;
}

// Makes a place for one more.
static int grow(struct questions *set)
{
    if (set->n < set->room)
        return 0;
    if (set->n >= QUESTIONS_MAX)
        return CDNS_ELIMIT;
    size_t larger = set->room > 0 ? 2 * set->room : 1024;
    struct question *all = realloc(set->all, larger * sizeof *all);
    if (all == NULL)
        return CDNS_ENOMEM;
    set->all = all;
    set->room = larger;
    return 0;
}

int questions_add(struct questions *set, const struct question_options *o, const uint8_t *name, uint16_t type)
{
    uint8_t wire[MESSAGE_QUESTION_MAX];
    const struct message_question q = {.qname = name,
                                       .qtype = type,
                                       .qclass = CLASS_IN,
                                       .rd = o->rd,
                                       .edns = o->edns,
                                       .do_ = o->do_,
                                       .edns_size = o->edns_size};
    int rc = grow(set);
    if (rc != 0)
        return rc;
    size_t size = message_question_write(&q, wire, sizeof wire);
    const uint8_t *copy = arena_memdup(set->arena, wire, size);
    if (copy == NULL)
        return CDNS_ENOMEM;
    set->all[set->n++] = (struct question){
        .wire = copy, .size = (uint16_t)size, .name_size = (uint16_t)name_length(name), .qtype = type};
    return 0;
}

int questions_repeat(struct questions *set, size_t place)
{
    int rc = grow(set);
    if (rc == 0) {
        set->all[set->n] = set->all[place];
        set->n++;
    }
    return rc;
}

// One record of an expected answer. False: it is none of this type.
static bool expect_record(struct question *q, const char *text)
{
    uint8_t name[NAME_MAX_WIRE];
    struct ip_address address;
    const uint8_t *owner = q->wire + WIRE_HEADER;
    if (q->qtype == RR_A || q->qtype == RR_AAAA) {
        if (!ip_read(text, &address) || (address.len == 4) != (q->qtype == RR_A))
            return false;
        q->expected = digest_with(q->expected, owner, q->qtype, address.bytes, address.len);
        return true;
    }
    if ((q->qtype != RR_CNAME && q->qtype != RR_NS && q->qtype != RR_PTR) || name_from_text(text, name) != 0)
        return false;
    q->expected = digest_with(q->expected, owner, q->qtype, name, name_length(name));
    return true;
}

// False: this is no answer.
static bool expect(struct question *q, const char *text)
{
    int rcode = strcmp(text, "NODATA") == 0 ? RCODE_NOERROR : rcode_from_text(text);
    bool first = !q->expects;
    q->expects = true;
    if (first)
        q->expected = digest_of_rcode(rcode >= 0 ? (unsigned)rcode : RCODE_NOERROR);
    return first && rcode >= 0 ? true : expect_record(q, text);
}

static bool has_final_dot(const char *text)
{
    size_t n = strlen(text);
    return text[n - 1] == '.' && (n < 2 || text[n - 2] != '\\');
}

static int read_line(struct questions *set, const struct question_options *o, char *line, const char *path,
                     unsigned number, char *error)
{
    static const char blanks[] = " \t\r\n";
    uint8_t name[NAME_MAX_WIRE];
    char *rest, *first = strtok_r(line, blanks, &rest), *second = strtok_r(NULL, blanks, &rest);
    if (first == NULL || first[0] == ';' || first[0] == '#')
        return 0;
    if (second == NULL)
        return fail(error, path, number, "a line has to be NAME TYPE, here is no type", first);
    if (name_from_text(first, name) != 0)
        return fail(error, path, number, "this is no domain name", first);
    int type = rr_type_from_text(second);
    if (type < 0)
        return fail(error, path, number, "no such record type (TYPE123 says it by number)", second);
    int rc = questions_add(set, o, name, (uint16_t)type);
    if (rc != 0)
        return rc;
    struct question *q = &set->all[set->n - 1];
    q->absolute = has_final_dot(first);
    for (const char *answer; (answer = strtok_r(NULL, blanks, &rest)) != NULL;)
        if (!expect(q, answer))
            return fail(error, path, number,
                        "this is no answer of that type: say an rcode, NODATA, addresses or a name", answer);
    return 0;
}

int questions_read(FILE *file, const char *path, const struct question_options *options, struct questions *out,
                   char *error)
{
    char line[LINE_MAX_BYTES];
    int rc = questions_init(out);
    if (rc != 0)
        return rc;
    for (unsigned number = 1; rc == 0 && fgets(line, sizeof line, file) != NULL; number++) {
        if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n')
            rc = fail(error, path, number, "this line is longer than any question", "");
        else
            rc = read_line(out, options, line, path, number, error);
    }
    if (rc == 0 && out->n == 0)
        rc = fail(error, path, 1, "there is no question in this file", "");
    if (rc != 0)
        questions_free(out);
    return rc;
}

void questions_free(struct questions *set)
{
    free(set->all);
    arena_free(set->arena);
    *set = (struct questions){0};
}

const char *question_text(const struct question *q, char *out, size_t size)
{
    char name[NAME_MAX_TEXT], type[16];
    name_to_text(q->wire + WIRE_HEADER, name);
    snprintf(out, size, "%s %s", name, rr_type_text(q->qtype, type));
    return out;
}

// Lengths of labels are no letters.
bool question_is_of(const struct question *q, const uint8_t *message, size_t size)
{
    const uint8_t *asked = q->wire + WIRE_HEADER, *given = message + WIRE_HEADER;
    size_t n = q->name_size + 4U;
    if (size < WIRE_HEADER + n)
        return false;
    if (memcmp(asked, given, n) == 0)
        return true;
    for (size_t i = 0; i < q->name_size; i++)
        if (tolower(asked[i]) != tolower(given[i]))
            return false;
    return memcmp(asked + q->name_size, given + q->name_size, 4) == 0;
}

// --- the order

void questions_shuffle(struct questions *set, uint64_t seed)
{
    for (size_t left = set->n; left > 1; left--) {
        size_t i = (size_t)((splitmix_next(&seed) >> 32) * left >> 32);
        struct question last = set->all[left - 1];
        set->all[left - 1] = set->all[i];
        set->all[i] = last;
    }
}

// Vose's way: each place that is too rare is filled up by one that is too frequent.
static void fill(struct alias *table, double *share, size_t n, uint32_t *small, uint32_t *large)
{
    size_t nsmall = 0, nlarge = 0;
    for (size_t i = 0; i < n; i++)
        if (share[i] < 1)
            small[nsmall++] = (uint32_t)i;
        else
            large[nlarge++] = (uint32_t)i;
    while (nsmall > 0 && nlarge > 0) {
        uint32_t s = small[--nsmall], l = large[nlarge - 1];
        table[s] = (struct alias){.other = l, .below = (uint32_t)(share[s] * 0x1p32)};
        share[l] -= 1 - share[s];
        if (share[l] < 1) {
            nlarge--;
            small[nsmall++] = l;
        }
    }
    while (nlarge > 0) { // all of their own, but for what rounding has left
        uint32_t l = large[--nlarge];
        table[l] = (struct alias){.other = l, .below = UINT32_MAX};
    }
    while (nsmall > 0) {
        uint32_t s = small[--nsmall];
        table[s] = (struct alias){.other = s, .below = UINT32_MAX};
    }
}

struct alias *picker_zipf_table(size_t n, double exponent)
{
    struct alias *table = calloc(n, sizeof *table);
    double *share = calloc(n, sizeof *share), sum = 0;
    uint32_t *lists = calloc(2 * n, sizeof *lists);
    if (table != NULL && share != NULL && lists != NULL) {
        for (size_t i = 0; i < n; i++)
            sum += share[i] = pow((double)(i + 1), -exponent);
        for (size_t i = 0; i < n; i++)
            share[i] *= (double)n / sum;
        fill(table, share, n, lists, lists + n);
    } else {
        free(table);
        table = NULL;
    }
    free(share);
    free(lists);
    return table;
}

void picker_begin(struct picker *p, enum pick_order order, const struct alias *table, size_t n, unsigned part,
                  unsigned parts, uint64_t seed)
{
    *p = (struct picker){.order = order, .n = n, .next = part % n, .step = parts % n, .table = table};
    p->random = seed ^ (uint64_t)(part + 1) << 32;
    (void)splitmix_next(&p->random);
}

size_t picker_next(struct picker *p)
{
    if (p->order == PICK_IN_TURN) {
        size_t place = p->next;
        p->next += p->step;
        p->next -= p->next >= p->n ? p->n : 0;
        return place;
    }
    uint64_t random = splitmix_next(&p->random);
    size_t place = (size_t)((random >> 32) * p->n >> 32);
    if (p->order == PICK_ZIPF && (uint32_t)random >= p->table[place].below)
        place = p->table[place].other;
    return place;
}
