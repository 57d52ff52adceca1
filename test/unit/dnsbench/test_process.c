// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dnsbench/process.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define PID 4242

static char root[] = "/tmp/test_process.XXXXXX";
static char error[PROCESS_ERROR_MAX];

static const char udp_head[] = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
                               "timeout inode ref pointer drops "
                               "           \n";

static char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%d/%s", root, PID, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(path_of(name), 0755), 0);
}

static void write_thread(unsigned id, unsigned long long ns)
{
    char name[64], text[64];
    snprintf(name, sizeof name, "task/%u", id);
    (void)mkdir(path_of(name), 0755);
    snprintf(name, sizeof name, "task/%u/schedstat", id);
    snprintf(text, sizeof text, "%llu 77 99\n", ns);
    write_file(name, text);
}

static void end_thread(unsigned id)
{
    char name[64];
    snprintf(name, sizeof name, "task/%u/schedstat", id);
    unlink(path_of(name));
    snprintf(name, sizeof name, "task/%u", id);
    rmdir(path_of(name));
}

static void write_memory(unsigned kilobytes)
{
    char text[128];
    snprintf(text, sizeof text, "Name:\tserver\nVmPeak:\t  999999 kB\nVmRSS:\t   %u kB\nThreads:\t2\n", kilobytes);
    write_file("status", text);
}

// Two sockets of the process, and one of another.
static void write_sockets(unsigned first, unsigned second, unsigned other)
{
    static const char line[] =
        "%s %5u: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0     "
        "   0 %u 2 00000000dec6ead5 %u       \n";
    char text[1024];
    snprintf(text, sizeof text, line, udp_head, 5528U, 101U, first);
    size_t n = strlen(text);
    snprintf(text + n, sizeof text - n, line + 3, 5529U, 303U, other);
    write_file("net/udp", text);
    snprintf(text, sizeof text, line, udp_head, 12U, 102U, second);
    write_file("net/udp6", text);
}

static void link_fd(const char *name, const char *target)
{
    char fd[32];
    snprintf(fd, sizeof fd, "fd/%s", name);
    assert_int_equal(symlink(target, path_of(fd)), 0);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    assert_non_null(mkdtemp(root));
    make_folder("");
    make_folder("task");
    make_folder("fd");
    make_folder("net");
    write_file("comm", "server\n");
    write_thread(4242, 1000000);
    write_thread(4250, 500);
    write_memory(1000);
    link_fd("0", "/dev/null");
    link_fd("5", "socket:[102]");
    link_fd("12", "socket:[101]");
    write_sockets(5, 7, 9);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command); // NOLINT(cert-env33-c): a folder of our own
}

static void samples(void **state)
{
    (void)state;
    struct process *p;
    assert_int_equal(process_open(root, PID, &p, error), 0);
    const struct process_results *r = process_results(p);
    assert_string_equal(r->name, "server");
    process_sample(p, 0, true);
    write_thread(4242, 3000000);
    write_memory(3000);
    write_sockets(6, 7, 900);
    process_sample(p, 1000, true);
    write_thread(4250, 800);
    write_memory(2000);
    write_sockets(6, 17, 901);
    process_sample(p, 2000, true);
    write_thread(4242, 3000001);
    process_sample(p, 9000, false);
    assert_int_equal(r->n, 3);
    assert_int_equal(r->samples[0].cpu_ns, 0);
    assert_int_equal(r->samples[0].drops, 0);
    assert_int_equal(r->samples[0].rss, 1000 * 1024);
    assert_int_equal(r->samples[1].cpu_ns, 2000000);
    assert_int_equal(r->samples[1].drops, 1);
    assert_int_equal(r->samples[2].cpu_ns, 2000300);
    assert_int_equal(r->samples[2].drops, 11);
    assert_int_equal(r->end.cpu_ns, 2000301);
    assert_int_equal(r->end.rss, 2000 * 1024);
    assert_int_equal(r->peak_rss, 3000 * 1024);
    assert_int_equal(r->load_ns, 2000);
    assert_int_equal(r->load_cpu_ns, 2000300);
    assert_false(r->ended);
    process_free(p);
}

// What they have counted stays; a new one counts from its beginning.
static void threads_and_sockets_come_and_go(void **state)
{
    (void)state;
    struct process *p;
    assert_int_equal(process_open(root, PID, &p, error), 0);
    process_sample(p, 0, true);
    write_thread(4250, 1500);
    write_sockets(6, 7, 9);
    process_sample(p, 1, true);
    end_thread(4250);
    write_thread(4300, 70);
    write_file("net/udp", udp_head);
    process_sample(p, 2, true);
    write_sockets(2, 7, 9); // another socket
    process_sample(p, 3, true);
    assert_int_equal(process_results(p)->end.cpu_ns, 1000 + 70);
    assert_int_equal(process_results(p)->end.drops, 1 + 2);
    process_free(p);
}

static void without_statistics_of_the_scheduler(void **state)
{
    (void)state;
    struct process *p;
    uint64_t tick = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    write_thread(4242, 0);
    end_thread(4250);
    write_file("stat", "4242 (a ) b) S 1 1 1 0 -1 4194560 9 9 9 9 30 12 5 5 20 0 4 0 100 1000 200\n");
    assert_int_equal(process_open(root, PID, &p, error), 0);
    process_sample(p, 0, true);
    write_file("stat", "4242 (a ) b) S 1 1 1 0 -1 4194560 9 9 9 9 33 13 5 5 20 0 4 0 100 1000 200\n");
    process_sample(p, 1, true);
    assert_int_equal(process_results(p)->end.cpu_ns, 4 * tick);
    process_free(p);
}

static void it_ends(void **state)
{
    (void)state;
    struct process *p;
    assert_int_equal(process_open(root, PID, &p, error), 0);
    process_sample(p, 0, true);
    write_thread(4242, 2000000);
    process_sample(p, 1, true);
    write_file("status", "Name:\tserver\nState:\tZ (zombie)\n");
    process_sample(p, 2, true);
    assert_true(process_results(p)->ended);
    assert_int_equal(process_results(p)->end.cpu_ns, 1000000);
    assert_int_equal(process_results(p)->n, 2);
    process_free(p);
}

static void unknown(void **state)
{
    (void)state;
    struct process *p;
    assert_int_equal(process_open(root, PID + 1, &p, error), CDNS_ECONFIG);
    assert_non_null(strstr(error, "--pid 4243: there is no such process"));
}

// In a process that is not root's, to which the folder says no.
static void of_another_user(void **state)
{
    (void)state;
    struct process *p;
    int status;
    assert_int_equal(chmod(path_of("fd"), 0700), 0);
    assert_int_equal(chmod(root, 0755), 0);
    if (geteuid() != 0)
        assert_int_equal(chmod(path_of("fd"), 0), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(3);
        int rc = process_open(root, PID, &p, error);
        _exit(rc == CDNS_ECONFIG && strstr(error, "another user's") != NULL && strstr(error, "as root") != NULL ? 0
                                                                                                                : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(path_of("fd"), 0700), 0);
}

// This very process, by the real /proc.
static void ourselves(void **state)
{
    (void)state;
    struct process *p;
    volatile unsigned busy = 0;
    assert_int_equal(process_open("/proc", (unsigned)getpid(), &p, error), 0);
    process_sample(p, 0, true);
    while (busy < 20000000)
        busy++;
    process_sample(p, 1, true);
    assert_true(process_results(p)->end.cpu_ns > 1000000);
    assert_true(process_results(p)->end.rss > 100000);
    process_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(samples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_and_sockets_come_and_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_statistics_of_the_scheduler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_another_user, set_up, tear_down),
        cmocka_unit_test(ourselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
