// SPDX-License-Identifier: Apache-2.0
// \file
// Plays test/cases/corefile/*.yaml: each Corefile gives the tree, or the error, and the warnings that the case names.
#include "corefile/build.h"
#include "corefile/dump.h"
#include "corefile/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
// cmocka wants the headers above.
#include <cmocka.h>
#include <yaml.h>

// What a case leads to, collected as text.
struct outcome {
    char *text; // tree or error
    char error[CONFIG_ERROR_MAX];
    int result;
};

static char directory[] = "/tmp/clusterdns-corefile-XXXXXX";
static char warnings[4096]; // of the Corefile being read, a line each

static void add_warning(const char *text)
{
    size_t len = strlen(warnings);
    snprintf(warnings + len, sizeof warnings - len, "%s\n", text);
}

static bool is_coredns_directive(void *arg, const char *name)
{
    (void)arg;
#define PLUGIN(id) #id,
#define PLANNED(id) #id,
    static const char *const names[] = {
#include "plugins/order.h"
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

// The text of a scalar with @DIR@ replaced by the directory of the case; from malloc().
static char *scalar(const yaml_node_t *node, size_t *len)
{
    assert_int_equal(node->type, YAML_SCALAR_NODE);
    const char *text = (const char *)node->data.scalar.value, *end = text + node->data.scalar.length;
    char *out = NULL;
    FILE *stream = open_memstream(&out, len);
    while (text < end) {
        if (end - text >= 5 && memcmp(text, "@DIR@", 5) == 0) {
            fputs(directory, stream);
            text += 5;
        } else {
            fputc(*text++, stream);
        }
    }
    fclose(stream);
    return out;
}

// The value of a mapping's key; NULL if there is none.
static yaml_node_t *field(yaml_document_t *doc, const yaml_node_t *mapping, const char *name)
{
    for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top; p++) {
        yaml_node_t *key = yaml_document_get_node(doc, p->key);
        if (strcmp((const char *)key->data.scalar.value, name) == 0)
            return yaml_document_get_node(doc, p->value);
    }
    return NULL;
}

static void write_file(const char *path, const yaml_node_t *content)
{
    char *copy = strdup(path);
    for (char *slash = strchr(copy, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(copy, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    free(copy);
    size_t len;
    char *text = scalar(content, &len);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
    free(text);
}

// Calls fn(name, value) for each pair of the optional mapping `name`.
static void each_pair(yaml_document_t *doc, const yaml_node_t *test, const char *name,
                      void (*fn)(const char *key, const yaml_node_t *value))
{
    yaml_node_t *mapping = field(doc, test, name);
    if (mapping == NULL)
        return;
    for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top; p++)
        fn((const char *)yaml_document_get_node(doc, p->key)->data.scalar.value, yaml_document_get_node(doc, p->value));
}

static void set_variable(const char *name, const yaml_node_t *value)
{
    setenv(name, (const char *)value->data.scalar.value, 1);
}

static void unset_variable(const char *name, const yaml_node_t *value)
{
    (void)value;
    unsetenv(name);
}

// Reads the Corefile of a case; `text` of the outcome is from malloc().
static struct outcome read_corefile(const yaml_node_t *corefile)
{
    static const struct stream_options options = {.warn = add_warning};
    struct outcome o = {0};
    struct corefile parsed;
    struct arena *a = arena_new(0);
    size_t len, size;
    char *text = scalar(corefile, &len);
    write_file("Corefile", corefile);
    o.result = corefile_build(a, "Corefile", text, len, is_coredns_directive, NULL, &options, &parsed, o.error);
    if (o.result == 0)
        o.result = corefile_check_keys(&parsed, 53, o.error);
    FILE *out = open_memstream(&o.text, &size);
    if (o.result == 0)
        dump_corefile(out, &parsed, directory);
    else
        fputs(o.error, out);
    fclose(out);
    free(text);
    arena_free(a);
    return o;
}

// Compares with what the case expects; false after printing the difference.
static bool check(yaml_document_t *doc, const yaml_node_t *test, const struct outcome *o)
{
    const yaml_node_t *error = field(doc, test, "error"), *warn = field(doc, test, "warn");
    size_t len;
    char *expected = scalar(error != NULL ? error : field(doc, test, "tree"), &len), *expected_warnings = NULL;
    FILE *out = open_memstream(&expected_warnings, &len);
    if (warn != NULL) {
        for (yaml_node_item_t *i = warn->data.sequence.items.start; i < warn->data.sequence.items.top; i++)
            fprintf(out, "%s\n", (const char *)yaml_document_get_node(doc, *i)->data.scalar.value);
    }
    fclose(out);
    bool same = strcmp(o->text, expected) == 0 && strcmp(warnings, expected_warnings) == 0 &&
                o->result == (error != NULL ? CDNS_ECONFIG : 0);
    if (!same)
        print_error("case: %s\nexpected:\n%s%s\ngot:\n%s%s\n",
                    (const char *)field(doc, test, "name")->data.scalar.value, expected, expected_warnings, o->text,
                    warnings);
    free(expected);
    free(expected_warnings);
    return same;
}

static bool play(yaml_document_t *doc, const yaml_node_t *test)
{
    warnings[0] = '\0';
    each_pair(doc, test, "env", set_variable);
    each_pair(doc, test, "files", write_file);
    struct outcome o = read_corefile(field(doc, test, "corefile"));
    bool same = check(doc, test, &o);
    free(o.text);
    each_pair(doc, test, "env", unset_variable);
    assert_int_equal(scratch_empty(directory), 0);
    return same;
}

// Plays all cases of one file in the empty directory of the cases; gives the number of those that fail.
static int play_file(const char *path, FILE *file)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_file(&parser, file);
    if (!yaml_parser_load(&parser, &doc))
        fail_msg("%s: %s", path, parser.problem);
    yaml_node_t *tests = yaml_document_get_root_node(&doc);
    int failures = 0;
    for (yaml_node_item_t *i = tests->data.sequence.items.start; i < tests->data.sequence.items.top; i++)
        failures += !play(&doc, yaml_document_get_node(&doc, *i));
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
    return failures;
}

static void test_corpus(void **state)
{
    (void)state;
    int home = open(".", O_RDONLY | O_DIRECTORY), failures = 0;
    glob_t files;
    assert_true(home >= 0);
    assert_int_equal(glob("test/cases/corefile/*.yaml", 0, NULL, &files), 0);
    assert_non_null(mkdtemp(directory));
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *file = fopen(files.gl_pathv[i], "r");
        assert_non_null(file);
        assert_int_equal(chdir(directory), 0);
        failures += play_file(files.gl_pathv[i], file);
        assert_int_equal(fchdir(home), 0);
        fclose(file);
    }
    globfree(&files);
    close(home);
    rmdir(directory);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
