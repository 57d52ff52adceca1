// SPDX-License-Identifier: Apache-2.0
// What was retired is freed in batches, each behind one grace period: see <clusterdns/rcu.h>.
#include "base/rcu.h"
#include "base/thread.h"
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

// How long a batch gathers. A grace period disturbs every running thread, so there are not many.
#define GATHER_NS 5000000

static struct rcu_retired *list; // newest first; atomic
static sem_t filled;             // posted when the list is no longer empty
static pthread_t thread;
static unsigned users; // main's

// The last one's: it comes back through the list, behind everything that was retired before.
static struct rcu_retired end_mark;
static sem_t ended;
static bool over; // the thread's

static void free_batch(void)
{
    struct rcu_retired *newest = __atomic_exchange_n(&list, NULL, __ATOMIC_ACQUIRE), *oldest = NULL;
    rcu_wait();
    while (newest != NULL) {
        struct rcu_retired *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct rcu_retired *next = oldest->next; // before it is freed
        oldest->free(oldest);
        oldest = next;
    }
}

static void *run(void *unused)
{
    (void)unused;
    for (over = false; !over;) {
        const struct timespec gather = {.tv_nsec = GATHER_NS};
        if (sem_wait(&filled) != 0)
            continue; // a signal
        nanosleep(&gather, NULL);
        free_batch();
    }
    return NULL;
}

int rcu_retire_begin(void)
{
    if (users == 0) {
        sem_init(&filled, 0, 0);
        sem_init(&ended, 0, 0);
        if (thread_start(&thread, "reclaim", run, NULL) != 0)
            return CDNS_EIO;
    }
    users++;
    return 0;
}

void rcu_retire(struct rcu_retired *retired, void (*free)(struct rcu_retired *retired))
{
    struct rcu_retired *next = __atomic_load_n(&list, __ATOMIC_RELAXED);
    retired->free = free;
    do
        retired->next = next;
    while (!__atomic_compare_exchange_n(&list, &next, retired, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (next == NULL) // `retired` itself may be gone by now
        sem_post(&filled);
}

static void on_end(struct rcu_retired *mark)
{
    (void)mark;
    over = users == 0;
    sem_post(&ended);
}

void rcu_retire_end(void)
{
    INVARIANT(users > 0);
    users--;
    rcu_retire(&end_mark, on_end);
    while (sem_wait(&ended) != 0) {
    }
    if (users > 0)
        return;
    pthread_join(thread, NULL);
    sem_destroy(&filled);
    sem_destroy(&ended);
}
