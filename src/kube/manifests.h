// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Objects from YAML or JSON files: single documents, `---` streams, `kind: List`, whole dumps; directories (*.yaml,
/// *.yml, *.json, sorted, not recursive into hidden ones: manifest_files.h). Elements of a list are handed out one at a
/// time. A text whose first sign is `{"` (or a file named *.json) is read as JSON, all else as YAML.
#include "kube/object.h"
#include "kube/yamltree.h"
#include <clusterdns/error.h>
#include <jansson.h>
#include <stddef.h>

/// Called for each object that DNS needs, with its metadata.labels (NULL: none); returns 0, or an error that ends the
/// reading. An object without metadata.namespace has "default", as with kubectl.
typedef int (*manifest_cb)(void *arg, const struct kube_object *object, const json_t *labels);
/// Reads `path` (file or directory). Objects that cannot be decoded are logged with file and line (the first
/// MANIFEST_MAX_REPORTS of a file) and passed over; a file that is no YAML, an empty one, and a list whose end is
/// missing (it has no kind, which kubectl writes last) are CDNS_ECONFIG with "FILE:LINE: …" in `error`. Bounds: 64
/// levels, aliases expanded to at most YAML_MAX_NODES nodes an object. `callback` NULL: the text is checked only,
/// nothing is logged.
int manifests_read(const char *path, manifest_cb callback, void *arg, char *error, size_t error_size) CDNS_MUSTCHECK;
/// The same from memory, named `name` in messages.
int manifests_read_text(const char *name, const char *text, size_t len, manifest_cb callback, void *arg, char *error,
                        size_t error_size) CDNS_MUSTCHECK;
#define MANIFEST_MAX_OBJECT (16u << 20) ///< bytes of one object in JSON
#define MANIFEST_MAX_REPORTS 10
