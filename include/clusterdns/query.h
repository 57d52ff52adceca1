// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A query on its way through the plugin chain, the reply it collects, and child questions.
/// A query belongs to one worker thread from birth to end; every function here is called on that worker only.
#include <clusterdns/address.h>
#include <clusterdns/arena.h>
#include <clusterdns/name.h>
#include <clusterdns/record.h>
#include <stdbool.h>
#include <stdint.h>

/// What a hook tells the chain.
enum verdict {
    VERDICT_NEXT,   ///< .query: ask the next plugin (SERVFAIL behind the last one); .reply: go on to the plugin before
    VERDICT_DONE,   ///< .query: the reply stands in q->reply, start the way back; .reply: as NEXT
    VERDICT_FAIL,   ///< query_fail() was called: no reply, an rcode and a text (seen by errors and cache)
    VERDICT_WAIT,   ///< parked: the plugin calls query_resume() later, on the same worker, or .cancel is called
    VERDICT_DROP,   ///< no answer is sent; .done still runs
    VERDICT_STREAM, ///< .query only: query_stream() was called; messages are produced as the socket drains
};

/// How the question came in.
enum transport { TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_INTERNAL /* a child question */ };

/// The reply being built. Zeroed when the query starts, but for `rcode` NOERROR; RD and CD are copied from the question
/// by the server. Every array's memory is the query's arena.
struct reply {
    struct records answer, authority, additional; ///< without OPT, which the server adds
    uint16_t rcode;                               ///< enum rcode
    bool aa, ra, ad, tc;                          ///< header flags; tc is also set when the reply does not fit
    const uint8_t *options;                       ///< of OPT, in wire form, `options_len` bytes; see reply_option_add()
    uint16_t options_len;
    bool local;            ///< the failure is this server's own and says nothing of the name: not to be cached
    const char *fail_text; ///< set by query_fail(); NULL when the reply is a real one
    const char *origin;    ///< name of the plugin that ended the way in; NULL: the server itself
};

/// Bytes of the largest reply over UDP that has other servers' data, whatever its client could take: who makes these
/// large is not known, and whom the reply goes to is not either. A plugin that gives such a reply lowers `udp_size`.
#define QUERY_UDP_FOREIGN 4096

/// One question. The fields are read-only for plugins but for `reply`, (rewrite's business) qname, qtype, qclass,
/// (bufsize's and forward's) udp_size and (cache's) ad.
struct query {
    const uint8_t *qname;       ///< wire name in lower case
    const uint8_t *qname_asked; ///< the same as asked, for owners in the reply (RFC 1035 §2.3.3: case is preserved)
    uint16_t qtype, qclass;     ///< host order
    uint16_t id;                ///< of the question's header
    uint16_t udp_size;          ///< largest reply over UDP in bytes: 512, or the EDNS size (RFC 6891 §6.2.5)
    uint8_t qname_len;          ///< bytes of qname, root included
    uint8_t qname_labels;       ///< labels of qname
    uint8_t opcode;             ///< enum opcode
    uint8_t transport;          ///< enum transport
    bool rd, cd, ad, do_, edns; ///< header bits of the question; edns: it had an OPT record
    bool ad_asked;              ///< ad as the client has sent it; `ad` is what another server is asked with
    uint16_t request_size;      ///< bytes of the question's message; 0 for a child question
    const uint8_t *zone;        ///< the server block's zone (lower case) that the question was routed by
    const char *zone_text;      ///< the same in presentation form
    const char *server;         ///< the block's address as in metrics: "dns://:53"
    const uint8_t *packet;      ///< the whole question as received, `request_size` bytes; NULL for a child question
    const uint8_t *options;     ///< OPT's options as received, `options_len` bytes, whole; see query_option()
    uint16_t options_len;
    union sockaddr_any client; ///< who asked; of a child: its parent's, or all zero
    union sockaddr_any local;  ///< the address that was asked
    struct arena *arena;       ///< lives until the query ends
    uint64_t received_ns;      ///< monotonic clock at receipt, nanoseconds
    unsigned worker;           ///< 0 … worker_count() - 1: index of per-worker slots
    uint8_t depth;             ///< 0, or how many ancestors a child question has
    struct reply reply;
};

/// How a query ended; given to every .done hook.
struct outcome {
    uint16_t rcode;       ///< as sent, extended bits included
    bool sent;            ///< false when it was dropped
    bool tc;              ///< the reply was truncated
    uint32_t size;        ///< bytes of the reply's message; of a stream: of all messages
    uint64_t duration_ns; ///< from receipt to now
    const char *origin;   ///< plugin that answered, or NULL: the server
    const char *error;    ///< text of query_fail(), or NULL
};

/// Number of worker threads; fixed for the life of the process.
unsigned worker_count(void);

struct uv_loop_s;
/// The calling worker's own loop, for sockets and timers that belong to it; NULL on a thread that is no worker.
struct uv_loop_s *worker_loop(void);

/// Records a failure: the reply's sections are emptied, its rcode is set and the text (copied into the arena) reaches
/// errors, log and metrics. Returns VERDICT_FAIL, so that a hook can `return query_fail(q, RCODE_SERVFAIL, "…");`.
enum verdict query_fail(struct query *q, uint16_t rcode, const char *fmt, ...) CDNS_PRINTF(3, 4);
/// The same for a failure that is this server's own and says nothing of the name (too much waits, memory is short):
/// sets `reply.local`, so that nobody keeps it.
enum verdict query_fail_local(struct query *q, uint16_t rcode, const char *fmt, ...) CDNS_PRINTF(3, 4);

/// Codes of EDNS options (IANA DNS EDNS0 Option Codes) that plugins here know.
enum edns_option { EDNS_NSID = 3 /* RFC 5001 */ };

/// Has the question's OPT an option of this code (RFC 6891 §6.1.2)? Of several the first: `*len` bytes at `*data`,
/// which are good until the hook returns. Both may be NULL.
bool query_option(const struct query *q, uint16_t code, const uint8_t **data, uint16_t *len);
/// Adds an option of `len` bytes, which are copied, to the reply's OPT: last, from a .reply hook. A question without
/// OPT gets none (RFC 6891 §6.1.1), and a reply that has no room for the options goes without them. CDNS_ENOMEM;
/// CDNS_ERANGE: OPT holds no more than 65,535 bytes.
int reply_option_add(struct query *q, uint16_t code, const void *data, uint16_t len) CDNS_MUSTCHECK;

/// Continues a query whose hook returned, or is about to return, VERDICT_WAIT: as if the hook had returned `verdict`
/// (not WAIT). May be called before the hook has returned. Exactly once for each WAIT, never after .cancel.
void query_resume(struct query *q, enum verdict verdict);

/// Which plugins a child question passes.
enum ask_scope {
    ASK_REST,  ///< those after the asking plugin in its own block
    ASK_WHOLE, ///< the whole server, routed afresh by the child's name
};

/// Called once when a child question has ended. `child` (its reply, its arena) lives until the callback returns.
/// `failed` is 0, or CDNS_ETIMEOUT (deadline), CDNS_ELIMIT (too deep, too many), CDNS_ECANCELED (shutdown, or it was
/// dropped); a FAIL verdict of the child is not a failure here: look at child->reply.fail_text and rcode. `child` may
/// be NULL when `failed` is set. `parent` is NULL when there was none or it has ended before.
typedef void (*query_ask_cb)(void *arg, struct query *parent, struct query *child, int failed);

/// A child question to ask.
struct question {
    const uint8_t *qname; ///< wire name in any case; copied
    uint16_t qtype, qclass;
    bool rd, cd, ad, do_; ///< header bits of the child
};

struct placement; ///< where an instance stands in its block; given to .start

#define QUERY_MAX_DEPTH 10    ///< ancestors a child question may have
#define QUERY_MAX_CHILDREN 32 ///< child questions one top-level query may cause in all, descendants included

/// Asks a child question of `parent`'s chain. `at` is the asking instance's placement (plugin_start.placement, kept by
/// .start); `parent` NULL: nobody waits (prefetch, probe). `timeout_ns` 0 means QUERY_TIMEOUT_NS.
/// The callback may run before this returns. The child owns its arena and may outlive its parent.
/// Returns 0, or CDNS_ELIMIT (too deep, too many, too much in hand) or CDNS_EINVAL (qname too long), in which case the
/// callback is not called.
int query_ask(struct query *parent, const struct placement *at, enum ask_scope scope, const struct question *question,
              uint64_t timeout_ns, query_ask_cb callback, void *arg) CDNS_MUSTCHECK;

#define QUERY_TIMEOUT_NS UINT64_C(10000000000) ///< the longest a query is parked in all: ten seconds

/// Produces the next message of a stream into q->reply (emptied before each call). Returns 1 when there is more to
/// come, 0 when this was the last message, or a negative error: the connection is closed.
typedef int (*query_stream_cb)(struct query *q, void *arg);
/// Sets the producer of a streamed reply; the hook then returns VERDICT_STREAM. Only over TCP: CDNS_EINVAL otherwise.
int query_stream(struct query *q, query_stream_cb produce, void *arg) CDNS_MUSTCHECK;
