// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The plugin contract: one descriptor, one macro, one file. See docs/writing-a-plugin.md.
#include <clusterdns/config.h>
#include <clusterdns/error.h>
#include <clusterdns/log.h>
#include <clusterdns/query.h>
#include <stdbool.h>
#include <stdint.h>

#define CLUSTERDNS_PLUGIN_ABI 2 ///< raised when a hook's meaning, a public structure or a function's prototype changes

struct uv_loop_s;

/// What .start is given; valid until .stop returns.
struct plugin_start {
    const struct placement *placement; ///< for query_ask()
    struct uv_loop_s *loop;            ///< the main thread's loop, for timers
    const char *server;                ///< the block's first address: "dns://:53"
    const union sockaddr_any *listen;  ///< what the block is bound to, `nlisten` of it; NULL: all addresses
    size_t nlisten;
    const struct server_state *state; ///< for server_each_ready() and server_stopping()
    bool reloading;                   ///< another configuration is being served: rather fail than serve worse than that
    char *error;                      ///< CONFIG_ERROR_MAX bytes for the text of a failure
};

/// A named interface between plugins, joined when a generation is built (autopath and transfer want kubernetes').
struct plugin_interface {
    const char *name; ///< NULL ends a list
    const void *ops;  ///< a table of functions that both sides know by the interface's header
};

/// A plugin. Hooks that are NULL are left out. `self` is what .setup made.
struct plugin {
    uint32_t abi;     ///< CLUSTERDNS_PLUGIN_ABI; set by the macro, as `name` is
    const char *name; ///< of the directive
    /// Of a plugin that a Corefile loads (docs/plugins/load.md): the one that it stands behind in the order of
    /// plugins/order.h, or behind another that was loaded before it. Of no meaning for a name that the order has.
    const char *after;
    /// Reads the directives of this name in a server block and builds their one immutable instance (`*self`, NULL if it
    /// has nothing to remember); shared by all workers. Main thread. On CDNS_ECONFIG the text is in c->error
    /// (config_errorf() and its like have put it there); other codes are reported by error_text(). After an error
    /// .destroy is not called. Nothing outside is touched: no socket, no file that is not needed to validate.
    int (*setup)(struct config *c, void **self);
    /// Frees what the instance has beside the arena's memory; no query is under way in it. Main thread.
    void (*destroy)(void *self);
    /// Opens timers, health checks, listeners of its own. Main thread; must not block for long, but may wait up to a
    /// configured time for a first sync if it runs s->loop meanwhile and stops waiting when server_stopping(). A
    /// failure (text in s->error, or empty: error_text()) stops the start of the server, or the reload. In a reload the
    /// former configuration's instance of the plugin still serves, and is stopped after this has returned.
    int (*start)(void *self, const struct plugin_start *s);
    /// The opposite of .start; after it returns the instance starts nothing new. After a reload, parked queries may
    /// still come back to it on workers, until .destroy. Main thread.
    void (*stop)(void *self);
    /// SIGTERM came: .stop will follow as soon as every instance's delay is over. Returns for how many nanoseconds the
    /// server is to go on answering (health's lameduck). Main thread.
    uint64_t (*shutdown)(void *self);
    /// Does this block take the query? A zone can have several blocks (view). Worker.
    bool (*match)(void *self, const struct query *q);
    /// The way in, in plugin order. Worker, inside an RCU read section; must not block.
    enum verdict (*query)(void *self, struct query *q);
    /// The way out, in reverse order, for each plugin whose .query was entered (or is NULL and was passed): may change
    /// the reply. Sees failures too (q->reply.fail_text). Worker.
    enum verdict (*reply)(void *self, struct query *q);
    /// Last, for every plugin entered, after the reply was written. Worker.
    void (*done)(void *self, const struct query *q, const struct outcome *o);
    /// A parked query ends by time-out or shutdown while this plugin holds it, or, right after the hook said WAIT,
    /// there is no room for one more that waits: forget `q`. Worker.
    void (*cancel)(void *self, struct query *q);
    /// Questions of other classes than IN come to the blocks of an address only if a plugin of one of them wants them;
    /// elsewhere they are REFUSED, as in CoreDNS (chaos, forward).
    bool any_class;
    /// Is the plugin ready to serve? Asked for each request to /ready. Main thread.
    bool (*ready)(void *self);
    const struct plugin_interface *provides; ///< list ended by a NULL name
    const char *const *wants;                ///< interface names, NULL ends; missing ones are not an error
    /// Called for each wanted interface that an instance of the same block provides. Main thread, after every .setup.
    void (*join)(void *self, const char *name, const void *ops, void *provider);
};

/// Defines plugin `id`: `CLUSTERDNS_PLUGIN(whoami, .setup = …, .query = …);` at the end of src/plugins/whoami.c. In a
/// shared object `clusterdns_plugin` leads to it; in the program it is weak, since there are many, and nobody uses it.
#define CLUSTERDNS_PLUGIN(id, ...)                                                                                     \
    const struct plugin clusterdns_plugin_##id = {.abi = CLUSTERDNS_PLUGIN_ABI, .name = #id, __VA_ARGS__};             \
    __attribute__((weak)) const struct plugin *const clusterdns_plugin = &clusterdns_plugin_##id

struct server_state;
/// Calls `fn` for every plugin instance of the server that has a .ready hook, in server order. Main thread.
void server_each_ready(const struct server_state *state, void (*fn)(void *arg, const char *plugin, bool ready),
                       void *arg);
/// True from the moment a termination signal came. Any thread.
bool server_stopping(const struct server_state *state);

/// Makes the series of coredns_dns_… for the zones of the instance's block, shows its plugins in
/// coredns_plugin_enabled, and has what reaches no block counted as zone "dropped". From .start. CDNS_ENOMEM.
int server_count_block(const struct placement *at) CDNS_MUSTCHECK;
/// The block's plugins are no longer shown. From .stop, after a server_count_block() that gave 0.
void server_uncount_block(const struct placement *at);
/// Counts a query that has ended, unless it is a child question. From .done.
void query_count(const struct query *q, const struct outcome *o);
/// Reads the Corefile and, if it does not say what it said when a configuration was last made of it, well or not, asks
/// for a reload. That happens soon after this has returned. An error is logged once. Main thread.
void server_reload_if_changed(const struct server_state *state);

/// Runs `run` on a worker's thread, between two events of its loop, and waits for what it returns. There it may, for
/// one, ask a question that nobody waits for (query_ask() without a parent: a probe). `at` is the calling instance's.
/// CDNS_EAGAIN: the instance's configuration is not served, not yet or no more; a timer may try again. Main thread, not
/// from .start.
int server_on_worker(const struct server_state *state, const struct placement *at, unsigned worker,
                     int (*run)(void *arg), void *arg) CDNS_MUSTCHECK;
/// Ends the process with status 1, at once and without draining, as soon as the main loop's present turn is over: for
/// what CoreDNS ends itself by log.Fatalf. Why stands in the log (LOG_LEVEL_FATAL). Main thread.
void server_give_up(const struct server_state *state);
