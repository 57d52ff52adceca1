// SPDX-License-Identifier: Apache-2.0
// Sources as the main thread sees them: sharing, waiting, following changed manifests, ending.
#include "base/clock.h"
#include "base/rcu.h"
#include "kube/index.h"
#include "kube/source.h"
#include "scripted.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static char folder[] = "/tmp/test_source.XXXXXX";
static char error[600];

static const char *path(const char *name)
{
    static char paths[4][200];
    static unsigned n;
    char *p = paths[n++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static bool has_service(const struct source *s, const char *namespace_, const char *name)
{
    uint8_t labels[2][64];
    const char *texts[] = {namespace_, name};
    for (size_t i = 0; i < 2; i++) {
        labels[i][0] = (uint8_t)strlen(texts[i]);
        memcpy(labels[i] + 1, texts[i], labels[i][0]);
    }
    rcu_section_begin();
    bool found =
        index_namespace(source_store(s), labels[0]) && index_service(source_store(s), labels[0], labels[1]) != NULL;
    rcu_section_end();
    return found;
}

// Waits until the service is (or is not) there.
static void wait_service(const struct source *s, const char *namespace_, const char *name, bool there)
{
    uint64_t end = clock_monotonic_ns() + 10 * SECOND;
    while (has_service(s, namespace_, name) != there) {
        if (clock_monotonic_ns() > end)
            fail_msg("%s/%s is %sthere", namespace_, name, there ? "not " : "");
        usleep(2000);
    }
}

static void wait_trouble(const struct source *s, const char *text)
{
    char trouble[600];
    uint64_t end = clock_monotonic_ns() + 10 * SECOND;
    do {
        source_trouble(s, trouble, sizeof trouble);
        if (clock_monotonic_ns() > end)
            fail_msg("trouble is \"%s\", not \"%s\"", trouble, text);
        usleep(2000);
    } while (*text == '\0' ? *trouble != '\0' : strstr(trouble, text) == NULL);
}

#define SERVICE(name) "apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: shop}\n---\n"
#define NAMESPACE(name) "apiVersion: v1\nkind: Namespace\nmetadata: {name: " name "}\n---\n"

static struct source *acquire(const char *manifests, struct store_options store)
{
    const struct source_options o = {.manifests = &manifests, .nmanifests = 1, .store = store};
    struct source *s = NULL;
    error[0] = '\0';
    if (source_acquire(&o, &s, error, sizeof error) != 0)
        fail_msg("%s", error);
    return s;
}

static void manifests_follow_changes(void **unused)
{
    (void)unused;
    write_file("a.yaml", SERVICE("one") SERVICE("two"));
    struct source *s = acquire(folder, (struct store_options){.endpoints = true});
    assert_int_equal(source_wait_synced(s, 0), 0);
    assert_true(has_service(s, "shop", "one"));
    write_file("a.yaml", SERVICE("two"));
    wait_service(s, "shop", "one", false);
    write_file("b.yaml", SERVICE("three"));
    wait_service(s, "shop", "three", true);
    // Broken contents: nothing changes, and it is told.
    write_file("b.yaml", "a: [");
    wait_trouble(s, "b.yaml:2: ");
    assert_true(has_service(s, "shop", "three"));
    assert_int_equal(rename(path("a.yaml"), path("c.yaml")), 0);
    write_file("b.yaml", SERVICE("four"));
    wait_service(s, "shop", "four", true);
    wait_service(s, "shop", "three", false);
    assert_true(has_service(s, "shop", "two"));
    wait_trouble(s, "");
    // A new folder and what comes into it.
    assert_int_equal(mkdir(path("sub"), 0700), 0);
    write_file("sub/d.yaml", SERVICE("five"));
    wait_service(s, "shop", "five", true);
    write_file("sub/d.yaml", SERVICE("six"));
    wait_service(s, "shop", "six", true);
    source_release(s);
}

static void named_namespaces(void **unused)
{
    (void)unused;
    write_file("n.yaml", SERVICE("one"));
    struct source *s = acquire(path("n.yaml"), (struct store_options){0});
    assert_true(has_service(s, "shop", "one"));
    // With one Namespace object, they alone count: also for objects before it.
    write_file("n.yaml", SERVICE("one") NAMESPACE("other"));
    wait_service(s, "shop", "one", false);
    write_file("n.yaml", SERVICE("one") NAMESPACE("shop"));
    wait_service(s, "shop", "one", true);
    source_release(s);
}

// As a mounted ConfigMap changes: a new folder, then the ..data link is swapped.
static void swapped_link(void **unused)
{
    (void)unused;
    char link[200];
    assert_int_equal(mkdir(path("map"), 0700) | mkdir(path("map/..1"), 0700) | mkdir(path("map/..2"), 0700), 0);
    write_file("map/..1/x.yaml", SERVICE("old"));
    write_file("map/..2/x.yaml", SERVICE("new"));
    assert_int_equal(symlink("..1", path("map/..data")) | symlink("..data/x.yaml", path("map/x.yaml")), 0);
    struct source *s = acquire(path("map/x.yaml"), (struct store_options){0});
    assert_true(has_service(s, "shop", "old"));
    snprintf(link, sizeof link, "%s", path("map/..fresh"));
    assert_int_equal(symlink("..2", link), 0);
    assert_int_equal(rename(link, path("map/..data")), 0);
    wait_service(s, "shop", "new", true);
    wait_service(s, "shop", "old", false);
    source_release(s);
}

static void shared(void **unused)
{
    (void)unused;
    write_file("s.yaml", SERVICE("one"));
    char *file = strdup(path("s.yaml"));
    struct source *a = acquire(file, (struct store_options){.endpoints = true});
    struct source *b = acquire(file, (struct store_options){.endpoints = true});
    struct source *other = acquire(file, (struct store_options){.pods = true});
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    assert_ptr_not_equal(source_store(a), source_store(other));
    source_release(a);
    source_release(other);
    assert_true(has_service(b, "shop", "one"));
    // In use, it passes a check even when the file is broken meanwhile; a new source does not.
    const struct source_options same = {
        .manifests = (const char *const *)&file, .nmanifests = 1, .store = {.endpoints = true}};
    const struct source_options different = {.manifests = (const char *const *)&file, .nmanifests = 1};
    write_file("s.yaml", "a: [");
    assert_int_equal(source_check(&same, error, sizeof error), 0);
    assert_int_equal(source_check(&different, error, sizeof error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "s.yaml:2: "));
    source_release(b);
    assert_int_equal(source_check(&same, error, sizeof error), CDNS_ECONFIG);
    free(file);
}

static void refused(void **unused)
{
    (void)unused;
    struct source *s = NULL;
    const char *file = "/nonexistent/x.yaml";
    assert_int_equal(
        source_acquire(&(struct source_options){.manifests = &file, .nmanifests = 1}, &s, error, sizeof error),
        CDNS_ECONFIG);
    assert_string_equal(error, "/nonexistent/x.yaml: No such file or directory");
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(source_acquire(&(struct source_options){0}, &s, error, sizeof error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "KUBERNETES_SERVICE_HOST"));
    assert_int_equal(source_check(&(struct source_options){.endpoint = "https://"}, error, sizeof error), CDNS_ECONFIG);
    assert_null(s);
}

static void api(void **unused)
{
    (void)unused;
    // Two kinds, in whatever order they are asked for: answers that fit both.
    static const char answer[] =
        OK "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\"}}}\n"
           "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Service\",\"metadata\":{\"name\":\"web\",\"namespace\":\"shop\"}"
           "}}\n"
           "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Namespace\",\"metadata\":{\"resourceVersion\":\"1\","
           "\"annotations\":"
           "{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
           "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Service\",\"metadata\":{\"resourceVersion\":\"1\","
           "\"annotations\":"
           "{\"k8s.io/initial-events-end\":\"true\"}}}}\n";
    static const struct scripted_step script[] = {{NULL, NULL, answer, false}, {NULL, NULL, answer, false}};
    struct scripted server;
    char url[64];
    struct source *s, *again;
    scripted_start(&server, script, 2);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", server.port);
    const struct source_options o = {.endpoint = url};
    assert_int_equal(source_acquire(&o, &s, error, sizeof error), 0);
    assert_int_equal(source_acquire(&o, &again, error, sizeof error), 0);
    assert_ptr_equal(s, again);
    assert_int_equal(source_wait_synced(s, 10 * SECOND), 0);
    assert_true(has_service(s, "shop", "web"));
    rcu_section_begin();
    assert_true(index_synced(source_store(s)));
    rcu_section_end();
    source_release(again);
    source_release(s);
    scripted_stop(&server);
}

static void unreachable_api(void **unused)
{
    (void)unused;
    struct scripted server;
    char url[64];
    struct source *s;
    scripted_start(&server, NULL, 0);
    scripted_stop(&server); // a port where nobody listens
    snprintf(url, sizeof url, "http://127.0.0.1:%u", server.port);
    assert_int_equal(source_acquire(&(struct source_options){.endpoint = url}, &s, error, sizeof error), 0);
    assert_int_equal(source_wait_synced(s, SECOND / 10), CDNS_ETIMEOUT);
    wait_trouble(s, "the API server cannot be reached: ");
    rcu_section_begin();
    assert_false(index_synced(source_store(s)));
    rcu_section_end();
    source_release(s);
}

static void ends_and_starts_again(void **unused)
{
    (void)unused;
    source_shutdown();
    source_shutdown();
    write_file("e.yaml", SERVICE("one"));
    struct source *s = acquire(path("e.yaml"), (struct store_options){0});
    assert_true(has_service(s, "shop", "one"));
    source_release(s);
    source_shutdown();
}

static int setup(void **unused)
{
    (void)unused;
    signal(SIGPIPE, SIG_IGN);
    rcu_thread_start();
    return mkdtemp(folder) == NULL;
}

static int teardown(void **unused)
{
    (void)unused;
    char command[100];
    source_shutdown();
    rcu_thread_end();
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifests_follow_changes),
        cmocka_unit_test(named_namespaces),
        cmocka_unit_test(swapped_link),
        cmocka_unit_test(shared),
        cmocka_unit_test(refused),
        cmocka_unit_test(api),
        cmocka_unit_test(unreachable_api),
        cmocka_unit_test(ends_and_starts_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
