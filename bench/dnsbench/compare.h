// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// `dnsbench compare BEFORE.json AFTER.json`: what the second run has that the first one had not, beyond what chance
/// makes.
#include <clusterdns/error.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define COMPARE_ERROR_MAX 512

/// A difference of medians between two samples, by Hodges and Lehmann: the median of all differences between one of the
/// second and one of the first, and the interval that has the true one in it in 99 of 100 cases (Mann and Whitney's
/// statistic, normal approximation: from 8 values each on it is good).
struct shift {
    double before, after; ///< medians
    double shift, low, high;
};

/// `a` and `b` have `na` and `nb` values, at least one. CDNS_ENOMEM.
int compare_shift(const double *a, size_t na, const double *b, size_t nb, struct shift *out) CDNS_MUSTCHECK;
/// How far apart two shares are, in standard deviations of chance; above 0: the second is larger.
double compare_shares(uint64_t part_a, uint64_t whole_a, uint64_t part_b, uint64_t whole_b);

enum compare_verdict { COMPARE_SAME, COMPARE_BETTER, COMPARE_WORSE };

/// Reads two reports (report_json()'s) and writes a table to `file`. A change counts when chance does not explain it
/// and, of latencies, it is more than `tolerance` (0.05: five percent). CDNS_ECONFIG: what is wrong is in `error`
/// (COMPARE_ERROR_MAX bytes).
int compare_files(const char *before, const char *after, double tolerance, FILE *file, enum compare_verdict *verdict,
                  char *error) CDNS_MUSTCHECK;
