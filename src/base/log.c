// SPDX-License-Identifier: Apache-2.0
// \file
// How a line looks. Where it goes is logring.c's business.
#include <clusterdns/log.h>

#include "base/clock.h"
#include "base/logring.h"
#include "base/utf8.h"
#include "base/writer.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define JSON_END 3072 // bytes for what follows the message in a JSON line

static unsigned debug_holds;

static const char *const text_levels[] = {"[DEBUG] ", "[INFO] ", "[WARNING] ", "[ERROR] ", "[FATAL] "};
static const char *const json_levels[] = {"DEBUG", "INFO", "WARN", "ERROR", "FATAL"}; // as CoreDNS 1.15 names them

void log_debug_hold(void)
{
    __atomic_fetch_add(&debug_holds, 1, __ATOMIC_RELAXED);
}

void log_debug_release(void)
{
    __atomic_fetch_sub(&debug_holds, 1, __ATOMIC_RELAXED);
}

static void put_text(struct writer *w, const char *text)
{
    writer_bytes(w, text, strlen(text));
}

// One byte as \xNN; all of it or nothing.
static void put_hex(struct writer *w, uint8_t byte)
{
    char hex[8];
    snprintf(hex, sizeof hex, "\\x%02x", byte);
    writer_bytes(w, hex, 4);
}

// Outside text for a terminal: what could start a line or drive the terminal (C0, DEL, C1, broken UTF-8) is escaped.
static void put_escaped(struct writer *w, const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    while (p < end && w->error == 0) {
        size_t n = utf8_sequence(p, (size_t)(end - p));
        bool control = (*p < 0x20 && *p != '\t') || *p == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
        if (*p == '\n') {
            writer_bytes(w, "\\n", 2);
        } else if (n == 0 || control) {
            put_hex(w, *p);
            n = 1;
        } else {
            writer_bytes(w, p, n);
        }
        p += n;
    }
}

// The inside of a JSON string (RFC 8259 §7); bytes that are not UTF-8 become U+FFFD.
static void put_json(struct writer *w, const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    while (p < end && w->error == 0) {
        size_t n = utf8_sequence(p, (size_t)(end - p));
        char escape[8] = {'\\', (char)*p};
        switch (*p) {
        case '\n':
            escape[1] = 'n';
            break;
        case '\r':
            escape[1] = 'r';
            break;
        case '\t':
            escape[1] = 't';
            break;
        case '"':
        case '\\':
            break;
        default:
            if (n == 0 || *p < 0x20)
                snprintf(escape, sizeof escape, "\\u%04x", n == 0 ? 0xfffdU : *p);
            else
                escape[0] = '\0';
        }
        if (n == 0)
            n = 1;
        if (escape[0] != '\0')
            put_text(w, escape);
        else
            writer_bytes(w, p, n);
        p += n;
    }
}

static void put_time(struct writer *w)
{
    int64_t ns = clock_realtime_ns();
    time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char text[48];
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%09dZ", (int)(ns % 1000000000));
    put_text(w, text);
}

// {"time":…,"level":…,"msg":…[,"plugin":…]}: CoreDNS 1.15's records.
static size_t json_line(const struct log_entry *e, char out[LOG_LINE_MAX])
{
    char end[JSON_END]; // what follows the message; room for it is kept, so that a long message leaves valid JSON
    struct writer tail = writer_init(end, sizeof end - 2);
    put_text(&tail, "\"");
    if (e->plugin != NULL) {
        char name[64];
        log_json_string(e->plugin, strlen(e->plugin), name, sizeof name);
        put_text(&tail, ",\"plugin\":");
        put_text(&tail, name);
    }
    if (e->members != NULL)
        put_text(&tail, e->members);
    memcpy(end + tail.pos, "}\n", 2);
    tail.pos += 2;

    struct writer w = writer_init(out, LOG_LINE_MAX - tail.pos);
    put_text(&w, "{\"time\":\"");
    put_time(&w);
    put_text(&w, "\",\"level\":\"");
    put_text(&w, json_levels[e->level]);
    put_text(&w, "\",\"msg\":\"");
    put_json(&w, e->text, e->len);
    memcpy(out + w.pos, end, tail.pos);
    return w.pos + tail.pos;
}

static size_t text_line(const char *level, const struct log_entry *e, char out[LOG_LINE_MAX])
{
    struct writer w = writer_init(out, LOG_LINE_MAX - 1);
    put_text(&w, level);
    if (e->plugin != NULL) {
        put_text(&w, "plugin/");
        put_text(&w, e->plugin);
        put_text(&w, ": ");
    }
    put_escaped(&w, e->text, e->len);
    out[w.pos] = '\n';
    return w.pos + 1;
}

size_t log_line(const struct log_entry *entry, char out[LOG_LINE_MAX])
{
    return log_is_json() ? json_line(entry, out) : text_line(text_levels[entry->level], entry, out);
}

static void write_formatted(struct log_entry *entry, const char *fmt, va_list args)
{
    if (entry->level == LOG_LEVEL_DEBUG && __atomic_load_n(&debug_holds, __ATOMIC_RELAXED) == 0)
        return;
    char text[LOG_LINE_MAX], line[LOG_LINE_MAX];
    int n = vsnprintf(text, sizeof text, fmt, args);
    if (n < 0)
        return;
    entry->text = text;
    entry->len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    logring_put(line, log_line(entry, line));
}

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_formatted(&(struct log_entry){.level = level}, fmt, args);
    va_end(args);
}

void log_plugin(enum log_level level, const char *plugin, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_formatted(&(struct log_entry){.level = level, .plugin = plugin}, fmt, args);
    va_end(args);
}

void log_members(const char *members, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_formatted(&(struct log_entry){.level = LOG_LEVEL_INFO, .members = members}, fmt, args);
    va_end(args);
}

void log_raw(const char *line, size_t len)
{
    char out[LOG_LINE_MAX];
    logring_put(out, text_line("", &(struct log_entry){.text = line, .len = len}, out));
}

bool log_is_json(void)
{
    return logring_format() == LOG_FORMAT_JSON;
}

size_t log_json_string(const char *text, size_t len, char *out, size_t cap)
{
    struct writer w = writer_init(out, cap - 2);
    writer_u8(&w, '"');
    put_json(&w, text, len);
    memcpy(out + w.pos, "\"", 2);
    return w.pos + 1;
}
