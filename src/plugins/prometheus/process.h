// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What every Prometheus client shows of its process, and coredns_build_info, coredns_panics_total.

/// Sets the gauges; to be called at a scrape. Main thread.
void process_collect(void);
