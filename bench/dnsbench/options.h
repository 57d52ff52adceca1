// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The command line.
#include "dnsbench/objective.h"
#include "dnsbench/questions.h"
#include "dnsbench/schedule.h"
#include <clusterdns/address.h>

#define OPTIONS_ERROR_MAX 512
#define RATE_MAX 1e8                            ///< questions a second
#define SAFE_RATE 20000.0                       ///< questions a second, without --unlimited
#define SAFE_CHURN 100.0                        ///< … changes a second
#define STUB_QUESTIONS 8                        ///< a look-up counts for so many: four candidates, A and AAAA
#define SAFE_DURATION_NS UINT64_C(300000000000) ///< … and nanoseconds

#define OPTIONS_PATHS 32 ///< how often --manifests may be given

/// Kinds of names that a cluster has (cluster.h).
enum names {
    NAMES_SERVICES = 1, ///< A and AAAA of Services that have ClusterIPs, CNAME of ExternalName ones
    NAMES_HEADLESS = 2, ///< … of headless ones, and of their endpoints
    NAMES_SRV = 4,      ///< SRV of Services' named ports
    NAMES_PTR = 8,      ///< PTR of ClusterIPs and endpoints
    NAMES_PODS = 16,    ///< A or AAAA of 10-0-0-1.NAMESPACE.pod.ZONE
    NAMES_ALL = 31
};

/// What was asked for; texts are the command line's own.
struct options {
    union sockaddr_any server, source; ///< source: AF_UNSPEC: any
    // What is asked.
    const char *questions; ///< path, "-": standard input; NULL: a cluster's names
    const char *manifests[OPTIONS_PATHS];
    unsigned nmanifests;
    const char *kubeconfig, *context; ///< of a live API; NULL: none, the current one
    const char *zone;                 ///< the cluster's
    unsigned names;                   ///< enum names, of a cluster's
    double missing, external;         ///< percent of questions that are for names that are not, or not the cluster's
    const char *external_names;       ///< with commas
    struct question_options message;
    enum pick_order order;
    double zipf; ///< PICK_ZIPF's exponent
    // Look-ups.
    bool stub;
    unsigned ndots, attempts;
    const char *search; ///< domains with commas; NULL: those of a pod in `namespace_`
    const char *namespace_;
    // When.
    struct schedule_plan plan;
    uint64_t queries;     ///< after so many it ends; 0: it does not
    uint32_t outstanding; ///< 0: an open loop
    const char *knee;     ///< --find-knee's objective; NULL: no search
    struct objective objective;
    bool max; ///< the highest rate of a closed loop is looked for
    uint64_t seed;
    uint64_t timeout_ns;
    // How.
    enum { OVER_UDP, OVER_TCP, OVER_TLS } transport;
    unsigned threads, sockets; ///< sockets (connections) of each thread
    uint32_t per_connection;   ///< questions; 0: any number
    const char *tls_name, *tls_ca;
    // What is looked at.
    bool check;                   ///< answers, by the cluster that names come from, or the questions' file
    union sockaddr_any reference; ///< answers, by this server's; AF_UNSPEC: not
    double churn;                 ///< changes a second; 0: none
    unsigned pid;                 ///< the server's process; 0: not looked at
    uint64_t max_lag_ns;          ///< of the 99th percentile, for a valid run
    const char *json;             ///< where to write; NULL: nowhere
    const char *csv, *hgrm, *html;
    bool unlimited, quiet, help, version;
};

/// Reads the arguments. CDNS_ECONFIG: what is wrong and what to do is in `error` (OPTIONS_ERROR_MAX bytes).
int options_read(int argc, char **argv, struct options *out, char *error) CDNS_MUSTCHECK;
/// The most questions (look-ups) a second without --unlimited.
double options_safe_rate(const struct options *o);
/// The text of --help, which fits a screen.
extern const char options_help[];
/// The name of the i-th option, without dashes; NULL: there are no more.
const char *options_name(size_t i);
/// "1.5s", "250ms", "2m", "1h" or a number of seconds, above 0. False: it is none.
bool options_duration(const char *text, uint64_t *ns);
