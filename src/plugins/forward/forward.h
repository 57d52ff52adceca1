// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The plugin forward. forward.c has the hooks: the way in (.query), and the instance's life; setup.c reads the
/// directives; target.c what is behind TO, with resolv.c for files; set.c keeps the upstreams that new questions are
/// asked of; policy.c puts them in order; peer.c knows which are down; flight.c which questions are being asked, and
/// who waits; ask.c asks, again and elsewhere; answer.c gives waiters what came of it.
#include "net/upstream.h"
#include <clusterdns/file.h>
#include <clusterdns/metrics.h>
#include <clusterdns/plugin.h>
#include <stdatomic.h>

#define FORWARD_TOS 15         ///< TO arguments of a directive, as CoreDNS
#define FORWARD_UPSTREAMS 64   ///< upstreams of a directive, with those that files name
#define FORWARD_WAITING 2048   ///< questions that may wait on a worker at a time
#define FORWARD_SHARE 2        ///< of one directive at most so many times as there are places left for others
#define FORWARD_SAME 4         ///< of them with one name, type and class, asked in different ways
#define FORWARD_RCODES 24      ///< rcodes that have a name, 0 to 23
#define FORWARD_EDNS_SIZE 1232 ///< largest UDP answer that upstreams are asked for (RFC 9715)

/// An upstream as the Corefile or a file names it.
struct target {
    union sockaddr_any address;
    bool tls;
    const char *tls_name; ///< or NULL
};

/// A list without repetitions.
struct targets {
    unsigned n;
    struct target all[FORWARD_UPSTREAMS];
};

/// One TO argument: an upstream, or a file that names some.
struct to {
    struct target target;
    const char *path; ///< NULL: none
    struct stat seen; ///< the file when it was read
};

/// Reads a TO argument. CDNS_ECONFIG with CoreDNS's words, CDNS_ENOMEM.
int target_read(struct config *c, const struct token *text, struct to *out) CDNS_MUSTCHECK;
/// All upstreams that the arguments name at present, files read. CDNS_ELIMIT: more than FORWARD_UPSTREAMS; CDNS_EIO: a
/// file cannot be read (errno says why; `*failed` is the argument).
int targets_expand(struct to *tos, size_t n, struct targets *out, const struct to **failed) CDNS_MUSTCHECK;
/// Does one of the files look other than when it was read?
bool targets_changed(const struct to *tos, size_t n);
/// Is the text an IP address, or one with a port?
bool target_is_address(const char *text);

/// The names behind "nameserver" in a resolv.conf of `size` bytes; each is NUL-terminated for the call only.
void resolv_each(const char *text, size_t size, void (*each)(void *arg, const char *name), void *arg);

/// How an upstream's health is found out.
struct health_options {
    uint64_t interval_ns;
    uint32_t max_fails; ///< 0: it is never down, and never checked
    bool rec, tcp;
    uint8_t domain[NAME_MAX_WIRE];
};

/// An upstream and its health; belongs to the process, so a reload that keeps it keeps what is known of it.
struct peer {
    struct upstream *upstream;
    char to[ADDRESS_TEXT_MAX]; ///< address as in metrics and messages
    bool tls;
    struct health_options health;
    atomic_uint fails;                                             ///< failed health checks in a row
    atomic_bool wanted;                                            ///< a check is wanted, or under way
    struct metric *duration, *requests, *responses, *old_duration; ///< `duration`s: places are rcodes
    struct metric *hits, *misses;                                  ///< places: enum peer_proto
    struct metric *check_failures, *old_check_failures;
    struct peer_checks *checks; ///< main thread
    struct peer *next;
    unsigned refs;
};
enum peer_proto { PEER_UDP, PEER_TCP, PEER_TLS };

/// The peer with these options, made if there is none. On an error the text is in `error` (CONFIG_ERROR_MAX
/// bytes), or empty: error_text(). Main thread.
int peer_get(const struct upstream_options *options, const struct health_options *health, struct uv_loop_s *loop,
             struct peer **out, char *error) CDNS_MUSTCHECK;
/// Gives it back. Main thread.
void peer_put(struct peer *p);
/// More checks in a row have failed than are allowed. Any thread.
bool peer_is_down(const struct peer *p);
/// A question to it has failed, and no check has been answered since. Any thread.
bool peer_is_checked(const struct peer *p);
/// A question to it has failed: it is checked from now on until it answers. Any thread.
void peer_failed(struct peer *p);
/// It has answered: it is not down. Any thread.
void peer_answered(struct peer *p);

/// Name of an rcode in metrics and options; NULL: `rcode` has none. NOERROR is 0.
const char *rcode_name(unsigned rcode);
/// The rcode of a name without case; -1: none.
int rcode_of_name(const char *name);

struct stanza;

/// Upstreams in the order of the directive; immutable. Freed by main when no question uses it any more.
struct upstream_set {
    struct upstream_set *next; ///< of those that are no longer current
    atomic_uint *users;        ///< questions that use it, of each worker (written by that worker alone)
    unsigned n;
    struct peer *peers[];
};
/// Makes the targets the stanza's upstreams for new questions; frees former ones that nobody uses. On an error, text as
/// peer_get(), all stays as it was. Main thread.
int set_publish(struct stanza *s, const struct targets *targets, struct uv_loop_s *loop, char *error) CDNS_MUSTCHECK;
/// Frees former sets that nobody uses any more. Main thread.
void set_reclaim(struct stanza *s);
/// Frees all; no question is left. Main thread.
void set_free_all(struct stanza *s);
/// The current set, which stays until set_leave(). Worker.
struct upstream_set *set_enter(struct stanza *s, unsigned worker);
void set_leave(struct upstream_set *set, unsigned worker);

enum policy { POLICY_RANDOM, POLICY_ROUND_ROBIN, POLICY_SEQUENTIAL };

/// What a stanza keeps for each worker; alone on its cache line.
struct stanza_worker {
    _Alignas(64) _Atomic(struct upstream_set *) entering; ///< being taken: must not be freed
    uint32_t robin;
    uint32_t waiting; ///< questions
};

/// One directive.
struct stanza {
    const uint8_t **from; ///< zones
    size_t nfrom;
    const uint8_t **except;
    size_t nexcept;
    struct to *tos;
    size_t ntos;
    bool files; ///< one of them is a file
    enum policy policy;
    bool force_tcp, prefer_udp, next_on_nodata, failfast;
    uint32_t next_rcodes, failover_rcodes; ///< a bit each
    int64_t expire_ns, max_age_ns, read_timeout_ns;
    uint32_t max_idle;
    uint32_t max_connect_attempts; ///< 0: no bound
    bool has_max_connect_attempts; ///< false: twice the number of upstreams
    int64_t max_concurrent;        ///< 0: no bound
    struct health_options health;
    const char *tls_cert, *tls_key, *tls_ca, *tls_servername;
    union sockaddr_any source; ///< AF_UNSPEC: any

    /// NULL, or a loop was found: of all names only those below this one, loop's probes, are asked for.
    _Atomic(const uint8_t *) off;
    atomic_llong concurrent; ///< questions, if max_concurrent
    _Atomic(struct upstream_set *) set;
    struct upstream_set *former;   ///< main thread
    struct stanza_worker *workers; ///< worker_count()
};

/// The instance: all forward directives of a block.
struct forward {
    struct stanza *stanzas;
    size_t n;
    struct forward_watch *watch; ///< of files; between .start and .stop
    bool started;                ///< flights_get() was called
};

int forward_setup(struct config *c, void **self);

/// Writes the order in which the set's upstreams are to be asked to `order` (places in it). Worker.
void policy_order(struct stanza *s, const struct upstream_set *set, unsigned worker, uint8_t order[FORWARD_UPSTREAMS]);
