// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/options.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RATE_MAX 1e8
#define DURATION_MAX_S 604800.0 // a week
#define THREADS_MAX 256
#define SOCKETS_MAX 4096

const char options_help[] =
    "Usage: dnsbench [OPTION]... ADDRESS[:PORT]\n"
    "       dnsbench compare BEFORE.json AFTER.json [PERCENT]\n"
    "Asks a DNS server at times that were fixed beforehand, and tells how long answers took from then on.\n"
    "\n"
    "What is asked\n"
    "  -q, --questions FILE      lines of \"NAME TYPE\", - is standard input\n"
    "      --order ORDER         turn, uniform, or zipf[:EXPONENT] (turn)\n"
    "      --edns BYTES          EDNS with this payload size;  --dnssec  DO;  --no-recurse  RD off\n"
    "When\n"
    "  -r, --rate N              questions a second (1000)\n"
    "  -d, --duration TIME       30, 500ms, 10s, 2m (10s)\n"
    "      --schedule FORM       constant, poisson, burst:N, ramp:RATE, step:RATE:STEPS (constant)\n"
    "  -o, --outstanding N       no schedule: as many questions on their way at any time\n"
    "  -t, --timeout TIME        an answer that takes longer is lost (2s)\n"
    "How\n"
    "      --tcp  --tls          over connections; --per-connection N makes them anew\n"
    "      --tls-name NAME       checks the certificate, with --tls-ca FILE or the system's CAs\n"
    "      --threads N           (1)     --sockets N   of each thread, each with a port (16)\n"
    "      --source ADDRESS      where questions come from\n"
    "      --seed N              repeats what goes by chance\n"
    "      --max-lag TIME        a run whose questions left later (99 %) is invalid (1ms)\n"
    "      --unlimited           more than 20,000 a second or five minutes\n"
    "Results\n"
    "      --json FILE  --csv FILE (a line a second)  --hgrm FILE (percentiles)\n"
    "      --html FILE           a page with plots\n"
    "      --quiet               no view while it runs\n"
    "      --help  --version\n"
    "\n"
    "Exit status: 0 a valid run, 1 it could not be made, 2 wrong arguments, 3 an invalid run, 4 compare: worse.\n";

static int fail(char *error, const char *fmt, ...) CDNS_PRINTF(2, 3);
static int fail(char *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, OPTIONS_ERROR_MAX, fmt, args);
    va_end(args);
    return CDNS_ECONFIG;
}

// --- values

static bool read_number(const char *text, double least, double most, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) && *out >= least && *out <= most;
}

bool options_duration(const char *text, uint64_t *ns)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
    char *end;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value) || value <= 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0 && value * units[i].seconds <= DURATION_MAX_S) {
            *ns = (uint64_t)(value * units[i].seconds * 1e9);
            return *ns > 0;
        }
    return false;
}

static int want_duration(const char *option, const char *text, uint64_t *out, char *error)
{
    if (options_duration(text, out))
        return 0;
    return fail(error, "--%s %s: say a time like 500ms, 10s or 2m, up to a week", option, text);
}

static int want_unsigned(const char *option, const char *text, double least, double most, unsigned *out, char *error)
{
    double value;
    if (!read_number(text, least, most, &value) || value != floor(value))
        return fail(error, "--%s %s: say a whole number from %.0f to %.0f", option, text, least, most);
    *out = (unsigned)value;
    return 0;
}

static int want_rate(const char *option, const char *text, double *out, char *error)
{
    if (read_number(text, 1e-3, RATE_MAX, out))
        return 0;
    return fail(error, "--%s %s: say a number of questions a second, above 0 and up to %.0f", option, text, RATE_MAX);
}

// ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT.
static bool read_address(const char *text, uint16_t port, union sockaddr_any *out)
{
    char host[ADDRESS_TEXT_MAX];
    const char *colon = strrchr(text, ':');
    double number;
    if (address_read(text, port, out))
        return true;
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof host ||
        !read_number(colon + 1, 1, 65535, &number))
        return false;
    bool bracketed = text[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - text - 2 * bracketed), text + bracketed);
    return address_read(host, (uint16_t)number, out);
}

// --- options with parts

// Cuts what stands behind a colon off. NULL: nothing does.
static char *cut(char *text)
{
    char *colon = strchr(text, ':');
    if (colon != NULL)
        *colon++ = '\0';
    return colon;
}

static int read_schedule(const char *text, struct schedule_plan *p, char *error)
{
    static const char *const names[] = {"constant", "poisson", "burst", "ramp", "step"};
    char copy[128];
    snprintf(copy, sizeof copy, "%s", text);
    char *first = cut(copy), *second = first != NULL ? cut(first) : NULL;
    size_t form = 0;
    while (form < sizeof names / sizeof names[0] && strcmp(copy, names[form]) != 0)
        form++;
    p->form = (enum schedule_form)form;
    if (form <= SCHEDULE_POISSON && first == NULL)
        return 0;
    if (form == SCHEDULE_BURST && first != NULL && second == NULL)
        return want_unsigned("schedule burst", first, 1, 1e6, &p->burst, error);
    if (form == SCHEDULE_RAMP && first != NULL && second == NULL)
        return want_rate("schedule ramp", first, &p->to_rate, error);
    if (form == SCHEDULE_STEP && second != NULL) {
        int rc = want_rate("schedule step", first, &p->to_rate, error);
        return rc != 0 ? rc : want_unsigned("schedule step", second, 2, 10000, &p->steps, error);
    }
    return fail(error, "--schedule %s: say constant, poisson, burst:N, ramp:RATE or step:RATE:STEPS", text);
}

static int read_order(const char *text, struct options *o, char *error)
{
    if (strcmp(text, "turn") == 0)
        o->order = PICK_IN_TURN;
    else if (strcmp(text, "uniform") == 0)
        o->order = PICK_UNIFORM;
    else if (strcmp(text, "zipf") == 0 || (strncmp(text, "zipf:", 5) == 0 && read_number(text + 5, 0, 10, &o->zipf)))
        o->order = PICK_ZIPF;
    else
        return fail(error, "--order %s: say turn, uniform, zipf or zipf:EXPONENT (0 to 10)", text);
    return 0;
}

// --- the command line

enum {
    ORDER = 256,
    EDNS,
    DNSSEC,
    NO_RECURSE,
    SCHEDULE,
    THREADS,
    SOCKETS,
    SOURCE,
    SEED,
    MAX_LAG,
    UNLIMITED,
    JSON,
    CSV,
    HGRM,
    TCP,
    TLS,
    TLS_NAME,
    TLS_CA,
    PER_CONNECTION,
    HTML,
    QUIET,
    HELP,
    VERSION
};

static const struct option names[] = {
    {"questions", required_argument, NULL, 'q'},
    {"order", required_argument, NULL, ORDER},
    {"edns", required_argument, NULL, EDNS},
    {"dnssec", no_argument, NULL, DNSSEC},
    {"no-recurse", no_argument, NULL, NO_RECURSE},
    {"rate", required_argument, NULL, 'r'},
    {"duration", required_argument, NULL, 'd'},
    {"schedule", required_argument, NULL, SCHEDULE},
    {"outstanding", required_argument, NULL, 'o'},
    {"timeout", required_argument, NULL, 't'},
    {"threads", required_argument, NULL, THREADS},
    {"sockets", required_argument, NULL, SOCKETS},
    {"source", required_argument, NULL, SOURCE},
    {"seed", required_argument, NULL, SEED},
    {"max-lag", required_argument, NULL, MAX_LAG},
    {"unlimited", no_argument, NULL, UNLIMITED},
    {"json", required_argument, NULL, JSON},
    {"csv", required_argument, NULL, CSV},
    {"hgrm", required_argument, NULL, HGRM},
    {"html", required_argument, NULL, HTML},
    {"tcp", no_argument, NULL, TCP},
    {"tls", no_argument, NULL, TLS},
    {"tls-name", required_argument, NULL, TLS_NAME},
    {"tls-ca", required_argument, NULL, TLS_CA},
    {"per-connection", required_argument, NULL, PER_CONNECTION},
    {"quiet", no_argument, NULL, QUIET},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
};

static int read_flag(int option, struct options *o)
{
    o->message.do_ |= option == DNSSEC;
    o->message.rd &= option != NO_RECURSE;
    o->unlimited |= option == UNLIMITED;
    o->quiet |= option == QUIET;
    o->transport = option == TCP ? OVER_TCP : option == TLS ? OVER_TLS : o->transport;
    o->help |= option == HELP;
    o->version |= option == VERSION;
    return 0;
}

static int read_option(int option, const char *text, struct options *o, char *error)
{
    unsigned number = 0;
    int rc = 0;
    switch (option) {
    case 'q':
        o->questions = text;
        return 0;
    case 'r':
        return want_rate("rate", text, &o->plan.rate, error);
    case 'd':
        return want_duration("duration", text, &o->plan.duration_ns, error);
    case 't':
        return want_duration("timeout", text, &o->timeout_ns, error);
    case 'o':
        return want_unsigned("outstanding", text, 1, 1e6, &o->outstanding, error);
    case ORDER:
        return read_order(text, o, error);
    case EDNS:
        rc = want_unsigned("edns", text, 512, 65535, &number, error);
        o->message.edns = true;
        o->message.edns_size = (uint16_t)number;
        return rc;
    case SCHEDULE:
        return read_schedule(text, &o->plan, error);
    case THREADS:
        return want_unsigned("threads", text, 1, THREADS_MAX, &o->threads, error);
    case SOCKETS:
        return want_unsigned("sockets", text, 1, SOCKETS_MAX, &o->sockets, error);
    case SOURCE:
        return read_address(text, 0, &o->source) ? 0 : fail(error, "--source %s: this is no IP address", text);
    case SEED:
        rc = want_unsigned("seed", text, 0, UINT32_MAX, &number, error);
        o->seed = number;
        return rc;
    case MAX_LAG:
        return want_duration("max-lag", text, &o->max_lag_ns, error);
    case TLS_NAME:
        o->tls_name = text;
        return 0;
    case TLS_CA:
        o->tls_ca = text;
        return 0;
    case PER_CONNECTION:
        return want_unsigned("per-connection", text, 1, 1e9, &o->per_connection, error);
    case JSON:
        o->json = text;
        return 0;
    case CSV:
        o->csv = text;
        return 0;
    case HGRM:
        o->hgrm = text;
        return 0;
    case HTML:
        o->html = text;
        return 0;
    default:
        return read_flag(option, o);
    }
}

// What only the options together can have wrong.
static int check(const struct options *o, char *error)
{
    double most = o->plan.rate > o->plan.to_rate ? o->plan.rate : o->plan.to_rate;
    if (o->questions == NULL)
        return fail(error, "what is to be asked? Name a file of \"NAME TYPE\" lines: --questions FILE");
    if (o->source.sa.sa_family != AF_UNSPEC && o->source.sa.sa_family != o->server.sa.sa_family)
        return fail(error, "--source and the server are not of one family: both IPv4, or both IPv6");
    if (o->unlimited)
        return 0;
    if (o->outstanding == 0 && most > SAFE_RATE)
        return fail(error, "%.0f questions a second are more than %.0f: if the server is yours, add --unlimited", most,
                    SAFE_RATE);
    if (o->outstanding > 0)
        return fail(error, "--outstanding asks as fast as the server answers: if it is yours, add --unlimited");
    if (o->plan.duration_ns > SAFE_DURATION_NS)
        return fail(error, "this takes more than five minutes: if that is meant, add --unlimited");
    return 0;
}

int options_read(int argc, char **argv, struct options *o, char *error)
{
    *o = (struct options){.message = {.rd = true, .edns_size = 1232},
                          .plan = {.rate = 1000, .duration_ns = UINT64_C(10000000000)},
                          .zipf = 1,
                          .threads = 1,
                          .sockets = 16,
                          .timeout_ns = UINT64_C(2000000000),
                          .max_lag_ns = UINT64_C(1000000),
                          .seed = (uint64_t)time(NULL)};
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "+:q:r:d:o:t:", names, NULL)) != -1;) {
        if (option == '?')
            return fail(error, "there is no option %s: --help lists them", argv[optind - 1]);
        if (option == ':')
            return fail(error, "%s needs a value: --help says which", argv[optind - 1]);
        int rc = read_option(option, optarg, o, error);
        if (rc != 0 || o->help || o->version)
            return rc;
    }
    o->message.edns |= o->message.do_;
    o->plan.seed = o->seed;
    if (argc - optind != 1)
        return fail(error,
                    argc == optind ? "which server? Say its ADDRESS, or ADDRESS:PORT"
                                   : "there is one server: %s is too much",
                    argv[argc - 1]);
    if (!read_address(argv[optind], o->transport == OVER_TLS ? 853 : 53, &o->server))
        return fail(
            error, "%s: this is no IP address (names are not looked up); say 10.96.0.10, 10.96.0.10:53 or [fd00::1]:53",
            argv[optind]);
    return check(o, error);
}
