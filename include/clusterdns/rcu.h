// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Read-copy-update for what plugins share between workers: readers take no lock, writers publish a whole object and
/// free the one it replaces when nobody can still read it. .query, .reply and .done run inside a read section: what
/// RCU_READ() gives them stays until the hook returns, not longer.
#include <clusterdns/error.h>

/// Reads a pointer that a writer may change: ordered before what it points to.
#define RCU_READ(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
/// Publishes a pointer: what it points to is seen complete.
#define RCU_ASSIGN(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

/// Waits until every read section that began before has ended: then what was replaced can be freed. For the main
/// thread, between two events; never inside a section. A registered thread may call it.
void rcu_wait(void);

/// For what workers replace, who must not wait: a member of the object.
struct rcu_retired {
    struct rcu_retired *next;
    void (*free)(struct rcu_retired *retired);
};

/// From now on rcu_retire() may be called: the first caller starts the thread that frees. CDNS_EIO. Main thread.
int rcu_retire_begin(void) CDNS_MUSTCHECK;
/// The opposite; everything retired before has been freed when it returns, within some hundredths of a second. Main
/// thread.
void rcu_retire_end(void);
/// Has `free(retired)` called, on a thread of its own, once no read section that is open now is open any more: within
/// some hundredths of a second. Inside a section or not; never blocks, takes no lock. How much may wait so at a time is
/// the caller's to bound. Any thread.
void rcu_retire(struct rcu_retired *retired, void (*free)(struct rcu_retired *retired));
