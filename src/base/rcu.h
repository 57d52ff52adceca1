// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Read-copy-update behind one small interface: liburcu's memb flavour; in TSan builds (CDNS_TSAN) a reader-writer
/// lock, since liburcu 0.13 makes false reports there. Readers: a thread registers once, then reads inside sections; a
/// section never blocks and may nest. Writers publish with RCU_ASSIGN, wait with rcu_wait(), then free.
#include <clusterdns/rcu.h>

/// Registers, unregisters the calling thread as a reader. Each reading thread, once.
void rcu_thread_start(void);
void rcu_thread_end(void);
/// Begins and ends a read section; nests.
void rcu_section_begin(void);
void rcu_section_end(void);
