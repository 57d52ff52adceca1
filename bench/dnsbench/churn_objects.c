// SPDX-License-Identifier: Apache-2.0
#include "dnsbench/churn_objects.h"

#include "dnsbench/api.h"
#include "dnsbench/track.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICES "/api/v1/namespaces/%s/services"
#define SLICES "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices"
#define NETWORK UINT32_C(0xc6120000) // 198.18.0.0/15
#define LABEL_MAX 63

enum { SERVICE, SLICE, OBJECTS };

struct churn_objects {
    const char *namespace_;
    char name[32], dns_name[512];
    struct api *api;
    char folder[OBJECTS][192], path[OBJECTS][256];
    bool there[OBJECTS]; // or perhaps there
};

int churn_fail(char *error, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(error, CHURN_ERROR_MAX, fmt, args);
    va_end(args);
    return CDNS_ECONFIG;
}

// --- life

// It becomes part of paths, of JSON and of a domain name (RFC 1123 labels are what the API server takes).
static bool is_label(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && n <= LABEL_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

int churn_objects_new(const struct options *o, struct churn_objects **out, char *error)
{
    size_t zone = strlen(o->zone);
    if (!is_label(o->namespace_))
        return churn_fail(error, "--namespace %s: no namespace can be called that", o->namespace_);
    struct churn_objects *c = calloc(1, sizeof *c);
    if (c == NULL)
        return CDNS_ENOMEM;
    int rc = api_open(o, &c->api, error);
    if (rc != 0) {
        churn_objects_free(c);
        return rc;
    }
    c->namespace_ = o->namespace_;
    snprintf(c->name, sizeof c->name, "dnsbench-%d", (int)getpid());
    snprintf(c->dns_name, sizeof c->dns_name, "%s.%s.svc.%.*s", c->name, o->namespace_,
             (int)(zone > 1 && o->zone[zone - 1] == '.' ? zone - 1 : zone), o->zone);
    for (int i = 0; i < OBJECTS; i++) {
        char folder[sizeof c->folder[i]];
        snprintf(folder, sizeof folder, i == SERVICE ? SERVICES : SLICES, c->namespace_);
        memcpy(c->folder[i], folder, sizeof folder);
        snprintf(c->path[i], sizeof c->path[i], "%s/dnsbench-%d", folder, (int)getpid());
    }
    *out = c;
    return 0;
}

void churn_objects_free(struct churn_objects *c)
{
    if (c == NULL)
        return;
    api_close(c->api);
    free(c);
}

const char *churn_objects_name(const struct churn_objects *c)
{
    return c->dns_name;
}

// --- objects

static int send_request(const struct churn_objects *c, const char *method, const char *path, const char *body,
                        char *said)
{
    struct api_answer answer;
    const char *type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : "application/json";
    int rc = api_request(c->api, method, path, body != NULL ? type : NULL, body, &answer, said);
    if (rc == 0 && (answer.status < 200 || answer.status > 299))
        rc = api_refused(c->api, method, path, &answer, said);
    api_answer_free(&answer);
    return rc;
}

// What the API has said, and what can be done about it.
static int explain(const struct churn_objects *c, int rc, const char *said, char *error)
{
    if (rc == CDNS_EDENIED)
        return churn_fail(
            error,
            "%s\n  --churn needs the verbs create and delete on services and create, patch and delete on "
            "endpointslices (discovery.k8s.io) in the namespace %s: give the user of the kubeconfig a Role "
            "that has them, or name another --kubeconfig, --context or --namespace",
            said, c->namespace_);
    if (rc == CDNS_ENOENT)
        return churn_fail(error,
                          "%s\n  --churn changes objects in the namespace %s: create it, or say --namespace NAME", said,
                          c->namespace_);
    if (rc == CDNS_EEXIST)
        return churn_fail(error,
                          "%s\n  an earlier run has left it behind: kubectl delete -n %s service/%s endpointslice/%s "
                          "--ignore-not-found",
                          said, c->namespace_, c->name, c->name);
    return churn_fail(error, "%s", said);
}

static void address_of(uint32_t number, char out[16])
{
    uint32_t a = NETWORK | (number & ((UINT32_C(1) << TRACK_BITS) - 1));
    snprintf(out, 16, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

bool churn_objects_number(const uint8_t address[4], uint32_t *bits)
{
    uint32_t a = (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 | address[3];
    *bits = a & ((UINT32_C(1) << TRACK_BITS) - 1);
    return (a ^ *bits) == NETWORK;
}

static int create(struct churn_objects *c, int which, const char *body, char *error)
{
    char said[API_ERROR_MAX];
    int rc = send_request(c, "POST", c->folder[which], body, said);
    c->there[which] = rc == 0 || rc == CDNS_EIO; // without an answer it may have been made
    return rc == 0 ? 0 : explain(c, rc, said, error);
}

int churn_objects_create(struct churn_objects *c, char *error)
{
    char body[640], address[16];
    snprintf(body, sizeof body,
             "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"%s\",\"labels\":"
             "{\"app.kubernetes.io/managed-by\":\"dnsbench\"}},"
             "\"spec\":{\"clusterIP\":\"None\",\"ports\":[{\"name\":\"none\",\"port\":9}]}}",
             c->name);
    int rc = create(c, SERVICE, body, error);
    if (rc != 0)
        return rc;
    address_of(0, address);
    snprintf(
        body, sizeof body,
        "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"%s\",\"labels\":"
        "{\"kubernetes.io/service-name\":\"%s\",\"endpointslice.kubernetes.io/managed-by\":\"dnsbench\"}},"
        "\"addressType\":\"IPv4\",\"ports\":[{\"name\":\"none\",\"port\":9}],"
        "\"endpoints\":[{\"addresses\":[\"%s\"]}]}",
        c->name, c->name, address);
    return create(c, SLICE, body, error);
}

int churn_objects_write(struct churn_objects *c, uint32_t number, char *error)
{
    char body[96], said[API_ERROR_MAX], address[16];
    address_of(number, address);
    snprintf(body, sizeof body, "{\"endpoints\":[{\"addresses\":[\"%s\"]}]}", address);
    int rc = send_request(c, "PATCH", c->path[SLICE], body, said);
    return rc == 0 ? 0 : explain(c, rc, said, error);
}

int churn_objects_delete(struct churn_objects *c, char *error)
{
    int result = 0;
    for (int i = OBJECTS - 1; i >= 0; i--) {
        char said[API_ERROR_MAX];
        int rc = c->there[i] ? send_request(c, "DELETE", c->path[i], NULL, said) : 0;
        c->there[i] = rc != 0 && rc != CDNS_ENOENT;
        if (c->there[i])
            result = churn_fail(
                error, "%s\n  left behind: kubectl delete -n %s service/%s endpointslice/%s --ignore-not-found", said,
                c->namespace_, c->name, c->name);
    }
    return result;
}
