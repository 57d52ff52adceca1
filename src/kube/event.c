// SPDX-License-Identifier: Apache-2.0
#include "kube/event.h"
#include <string.h>

enum event_type event_type_of(const void *text, size_t len)
{
    static const char *const names[] = {[EVENT_ADDED] = "ADDED",
                                        [EVENT_MODIFIED] = "MODIFIED",
                                        [EVENT_DELETED] = "DELETED",
                                        [EVENT_BOOKMARK] = "BOOKMARK",
                                        [EVENT_ERROR] = "ERROR"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0)
            return (enum event_type)i;
    return EVENT_UNKNOWN;
}
