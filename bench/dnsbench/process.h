// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the server's process takes while it answers: CPU time, memory, and datagrams that the kernel had to drop since
/// its sockets' buffers were full. Read from /proc; so the server runs on the same machine. One thread at a time.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESS_ERROR_MAX 512
#define PROCESS_SAMPLES_MAX 100000 ///< those that are more count in the sums alone

/// What is so at a moment; counts begin with the first sample.
struct process_sample {
    uint64_t at_ns;  ///< after the schedule's start
    uint64_t cpu_ns; ///< of all threads since the first sample
    uint64_t rss;    ///< bytes
    uint64_t drops;  ///< datagrams since the first sample
};

struct process_results {
    unsigned pid;
    char name[32];                  ///< of the program
    struct process_sample *samples; ///< while the schedule went on: the first at its beginning, then one a second
    size_t n;
    struct process_sample end;     ///< the newest
    uint64_t peak_rss;             ///< of all samples, bytes
    uint64_t load_ns, load_cpu_ns; ///< from the first sample to the schedule's end: time, and CPU time
    bool ended;                    ///< the process has, before the run
};

struct process;

/// The process `pid`, of which `root` ("/proc") tells. CDNS_ECONFIG: there is none, or it may not be looked at; what to
/// do is in `error` (PROCESS_ERROR_MAX bytes). CDNS_ENOMEM.
int process_open(const char *root, unsigned pid, struct process **out, char *error) CDNS_MUSTCHECK;
/// Takes a sample `at_ns` after the schedule's start; the first one begins the counts. `load`: the schedule is not
/// over. One that cannot be taken is left out.
void process_sample(struct process *p, uint64_t at_ns, bool load);
const struct process_results *process_results(const struct process *p);
/// NULL is allowed.
void process_free(struct process *p);
