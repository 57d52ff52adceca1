// SPDX-License-Identifier: Apache-2.0
#include "kube/thread.h"
#include "base/rcu.h"
#include "base/thread.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct task {
    struct task *next;
    void (*run)(uv_loop_t *loop, void *arg);
    void *arg;
};

static struct {
    bool running;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    pthread_mutex_t lock; // of the two below
    struct task *first, **last;
} kube = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct task *take_tasks(void)
{
    pthread_mutex_lock(&kube.lock);
    struct task *first = kube.first;
    kube.first = NULL;
    kube.last = &kube.first;
    pthread_mutex_unlock(&kube.lock);
    return first;
}

static void on_wake(uv_async_t *wake)
{
    for (struct task *t = take_tasks(), *next; t != NULL; t = next) {
        next = t->next;
        t->run(wake->loop, t->arg);
        free(t);
    }
}

static void *run_loop(void *unused)
{
    (void)unused;
    rcu_thread_start();
    uv_run(&kube.loop, UV_RUN_DEFAULT);
    rcu_thread_end();
    return NULL;
}

static int start(void)
{
    if (uv_loop_init(&kube.loop) != 0)
        return CDNS_EIO;
    uv_async_init(&kube.loop, &kube.wake, on_wake);
    kube.last = &kube.first;
    if (thread_start(&kube.thread, "kube", run_loop, NULL) != 0) {
        uv_close((uv_handle_t *)&kube.wake, NULL);
        uv_run(&kube.loop, UV_RUN_DEFAULT);
        uv_loop_close(&kube.loop);
        return CDNS_EIO;
    }
    kube.running = true;
    return 0;
}

int kube_thread_run(void (*run)(uv_loop_t *loop, void *arg), void *arg)
{
    int r = kube.running ? 0 : start();
    if (r != 0)
        return r;
    struct task *t = malloc(sizeof *t);
    if (t == NULL)
        return CDNS_ENOMEM;
    *t = (struct task){.run = run, .arg = arg};
    pthread_mutex_lock(&kube.lock);
    *kube.last = t;
    kube.last = &t->next;
    pthread_mutex_unlock(&kube.lock);
    uv_async_send(&kube.wake);
    return 0;
}

static void stop_waking(uv_loop_t *loop, void *unused)
{
    (void)loop;
    (void)unused;
    uv_close((uv_handle_t *)&kube.wake, NULL); // without it the loop ends with its last handle
}

void kube_thread_end(void)
{
    if (!kube.running)
        return;
    INVARIANT(kube_thread_run(stop_waking, NULL) == 0);
    pthread_join(kube.thread, NULL);
    INVARIANT(uv_loop_close(&kube.loop) == 0);
    kube.running = false;
}
