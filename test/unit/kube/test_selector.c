// SPDX-License-Identifier: Apache-2.0
// Selectors: texts and refusals as apimachinery 0.37 has them (test/compat compares many more with CoreDNS itself).
#include "kube/selector.h"
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;
static char error[2000];

static const struct selector *parse(const char *text)
{
    const struct selector *s = NULL;
    arena_reset(arena);
    if (selector_parse(text, arena, &s, error, sizeof error) != 0)
        fail_msg("%s", error);
    return s;
}

static void canonical_texts(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"", ""},
        {" \t", ""},
        {"app=web", "app=web"},
        {"app==web", "app=web"},
        {" app = web ", "app=web"},
        {"environment in (production, staging, qa),application=nginx",
         "application=nginx,environment in (production,qa,staging)"},
        {"x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"},
        {"a in (b,b,a)", "a in (a,b)"},
        {"a in (,)", "a in ()"},
        {"a in (,b)", "a in (,b)"},
        {"a in (b)", "a in (b)"},
        {"!a,b", "!a,b"},
        {"b,!a", "!a,b"},
        {"a=", "a="},
        {"a=,b=", "a=,b="},
        {"in in (in,notin)", "in in (in,notin)"},
        {"notin", "notin"},
        {"a=in", "a=in"},
        {"a=1,a=2,a in (3),a", "a=2,a in (3),a"},
        {"a,a=1,a,a=2", "a=2,a,a"},
        {"example.com/Name_1.x-y=V_1.x-y", "example.com/Name_1.x-y=V_1.x-y"},
        {"a=123456789012345678901234567890123456789012345678901234567890123",
         "a=123456789012345678901234567890123456789012345678901234567890123"},

    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(selector_text(parse(cases[i].text)), cases[i].canonical);
        assert_string_equal(selector_text(parse(cases[i].canonical)), cases[i].canonical);
    }
}

#define NAME                                                                                                           \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " \
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "                                      \
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define SUBDOMAIN                                                                                                      \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "   \
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "                        \
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define VALUE                                                                                                          \
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "    \
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "  \
    "is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
#define LONG "1234567890123456789012345678901234567890123456789012345678901234"

static void refusals(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"a,", "found '', expected: identifier after ','"},
        {"a,,b", "found ',', expected: identifier after ','"},
        {",a", "found ',', expected: !, identifier, or 'end of string'"},
        {"=a", "found '=', expected: !, identifier, or 'end of string'"},
        {"!", "unable to parse requirement: found '', expected: identifier"},
        {"!!a", "unable to parse requirement: found '!', expected: identifier"},
        {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        {"a(b)", "unable to parse requirement: found '(', expected: in, notin, =, ==, !=, gt, lt"},
        {"!a in (b)", "found 'in', expected: ',' or 'end of string'"},
        {"a=b c", "found 'c', expected: ',' or 'end of string'"},
        {"a===b", "unable to parse requirement: found '=', expected: identifier"},
        {"a=!b", "unable to parse requirement: found '!', expected: identifier"},
        {"a in", "unable to parse requirement: found '' expected: '('"},
        {"a in b", "unable to parse requirement: found 'b' expected: '('"},
        {"a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"},
        {"a in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"},
        {"a in (production, qa", "unable to parse requirement: found '', expected: ',' or ')'"},
        {"a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"},
        {"a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"},
        {"a in (b,=", "unable to parse requirement: found '=', expected: ',', or identifier"},
        {"a-", "unable to parse requirement: <nil>: Invalid value: \"a-\": name part " NAME},
        {"a/",
         "unable to parse requirement: <nil>: Invalid value: \"a/\": name part must be non-empty; name part " NAME},
        {"/a", "unable to parse requirement: <nil>: Invalid value: \"/a\": prefix part must be non-empty"},
        {"a..b/c", "unable to parse requirement: <nil>: Invalid value: \"a..b/c\": prefix part " SUBDOMAIN},
        {"A/-",
         "unable to parse requirement: <nil>: Invalid value: \"A/-\": prefix part " SUBDOMAIN "; name part " NAME},
        {"a/b/c", "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key " NAME
                  " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"},
        {LONG,
         "unable to parse requirement: <nil>: Invalid value: \"" LONG "\": name part must be no more than 63 bytes"},
        {"a=" LONG,
         "unable to parse requirement: values[0][a]: Invalid value: \"" LONG "\": must be no more than 63 bytes"},
        {"a=-", "unable to parse requirement: values[0][a]: Invalid value: \"-\": " VALUE},
        {"a in (c,b-,-b)", "unable to parse requirement: [values[0][a]: Invalid value: \"-b\": " VALUE
                           ", values[1][a]: Invalid value: \"b-\": " VALUE "]"},
        {"a>x",
         "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must "
         "be an integer"},
        {"a<-5", "unable to parse requirement: values[0][a]: Invalid value: \"-5\": " VALUE},
        {"a<9223372036854775808", "unable to parse requirement: values[0]: Invalid value: \"9223372036854775808\": for "
                                  "'Gt', 'Lt' operators, the value must be an integer"},
        {"a>\t",
         "unable to parse requirement: values[0]: Invalid value: \"\": for 'Gt', 'Lt' operators, the value must "
         "be an integer"},
        {"a>*",
         "unable to parse requirement: [values[0]: Invalid value: \"*\": for 'Gt', 'Lt' operators, the value must "
         "be an integer, values[0][a]: Invalid value: \"*\": " VALUE "]"},
    };
    char expected[2000];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct selector *s;
        arena_reset(arena);
        assert_int_equal(selector_parse(cases[i].text, arena, &s, error, sizeof error), CDNS_ESYNTAX);
        snprintf(expected, sizeof expected, "couldn't parse the selector string \"%s\": %s", cases[i].text,
                 cases[i].words);
        assert_string_equal(error, expected);
    }
}

static void operators_that_the_api_type_has_not(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"a!=b", "\"!=\" is not a valid label selector operator"},
        {"a>1", "\"gt\" isn't supported in label selectors"},
        {"b>1,a<2", "\"lt\" isn't supported in label selectors"}, // sorted before
        {"a=b,a!=c,a>1", "\"!=\" is not a valid label selector operator"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct selector *s;
        arena_reset(arena);
        assert_int_equal(selector_parse(cases[i].text, arena, &s, error, sizeof error), CDNS_ESYNTAX);
        assert_string_equal(error, cases[i].words);
    }
}

static void long_words_are_cut(void **unused)
{
    (void)unused;
    const struct selector *s;
    char small[50];
    assert_int_equal(selector_parse("a in (-,+,*)", arena, &s, small, sizeof small), CDNS_ESYNTAX);
    assert_string_equal(small, "couldn't parse the selector string \"a in (-,+,*)\"");
    assert_int_equal(selector_parse("a b", arena, &s, small, 1), CDNS_ESYNTAX);
    assert_string_equal(small, "");
    struct arena *tiny = arena_new(64);
    assert_int_equal(selector_parse("a=b,c=d,e=f,g=h", tiny, &s, error, sizeof error), CDNS_ENOMEM);
    arena_free(tiny);
}

// Labels are "key=value" texts.
static const char *lookup(const void *labels, const char *key)
{
    size_t len = strlen(key);
    for (const char *const *l = labels; *l != NULL; l++)
        if (strncmp(*l, key, len) == 0 && (*l)[len] == '=')
            return *l + len + 1;
    return NULL;
}

static void matches(void **unused)
{
    (void)unused;
    static const char *const labels[] = {"app=web", "tier=a", "empty=", NULL};
    static const char *const none[] = {NULL};
    static const struct {
        const char *text;
        bool matches, matches_none;
    } cases[] = {
        {"", true, true},
        {"app=web", true, false},
        {"app=we", false, false},
        {"app", true, false},
        {"!app", false, true},
        {"!other", true, true},
        {"app in (db,web)", true, false},
        {"app in (db)", false, false},
        {"app notin (db)", true, true},
        {"app notin (db,web)", false, true},
        {"empty", true, false},
        {"empty=", true, false},
        {"empty in ()", true, false},
        {"app=", false, false},
        {"empty notin ()", false, true},
        {"app=web,tier in (a,b),!old", true, false},
        {"app=web,tier in (b)", false, false},
        {"app=web,app=db", false, false}, // the last counts
        {"app=db,app=web", true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct selector *s = parse(cases[i].text);
        if (selector_matches(s, lookup, labels) != cases[i].matches ||
            selector_matches(s, lookup, none) != cases[i].matches_none)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_texts),
        cmocka_unit_test(refusals),
        cmocka_unit_test(operators_that_the_api_type_has_not),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(matches),
    };
    arena = arena_new(0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(arena);
    return failed;
}
