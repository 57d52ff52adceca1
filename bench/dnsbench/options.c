// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/options.h"

#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DURATION_MAX_S 604800.0 // a week
#define THREADS_MAX 256
#define SOCKETS_MAX 4096

const char options_help[] = "Usage: dnsbench [OPTION]... ADDRESS[:PORT]\n"
                            "       dnsbench compare BEFORE.json AFTER.json [PERCENT]\n"
                            "Asks a DNS server at times fixed beforehand; tells how long answers took.\n"
                            "\n"
                            "What is asked: one of the first three\n"
                            "  -q, --questions FILE   lines of \"NAME TYPE\"; - is standard input\n"
                            "  --manifests PATH       names of the cluster in these (may be repeated)\n"
                            "  --kubeconfig FILE      ... of a live API; --context NAME\n"
                            "  --zone NAME            the cluster's (cluster.local)\n"
                            "  --names LIST           services,headless,srv,ptr,pods (all)\n"
                            "  --missing PERCENT      names that are not; --external PERCENT[:NAME,...]\n"
                            "  --order ORDER          turn, uniform, zipf[:EXPONENT] (turn)\n"
                            "  --edns BYTES           payload size; --dnssec: DO; --no-recurse: without RD\n"
                            "  --stub                 whole look-ups, as in a pod: --ndots N (5),\n"
                            "                         --search LIST, --namespace NAME, --attempts N (2)\n"
                            "When\n"
                            "  -r, --rate N           questions a second (1000)\n"
                            "  -d, --duration TIME    30, 500ms, 10s, 2m (10s); --queries N: ends after N\n"
                            "  --schedule FORM        constant, poisson, burst:N, ramp:RATE, step:RATE:STEPS\n"
                            "  --find-knee OBJECTIVE  highest rate that holds it: p99<5ms,lost<0.1%\n"
                            "  -o, --outstanding N    no schedule: always N questions on their way\n"
                            "  --max                  ... as many as bring most answers\n"
                            "  -t, --timeout TIME     an answer that takes longer is lost (2s)\n"
                            "How\n"
                            "  --tcp, --tls           over connections; --per-connection N questions each\n"
                            "  --tls-name NAME        checks the certificate; --tls-ca FILE: by these CAs\n"
                            "  --threads N (1)        each with --sockets N (16), ports or connections\n"
                            "  --source ADDRESS       where questions come from\n"
                            "  --seed N               repeats what goes by chance\n"
                            "  --max-lag TIME         99 % leave as punctually, or the run is invalid (1ms)\n"
                            "  --unlimited            more than 20,000 a second or five minutes\n"
                            "What is looked at\n"
                            "  --check                answers, by the cluster or the file of questions\n"
                            "  --reference ADDRESS    answers, by another server's\n"
                            "  --churn N              changes N objects a second, waits for answers to show\n"
                            "  --pid N                the server's CPU, memory and drops (same machine)\n"
                            "Results\n"
                            "  --json, --csv, --hgrm, --html FILE   for programs, a line a second,\n"
                            "                         percentiles, a page with plots\n"
                            "  --quiet                no view while it runs\n"
                            "  --help, --version\n"
                            "Exit status: 0 a valid run, 1 it could not be made, 2 wrong arguments,\n"
                            "             3 an invalid run, or no knee, 4 compare: worse, 5 answers not right\n"
                            "See also: man dnsbench\n";

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

double options_safe_rate(const struct options *o)
{
    return o->stub ? SAFE_RATE / STUB_QUESTIONS : SAFE_RATE;
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
    char copy[128];
    snprintf(copy, sizeof copy, "%s", text);
    char *first = cut(copy), *second = first != NULL ? cut(first) : NULL;
    unsigned form = 0;
    while (schedule_form_text(form) != NULL && strcmp(copy, schedule_form_text(form)) != 0)
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

// services,headless,srv,ptr,pods
static int read_names(const char *text, unsigned *out, char *error)
{
    static const char *const names[] = {"services", "headless", "srv", "ptr", "pods"};
    *out = 0;
    while (*text != '\0') {
        size_t n = strcspn(text, ","), i = 0;
        while (i < sizeof names / sizeof names[0] && (strlen(names[i]) != n || memcmp(names[i], text, n) != 0))
            i++;
        if (i == sizeof names / sizeof names[0])
            return fail(error, "--names %s: say some of services,headless,srv,ptr,pods", text);
        *out |= 1U << i;
        text += n + (text[n] == ',');
    }
    return *out != 0 ? 0 : fail(error, "--names: say some of services,headless,srv,ptr,pods");
}

// PERCENT[:NAME,NAME...]
static int read_external(const char *text, struct options *o, char *error)
{
    char number[32];
    size_t n = strcspn(text, ":");
    snprintf(number, sizeof number, "%.*s", (int)n, text);
    if (!read_number(number, 0, 100, &o->external))
        return fail(error, "--external %s: say PERCENT or PERCENT:NAME,NAME", text);
    if (text[n] == ':')
        o->external_names = text + n + 1;
    return 0;
}

// --- the command line

enum kind { FLAG, TEXT, WHOLE, RATE, PERCENT, DURATION, ADDRESS, OTHER };

#define AT(field) offsetof(struct options, field)

// An option whose value goes straight into a field. OTHER: read_other() knows what to do.
static const struct spec {
    const char *name;
    enum kind kind;
    size_t at;
    double least, most; // WHOLE
} specs[] = {
    {"questions", TEXT, AT(questions), 0, 0},
    {"manifests", OTHER, 0, 0, 0},
    {"kubeconfig", TEXT, AT(kubeconfig), 0, 0},
    {"context", TEXT, AT(context), 0, 0},
    {"zone", TEXT, AT(zone), 0, 0},
    {"names", OTHER, 0, 0, 0},
    {"missing", PERCENT, AT(missing), 0, 0},
    {"external", OTHER, 0, 0, 0},
    {"order", OTHER, 0, 0, 0},
    {"edns", OTHER, 0, 0, 0},
    {"dnssec", FLAG, AT(message.do_), 0, 0},
    {"no-recurse", OTHER, 0, 0, 0},
    {"stub", FLAG, AT(stub), 0, 0},
    {"ndots", WHOLE, AT(ndots), 0, 15},
    {"search", TEXT, AT(search), 0, 0},
    {"namespace", TEXT, AT(namespace_), 0, 0},
    {"attempts", WHOLE, AT(attempts), 1, 5},
    {"rate", RATE, AT(plan.rate), 0, 0},
    {"duration", DURATION, AT(plan.duration_ns), 0, 0},
    {"schedule", OTHER, 0, 0, 0},
    {"outstanding", WHOLE, AT(outstanding), 1, 1e6},
    {"find-knee", OTHER, 0, 0, 0},
    {"max", FLAG, AT(max), 0, 0},
    {"queries", OTHER, 0, 0, 0},
    {"timeout", DURATION, AT(timeout_ns), 0, 0},
    {"threads", WHOLE, AT(threads), 1, THREADS_MAX},
    {"sockets", WHOLE, AT(sockets), 1, SOCKETS_MAX},
    {"source", ADDRESS, AT(source), 0, 0},
    {"seed", OTHER, 0, 0, 0},
    {"max-lag", DURATION, AT(max_lag_ns), 0, 0},
    {"unlimited", FLAG, AT(unlimited), 0, 0},
    {"check", FLAG, AT(check), 0, 0},
    {"reference", ADDRESS, AT(reference), 0, 0},
    {"churn", RATE, AT(churn), 0, 0},
    {"pid", WHOLE, AT(pid), 1, 4194304},
    {"json", TEXT, AT(json), 0, 0},
    {"csv", TEXT, AT(csv), 0, 0},
    {"hgrm", TEXT, AT(hgrm), 0, 0},
    {"html", TEXT, AT(html), 0, 0},
    {"tcp", OTHER, 0, 0, 0},
    {"tls", OTHER, 0, 0, 0},
    {"tls-name", TEXT, AT(tls_name), 0, 0},
    {"tls-ca", TEXT, AT(tls_ca), 0, 0},
    {"per-connection", WHOLE, AT(per_connection), 1, 1e9},
    {"quiet", FLAG, AT(quiet), 0, 0},
    {"help", FLAG, AT(help), 0, 0},
    {"version", FLAG, AT(version), 0, 0},
};
#define SPECS (sizeof specs / sizeof specs[0])

static const char *const letters[] = {"qquestions", "rrate", "dduration", "ooutstanding", "ttimeout"};

static int read_other(const char *name, const char *text, struct options *o, char *error)
{
    unsigned number = 0;
    int rc = 0;
    if (strcmp(name, "manifests") == 0) {
        if (o->nmanifests == OPTIONS_PATHS)
            return fail(error, "--manifests can be given %d times: name a folder", OPTIONS_PATHS);
        o->manifests[o->nmanifests++] = text;
    } else if (strcmp(name, "names") == 0) {
        rc = read_names(text, &o->names, error);
    } else if (strcmp(name, "external") == 0) {
        rc = read_external(text, o, error);
    } else if (strcmp(name, "order") == 0) {
        rc = read_order(text, o, error);
    } else if (strcmp(name, "schedule") == 0) {
        rc = read_schedule(text, &o->plan, error);
    } else if (strcmp(name, "find-knee") == 0) {
        o->knee = text;
        rc = objective_read(text, &o->objective, error);
    } else if (strcmp(name, "edns") == 0) {
        rc = want_unsigned(name, text, 512, 65535, &number, error);
        o->message.edns = true;
        o->message.edns_size = (uint16_t)number;
    } else if (strcmp(name, "seed") == 0) {
        rc = want_unsigned(name, text, 0, UINT32_MAX, &number, error);
        o->seed = number;
    } else if (strcmp(name, "queries") == 0) {
        rc = want_unsigned(name, text, 1, UINT32_MAX, &number, error);
        o->queries = number;
    } else if (strcmp(name, "no-recurse") == 0) {
        o->message.rd = false;
    } else {
        o->transport = strcmp(name, "tcp") == 0 ? OVER_TCP : OVER_TLS;
    }
    return rc;
}

const char *options_name(size_t i)
{
    return i < SPECS ? specs[i].name : NULL;
}

static int read_option(const struct spec *spec, const char *text, struct options *o, char *error)
{
    void *at = (char *)o + spec->at;
    switch (spec->kind) {
    case FLAG:
        *(bool *)at = true;
        return 0;
    case TEXT:
        *(const char **)at = text;
        return 0;
    case WHOLE:
        return want_unsigned(spec->name, text, spec->least, spec->most, at, error);
    case RATE:
        return want_rate(spec->name, text, at, error);
    case PERCENT:
        return read_number(text, 0, 100, at) ? 0 : fail(error, "--%s %s: say a percentage, 0 to 100", spec->name, text);
    case DURATION:
        return want_duration(spec->name, text, at, error);
    case ADDRESS:
        return read_address(text, strcmp(spec->name, "source") == 0 ? 0 : 53, at)
                   ? 0
                   : fail(error, "--%s %s: this is no IP address (names are not looked up)", spec->name, text);
    case OTHER:
        break;
    }
    return read_other(spec->name, text, o, error);
}

// Does the option take no value?
static bool is_alone(const struct spec *spec)
{
    return spec->kind == FLAG || strcmp(spec->name, "no-recurse") == 0 || strcmp(spec->name, "tcp") == 0 ||
           strcmp(spec->name, "tls") == 0;
}

#define FIRST_LONG 256 // what getopt_long() returns for the first of specs

static int read_all(int argc, char **argv, struct options *o, char *error)
{
    struct option names[SPECS + 1] = {0};
    for (size_t i = 0; i < SPECS; i++)
        names[i] = (struct option){specs[i].name, is_alone(&specs[i]) ? no_argument : required_argument, NULL,
                                   FIRST_LONG + (int)i};
    for (size_t i = 0; i < SPECS; i++)
        for (size_t l = 0; l < sizeof letters / sizeof letters[0]; l++)
            if (strcmp(letters[l] + 1, specs[i].name) == 0)
                names[i].val = (unsigned char)letters[l][0];
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":q:r:d:o:t:", names, NULL)) != -1;) {
        if (option == '?' && optopt >= FIRST_LONG)
            return fail(error, "--%s takes no value", specs[optopt - FIRST_LONG].name);
        if (option == '?' && optopt != 0)
            return fail(error, "there is no option -%c: --help lists them", optopt);
        if (option == '?')
            return fail(error, "there is no option %s: --help lists them", argv[optind - 1]);
        if (option == ':')
            return fail(error, "%s needs a value: --help says which", argv[optind - 1]);
        size_t i = 0;
        while (names[i].val != option)
            i++;
        int rc = read_option(&specs[i], optarg, o, error);
        if (rc != 0 || o->help || o->version)
            return rc;
    }
    return 0;
}

static int check_search(const struct options *o, char *error)
{
    if (o->max && o->knee != NULL)
        return fail(error, "--max and --find-knee are two searches: leave one out");
    if (o->outstanding > 0)
        return fail(error, "--%s finds out by itself how much to ask: leave --outstanding out",
                    o->max ? "max" : "find-knee");
    if (o->queries > 0)
        return fail(error, "a search needs whole trials: leave --queries out");
    if (o->check || o->reference.sa.sa_family != AF_UNSPEC || o->churn > 0)
        return fail(error,
                    "--check, --reference and --churn belong to one run: search first, and then run at that rate");
    if (o->max && o->plan.form != SCHEDULE_CONSTANT)
        return fail(error, "--max has no schedule: leave --schedule out");
    if (o->knee != NULL && (o->plan.form == SCHEDULE_RAMP || o->plan.form == SCHEDULE_STEP))
        return fail(error, "--find-knee looks for one rate: say --schedule constant, poisson or burst:N");
    return 0;
}

// What is asked only of one's own servers.
static int check_limits(const struct options *o, char *error)
{
    double most = o->plan.rate > o->plan.to_rate ? o->plan.rate : o->plan.to_rate, limit = options_safe_rate(o);
    if (o->outstanding == 0 && most > limit)
        return fail(error, "%.0f %s a second are more than %.0f: if the server is yours, add --unlimited", most,
                    o->stub ? "look-ups" : "questions", limit);
    if (o->plan.form == SCHEDULE_BURST && o->plan.burst > limit)
        return fail(error, "bursts of %u are more than %.0f: if the server is yours, add --unlimited", o->plan.burst,
                    limit);
    if (o->outstanding > 0 || o->max)
        return fail(error, "--%s asks as fast as the server answers: if it is yours, add --unlimited",
                    o->max ? "max" : "outstanding");
    if (o->churn > SAFE_CHURN)
        return fail(error,
                    "%.0f changes a second are more than %.0f: if the API server is yours to load, add --unlimited",
                    o->churn, SAFE_CHURN);
    if (o->plan.duration_ns > SAFE_DURATION_NS)
        return fail(error, "this takes more than five minutes: if that is meant, add --unlimited");
    return 0;
}

// Options that say something of others, which are not there.
static int check_needs(const struct options *o, char *error)
{
    bool cluster = o->nmanifests > 0 || o->kubeconfig != NULL;
    const struct {
        bool given, needed;
        const char *option, *other;
    } needs[] = {
        {o->tls_name != NULL, o->transport == OVER_TLS, "tls-name", "--tls"},
        {o->tls_ca != NULL, o->transport == OVER_TLS, "tls-ca", "--tls"},
        {o->per_connection > 0, o->transport != OVER_UDP, "per-connection", "--tcp or --tls"},
        {o->context != NULL, o->kubeconfig != NULL, "context", "--kubeconfig"},
        {o->missing > 0, cluster && o->questions == NULL, "missing", "the names of a cluster, not --questions"},
        {o->external > 0, cluster && o->questions == NULL, "external", "the names of a cluster, not --questions"},
        {o->search != NULL, o->stub, "search", "--stub"},
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (needs[i].given && !needs[i].needed)
            return fail(error, "--%s is for %s", needs[i].option, needs[i].other);
    return 0;
}

// What only the options together can have wrong.
static int check(const struct options *o, char *error)
{
    bool cluster = o->nmanifests > 0 || o->kubeconfig != NULL;
    if (o->questions == NULL && !cluster)
        return fail(error, "what is to be asked? Name a file of \"NAME TYPE\" lines, --questions FILE, or a cluster, "
                           "--manifests PATH or --kubeconfig FILE");
    if (o->questions != NULL && cluster && o->churn == 0)
        return fail(error, "--questions and a cluster are two answers to what is to be asked: leave one out");
    if (o->nmanifests > 0 && o->kubeconfig != NULL)
        return fail(error, "--manifests and --kubeconfig are two clusters: leave one out");
    if (o->check && o->reference.sa.sa_family != AF_UNSPEC)
        return fail(error, "--check and --reference are two opinions: leave one out");
    if (o->churn > 0 && o->kubeconfig == NULL)
        return fail(error, "--churn changes objects of an API: name it, --kubeconfig FILE");
    if (o->churn > 0 && o->transport == OVER_TLS)
        return fail(error, "--churn asks over UDP, where a port of TLS does not answer: leave --tls out");
    if (o->missing + o->external > 100)
        return fail(error, "--missing and --external are more than all questions");
    int rc = check_needs(o, error);
    if (rc == 0 && (o->max || o->knee != NULL))
        rc = check_search(o, error);
    if (rc != 0)
        return rc;
    if (o->outstanding > 0 && o->outstanding < o->threads)
        return fail(error, "--outstanding %u is less than a question for each thread: say fewer --threads",
                    o->outstanding);
    if (o->source.sa.sa_family != AF_UNSPEC && o->source.sa.sa_family != o->server.sa.sa_family)
        return fail(error, "--source and the server are not of one family: both IPv4, or both IPv6");
    if (o->check && o->stub && o->questions != NULL)
        return fail(error, "--check and --stub need a cluster or a --reference: answers beside questions are not for "
                           "look-ups' candidates");
    return o->unlimited ? 0 : check_limits(o, error);
}

int options_read(int argc, char **argv, struct options *o, char *error)
{
    *o = (struct options){.message = {.rd = true, .edns_size = 1232},
                          .plan = {.rate = 1000, .duration_ns = UINT64_C(10000000000)},
                          .zipf = 1,
                          .zone = "cluster.local",
                          .names = NAMES_ALL,
                          .external_names = "www.example.com,example.org",
                          .ndots = 5,
                          .attempts = 2,
                          .namespace_ = "default",
                          .threads = 1,
                          .sockets = 16,
                          .timeout_ns = UINT64_C(2000000000),
                          .max_lag_ns = UINT64_C(1000000),
                          .seed = (uint64_t)time(NULL)};
    int rc = read_all(argc, argv, o, error);
    if (rc != 0 || o->help || o->version)
        return rc;
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
