// SPDX-License-Identifier: Apache-2.0
// When objects become visible, when a source counts as synced, whose trouble is told.
#include "base/rcu.h"
#include "kube/feed.h"
#include "kube/index.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct store *store;
static struct feed feed;
static unsigned synced;
static char trouble[FEED_TROUBLE_MAX];

static void on_synced(void *arg)
{
    (void)arg;
    assert_true(index_synced(store));
    synced++;
}

static void on_trouble(void *arg, const char *text)
{
    (void)arg;
    snprintf(trouble, sizeof trouble, "%s", text);
}

static struct kube_object named(enum kube_kind kind, const char *name)
{
    return (struct kube_object){.kind = kind,
                                .namespace_ = kind == KUBE_NAMESPACE ? "" : "ns",
                                .name = name,
                                .service = {.type = KUBE_HEADLESS}};
}

static bool visible(const char *name)
{
    uint8_t namespace_label[] = {2, 'n', 's'}, label[64] = {(uint8_t)strlen(name)};
    memcpy(label + 1, name, label[0]);
    rcu_section_begin();
    bool found = index_service(store, namespace_label, label) != NULL;
    rcu_section_end();
    return found;
}

static int set_up_with(const struct store_options *options)
{
    static const struct feed_listener listener = {.synced = on_synced, .trouble = on_trouble};
    synced = 0;
    trouble[0] = '\0';
    uv_loop_init(&loop);
    store = store_new(options);
    feed_init(&feed, &loop, store, options, &listener);
    return 0;
}

static int setup(void **unused)
{
    (void)unused;
    return set_up_with(&(struct store_options){.endpoints = true});
}

static int setup_imports(void **unused)
{
    (void)unused;
    return set_up_with(&(struct store_options){.imports = true});
}

static void ignore(void *arg)
{
    (void)arg;
}

static int teardown(void **unused)
{
    (void)unused;
    feed_close(&feed, ignore, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    store_free(store);
    return uv_loop_close(&loop);
}

static void changes_show_after_a_turn(void **unused)
{
    (void)unused;
    struct kube_object o = named(KUBE_SERVICE, "a");
    feed_upsert(&feed, &o, false);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(visible("a"));
    feed_delete(&feed, &o);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_false(visible("a"));
    assert_int_equal(feed.pending, 0);
}

static void lists_are_committed_in_batches(void **unused)
{
    (void)unused;
    char name[32];
    for (size_t i = 0; i < STORE_BATCH + 10; i++) {
        snprintf(name, sizeof name, "s%zu", i);
        struct kube_object o = named(KUBE_SERVICE, name);
        feed_upsert(&feed, &o, true);
        if (i == STORE_BATCH - 2)
            assert_int_equal(feed.pending, STORE_BATCH - 1);
    }
    assert_int_equal(feed.pending, 10);
    uv_run(&loop, UV_RUN_NOWAIT); // more of the list is to come
    assert_int_equal(feed.pending, 10);
    feed_relist_begin(&feed, KUBE_SERVICE);
    feed_relist_end(&feed, KUBE_SERVICE);
    assert_int_equal(feed.pending, 0);
}

static void synced_when_all_are_listed(void **unused)
{
    (void)unused;
    assert_false(feed_wants(&feed, KUBE_POD));
    static const enum kube_kind order[] = {KUBE_ENDPOINTSLICE, KUBE_NAMESPACE, KUBE_ENDPOINTSLICE, KUBE_SERVICE,
                                           KUBE_SERVICE};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(synced, i == 4);
        feed_relist_begin(&feed, order[i]);
        feed_relist_end(&feed, order[i]);
    }
    assert_int_equal(synced, 1);
}

static void list(enum kube_kind kind)
{
    feed_relist_begin(&feed, kind);
    feed_relist_end(&feed, kind);
}

// Whoever may not see imports knows all else.
static void synced_without_imports(void **unused)
{
    (void)unused;
    list(KUBE_NAMESPACE);
    list(KUBE_SERVICE);
    assert_int_equal(synced, 0);
    feed_refused(&feed, KUBE_SERVICE_IMPORT, false);
    assert_int_equal(synced, 0);
    list(KUBE_IMPORTED_SLICE);
    assert_int_equal(synced, 1);
    assert_false(index_imports_synced(store));
    list(KUBE_SERVICE_IMPORT);
    assert_true(index_imports_synced(store));
    feed_refused(&feed, KUBE_SERVICE_IMPORT, false);
    assert_true(index_imports_synced(store));
    assert_int_equal(synced, 1);
}

// Where there is no such resource nothing is imported: that is known.
static void imports_that_cannot_be(void **unused)
{
    (void)unused;
    feed_refused(&feed, KUBE_SERVICE_IMPORT, true);
    feed_refused(&feed, KUBE_IMPORTED_SLICE, true);
    assert_true(index_imports_synced(store));
    list(KUBE_SERVICE);
    assert_int_equal(synced, 0);
    list(KUBE_NAMESPACE);
    assert_int_equal(synced, 1);
}

static void trouble_of_several(void **unused)
{
    (void)unused;
    feed_trouble(&feed, KUBE_SERVICE, "services: x");
    assert_string_equal(trouble, "services: x");
    feed_trouble(&feed, KUBE_NAMESPACE, "namespaces: y");
    assert_string_equal(trouble, "namespaces: y");
    feed_trouble(&feed, KUBE_NAMESPACE, "");
    assert_string_equal(trouble, "services: x");
    feed_trouble(&feed, KUBE_SERVICE, "");
    assert_string_equal(trouble, "");
}

int main(void)
{
    rcu_thread_start();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_show_after_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_committed_in_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(synced_when_all_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(synced_without_imports, setup_imports, teardown),
        cmocka_unit_test_setup_teardown(imports_that_cannot_be, setup_imports, teardown),
        cmocka_unit_test_setup_teardown(trouble_of_several, setup, teardown),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rcu_thread_end();
    return failed;
}
