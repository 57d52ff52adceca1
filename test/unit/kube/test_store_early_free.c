// SPDX-License-Identifier: Apache-2.0
// Do the sanitizers notice a view that is freed while it is being read? Here grace periods are none: rcu_wait() below
// does not wait, so what the store retires is freed under the reader's hands.
#include "base/rcu.h"
#include "kube/index.h"
#include "kube/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

void rcu_thread_start(void)
{
}
void rcu_thread_end(void)
{
}
void rcu_section_begin(void)
{
}
void rcu_section_end(void)
{
}
void rcu_wait(void)
{
}

static void read_what_is_gone(void)
{
    struct store *s = store_new(&(struct store_options){.endpoints = true});
    struct kube_address ip = {.len = 4, .bytes = {10, 96, 0, 1}};
    struct kube_object o = {.kind = KUBE_SERVICE, .namespace_ = "default", .name = "web"};
    o.service = (struct kube_service){.cluster_ips = &ip, .ncluster_ips = 1};
    if (store_upsert(s, &o) != 0)
        return;
    store_commit(s);
    rcu_section_begin();
    const struct index_service *v = index_service(s, (const uint8_t *)"\7default", (const uint8_t *)"\3web");
    store_delete(s, &o);
    store_commit(s);
    index_cluster_ip(v, 0, &ip);
    rcu_section_end();
}

static void sanitizers_notice(void **state)
{
    (void)state;
    if (!SANITIZED) {
        print_message("skipped: needs a build with SANITIZE=address or SANITIZE=thread\n");
        skip();
    }
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        read_what_is_gone();
        _exit(0);
    }
    close(out[1]);
    char text[65536];
    size_t len = 0;
    ssize_t n;
    while ((n = read(out[0], text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = 0;
    close(out[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_non_null(strstr(text, "heap-use-after-free"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sanitizers_notice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
