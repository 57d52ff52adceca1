// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Result codes and the two invariant macros. Everything here may be used on any thread.

/// Result of a function that can fail: 0 or one of these negative codes. Values are stable within one build only.
enum error {
    CDNS_ENOMEM = -1,     ///< memory, or the arena's limit, is used up
    CDNS_EINVAL = -2,     ///< the value is not one that can be meant
    CDNS_ETRUNC = -3,     ///< the input ends too early
    CDNS_ENOSPC = -4,     ///< the output has no room left
    CDNS_ERANGE = -5,     ///< a number is outside its range
    CDNS_ENOENT = -6,     ///< there is no such thing
    CDNS_EEXIST = -7,     ///< it is there already
    CDNS_ESYNTAX = -8,    ///< the text does not follow its grammar
    CDNS_ETIMEOUT = -9,   ///< the deadline passed
    CDNS_EIO = -10,       ///< the system refused an operation (see errno or the message given with it)
    CDNS_ELIMIT = -11,    ///< a configured or built-in bound was reached
    CDNS_ECONFIG = -12,   ///< a configuration error whose text was recorded (config.h)
    CDNS_ECANCELED = -13, ///< it was ended before it was done
    CDNS_EDENIED = -14,   ///< the peer refused: credentials or permission
    CDNS_EGONE = -15,     ///< what was asked for has expired (Kubernetes: 410)
    CDNS_EAGAIN = -16,    ///< not now: a queue is full
};

/// Short English text of a code; "unknown error" for any other number. Never NULL; static.
const char *error_text(int code);

/// The result must be looked at.
#define CDNS_MUSTCHECK __attribute__((warn_unused_result))
/// printf-like checking of argument `fmt` with the variable arguments from `first`.
#define CDNS_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/// For what cannot happen: prints the place and the expression, then aborts. Evaluated in every build.
#define INVARIANT(x) ((x) ? (void)0 : invariant_failed(#x, __FILE__, __LINE__))
/// For what should not happen: an expression that is true if `x` is; otherwise it logs (rate-limited) and is false.
/// Use: `if (!EXPECT(n < max)) return CDNS_EINVAL;`
#define EXPECT(x) ((x) ? 1 : (expect_failed(#x, __FILE__, __LINE__), 0))

_Noreturn void invariant_failed(const char *expression, const char *file, int line);
void expect_failed(const char *expression, const char *file, int line);
/// How often an EXPECT was false since the start of the process.
unsigned long long expect_failures(void);
