// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The command line.
#include "dnsbench/questions.h"
#include "dnsbench/schedule.h"
#include <clusterdns/address.h>

#define OPTIONS_ERROR_MAX 512
#define SAFE_RATE 20000.0                       ///< questions a second, without --unlimited
#define SAFE_DURATION_NS UINT64_C(300000000000) ///< … and nanoseconds

/// What was asked for; texts are the command line's own.
struct options {
    union sockaddr_any server, source; ///< source: AF_UNSPEC: any
    const char *questions;             ///< path, "-": standard input
    struct question_options message;
    struct schedule_plan plan;
    uint32_t outstanding; ///< 0: an open loop
    enum pick_order order;
    double zipf; ///< PICK_ZIPF's exponent
    uint64_t seed;
    enum { OVER_UDP, OVER_TCP, OVER_TLS } transport;
    unsigned threads, sockets; ///< sockets (connections) of each thread
    uint32_t per_connection;   ///< questions; 0: any number
    const char *tls_name, *tls_ca;
    uint64_t timeout_ns;
    uint64_t max_lag_ns; ///< of the 99th percentile, for a valid run
    const char *json;    ///< where to write; NULL: nowhere
    const char *csv, *hgrm, *html;
    bool unlimited, quiet, help, version;
};

/// Reads the arguments. CDNS_ECONFIG: what is wrong and what to do is in `error` (OPTIONS_ERROR_MAX bytes).
int options_read(int argc, char **argv, struct options *out, char *error) CDNS_MUSTCHECK;
/// The text of --help, which fits a screen.
extern const char options_help[];
/// "1.5s", "250ms", "2m", "1h" or a number of seconds, above 0. False: it is none.
bool options_duration(const char *text, uint64_t *ns);
