// SPDX-License-Identifier: Apache-2.0
// The measure for `make bench`: what a DNS server costs that knows no DNS. The server's own sockets and batches
// (src/net), and a handler that sends every question back with the QR bit set.
//
// echo ADDRESS PORT: serves until SIGTERM.
#include "net/net.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_AT 2 // the byte of a message's header with QR on top (RFC 1035 §4.1.1)

static size_t answer(void *arg, struct udp_listener *listener, const struct udp_peer *peer, const uint8_t *packet,
                     size_t size, uint8_t *out, size_t cap)
{
    (void)arg, (void)listener, (void)peer;
    if (size <= FLAGS_AT || size > cap)
        return 0;
    memcpy(out, packet, size);
    out[FLAGS_AT] |= 0x80;
    return size;
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

int main(int argc, char **argv)
{
    union sockaddr_any address = {.in = {.sin_family = AF_INET}};
    struct udp_listener *listener;
    uv_signal_t signal;
    uv_loop_t *loop = uv_default_loop();
    if (argc != 3 || inet_pton(AF_INET, argv[1], &address.in.sin_addr) != 1) {
        (void)fputs("usage: echo IPV4 PORT\n", stderr);
        return 2;
    }
    address.in.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    if (udp_listen(loop, &address, answer, NULL, &listener) != 0) {
        perror("echo");
        return 1;
    }
    (void)uv_signal_init(loop, &signal);
    (void)uv_signal_start(&signal, on_signal, SIGTERM);
    return uv_run(loop, UV_RUN_DEFAULT) != 0 ? 0 : 1;
}
