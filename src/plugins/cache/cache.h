// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The cache plugin's own header. A question goes: cache.c (hit or miss) → table.c (is there an entry?) → entry.c
/// (records out of it); an answer: cache.c → judge.c (may it be kept, how long?) → entry.c → table.c. refresh.c asks
/// again for what runs out. Both tables are a store's (store.c), which outlives a configuration.
/// Source of all behaviour: CoreDNS 1.15.0, RFC 2308, RFC 8767; differences are in docs/plugins/cache.md.
#include <clusterdns/kubernetes.h>
#include <clusterdns/metrics.h>
#include <clusterdns/plugin.h>
#include <clusterdns/rcu.h>
#include <pthread.h>
#include <stdatomic.h>

#define SECOND UINT64_C(1000000000)

/// The two tables of a store.
enum kind {
    KIND_SUCCESS, ///< answers and referrals
    KIND_DENIAL,  ///< NXDOMAIN, NODATA, failures
    KINDS,
};

// --- entry.c

/// A record of an entry; offsets into the entry's bytes.
struct packed {
    uint32_t owner; ///< 0: the question's name
    uint32_t rdata;
    uint16_t type, class_, rdlen;
};

#define ENTRY_AA 1U
#define ENTRY_RA 2U
#define ENTRY_AD 4U
#define ENTRY_DO 8U ///< of the question, as CD is
#define ENTRY_CD 16U
#define ENTRY_ANSWERS 32U ///< it answers its question: neither a referral nor without the type that was asked for

struct table;

/// An answer that is kept: one piece of memory, not changed but for the three atomic numbers. Freed behind a grace
/// period.
struct entry {
    struct rcu_retired retired;
    struct table *table;        ///< that counts its bytes
    uint64_t hash;              ///< of its question: cache_question_hash()
    uint64_t stored_ns;         ///< monotonic
    uint32_t ttl;               ///< seconds
    uint32_t size;              ///< bytes of all, malloc's own included
    _Atomic uint32_t used;      ///< tick of the latest hit
    _Atomic uint32_t hits;      ///< without a gap, up to `prefetch`'s amount
    _Atomic uint32_t busy_till; ///< tick until which it is not to be refreshed again: somebody is about it; 0: none
    uint16_t qtype, qclass, rcode;
    uint16_t counts[3]; ///< records of answer, authority, additional
    uint8_t flags;      ///< ENTRY_ bits
    uint8_t qname_len;
    uint32_t nbytes;        ///< of names and rdata, which begin with the question's name
    struct packed packed[]; ///< all sections' records; then the bytes
};

/// Time as entries note it: a tick is 67 ms, so that a much used entry is not written to at each hit.
static inline uint32_t tick_of(uint64_t ns)
{
    return (uint32_t)(ns >> 26);
}
/// The hash of name, type, class, DO and CD.
uint64_t cache_question_hash(const struct query *q);
/// Makes an entry of q->reply for its question; NULL: no memory, or more than an entry can hold. `flags`: beyond what
/// the reply says. To be put into a table, or freed with free().
struct entry *cache_entry_new(const struct query *q, uint32_t ttl, unsigned flags, uint64_t now_ns);
/// Is this the question's?
bool cache_entry_is_of(const struct entry *e, uint64_t hash, const struct query *q);
/// Seconds left; 0 or less: it is stale.
int64_t cache_entry_ttl_left(const struct entry *e, uint64_t now_ns);
/// Makes it q->reply, with all TTLs `ttl`; everything is copied to the arena. CDNS_ENOMEM.
int cache_entry_reply(const struct entry *e, uint32_t ttl, struct query *q) CDNS_MUSTCHECK;

// --- table.c

#define TABLE_WAYS 16                       ///< places that a question's entry can be at
#define TABLE_LOCKS 64                      ///< each for the sets of one number modulo this
#define TABLE_CAPACITY_MAX (1U << 24)       ///< entries; more are not to be had
#define TABLE_BYTES_PER_ENTRY 1024          ///< the entries' bytes in all, by capacity
#define TABLE_RETIRED_MAX ((size_t)4 << 20) ///< bytes that wait to be freed; beyond them nothing is put in

/// The places for questions of one part of the hashes. Readers look for a tag, four at a time, so a miss reads half a
/// cache line; a tag that is not (or not yet) its entry's does no harm. What is left of the third cache line is not
/// used.
struct table_set {
    union {
        uint16_t tags[TABLE_WAYS]; ///< of the entries' hashes; written by the lock's holder
        uint64_t words[TABLE_WAYS / 4];
    };
    struct entry *entries[TABLE_WAYS]; ///< NULL: empty
    uint64_t unused[4];
};

struct table {
    void *memory;
    struct table_set *sets; ///< in `memory`, each from the beginning of a cache line
    uint32_t nsets;
    uint32_t stale; ///< seconds that entries are of use beyond their TTL
    uint64_t bytes_max;
    _Atomic uint64_t bytes, retired; ///< of entries; of entries that wait to be freed
    _Atomic uint32_t entries;
    _Atomic uint32_t hand; ///< the set to free memory in next
    pthread_mutex_t locks[TABLE_LOCKS];
};

/// Capacity in entries, a multiple of TABLE_WAYS. CDNS_ENOMEM: then nothing is to be freed.
int cache_table_init(struct table *t, uint32_t capacity, uint32_t stale) CDNS_MUSTCHECK;
/// Frees all; nobody reads any more, and what was retired has been freed.
void cache_table_free(struct table *t);
/// The question's entry, of whatever age, or NULL. Inside an RCU read section: it is there to its end.
struct entry *cache_table_find(struct table *t, uint64_t hash, const struct query *q);
/// Puts the entry of question `q` in, in place of its question's former one; takes it over, whatever it comes to.
/// `evicted`: how many others had to go. False: there is no room. Takes a lock.
bool cache_table_put(struct table *t, struct entry *e, const struct query *q, uint64_t now_ns, unsigned *evicted);
/// Takes the question's entry out, if there is one.
void cache_table_remove(struct table *t, uint64_t hash, const struct query *q);

// --- store.c

#define STORE_REFRESHES 256 ///< questions that the server asks itself for a store at a time

struct cache;

/// What outlives a configuration. The next one's instance gets the same if its `rest` (config.h) is the same.
struct store {
    struct table tables[KINDS];
    _Atomic uint32_t refreshing; ///< in hand
    // The registry's own.
    struct store *next;
    unsigned references;
    uint8_t rest[CONFIG_REST];
    struct metric *entries, *bytes;
    struct metrics_collector collector;
};

/// Takes the store for this instance, made if there is none. CDNS_ENOMEM, CDNS_EIO. Main thread.
int cache_store_acquire(const struct cache *c, const char *server, struct store **out) CDNS_MUSTCHECK;
/// Gives it back: the last one frees it. Main thread; no query of the instance is under way.
void cache_store_release(struct store *s);

// --- setup.c, cache_setup_stale.c

struct zones {
    const uint8_t *const *names;
    size_t n;
};

/// Is the name in one of them?
bool cache_zones_hold(const struct zones *z, const uint8_t *name);

/// Options of a table.
struct limits {
    uint32_t capacity;         ///< entries
    uint32_t ttl_min, ttl_max; ///< seconds
    struct zones except;       ///< zones whose answers are not kept
};

/// An instance.
struct cache {
    struct zones zones;
    const char *zones_text; ///< as a label: "a.,b."
    struct limits limits[KINDS];
    uint32_t servfail; ///< seconds
    bool keepttl;

    uint32_t prefetch; ///< hits; 0: off
    uint64_t prefetch_gap_ns;
    uint32_t prefetch_percent;

    uint32_t stale; ///< seconds; 0: off
    bool stale_verify, stale_prefer_positive;
    bool stale_configured, policy_configured;      ///< the lines were there
    uint64_t verify_timeout_ns;                    ///< 0: as long as it takes
    uint32_t stale_ttl;                            ///< seconds
    uint64_t stale_recheck_ns;                     ///< after a failed refresh
    const uint8_t *rest;                           ///< config's
    const struct placement *at;                    ///< from .start on, as all below
    struct store *store;                           ///< NULL: not started
    const struct kubernetes_interface *kubernetes; ///< of the same block; NULL: none
    void *kubernetes_self;
    struct metric *hits, *misses, *requests, *prefetches, *drops, *served_stale, *evictions;
};

int cache_setup(struct config *c, void **self);
/// The line `serve_stale …`. cache_setup_stale.c
int cache_setup_stale(struct config *c, struct cache *self, const struct directive *d) CDNS_MUSTCHECK;
/// The line `serve_stale_policy …`.
int cache_setup_stale_policy(struct config *c, struct cache *self, const struct directive *d) CDNS_MUSTCHECK;
/// What both say together.
int cache_setup_stale_finish(struct config *c, struct cache *self, const struct directive *d) CDNS_MUSTCHECK;

// --- judge.c

enum answer_type {
    ANSWER_POSITIVE,   ///< NOERROR with an answer, or with nothing
    ANSWER_DELEGATION, ///< a referral
    ANSWER_NXDOMAIN,
    ANSWER_NODATA,
    ANSWER_FAILURE, ///< SERVFAIL, NOTIMP
    ANSWER_OTHER,   ///< never kept
};

struct judgement {
    enum answer_type type;
    enum kind kind;
    uint32_t ttl; ///< seconds, for all records
    bool answers; ///< positive, with a record of the type asked for at the end of its chain of CNAMEs
    bool keep;    ///< to be put into the cache
};

/// What there is to say of q->reply as an answer to `q`.
struct judgement cache_judge(const struct cache *c, const struct query *q);

// --- cache.c

/// Is the answer the kubernetes plugin's?
bool cache_is_of_kubernetes(const struct query *q);
/// Takes the answer into the store. `former`: what it replaces by a refresh, or NULL.
void cache_keep(const struct cache *c, const struct query *q, const struct judgement *j, const struct entry *former);

// --- refresh.c

/// At a hit on a fresh entry: refreshes it if it is popular and about to run out.
void cache_prefetch(const struct cache *c, struct query *q, struct entry *e, uint64_t now_ns);
/// At a hit on a stale entry, which q->reply has been made of: DONE, or WAIT until it has been verified.
enum verdict cache_serve_stale(const struct cache *c, struct query *q, struct entry *e, uint64_t now_ns);

// --- metrics.c

/// Finds the instance's series. CDNS_ENOMEM is not possible: see metrics.h.
void cache_metrics_begin(struct cache *c, const char *server);
/// Those of its store.
void cache_metrics_store_begin(struct store *s, const struct cache *c, const char *server);
void cache_metrics_store_end(struct store *s);
