// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/judge.h"

#include "dnsbench/reference.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int fail(char *error, const char *why)
{
    snprintf(error, OPTIONS_ERROR_MAX, "answers cannot be checked: %.400s", why);
    return CDNS_ECONFIG;
}

int judge_begin(struct judge *j, const struct options *o, const struct questions *set, char *error)
{
    char why[QUESTIONS_ERROR_MAX];
    *j = (struct judge){0};
    if (o->reference.sa.sa_family == AF_UNSPEC)
        return 0;
    j->reference = reference_new(&o->reference, set);
    if (j->reference == NULL)
        return fail(error, strerror(errno));
    const struct check_source source = {reference_look, j->reference};
    int rc = check_new(set, o->threads, &source, &j->check, why);
    if (rc == 0)
        return 0;
    judge_end(j);
    return fail(error, rc == CDNS_ECONFIG ? why : error_text(rc));
}

void judge_end(struct judge *j)
{
    reference_free(j->reference);
    j->reference = NULL;
}
