// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The report as one HTML page, with its plots as SVG, and nothing to load from elsewhere.
#include "dnsbench/report.h"

/// Writes the page. CDNS_EIO (errno).
int html_write(const struct run *run, FILE *file) CDNS_MUSTCHECK;
