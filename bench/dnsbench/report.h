// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a run came to, for people and for programs.
#include "dnsbench/check.h"
#include "dnsbench/options.h"
#include "dnsbench/results.h"
#include <stdbool.h>
#include <stdio.h>

struct beside; // beside.h
struct json_t; // jansson.h
struct search;

/// A run that is over.
struct run {
    const struct options *options;
    const struct results *results;
    uint64_t took_ns;                 ///< from the schedule's start to the end of the last question
    const struct check_counts *check; ///< NULL: answers were not checked
    const char *stopped;              ///< why it ended early; NULL: it did not
    const struct beside *beside;      ///< what went on beside the load; NULL: nothing
    const struct search *search;      ///< that it comes from (search.h); NULL: none
};

#define REPORT_REASONS 8
#define REPORT_REASON_MAX 192

/// Why its figures are not the server's; fills `reasons` (REPORT_REASONS places, REPORT_REASON_MAX bytes each) and
/// returns how many there are. 0: the run is valid.
unsigned report_invalid(const struct run *run, char reasons[REPORT_REASONS][REPORT_REASON_MAX]);
/// Was the generator itself later than --max-lag allows (an open loop)?
bool report_late(const struct run *run);
/// Questions that the end of the run cut off: sent, but neither answered nor lost when it was ended early.
uint64_t report_cut_off(const struct counts *c);
/// The share of the time for which its threads had a CPU or waited for one, 0 to 1, on the average.
double report_busy(const struct run *run);
/// Answers a second.
double report_answered_rate(const struct run *run);
/// The table at the end.
void report_text(const struct run *run, FILE *file);
/// One JSON object; docs/dnsbench.md describes it. CDNS_ENOMEM, CDNS_EIO (errno).
int report_json(const struct run *run, FILE *file) CDNS_MUSTCHECK;
/// A line for each second, with a heading. CDNS_EIO (errno).
int report_csv(const struct run *run, FILE *file) CDNS_MUSTCHECK;
/// The distribution as JSON has it; the caller owns it.
struct json_t *report_times(const struct histogram *h);
/// Where questions come from: the file, the kubeconfig, or the (first) manifests.
const char *report_source(const struct options *o);
/// As report_time(), of a histogram's figure: "-" if nothing is in it.
const char *report_figure(const struct histogram *h, uint64_t ns, char out[16]);
/// What is counted at a place of counts.rcodes; `out` (16 bytes) may be used. Returns the text.
const char *report_rcode(unsigned place, char out[16]);
/// "850 us", "1.25 ms", "2.00 s" in `out` (16 bytes). Returns `out`.
const char *report_time(uint64_t ns, char out[16]);
