// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Text from outside, for terminals and JSON. Pure.

/// Makes everything that is no printable UTF-8 a '?', in place: escape sequences, cut or wrong characters. Line ends
/// and tabs stay. Returns `text`.
char *text_clean(char *text);
