// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The cgroup's CPU quota. Private to this room; apart so that tests can give it a file system of their own. Any
/// thread.

/// CPUs that the quotas of this process's cgroups allow, rounded up; 0: no quota. `proc` is the process's directory in
/// /proc; `root` is put before every path found in it ("" but in tests). Sources: cgroups(7), the kernel's
/// Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (cpu.cfs_quota_us).
unsigned cpu_quota(const char *proc, const char *root);
