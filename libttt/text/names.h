/* Names as text of one line. Private. */
#ifndef TTT_TEXT_NAMES_H
#define TTT_TEXT_NAMES_H
#include "libttt/base.h"

/* A name without backslash, control bytes and DEL, which become \xNN; out holds 4 * strlen(name) + 1. And back, in
 * place; false where an escape is none. */
void ttt__name_escape(char *out, const char *name);
bool ttt__name_unescape(char *name);
/* The value of a digit 0-9a-f, or -1. */
int ttt__hex_digit(char c);

#endif
