// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Plugins in shared objects. Main thread.
#include <clusterdns/plugin.h>

/// The plugin in the shared object `path` (absolute). An object stays open until the end of the process, since what it
/// counts does: whoever asks for its path again gets the same plugin, whatever the file has become. On an error NULL,
/// with the text by config_errorf() for the token `at`; such an object is closed, so that a better one can take its
/// place. CONFIG_ERROR_MAX bounds the text.
const struct plugin *load_plugin(struct config *c, const struct token *at, const char *path);
