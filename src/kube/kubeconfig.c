// SPDX-License-Identifier: Apache-2.0
#include "kube/kubeconfig.h"
#include "kube/yamltree.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Where the reading of a file goes and how it fails.
struct reading {
    const char *path;
    struct kubeconfig *out;
    json_t *document; // the file's first one
    char *error;
    size_t error_size;
};

static int fail(struct reading *r, const char *fmt, ...) CDNS_PRINTF(2, 3);
static int fail(struct reading *r, const char *fmt, ...)
{
    int n = snprintf(r->error, r->error_size, "%s: ", r->path);
    if (n > 0 && (size_t)n < r->error_size) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(r->error + n, r->error_size - (size_t)n, fmt, args);
        va_end(args);
    }
    return CDNS_ECONFIG;
}

// Text of a field; NULL when it is absent or empty.
static const char *field(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int copy(struct reading *r, const json_t *object, const char *key, char **out)
{
    const char *text = field(object, key);
    *out = text != NULL ? strdup(text) : NULL;
    return text != NULL && *out == NULL ? fail(r, "out of memory") : 0;
}

// A path relative to the kubeconfig's directory.
static int copy_path(struct reading *r, const json_t *object, const char *key, char **out)
{
    const char *text = field(object, key), *slash = strrchr(r->path, '/');
    if (text == NULL || text[0] == '/' || slash == NULL)
        return copy(r, object, key, out);
    if (asprintf(out, "%.*s%s", (int)(slash + 1 - r->path), r->path, text) < 0) {
        *out = NULL;
        return fail(r, "out of memory");
    }
    return 0;
}

// Base64 (RFC 4648 §4), white space ignored.
static int copy_data(struct reading *r, const json_t *object, const char *key, char **out)
{
    const char *text = field(object, key);
    if (text == NULL)
        return 0;
    char *packed = malloc(strlen(text) + 1), *decoded = malloc(strlen(text) + 1);
    size_t n = 0, padding = 0;
    for (const char *p = text; packed != NULL && *p != '\0'; p++)
        if (strchr(" \t\r\n", *p) == NULL)
            packed[n++] = *p;
    while (packed != NULL && padding < 2 && padding < n && packed[n - 1 - padding] == '=')
        padding++;
    int len = packed != NULL && decoded != NULL && n <= INT32_MAX
                  ? EVP_DecodeBlock((unsigned char *)decoded, (unsigned char *)packed, (int)n)
                  : -1;
    free(packed);
    if (len < (int)padding) {
        free(decoded);
        return fail(r, "%s is no base64", key);
    }
    decoded[(size_t)len - padding] = '\0';
    *out = decoded;
    return 0;
}

// A file, or the data that stands in its place; data wins.
static int copy_pem(struct reading *r, const json_t *object, const char *key, char **file, char **data)
{
    char data_key[64];
    snprintf(data_key, sizeof data_key, "%s-data", key);
    int result = copy_data(r, object, data_key, data);
    return result != 0 || *data != NULL ? result : copy_path(r, object, key, file);
}

// The object that the list `list` of {name, KEY: object} has under `name`; NULL if there is none.
static const json_t *named(const json_t *document, const char *list, const char *key, const char *name)
{
    size_t i;
    const json_t *entry, *entries = json_object_get(document, list);
    json_array_foreach(entries, i, entry)
    {
        const char *entry_name = field(entry, "name");
        if (entry_name != NULL && strcmp(entry_name, name) == 0)
            return json_object_get(entry, key);
    }
    return NULL;
}

static int read_cluster(struct reading *r, const json_t *cluster, const char *name)
{
    struct kubeconfig *k = r->out;
    if (field(cluster, "server") == NULL)
        return fail(r, "cluster \"%s\" has no server", name);
    int result = copy(r, cluster, "server", &k->server);
    if (result == 0)
        result = copy(r, cluster, "tls-server-name", &k->tls_server_name);
    if (result == 0)
        result = copy(r, cluster, "proxy-url", &k->proxy_url);
    if (result == 0)
        result = copy_pem(r, cluster, "certificate-authority", &k->ca_file, &k->ca_data);
    k->insecure = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
    k->uncompressed = json_is_true(json_object_get(cluster, "disable-compression"));
    return result;
}

static int read_user(struct reading *r, const json_t *user, const char *name)
{
    struct kubeconfig *k = r->out;
    if (json_object_get(user, "exec") != NULL)
        return fail(r,
                    "user \"%s\" gets its credentials from a program (exec), which a DNS server cannot run; use a "
                    "service account's token (token or tokenFile) or a client certificate instead",
                    name);
    if (json_object_get(user, "auth-provider") != NULL)
        return fail(r,
                    "user \"%s\" has an auth-provider, which is not supported; use a token, a tokenFile or a client "
                    "certificate instead",
                    name);
    static const char *const as[] = {"as", "as-uid", "as-groups", "as-user-extra"};
    for (size_t i = 0; i < sizeof as / sizeof as[0]; i++)
        if (json_object_get(user, as[i]) != NULL)
            return fail(r, "user \"%s\" impersonates (%s), which is not supported", name, as[i]);
    int result = copy_pem(r, user, "client-certificate", &k->cert_file, &k->cert_data);
    if (result == 0)
        result = copy_pem(r, user, "client-key", &k->key_file, &k->key_data);
    if (result == 0)
        result = copy(r, user, "token", &k->token);
    if (result == 0)
        result = copy_path(r, user, "tokenFile", &k->token_file);
    if (result == 0)
        result = copy(r, user, "username", &k->username);
    if (result == 0)
        result = copy(r, user, "password", &k->password);
    bool cert = k->cert_file != NULL || k->cert_data != NULL, key = k->key_file != NULL || k->key_data != NULL;
    if (result == 0 && cert != key)
        result = fail(r, "user \"%s\" has a client %s without its %s", name, cert ? "certificate" : "key",
                      cert ? "key" : "certificate");
    return result;
}

static int read_context(struct reading *r, const char *name)
{
    if (name == NULL || name[0] == '\0')
        name = field(r->document, "current-context");
    if (name == NULL)
        return fail(r, "no current-context is set; name a context: kubeconfig FILE CONTEXT");
    const json_t *context = named(r->document, "contexts", "context", name);
    if (context == NULL)
        return fail(r, "context \"%s\" does not exist", name);
    const char *cluster_name = field(context, "cluster"), *user_name = field(context, "user");
    if (cluster_name == NULL)
        return fail(r, "context \"%s\" names no cluster", name);
    const json_t *cluster = named(r->document, "clusters", "cluster", cluster_name);
    if (cluster == NULL)
        return fail(r, "cluster \"%s\" does not exist", cluster_name);
    int result = read_cluster(r, cluster, cluster_name);
    if (result != 0 || user_name == NULL)
        return result;
    const json_t *user = named(r->document, "users", "user", user_name);
    return user != NULL ? read_user(r, user, user_name) : fail(r, "user \"%s\" does not exist", user_name);
}

static int keep_first(void *arg, json_t *value, size_t line)
{
    (void)line;
    struct reading *r = arg;
    if (r->document == NULL)
        r->document = json_incref(value);
    return 0;
}

static int read_stream(struct reading *r, FILE *in, const char *context)
{
    struct yaml_values values = {.document = keep_first, .arg = r};
    struct yaml_error error;
    int result = yaml_read(in, &values, &error);
    if (result != 0 && error.line != 0) {
        snprintf(r->error, r->error_size, "%s:%zu: %s", r->path, error.line, error.text);
        result = CDNS_ECONFIG;
    } else if (result != 0) {
        result = fail(r, "%s", error_text(result));
    } else if (!json_is_object(r->document)) {
        result = fail(r, "no kubeconfig");
    } else {
        result = read_context(r, context);
    }
    json_decref(r->document);
    if (result != 0)
        kubeconfig_clear(r->out);
    return result;
}

int kubeconfig_read(const char *path, const char *context, struct kubeconfig *out, char *error, size_t error_size)
{
    struct reading r = {.path = path, .out = out, .error = error, .error_size = error_size};
    *out = (struct kubeconfig){0};
    // Not blocking, should it be a pipe.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    FILE *in = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;
    if (in == NULL) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        return fail(&r, "%s", fd >= 0 ? "not a regular file" : strerror(number));
    }
    int result = read_stream(&r, in, context);
    fclose(in);
    return result;
}

int kubeconfig_parse(const char *path, const char *text, size_t len, const char *context, struct kubeconfig *out,
                     char *error, size_t error_size)
{
    struct reading r = {.path = path, .out = out, .error = error, .error_size = error_size};
    *out = (struct kubeconfig){0};
    FILE *in = len > 0 ? fmemopen((void *)(uintptr_t)text, len, "r") : NULL;
    if (in == NULL)
        return fail(&r, "%s", len == 0 ? "no kubeconfig" : strerror(errno));
    int result = read_stream(&r, in, context);
    fclose(in);
    return result;
}

void kubeconfig_clear(struct kubeconfig *k)
{
    char *all[] = {k->server,  k->tls_server_name, k->proxy_url, k->ca_file, k->cert_file, k->key_file, k->token_file,
                   k->ca_data, k->cert_data,       k->key_data,  k->token,   k->username,  k->password};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    *k = (struct kubeconfig){0};
}
