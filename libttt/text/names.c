#include "libttt/text/names.h"

void
ttt__name_escape(char *out, const char *name)
{
	static const char digits[] = "0123456789abcdef";

	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;

		if (c >= 0x20 && c != '\\' && c != 0x7f) {
			*out++ = *name;
			continue;
		}
		*out++ = '\\';
		*out++ = 'x';
		*out++ = digits[c >> 4];
		*out++ = digits[c & 15];
	}
	*out = '\0';
}

int
ttt__hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
ttt__name_unescape(char *name)
{
	char *out = name;
	int high, low;

	for (; *name != '\0'; name++) {
		if ((unsigned char)*name < 0x20 || *name == 0x7f)
			return false;
		if (*name != '\\') {
			*out++ = *name;
			continue;
		}
		high = name[1] == 'x' ? ttt__hex_digit(name[2]) : -1;
		low = high >= 0 ? ttt__hex_digit(name[3]) : -1;
		if (low < 0 || high * 16 + low == 0)
			return false;
		*out++ = (char)(high * 16 + low);
		name += 3;
	}
	*out = '\0';
	return true;
}
