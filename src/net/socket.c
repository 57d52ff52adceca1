// SPDX-License-Identifier: Apache-2.0
#include "net/socket.h"
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

bool socket_set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

void socket_close(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

int socket_open(const union sockaddr_any *address, int type, union sockaddr_any *bound)
{
    int fd = socket(address->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    socklen_t size = sizeof(*bound);
    memset(bound, 0, sizeof(*bound));
    // SO_REUSEADDR lets a restart bind while old connections are in TIME_WAIT; on UDP it would let others take the
    // port.
    if ((type == SOCK_STREAM && !socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1)) ||
        !socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1) ||
        (address->sa.sa_family == AF_INET6 && !socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
        bind(fd, &address->sa, address_size(address)) != 0 || getsockname(fd, &bound->sa, &size) != 0) {
        socket_close(fd);
        return -1;
    }
    return fd;
}
