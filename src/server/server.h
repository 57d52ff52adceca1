// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The server as the program sees it: build a configuration, run it, stop. Main thread.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stdint.h>

/// Flags of the command line that reach the server.
struct server_options {
    const char *corefile; ///< path; NULL: ./Corefile, or the built-in default when that is missing
    uint16_t port;        ///< -dns.port: default port of dns:// keys (53)
    bool quiet;           ///< no start banner
    const char *pidfile;  ///< NULL: none
};

/// Builds the configuration, serves until SIGTERM, SIGINT or SIGQUIT. Returns the process's exit status.
int server_run(const struct server_options *options);
/// Validates a Corefile: reads it, builds every instance, opens no socket; prints the outcome. Directives of CoreDNS
/// that are not built yet are each reported with their line. Exit status 0 or 1.
int server_check(const char *corefile, uint16_t port);
/// Is the directive built, planned or unknown?
enum plugin_status { PLUGIN_UNKNOWN, PLUGIN_PLANNED, PLUGIN_BUILT };
enum plugin_status server_plugin_status(const char *name);
/// Prints the built plugins in order, a line each ("dns.NAME", -plugins).
void server_print_plugins(void);
