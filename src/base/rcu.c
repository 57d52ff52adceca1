// SPDX-License-Identifier: Apache-2.0
#include "base/rcu.h"

#ifndef CDNS_TSAN

#include <urcu/urcu-memb.h>

void rcu_thread_start(void)
{
    urcu_memb_register_thread();
}

void rcu_thread_end(void)
{
    urcu_memb_unregister_thread();
}

void rcu_section_begin(void)
{
    urcu_memb_read_lock();
}

void rcu_section_end(void)
{
    urcu_memb_read_unlock();
}

void rcu_wait(void)
{
    urcu_memb_synchronize_rcu();
}

#else

#include <clusterdns/error.h>
#include <pthread.h>

// Writers first, or busy readers would hold a writer off for ever. Only the outermost section takes the lock, so a
// nested one cannot wait for a writer that waits for it.
static pthread_rwlock_t sections = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static _Thread_local unsigned depth;

void rcu_thread_start(void)
{
}

void rcu_thread_end(void)
{
    INVARIANT(depth == 0);
}

void rcu_section_begin(void)
{
    if (depth++ == 0)
        pthread_rwlock_rdlock(&sections);
}

void rcu_section_end(void)
{
    INVARIANT(depth > 0);
    if (--depth == 0)
        pthread_rwlock_unlock(&sections);
}

void rcu_wait(void)
{
    INVARIANT(depth == 0);
    pthread_rwlock_wrlock(&sections);
    pthread_rwlock_unlock(&sections);
}

#endif
