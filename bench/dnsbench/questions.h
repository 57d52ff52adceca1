// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What is asked: questions as whole messages, read from a file in dnsperf's format or added one by one, and the order
/// in which they are taken.
#include <clusterdns/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define QUESTIONS_ERROR_MAX 512

/// A message without id (its first two bytes are to be written over).
struct question {
    const uint8_t *wire; ///< of the set
    uint16_t size;       ///< bytes
    uint16_t name_size;  ///< bytes of the name, which begins at byte 12
    uint16_t qtype;      ///< host order
    bool absolute;       ///< the name was given with its final dot: a search list (candidates.h) is not for it
    bool expects;        ///< it is known what the answer has to be:
    uint64_t expected;   ///< its digest (digest.h)
};

#define QUESTIONS_MAX 16000000 ///< of a set

/// A set of them; immutable once it is whole. Any thread.
struct questions {
    struct question *all;
    size_t n, room;      ///< room: places that `all` has
    struct arena *arena; ///< has the messages
};

/// How messages are made.
struct question_options {
    bool rd, edns, do_;
    uint16_t edns_size; ///< bytes
};

/// Reads lines of "NAME TYPE" or, with the answer that is expected, "NAME TYPE ANSWER...": an rcode, NODATA, or the
/// data of records of that name and type (addresses, or the names of CNAME, NS and PTR). Empty ones and those that
/// begin with ';' or '#' are passed over. CDNS_ECONFIG: "PATH:LINE: what is wrong" is in `error` (QUESTIONS_ERROR_MAX
/// bytes); CDNS_ENOMEM. On an error nothing is left.
int questions_read(FILE *file, const char *path, const struct question_options *options, struct questions *out,
                   char *error) CDNS_MUSTCHECK;
/// An empty set, to be freed. CDNS_ENOMEM.
int questions_init(struct questions *out) CDNS_MUSTCHECK;
/// Adds one, `name` in wire form. CDNS_ENOMEM; CDNS_ELIMIT: there are QUESTIONS_MAX.
int questions_add(struct questions *set, const struct question_options *options, const uint8_t *name,
                  uint16_t type) CDNS_MUSTCHECK;
/// Adds the one at `place` once more; its message is shared. As questions_add().
int questions_repeat(struct questions *set, size_t place) CDNS_MUSTCHECK;
/// Puts them into an order by chance; `seed` repeats it.
void questions_shuffle(struct questions *set, uint64_t seed);
void questions_free(struct questions *set);
/// The text of a question, "name. TYPE", for messages; `out` has `size` bytes. Returns `out`.
const char *question_text(const struct question *q, char *out, size_t size);

/// Is the question of a message the same: name without letters' case, type, class?
bool question_is_of(const struct question *q, const uint8_t *message, size_t size);

enum pick_order {
    PICK_IN_TURN, ///< one after the other, threads side by side, from the first again after the last
    PICK_UNIFORM, ///< by chance, each as often
    PICK_ZIPF,    ///< by chance, the n-th in proportion to n to the power of -`exponent`
};

/// Which question is the next; a part for each thread. PICK_ZIPF shares the table of the first part.
struct picker {
    enum pick_order order;
    size_t n, next, step;
    uint64_t random;
    const struct alias *table; ///< PICK_ZIPF
};

/// Walker's table: a draw takes one look, however many questions there are.
struct alias {
    uint32_t other, below; ///< the place itself for draws below `below` / 2^32, else `other`
};

/// The table of PICK_ZIPF for `n` questions, from malloc(); the caller frees it. NULL: no memory.
struct alias *picker_zipf_table(size_t n, double exponent);
/// Part `part` of `parts`; `seed` repeats what goes by chance.
void picker_begin(struct picker *p, enum pick_order order, const struct alias *table, size_t n, unsigned part,
                  unsigned parts, uint64_t seed);
/// The place of the next question.
size_t picker_next(struct picker *p);
