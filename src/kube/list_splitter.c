// SPDX-License-Identifier: Apache-2.0
#include "kube/list_splitter.h"
#include "base/reader.h"
#include "kube/buffer.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// Where in the document the next byte stands.
enum state {
    BEFORE,  // nothing but white space so far, which goes to the envelope too: its line numbers stay right
    TOP,     // inside the top level's object: its text goes to the envelope
    BETWEEN, // inside "items", between elements
    ELEMENT, // inside an element
    DONE,    // the document is complete
};

struct list_splitter {
    struct buffer envelope, element;
    size_t max_object;
    int (*item)(void *arg, const char *json, size_t len);
    void *arg;
    int error; // sticky
    enum state state;
    unsigned depth;            // open brackets
    bool in_string, escaped;   // of the present string
    bool key_place;            // at depth 1: the next string is a key
    bool items_key;            // the last key at depth 1 was "items" and its value has not begun
    size_t key_start;          // of the present string at depth 1: its first byte in the envelope
    size_t line, element_line; // lines seen; where the present element begins
    size_t rest;               // bytes of the last feed behind the document
};

struct list_splitter *list_splitter_new(size_t max_object, int (*item)(void *arg, const char *json, size_t len),
                                        void *arg)
{
    struct list_splitter *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->max_object = max_object;
    l->item = item;
    l->arg = arg;
    l->line = 1;
    return l;
}

void list_splitter_free(struct list_splitter *l)
{
    if (l == NULL)
        return;
    buffer_free(&l->envelope);
    buffer_free(&l->element);
    free(l);
}

// Where bytes of the present state belong; NULL: nowhere.
static struct buffer *sink(struct list_splitter *l)
{
    if (l->state == BEFORE || l->state == TOP)
        return &l->envelope;
    return l->state == ELEMENT ? &l->element : NULL;
}

// Moves the bytes from `*run` up to the reader's position to the sink.
static void flush(struct list_splitter *l, struct reader *r, size_t *run)
{
    struct buffer *b = sink(l);
    if (b != NULL && l->error == 0)
        l->error = buffer_append(b, l->max_object, r->base + *run, r->pos - *run);
    *run = r->pos;
}

static void finish_element(struct list_splitter *l)
{
    int r = l->error != 0 ? l->error : l->item(l->arg, l->element.data, l->element.len);
    l->error = r;
    buffer_clear(&l->element);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// A string at the top level has ended: is it the key "items"? The sink has all its bytes.
static void end_string(struct list_splitter *l)
{
    if (l->error != 0 || l->state != TOP || l->depth != 1 || !l->key_place)
        return;
    static const char items[] = "\"items\"";
    size_t len = l->envelope.len - l->key_start;
    l->items_key = len == sizeof items - 1 && memcmp(l->envelope.data + l->key_start, items, len) == 0;
    l->key_place = false;
}

// A byte inside a string; the reader stands behind it.
static void string_byte(struct list_splitter *l, uint8_t c, struct reader *r, size_t *run)
{
    if (l->escaped)
        l->escaped = false;
    else if (c == '\\')
        l->escaped = true;
    else if (c == '"') {
        l->in_string = false;
        if (l->state == TOP)
            flush(l, r, run);
        end_string(l);
    }
}

// A byte of the top level, outside strings; the reader stands behind it.
static void top_byte(struct list_splitter *l, uint8_t c, struct reader *r, size_t *run)
{
    if (c == '[' && l->depth == 1 && l->items_key) {
        l->depth++;
        flush(l, r, run);
        l->state = BETWEEN;
    } else if (c == '{' || c == '[') {
        l->depth++;
    } else if (c == '}' || c == ']') {
        if (--l->depth == 0) {
            flush(l, r, run);
            l->state = DONE;
        }
    } else if (c == '"' && l->depth == 1) {
        r->pos--; // the key begins with its quote
        flush(l, r, run);
        r->pos++;
        l->key_start = l->envelope.len;
    } else if (c == ',' && l->depth == 1) {
        l->key_place = true;
    }
    if (c != ':' && c != '"' && !is_space(c))
        l->items_key = false;
    l->in_string = c == '"';
}

// A byte between elements, the reader behind it.
static void between_byte(struct list_splitter *l, uint8_t c, struct reader *r, size_t *run)
{
    if (is_space(c) || c == ',') {
        *run = r->pos;
        return;
    }
    *run = r->pos - 1;
    if (c == ']') {
        l->depth--;
        l->state = TOP; // the bracket goes to the envelope
        return;
    }
    l->state = ELEMENT;
    l->element_line = l->line;
    l->in_string = c == '"';
    if (c == '{' || c == '[')
        l->depth++;
    else if (c == '}')
        l->error = CDNS_ESYNTAX;
}

// A byte of an element, outside strings; the reader stands behind it.
static void element_byte(struct list_splitter *l, uint8_t c, struct reader *r, size_t *run)
{
    if (l->depth == 2 && (c == ',' || c == ']')) { // the element before it is complete
        r->pos--;
        flush(l, r, run);
        finish_element(l);
        l->state = BETWEEN;
        return;
    }
    if (c == '{' || c == '[')
        l->depth++;
    else if ((c == '}' || c == ']') && --l->depth < 2)
        l->error = CDNS_ESYNTAX;
    l->in_string = c == '"';
}

static void before_byte(struct list_splitter *l, uint8_t c)
{
    if (is_space(c))
        return;
    l->state = TOP;
    l->depth = 1;
    l->key_place = true;
    if (c != '{')
        l->error = CDNS_ESYNTAX;
}

int list_splitter_feed(struct list_splitter *l, const char *data, size_t len)
{
    struct reader r = reader_init(data, len);
    size_t run = 0;
    while (l->error == 0 && l->state != DONE && reader_left(&r) > 0) {
        uint8_t c = reader_u8(&r);
        if (l->in_string)
            string_byte(l, c, &r, &run);
        else if (l->state == TOP)
            top_byte(l, c, &r, &run);
        else if (l->state == ELEMENT)
            element_byte(l, c, &r, &run);
        else if (l->state == BETWEEN)
            between_byte(l, c, &r, &run);
        else
            before_byte(l, c);
        if (c == '\n')
            l->line++;
    }
    if (l->error == 0)
        flush(l, &r, &run);
    l->rest = reader_left(&r);
    return l->error;
}

int list_splitter_finish(struct list_splitter *l, const char **envelope, size_t *len)
{
    list_splitter_envelope(l, envelope, len);
    return l->error == 0 && l->state != DONE ? CDNS_ETRUNC : l->error;
}

void list_splitter_envelope(const struct list_splitter *l, const char **envelope, size_t *len)
{
    *envelope = l->envelope.data != NULL ? l->envelope.data : "";
    *len = l->envelope.len;
}

size_t list_splitter_rest(const struct list_splitter *l)
{
    return l->rest;
}

size_t list_splitter_line(const struct list_splitter *l)
{
    return l->state == ELEMENT ? l->element_line : l->line;
}
