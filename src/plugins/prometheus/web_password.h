// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Basic authentication against bcrypt hashes, which take long to compute on purpose: that is done on another thread,
/// one at a time, and what came of it is remembered. Main thread.
#include "plugins/prometheus/web_config.h"
#include <clusterdns/http.h>
#include <sys/queue.h>

#define WEB_WAITING_MAX 16 ///< requests whose passwords wait to be checked
#define WEB_DIGEST 32

struct uv_loop_s;

enum web_answer { WEB_NOT_ASKED, WEB_WAITS, WEB_RIGHT, WEB_WRONG, WEB_TOO_MANY };

/// A request's question whether its password is right. Zero at first, at the same place until web_password_forget().
struct web_asker {
    TAILQ_ENTRY(web_asker) link; ///< of those that wait
    enum web_answer answer;
    struct http_request *request;
    bool known;                 ///< there is a user of this name
    const char *hash;           ///< his, or somebody's
    char *text;                 ///< "USER:PASSWORD"
    const char *password;       ///< in `text`
    uint8_t digest[WEB_DIGEST]; ///< of user, hash and password, by a key that changes with each start
};

/// Is the header `authorization` (NULL: there is none) that of one of `users` (at least one, their hashes checked by
/// web_config_parse())? Unknown users take as long as known ones. After WEB_WAITS `loop`'s thread calls
/// http_resume(request); then the answer to the same question is there. Without memory it is WEB_TOO_MANY.
enum web_answer web_password_ask(struct web_asker *a, const struct web_list *users, const char *authorization,
                                 struct http_request *request, struct uv_loop_s *loop) CDNS_MUSTCHECK;
/// Nobody waits for the answer any more. A check under way goes on by itself.
void web_password_forget(struct web_asker *a);
