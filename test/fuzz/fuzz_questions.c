// SPDX-License-Identifier: Apache-2.0
// \file
// Any bytes as dnsbench's file of questions: a place and a reason, or questions that are messages; written as text,
// they are read again as the same messages.
#include "dns/message.h"
#include "dnsbench/questions.h"
#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <string.h>

#define TEXT_MAX (NAME_MAX_TEXT + 32)

static void check(const struct question *q, const struct question_options *o)
{
    struct message m;
    char text[TEXT_MAX];
    uint8_t name[NAME_MAX_WIRE];
    INVARIANT(message_parse(q->wire, q->size, &m) == 0 && m.question_end == MESSAGE_HEADER + q->name_size + 4U);
    INVARIANT(m.qtype == q->qtype && m.qname_len == q->name_size && m.rd == o->rd && m.edns == o->edns);
    char *type = strrchr(question_text(q, text, sizeof text), ' ');
    INVARIANT(type != NULL && rr_type_from_text(type + 1) == q->qtype);
    *type = '\0';
    INVARIANT(name_from_text(text, name) == 0 && memcmp(name, q->wire + MESSAGE_HEADER, q->name_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct questions set;
    char error[QUESTIONS_ERROR_MAX];
    if (size == 0)
        return 0;
    const struct question_options o = {.rd = size & 1, .edns = (size & 2) != 0, .edns_size = 1232};
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "r");
    INVARIANT(file != NULL);
    int rc = questions_read(file, "file", &o, &set, error);
    fclose(file);
    INVARIANT(rc == 0 || rc == CDNS_ECONFIG);
    if (rc == CDNS_ECONFIG) {
        INVARIANT(strncmp(error, "file:", 5) == 0);
        return 0;
    }
    INVARIANT(set.n > 0);
    for (size_t i = 0; i < set.n; i++)
        check(&set.all[i], &o);
    questions_free(&set);
    return 0;
}
