// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A thread of load over UDP: sends what is due from several sockets, in batches, and accounts for everything that
/// comes back.
#include "dnsbench/questions.h"
#include "dnsbench/results.h"
#include "dnsbench/schedule.h"
#include <clusterdns/address.h>
#include <clusterdns/error.h>
#include <stdatomic.h>

/// What all threads do.
struct load {
    union sockaddr_any server, source; ///< source: AF_UNSPEC: any
    const struct questions *questions;
    enum pick_order order;
    const struct alias *zipf;
    uint64_t seed;
    struct schedule_plan plan; ///< of an open loop; of a closed one its duration counts
    uint32_t outstanding;      ///< 0: an open loop; else as many questions are on their way at a time, of all threads
    unsigned threads, sockets; ///< sockets of each thread
    uint64_t timeout_ns;
    uint64_t start_ns; ///< in the monotonic clock's time: when the schedule begins
    atomic_bool stop;  ///< nothing more is sent; what is on its way is waited for
};

struct udp_load;

/// Thread `part` of the load, with its sockets open. CDNS_EIO: errno says why there are none; CDNS_ENOMEM.
int udp_load_new(const struct load *load, unsigned part, struct udp_load **out) CDNS_MUSTCHECK;
void udp_load_free(struct udp_load *u);
/// Runs until all is sent and answered or lost. The thread's work; the results can be had while it runs (live) and
/// after.
void udp_load_run(struct udp_load *u);
struct results *udp_load_results(struct udp_load *u);
