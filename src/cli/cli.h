// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The command line: CoreDNS's flags, and subcommands.

/// Runs the program; returns its exit status.
int cli_main(int argc, char **argv);
