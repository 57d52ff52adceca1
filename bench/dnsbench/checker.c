// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/checker.h"

#include "dnsbench/cluster.h"
#include "dnsbench/reference.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int fail(char *error, const char *why)
{
    snprintf(error, OPTIONS_ERROR_MAX, "answers cannot be checked: %.400s", why);
    return CDNS_ECONFIG;
}

// check_source.look: the answers that stand beside the questions.
static int look_at_file(void *arg, struct check *c, bool first, const uint32_t *asked, size_t n, char *error)
{
    const struct questions *set = arg;
    bool any = false;
    (void)asked, (void)n;
    if (!first)
        return 0;
    for (size_t i = 0; i < set->n; i++)
        if (set->all[i].expects) {
            check_expect(c, (uint32_t)i, set->all[i].expected);
            any = true;
        }
    snprintf(error, QUESTIONS_ERROR_MAX,
             "no line of the questions' file has an answer: say NAME TYPE ANSWER, or name a "
             "--reference");
    return any ? 0 : CDNS_ECONFIG;
}

// … those of the cluster that the names come from. A live one is listed again at each look; while that cannot be done,
// what was known stays.
static int look_at_cluster(void *arg, struct check *c, bool first, const uint32_t *asked, size_t n, char *error)
{
    struct checker *j = arg;
    char why[CLUSTER_ERROR_MAX];
    struct cluster *fresh;
    uint64_t digest;
    (void)asked, (void)n;
    if (!first && j->options->kubeconfig == NULL)
        return 0;
    int rc = cluster_read(j->options, &fresh, why);
    if (rc != 0) {
        snprintf(error, QUESTIONS_ERROR_MAX, "%.500s", rc == CDNS_ECONFIG ? why : error_text(rc));
        return CDNS_ECONFIG;
    }
    for (size_t i = 0; i < j->set->n; i++)
        if (cluster_digest(fresh, &j->set->all[i], &digest))
            check_expect(c, (uint32_t)i, digest);
    cluster_free(fresh);
    return 0;
}

int checker_begin(struct checker *j, const struct options *o, const struct questions *set, char *error)
{
    char why[QUESTIONS_ERROR_MAX];
    *j = (struct checker){.options = o, .set = set};
    struct check_source source = {look_at_file, (void *)(uintptr_t)set};
    if (o->reference.sa.sa_family != AF_UNSPEC) {
        j->reference = reference_new(&o->reference, set);
        if (j->reference == NULL)
            return fail(error, strerror(errno));
        source = (struct check_source){reference_look, j->reference};
    } else if (!o->check) {
        return 0;
    } else if (o->questions == NULL) {
        source = (struct check_source){look_at_cluster, j};
    }
    int rc = check_new(set, o->threads, &source, &j->check, why);
    if (rc == 0)
        return 0;
    checker_end(j);
    return fail(error, rc == CDNS_ECONFIG ? why : error_text(rc));
}

void checker_end(struct checker *j)
{
    reference_free(j->reference);
    j->reference = NULL;
}
