// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/candidates.h"

#include "dnsbench/wire.h"

#include <clusterdns/arena.h>
#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_TEXT_MAX 4096

struct search_list {
    uint8_t domains[CANDIDATES_SEARCH_MAX][NAME_MAX_WIRE];
    unsigned n;
};

// --- the search list

static int add_domain(struct search_list *s, const char *text, const char *option, char *error)
{
    if (s->n == CANDIDATES_SEARCH_MAX) {
        snprintf(error, CANDIDATES_ERROR_MAX, "--search: say up to %d domains", CANDIDATES_SEARCH_MAX);
        return CDNS_ECONFIG;
    }
    if (name_from_text(text, s->domains[s->n]) != 0) {
        snprintf(error, CANDIDATES_ERROR_MAX, "%s: this is no domain name: %.256s", option, text);
        return CDNS_ECONFIG;
    }
    s->n++;
    return 0;
}

static int read_search_list(const struct options *o, struct search_list *s, char *error)
{
    char text[SEARCH_TEXT_MAX], *rest;
    const char *option = o->search != NULL ? "--search" : "--namespace or --zone";
    int size = o->search != NULL
                   ? snprintf(text, sizeof text, "%s", o->search)
                   : snprintf(text, sizeof text, "%s.svc.%s,svc.%s,%s", o->namespace_, o->zone, o->zone, o->zone);
    if ((size_t)size >= sizeof text) {
        snprintf(error, CANDIDATES_ERROR_MAX, "%s: this is longer than any search list", option);
        return CDNS_ECONFIG;
    }
    int rc = 0;
    for (char *one = strtok_r(text, ",", &rest); rc == 0 && one != NULL; one = strtok_r(NULL, ",", &rest))
        rc = add_domain(s, one, option, error);
    return rc;
}

// --- names

static int compare_names(const struct question *a, const struct question *b)
{
    if (a->name_size != b->name_size)
        return a->name_size < b->name_size ? -1 : 1;
    for (size_t i = WIRE_HEADER; i < WIRE_HEADER + (size_t)a->name_size; i++) {
        int x = tolower(a->wire[i]), y = tolower(b->wire[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (int)a->absolute - (int)b->absolute;
}

struct named {
    const struct question *question;
};

static int by_place(const void *a, const void *b)
{
    const struct question *x = ((const struct named *)a)->question, *y = ((const struct named *)b)->question;
    return x < y ? -1 : x > y;
}

static int by_name(const void *a, const void *b)
{
    int order = compare_names(((const struct named *)a)->question, ((const struct named *)b)->question);
    return order != 0 ? order : by_place(a, b);
}

// The first question of each name, in the set's order, from malloc(); NULL: no memory.
static struct named *distinct(const struct questions *set, size_t *n)
{
    struct named *all = set->n > 0 ? calloc(set->n, sizeof *all) : NULL;
    if (all == NULL)
        return NULL;
    for (size_t i = 0; i < set->n; i++)
        all[i].question = &set->all[i];
    qsort(all, set->n, sizeof *all, by_name);
    *n = 0;
    for (size_t i = 0; i < set->n; i++)
        if (i == 0 || compare_names(all[*n - 1].question, all[i].question) != 0)
            all[(*n)++] = all[i];
    qsort(all, *n, sizeof *all, by_place);
    return all;
}

// --- candidates

// Adds a candidate's two questions, like another one but for name and type.
static int add_candidate(struct questions *set, const struct question *like, const uint8_t *name)
{
    static const uint16_t types[] = {RR_A, RR_AAAA};
    size_t name_size = name_length(name), old = WIRE_HEADER + like->name_size + 2U, new = WIRE_HEADER + name_size + 2;
    size_t size = new + like->size - old;
    for (size_t i = 0; i < 2; i++) {
        uint8_t *wire = arena_alloc(set->arena, size);
        if (wire == NULL)
            return CDNS_ENOMEM;
        memcpy(wire, like->wire, WIRE_HEADER);
        memcpy(wire + WIRE_HEADER, name, name_size);
        wire[new - 2] = (uint8_t)(types[i] >> 8);
        wire[new - 1] = (uint8_t)types[i];
        memcpy(wire + new, like->wire + old, like->size - old);
        set->all[set->n++] = (struct question){
            .wire = wire, .size = (uint16_t)size, .name_size = (uint16_t)name_size, .qtype = types[i]};
    }
    return 0;
}

static int add_name(struct candidates *c, const struct question *q, const struct search_list *search, unsigned ndots)
{
    const uint8_t *name = q->wire + WIRE_HEADER;
    uint8_t joined[NAME_MAX_WIRE];
    bool first = q->absolute || name_labels(name) > ndots, root = false; // n dots are between n + 1 labels
    struct candidate_list *list = &c->names[c->n++];
    *list = (struct candidate_list){.first = (uint32_t)c->questions.n, .as_is_first = first};
    int rc = first ? add_candidate(&c->questions, q, name) : 0;
    for (unsigned i = 0; rc == 0 && i < search->n && !q->absolute; i++) {
        if (name_join(name, search->domains[i], joined) < 0)
            break;
        rc = add_candidate(&c->questions, q, joined);
        root |= search->domains[i][0] == 0; // then it has been tried as it is
    }
    list->as_is_last = !first && !root;
    if (rc == 0 && list->as_is_last)
        rc = add_candidate(&c->questions, q, name);
    list->n = (uint8_t)((c->questions.n - list->first) / 2);
    return rc;
}

int candidates_make(const struct questions *set, const struct options *o, struct candidates *out, char *error)
{
    struct search_list search = {.n = 0};
    size_t n = 0;
    int rc = read_search_list(o, &search, error);
    *out = (struct candidates){.n = 0};
    if (rc != 0)
        return rc;
    struct named *names = distinct(set, &n);
    if (names == NULL)
        return CDNS_ENOMEM;
    out->names = calloc(n, sizeof *out->names);
    out->questions.all = calloc(n, (search.n + 1) * 2 * sizeof *out->questions.all);
    out->questions.arena = arena_new(0);
    if (out->names == NULL || out->questions.all == NULL || out->questions.arena == NULL)
        rc = CDNS_ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_name(out, names[i].question, &search, o->ndots);
    free(names);
    if (rc != 0)
        candidates_free(out);
    return rc;
}

void candidates_free(struct candidates *c)
{
    questions_free(&c->questions);
    free(c->names);
    *c = (struct candidates){.n = 0};
}
