// SPDX-License-Identifier: Apache-2.0
// YAML and JSON texts, files and directories to objects; broken ones to messages with file and line.
#include "kube/manifests.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char seen[8192]; // "KIND namespace/name" of each object, each followed by a space
static char error[300];

static int note(void *arg, const struct kube_object *o, const json_t *labels)
{
    (void)labels;
    (void)arg;
    static const char kinds[KUBE_KINDS] = "NSEPIM";
    size_t at = strlen(seen);
    snprintf(seen + at, sizeof seen - at, "%c%s/%s ", kinds[o->kind], o->namespace_, o->name);
    return 0;
}

static int from_text(const char *name, const char *text)
{
    seen[0] = error[0] = '\0';
    return manifests_read_text(name, text, strlen(text), note, NULL, error, sizeof error);
}

#define META(name) "metadata: {name: " name ", namespace: ns}\n"

static void yaml_documents(void **unused)
{
    (void)unused;
    assert_int_equal(from_text("a.yaml", "# comment\n---\nkind: Service\napiVersion: v1\n" META(
                                             "a") "---\n---\n"
                                                  "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ns\n...\n---\n"
                                                  "apiVersion: apps/v1\nkind: Deployment\n" META("d")),
                     0);
    assert_string_equal(seen, "Sns/a N/ns ");
    assert_int_equal(from_text("a.yaml", ""), 0);
    assert_int_equal(from_text("a.yaml", "# nothing\n"), 0);
    assert_string_equal(seen, "");
}

static void lists(void **unused)
{
    (void)unused;
    // As kubectl writes it: kind comes after items.
    assert_int_equal(from_text("dump",
                               "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Service\n  " META(
                                   "a") "- apiVersion: v1\n  kind: Pod\n  " META("b") "kind: List\nmetadata:\n"
                                                                                      "  resourceVersion: \"\"\n"),
                     0);
    assert_string_equal(seen, "Sns/a Pns/b ");
    assert_int_equal(from_text("list", "apiVersion: v1\nkind: ServiceList\nitems:\n- " META("a") "- " META("b")), 0);
    assert_string_equal(seen, "Sns/a Sns/b ");
    assert_int_equal(from_text("list", "apiVersion: v1\nkind: List\nitems: []\n"), 0);
    assert_string_equal(seen, "");
}

static void json(void **unused)
{
    (void)unused;
    static const char object[] = "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"}}";
    static const char list[] = "{\"kind\":\"EndpointSliceList\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{},"
                               "\"items\":[{\"metadata\":{\"name\":\"s\",\"namespace\":\"\\u006es\"}}]}\n";
    char text[1000];
    assert_int_equal(from_text("x.json", object), 0);
    assert_string_equal(seen, "Sdefault/a ");
    assert_int_equal(from_text("x", list), 0);
    assert_string_equal(seen, "Ens/s ");
    snprintf(text, sizeof text, "%s\n%s%s", list, object, list);
    assert_int_equal(from_text("several.json", text), 0);
    assert_string_equal(seen, "Ens/s Sdefault/a Ens/s ");
    snprintf(text, sizeof text, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[%s,{\"kind\":\"x\"}]}", object);
    assert_int_equal(from_text("x", text), 0);
    assert_string_equal(seen, "Sdefault/a ");
}

// A slice that came from another cluster is two objects: an API server would send it on two watches.
static void imported(void **unused)
{
    (void)unused;
    assert_int_equal(
        from_text("a.yaml", "apiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceImport\n" META(
                                "a") "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, "
                                     "namespace: ns, labels: {multicluster.kubernetes.io/service-name: a}}\n"
                                     "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n" META("t")),
        0);
    assert_string_equal(seen, "Ins/a Ens/s Mns/s Ens/t ");
}

static struct kube_object last;
static char last_text[100];

static int keep(void *arg, const struct kube_object *o, const json_t *labels)
{
    (void)labels;
    (void)arg;
    last = *o;
    if (o->kind == KUBE_SERVICE)
        snprintf(last_text, sizeof last_text, "%s %zu %d", o->name, o->service.nports,
                 o->service.nports > 0 ? o->service.ports[0].number : 0);
    else
        snprintf(last_text, sizeof last_text, "%s %zu %s", o->slice.service, o->slice.nendpoints,
                 o->slice.nendpoints > 0 ? o->slice.endpoints[0].hostname : "");
    return 0;
}

static void anchors_and_merges(void **unused)
{
    (void)unused;
    static const char text[] = "apiVersion: v1\nkind: Service\nmetadata: &m\n  name: &n a\n  namespace: ns\n"
                               "spec:\n  base: &b {port: 80, protocol: TCP}\n  ports:\n  - <<: *b\n    name: x\n"
                               "  - {<<: [*b, {port: 81}], port: 82}\n";
    assert_int_equal(manifests_read_text("t", text, sizeof text - 1, keep, NULL, error, sizeof error), 0);
    assert_string_equal(last_text, "a 2 80");
    assert_int_equal(from_text("t", "a: &x [*x]\n"), CDNS_ECONFIG);
    assert_string_equal(error, "t:1: an alias of an unknown anchor");
}

static void scalars(void **unused)
{
    (void)unused;
    static const struct {
        const char *port;
        int number; // 0: no port
    } cases[] = {{"80", 80},  {"\"80\"", 0},   {"'80'", 0}, {"0x50", 80}, {"0120", 80}, {"8e1", 0},
                 {"80.0", 0}, {"!!str 80", 0}, {"yes", 0},  {"~", 0},     {"+80", 80},  {"99999999999999999999", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[300], expected[50];
        snprintf(text, sizeof text, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: %s}]}",
                 cases[i].port);
        assert_int_equal(manifests_read_text("t", text, strlen(text), keep, NULL, error, sizeof error), 0);
        snprintf(expected, sizeof expected, "a %d %d", cases[i].number != 0, cases[i].number);
        assert_string_equal(last_text, expected);
    }
    // Quoted, a name that looks like something else is a name.
    assert_int_equal(from_text("t", "apiVersion: v1\nkind: Namespace\nmetadata: {name: \"on\"}"), 0);
    assert_string_equal(seen, "N/on ");
    assert_int_equal(from_text("t", "apiVersion: v1\nkind: Namespace\nmetadata: {name: on}"), 0);
    assert_string_equal(seen, "");
}

static void billion_laughs(void **unused)
{
    (void)unused;
    char text[2000] = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 9; i++) {
        size_t at = strlen(text);
        at += (size_t)snprintf(text + at, sizeof text - at, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            at += (size_t)snprintf(text + at, sizeof text - at, "*a%d,", i - 1);
        snprintf(text + at, sizeof text - at, "]\n");
    }
    assert_int_equal(from_text("bomb", text), CDNS_ECONFIG);
    assert_non_null(strstr(error, "too many nodes"));
}

static void endless_text(void **unused)
{
    (void)unused;
    const size_t size = YAML_MAX_BYTES + 100000;
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, "a: ", 3);
    text[size] = '\0';
    assert_int_equal(from_text("long", text), CDNS_ECONFIG);
    assert_string_equal(error, "long:1: an object is too large");
    // Many values may be longer together.
    for (size_t i = 0; i + 10 < size; i += 10)
        memcpy(text + i, "---\na: xx\n", 10);
    text[size / 10 * 10] = '\0';
    assert_int_equal(from_text("many", text), 0);
    free(text);
}

static void bounds(void **unused)
{
    (void)unused;
    char deep[300];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(from_text("deep", deep), CDNS_ECONFIG);
    assert_string_equal(error, "deep:1: nested too deep");
    static char many[40000];
    size_t at = 0;
    for (int i = 0; i <= YAML_MAX_ANCHORS; i++)
        at += (size_t)snprintf(many + at, sizeof many - at, "- &a%d 1\n", i);
    assert_int_equal(from_text("many", many), CDNS_ECONFIG);
    assert_string_equal(error, "many:1001: too many anchors");
}

static void messages(void **unused)
{
    (void)unused;
    static const struct {
        const char *name, *text, *message;
    } cases[] = {
        {"a.yaml", "a: b\nc: [1\nd: 2\n", "a.yaml:3: "},
        {"a.yaml", "a: b\n\tc: d\n", "a.yaml:2: "},
        {"a.yaml", "a: \"b\n", "a.yaml:2: "},
        {"a.json", "{\"a\":\n1", "a.json:2: the JSON document ends too early"},
        {"a.json", "\n[]", "a.json:2: no JSON object"},
        {"a.json", "{\"items\":[\n{},\n{\"a\"\n1}]}", "a.json:4: "},
        {"a.json", "{\"a\":\n01}", "a.json:2: "},
        {"a.json", "{}\n{\"a\":\n]}", "a.json:3: "},
        {"a.yaml", "a: \xff\n", "a.yaml:1: "},
        {"a.yaml", "---\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n",
         "a.yaml:2: the list"},
        {"a.yaml", "apiVersion: v1\nitems:\n", "a.yaml:1: the list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(from_text(cases[i].name, cases[i].text), CDNS_ECONFIG);
        if (strncmp(error, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", error, cases[i].message);
    }
}

static void passed_over(void **unused)
{
    (void)unused;
    assert_int_equal(from_text("t",
                               "apiVersion: v1\nkind: Service\nmetadata: {name: B.AD}\n---\njust text\n---\n- 1\n---\n"
                               "metadata: {}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: good}\n"),
                     0);
    assert_string_equal(seen, "Sdefault/good ");
}

static char folder[] = "/tmp/test_manifests.XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void directories(void **unused)
{
    (void)unused;
    char path[200], target[200];
    assert_non_null(mkdtemp(folder));
    static const char *const inside[] = {"sub", ".hidden", "..data"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, inside[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    write_file("b.yml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n");
    write_file("c.json", "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"c\"}}");
    write_file("sub/x.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n");
    write_file("..data/a.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
    write_file(".hidden/no.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: no}\n");
    write_file("README.md", "{[");
    snprintf(path, sizeof path, "%s/a.yaml", folder);
    assert_int_equal(symlink("..data/a.yaml", path), 0);
    seen[0] = '\0';
    assert_int_equal(manifests_read(folder, note, NULL, error, sizeof error), 0);
    assert_string_equal(seen, "N/a N/b N/c N/x ");
    seen[0] = '\0';
    assert_int_equal(manifests_read(path, note, NULL, error, sizeof error), 0);
    assert_string_equal(seen, "N/a ");
    write_file("sub/y.yaml", "a: [\n");
    assert_int_equal(manifests_read(folder, NULL, NULL, error, sizeof error), CDNS_ECONFIG);
    snprintf(target, sizeof target, "%s/sub/y.yaml:2: ", folder);
    assert_memory_equal(error, target, strlen(target));
    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(manifests_read(path, note, NULL, error, sizeof error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "No such file"));
    assert_int_equal(manifests_read("/dev/null", note, NULL, error, sizeof error), CDNS_ECONFIG);
    assert_string_equal(error, "/dev/null: neither a file nor a directory");
    snprintf(target, sizeof target, "rm -r %s", folder);
    assert_int_equal(system(target), 0);
}

static int refuse(void *arg, const struct kube_object *o, const json_t *labels)
{
    (void)labels;
    (void)arg;
    (void)o;
    return CDNS_EDENIED;
}

static void callback_ends_it(void **unused)
{
    (void)unused;
    static const char text[] = "apiVersion: v1\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n";
    assert_int_equal(manifests_read_text("t", text, sizeof text - 1, refuse, NULL, error, sizeof error), CDNS_EDENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_documents),
        cmocka_unit_test(lists),
        cmocka_unit_test(json),
        cmocka_unit_test(imported),
        cmocka_unit_test(anchors_and_merges),
        cmocka_unit_test(scalars),
        cmocka_unit_test(billion_laughs),
        cmocka_unit_test(endless_text),
        cmocka_unit_test(bounds),
        cmocka_unit_test(messages),
        cmocka_unit_test(passed_over),
        cmocka_unit_test(directories),
        cmocka_unit_test(callback_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
