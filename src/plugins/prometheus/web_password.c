// SPDX-License-Identifier: Apache-2.0
#include "plugins/prometheus/web_password.h"

#include <crypt.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define REMEMBERED 64 // answers of either kind

// The latest answers of one kind. Wrong ones have a list of their own: guesses must not push out what is right.
struct memory {
    uint8_t digests[REMEMBERED][WEB_DIGEST];
    size_t n, next;
};

// A check under way, on a thread of libuv's.
struct job {
    uv_work_t work;
    struct web_asker *asker; // NULL: it has gone
    bool known, right;
    uint8_t digest[WEB_DIGEST];
    struct crypt_data crypt;
    char hash[64];
    char password[];
};

static TAILQ_HEAD(, web_asker) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned nwaiting;
static struct job *running;
static struct memory right, wrong;

static bool remembers(const struct memory *m, const uint8_t *digest)
{
    bool found = false;
    for (size_t i = 0; i < m->n; i++)
        found |= gnutls_memcmp(m->digests[i], digest, WEB_DIGEST) == 0;
    return found;
}

static void remember(struct memory *m, const uint8_t *digest)
{
    memcpy(m->digests[m->next], digest, WEB_DIGEST);
    m->next = (m->next + 1) % REMEMBERED;
    m->n = m->n < REMEMBERED ? m->n + 1 : m->n;
}

static enum web_answer recall(const struct web_asker *a)
{
    return a->known && remembers(&right, a->digest) ? WEB_RIGHT
           : remembers(&wrong, a->digest)           ? WEB_WRONG
                                                    : WEB_NOT_ASKED;
}

// The header ----------------------------------------------------------------------------------------------------------

// "Basic " and "USER:PASSWORD" in base64. False for anything else: WEB_WRONG.
static bool read_header(struct web_asker *a, const char *authorization)
{
    static const char scheme[] = "Basic ";
    gnutls_datum_t out;
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    const gnutls_datum_t in = {.data = (unsigned char *)(uintptr_t)authorization,
                               .size = (unsigned)strlen(authorization)};
    if (in.size == 0 || gnutls_base64_decode2(&in, &out) != GNUTLS_E_SUCCESS)
        return false;
    if (memchr(out.data, '\0', out.size) == NULL)
        a->text = calloc(1, out.size + 1U);
    if (a->text != NULL)
        memcpy(a->text, out.data, out.size);
    gnutls_memset(out.data, 0, out.size);
    gnutls_free(out.data);
    char *colon = a->text != NULL ? strchr(a->text, ':') : NULL;
    if (colon == NULL)
        return false;
    *colon = '\0';
    a->password = colon + 1;
    return true;
}

static void find_user(struct web_asker *a, const struct web_list *users)
{
    a->hash = users->entries[0].value.text; // to compute something for a name that nobody has
    for (size_t i = 0; i < users->n; i++)
        if (strcmp(users->entries[i].name, a->text) == 0) {
            a->hash = users->entries[i].value.text;
            a->known = true;
        }
}

static bool digest(struct web_asker *a)
{
    static uint8_t key[WEB_DIGEST];
    static bool have_key;
    gnutls_hmac_hd_t h;
    if (!have_key && gnutls_rnd(GNUTLS_RND_KEY, key, sizeof key) != GNUTLS_E_SUCCESS)
        return false;
    have_key = true;
    if (gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, key, sizeof key) != GNUTLS_E_SUCCESS)
        return false;
    int rc = gnutls_hmac(h, &a->known, sizeof a->known);
    if (rc == GNUTLS_E_SUCCESS)
        rc = gnutls_hmac(h, a->text, strlen(a->text) + 1); // with the NUL: no two questions have the same bytes
    if (rc == GNUTLS_E_SUCCESS)
        rc = gnutls_hmac(h, a->hash, strlen(a->hash) + 1);
    if (rc == GNUTLS_E_SUCCESS)
        rc = gnutls_hmac(h, a->password, strlen(a->password) + 1);
    gnutls_hmac_deinit(h, a->digest);
    return rc == GNUTLS_E_SUCCESS;
}

static void clear(struct web_asker *a)
{
    if (a->text == NULL)
        return;
    if (a->password != NULL)
        gnutls_memset((char *)(uintptr_t)a->password, 0, strlen(a->password));
    free(a->text);
    a->text = NULL;
}

// The check -----------------------------------------------------------------------------------------------------------

static void run(uv_work_t *work)
{
    struct job *j = work->data;
    const char *hash = crypt_r(j->password, j->hash, &j->crypt);
    const size_t len = strlen(j->hash);
    j->right = hash != NULL && strlen(hash) == len && gnutls_memcmp(hash, j->hash, len) == 0;
}

static void start_next(uv_loop_t *loop);

static void answer(struct web_asker *a, enum web_answer what)
{
    a->answer = what;
    clear(a);
    http_resume(a->request);
}

static void free_job(struct job *j)
{
    gnutls_memset(j->password, 0, strlen(j->password));
    gnutls_memset(&j->crypt, 0, sizeof j->crypt);
    free(j);
}

static void on_done(uv_work_t *work, int status)
{
    struct job *j = work->data;
    uv_loop_t *loop = work->loop;
    const bool good = status == 0 && j->known && j->right;
    running = NULL;
    if (status == 0)
        remember(good ? &right : &wrong, j->digest);
    if (j->asker != NULL)
        answer(j->asker, good ? WEB_RIGHT : WEB_WRONG);
    free_job(j);
    start_next(loop);
}

static bool start(struct web_asker *a, uv_loop_t *loop)
{
    const size_t size = strlen(a->password) + 1;
    struct job *j = calloc(1, sizeof *j + size);
    if (j == NULL)
        return false;
    j->work.data = j;
    j->asker = a;
    j->known = a->known;
    memcpy(j->digest, a->digest, sizeof j->digest);
    memcpy(j->hash, a->hash, strnlen(a->hash, sizeof j->hash - 1));
    memcpy(j->password, a->password, size);
    if (uv_queue_work(loop, &j->work, run, on_done) != 0) {
        free_job(j);
        return false;
    }
    running = j;
    return true;
}

// Those behind the first may ask what has just been answered.
static void start_next(uv_loop_t *loop)
{
    while (running == NULL && !TAILQ_EMPTY(&waiting)) {
        struct web_asker *a = TAILQ_FIRST(&waiting);
        TAILQ_REMOVE(&waiting, a, link);
        nwaiting--;
        enum web_answer known = recall(a);
        if (known != WEB_NOT_ASKED)
            answer(a, known);
        else if (!start(a, loop))
            answer(a, WEB_TOO_MANY);
    }
}

enum web_answer web_password_ask(struct web_asker *a, const struct web_list *users, const char *authorization,
                                 struct http_request *request, uv_loop_t *loop)
{
    if (a->answer != WEB_NOT_ASKED)
        return a->answer;
    a->answer = WEB_WRONG;
    if (read_header(a, authorization)) {
        find_user(a, users);
        a->answer = digest(a) ? recall(a) : WEB_TOO_MANY;
    }
    if (a->answer == WEB_NOT_ASKED && nwaiting >= WEB_WAITING_MAX)
        a->answer = WEB_TOO_MANY;
    if (a->answer != WEB_NOT_ASKED) {
        clear(a);
        return a->answer;
    }
    a->request = request;
    if (running == NULL)
        a->answer = start(a, loop) ? WEB_WAITS : WEB_TOO_MANY;
    if (a->answer == WEB_NOT_ASKED) {
        TAILQ_INSERT_TAIL(&waiting, a, link);
        nwaiting++;
        a->answer = WEB_WAITS;
    }
    return a->answer;
}

void web_password_forget(struct web_asker *a)
{
    if (running != NULL && running->asker == a) {
        running->asker = NULL;
    } else if (a->answer == WEB_WAITS) {
        TAILQ_REMOVE(&waiting, a, link);
        nwaiting--;
    }
    clear(a);
}
