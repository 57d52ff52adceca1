// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Read-copy-update for what plugins share between workers: readers take no lock, writers publish a whole object and
/// free the one it replaces when nobody can still read it. .query, .reply and .done run inside a read section: what
/// RCU_READ() gives them stays until the hook returns, not longer.

/// Reads a pointer that a writer may change: ordered before what it points to.
#define RCU_READ(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
/// Publishes a pointer: what it points to is seen complete.
#define RCU_ASSIGN(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

/// Waits until every read section that began before has ended: then what was replaced can be freed. For the main
/// thread, between two events; never inside a section. A registered thread may call it.
void rcu_wait(void);
