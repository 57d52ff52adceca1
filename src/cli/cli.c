// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include "base/logring.h"
#include "kube/source.h"
#include "server/server.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOG_STOP_NS UINT64_C(1000000000) // wait for a blocked standard output at the end

static const char usage[] =
    "Usage: clusterdns [FLAGS]            serve\n"
    "       clusterdns check COREFILE     validate a Corefile without serving\n"
    "Flags (-flag or --flag, with =VALUE or a following VALUE):\n"
    "  -conf FILE           Corefile to load (default: ./Corefile, else whoami and log on .:53)\n"
    "  -dns.port, -p PORT   default port of dns:// keys (default 53)\n"
    "  -log-format FORMAT   text or json\n"
    "  -pidfile FILE        write the process id to FILE\n"
    "  -plugins             list the built plugins\n"
    "  -quiet               no start banner\n"
    "  -version             show the version\n";

struct flags {
    struct server_options server;
    bool plugins, version, help;
    enum log_format log_format;
};

static int bad(const char *fmt, const char *what)
{
    fprintf(stderr, fmt, what);
    fprintf(stderr, "\n%s", usage);
    return 2;
}

static int parse_port(const char *text, uint16_t *port)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > 65535)
        return bad("clusterdns: %s is not a port: give a number from 0 to 65535", text);
    *port = (uint16_t)n;
    return 0;
}

static bool parse_bool(const char *value, bool *out)
{
    *out = value == NULL || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    return value == NULL || *out || strcmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

// A flag that takes no value, or "=true", "=false". Returns 1 if it was one, 0 if not, -1 for a bad value.
static int parse_switch(struct flags *f, const char *name, const char *value)
{
    bool *target = strcmp(name, "plugins") == 0   ? &f->plugins
                   : strcmp(name, "version") == 0 ? &f->version
                   : strcmp(name, "quiet") == 0   ? &f->server.quiet
                   : strcmp(name, "help") == 0    ? &f->help
                   : strcmp(name, "h") == 0       ? &f->help
                                                  : NULL;
    if (target == NULL)
        return 0;
    return parse_bool(value, target) ? 1 : -1;
}

static bool takes_value(const char *name)
{
    static const char *const names[] = {"conf", "pidfile", "dns.port", "p", "log-format"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static int parse_value(struct flags *f, const char *name, const char *value)
{
    if (strcmp(name, "conf") == 0)
        f->server.corefile = value;
    else if (strcmp(name, "pidfile") == 0)
        f->server.pidfile = value;
    else if (strcmp(name, "dns.port") == 0 || strcmp(name, "p") == 0)
        return parse_port(value, &f->server.port);
    else if (strcmp(value, "json") == 0)
        f->log_format = LOG_FORMAT_JSON;
    else if (strcmp(value, "text") != 0)
        return bad("clusterdns: -log-format %s: give text or json", value);
    return 0;
}

// Reads flags as Go's flag package does. Returns 0, or the exit status.
static int parse(struct flags *f, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-')
            return bad("extra command line arguments: [%s]", argv[i]);
        char name[64];
        const char *text = argv[i] + (argv[i][1] == '-' ? 2 : 1);
        const char *equals = strchr(text, '=');
        const char *value = equals != NULL ? equals + 1 : NULL;
        snprintf(name, sizeof name, "%.*s", (int)(equals != NULL ? equals - text : (long)strlen(text)), text);
        int is_switch = parse_switch(f, name, value);
        if (is_switch < 0)
            return bad("clusterdns: -%s takes true or false", name);
        if (is_switch > 0)
            continue;
        if (!takes_value(name))
            return bad("flag provided but not defined: -%s", name);
        if (value == NULL && i + 1 < argc)
            value = argv[++i];
        if (value == NULL)
            return bad("flag needs an argument: -%s", name);
        int rc = parse_value(f, name, value);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int check(int argc, char **argv)
{
    if (argc != 3 || argv[2][0] == '-')
        return bad("clusterdns check: %s", argc > 3 ? "one Corefile at a time" : "name the Corefile to validate");
    return server_check(argv[2], 53);
}

// A closed standard descriptor's number would go to the next thing opened, and log lines with it: /dev/null takes its
// place. Without that (no /dev) there is nothing better to do than to go on.
static void keep_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", O_RDWR);
}

// As many descriptors as the system allows (Go's runtime does the same): every TCP client takes one.
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)!setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(const struct flags *f)
{
    raise_descriptor_limit();
    // Few threads allocate, and rarely: two heaps keep resident memory small.
    mallopt(M_ARENA_MAX, 2);
    if (log_start(STDOUT_FILENO, f->log_format) != 0) {
        fprintf(stderr, "clusterdns: cannot start the log's thread\n");
        return 1;
    }
    int status = server_run(&f->server);
    source_shutdown();
    log_stop(LOG_STOP_NS);
    return status;
}

int cli_main(int argc, char **argv)
{
    keep_standard_descriptors();
    if (argc >= 2 && strcmp(argv[1], "check") == 0)
        return check(argc, argv);
    struct flags f = {.server = {.port = 53}};
    int rc = parse(&f, argc, argv);
    if (rc != 0)
        return rc;
    if (f.help) {
        fputs(usage, stdout);
        return 0;
    }
    if (f.version) {
        printf("clusterdns-%s\n%s\n", CDNS_VERSION, CDNS_REVISION);
        return 0;
    }
    if (f.plugins) {
        server_print_plugins();
        return 0;
    }
    return serve(&f);
}
