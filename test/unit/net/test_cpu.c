// SPDX-License-Identifier: Apache-2.0
#include "net_test.h"

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "net/cpu.h"

static char root[64]; // stands for /, and has a /proc/self of its own
static char proc[80];

static void write_file(const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof(full), "%s%s", root, path);
    for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0777);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int start(void **state)
{
    (void)state;
    strcpy(root, "/tmp/test_cpu.XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    (void)snprintf(proc, sizeof(proc), "%s/proc/self", root);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info, (void)type, (void)ftw;
    return remove(path);
}

static int end(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void unified(const char *mount_root, const char *path)
{
    char line[512];
    (void)snprintf(line, sizeof(line), "41 31 0:38 %s /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw\n",
                   mount_root);
    write_file("/proc/self/mountinfo", line);
    (void)snprintf(line, sizeof(line), "0::%s\n", path);
    write_file("/proc/self/cgroup", line);
}

static void v2_in_a_container(void **state)
{
    (void)state;
    unified("/", "/");
    assert_int_equal(cpu_quota(proc, root), 0); // no cpu.max at the top of a machine
    write_file("/sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_int_equal(cpu_quota(proc, root), 0);
    write_file("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_int_equal(cpu_quota(proc, root), 2);
    write_file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    assert_int_equal(cpu_quota(proc, root), 2);
    write_file("/sys/fs/cgroup/cpu.max", "200001 100000\n");
    assert_int_equal(cpu_quota(proc, root), 3);
    write_file("/sys/fs/cgroup/cpu.max", "1000 100000\n");
    assert_int_equal(cpu_quota(proc, root), 1);
}

static void v2_smallest_of_all_above(void **state)
{
    (void)state;
    unified("/", "/kubepods/pod1/box");
    write_file("/sys/fs/cgroup/kubepods/pod1/box/cpu.max", "max 100000\n");
    write_file("/sys/fs/cgroup/kubepods/pod1/cpu.max", "350000 100000\n");
    write_file("/sys/fs/cgroup/kubepods/cpu.max", "800000 100000\n");
    assert_int_equal(cpu_quota(proc, root), 4);
    write_file("/sys/fs/cgroup/kubepods/cpu.max", "100000 50000\n");
    assert_int_equal(cpu_quota(proc, root), 2);
}

static void v1_beside_v2(void **state)
{
    (void)state;
    write_file("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                                       "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
                                       "33 31 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
                                       "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
    write_file("/proc/self/cgroup", "9:name=systemd:/\n3:cpuset:/other\n1:cpu,cpuacct:/box\n0::/\n");
    write_file("/sys/fs/cgroup/cpuset/other/cpu.cfs_quota_us", "1\n"); // not the controller's
    write_file("/sys/fs/cgroup/cpuset/other/cpu.cfs_period_us", "100000\n");
    write_file("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
    write_file("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cpu_quota(proc, root), 0);
    write_file("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(cpu_quota(proc, root), 3);
}

static void part_of_the_hierarchy_is_mounted(void **state)
{
    (void)state;
    // As in a container without a cgroup namespace: the path is the machine's, the mount is the container's own group.
    unified("/kubepods/pod1/box", "/kubepods/pod1/box");
    write_file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    assert_int_equal(cpu_quota(proc, root), 3);
    unified("/kubepods/pod1", "/kubepods/pod1/box");
    write_file("/sys/fs/cgroup/box/cpu.max", "100000 100000\n");
    assert_int_equal(cpu_quota(proc, root), 1);
    unified("/kubepods/pod1", "/kubepods/pod10/box"); // a like name, but outside
    assert_int_equal(cpu_quota(proc, root), 3);
}

static void what_cannot_be_read_is_no_quota(void **state)
{
    (void)state;
    assert_int_equal(cpu_quota("/nonexistent", root), 0);
    unified("/", "/");
    write_file("/sys/fs/cgroup/cpu.max", "");
    assert_int_equal(cpu_quota(proc, root), 0);
    write_file("/sys/fs/cgroup/cpu.max", "soon 100000\n");
    assert_int_equal(cpu_quota(proc, root), 0);
    write_file("/sys/fs/cgroup/cpu.max", "100000 0\n");
    assert_int_equal(cpu_quota(proc, root), 0);
    write_file("/sys/fs/cgroup/cpu.max", "9223372036854775807 1\n");
    assert_true(cpu_quota(proc, root) > 0);
    write_file("/proc/self/mountinfo", "nonsense\n41 31 - cgroup2\n - cgroup2 cgroup2 rw\n\n");
    assert_int_equal(cpu_quota(proc, root), 0);
}

static void count_follows_affinity(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    unsigned count = net_cpu_count();
    assert_true(count >= 1 && count <= (unsigned)CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(net_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(v2_in_a_container, start, end),
        cmocka_unit_test_setup_teardown(v2_smallest_of_all_above, start, end),
        cmocka_unit_test_setup_teardown(v1_beside_v2, start, end),
        cmocka_unit_test_setup_teardown(part_of_the_hierarchy_is_mounted, start, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_no_quota, start, end),
        cmocka_unit_test(count_follows_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
